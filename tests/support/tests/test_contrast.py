"""Tests of contrast ratios."""

from __future__ import annotations

import pytest

from tests.support.browsers.contrast import Colour, blend, contrast, parse_colour

WHITE = Colour(255, 255, 255)


def test_contrast_of_known_colours() -> None:
    assert contrast(parse_colour("rgb(118, 118, 118)"), WHITE) == pytest.approx(4.54, abs=0.01)


def test_translucent_colours_are_blended() -> None:
    assert blend(["rgba(0, 0, 0, 0.5)", "rgba(0, 0, 0, 0)", "rgb(255, 255, 255)"]) == (127.5, 127.5, 127.5, 1)
