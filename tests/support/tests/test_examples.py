"""Tests of how many random examples a test tries."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.support.examples import examples


@pytest.mark.parametrize(("profile", "number"), [("full", 400), ("default-here", 100), ("quick", 40)])
def test_profile_scales_number_of_examples(profile: str, number: int) -> None:
    before = settings.get_current_profile_name()
    settings.load_profile(profile)
    try:
        assert examples(400).max_examples == number
        assert examples(1).max_examples == 1
    finally:
        settings.load_profile(before)
