"""Tests of retention: new visitors by week, and how many came again."""

from __future__ import annotations

from datetime import date
from typing import Any

from cookie_consent.report.compute import retention

MONDAY, NUMBER = date(2026, 11, 2), 2966
SUNDAY = date(2026, 11, 22)


def rows(*people: tuple[int, int, int]) -> list[dict[str, Any]]:
    return [{"cohort": NUMBER + week, "later": later, "people": size} for week, later, size in people]


def test_row_has_monday_and_share_of_each_later_week() -> None:
    found = rows((1, 0, 20), (0, 0, 30), (0, 2, 9), (1, 1, 5))
    assert retention(found, SUNDAY, 5) == [
        {"week": str(MONDAY), "visitors": 30, "week_1": 0, "week_2": 9},
        {"week": "2026-11-09", "visitors": 20, "week_1": 5, "week_2": None},
    ]


def test_numbers_below_threshold_are_left_out() -> None:
    found = rows((0, 0, 4), (0, 1, 4), (1, 0, 5), (1, 1, 4))
    assert retention(found, SUNDAY, 5) == [{"week": "2026-11-09", "visitors": 5, "week_1": None}]
    assert [row["visitors"] for row in retention(found, SUNDAY, 1)] == [4, 5]


def test_without_large_cohorts_there_are_no_rows() -> None:
    assert retention([], SUNDAY, 5) == []
    assert retention(rows((0, 0, 4)), SUNDAY, 5) == []
