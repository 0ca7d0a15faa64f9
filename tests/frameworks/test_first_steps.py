"""Tests that what a page says leads to a tested site, in a new virtual environment with real installations."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.first_steps import STATIONS, build_wheel, take
from tests.frameworks.page import PAGES, Page

pytestmark = [pytest.mark.full_matrix, pytest.mark.one_python, pytest.mark.server, pytest.mark.no_cover]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_new_developer_reaches_a_tested_site(page: Page, wheel: Path) -> None:
    steps = take(page, wheel)
    assert list(steps.reached) == list(STATIONS)
    assert (steps.typed, steps.saved) == (7, 2)
