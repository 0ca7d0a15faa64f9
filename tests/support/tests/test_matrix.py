"""Tests of combinations of values."""

from __future__ import annotations

from tests.support.browsers.matrix import every_row, paired_rows, pairs

LOOKS = {"size": ["S", "M", "L", "XL"], "colour": ["red", "blue"], "cloth": ["wool", "silk", "linen"]}


def test_every_row_comes_once() -> None:
    rows = every_row(LOOKS)
    assert len(set(rows)) == len(rows) == 4 * 2 * 3
    assert rows[0] == ("S", "red", "wool")


def test_paired_rows_cover_every_pair() -> None:
    rows = paired_rows(LOOKS)
    assert {pair for row in rows for pair in pairs(row)} == {pair for row in every_row(LOOKS) for pair in pairs(row)}
    assert len(rows) == 4 * 3
    assert rows == paired_rows(LOOKS)
