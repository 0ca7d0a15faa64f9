"""Tests of combinations of values."""

from __future__ import annotations

from tests.support.browsers.matrix import every_row

LOOKS = {"size": ["S", "M", "L", "XL"], "colour": ["red", "blue"], "cloth": ["wool", "silk", "linen"]}


def test_every_row_comes_once() -> None:
    rows = every_row(LOOKS)
    assert len(set(rows)) == len(rows) == 4 * 2 * 3
    assert rows[0] == ("S", "red", "wool")
