"""How many new visitors came again, by the week of their first visit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any

from cookie_consent.report.engines.engine import Row
from cookie_consent.report.lists import number
from cookie_consent.report.local_time import day_number
from cookie_consent.report.steps import WEEK, monday_of, step_number


def retention(rows: Iterable[Row], until: date, threshold: int) -> list[dict[str, Any]]:
    """Return a row for each week with new visitors: its Monday, their number, and how many came in each later week.

    Weeks of fewer new visitors than the threshold are left out. A number of fewer is None, and so is that of a week
    after the range. All rows have the same columns.

    Args:
        rows: from an engine: `cohort` (number of a week), `later` (weeks after that) and `people`.
        until: the last day of the range.
        threshold: the fewest visitors that a number other than 0 stands for.
    """
    people: dict[int, dict[int, int]] = defaultdict(dict)
    for row in rows:
        people[number(row["cohort"])][number(row["later"])] = number(row["people"])
    cohorts = [cohort for cohort in sorted(people) if people[cohort][0] >= threshold]
    last = step_number(WEEK, day_number(until))
    later = range(1, last - cohorts[0] + 1) if cohorts else range(0)

    def came_again(cohort: int, weeks: int) -> int | None:
        came = people[cohort].get(weeks, 0)
        return None if cohort + weeks > last or 0 < came < threshold else came

    return [
        {
            "week": monday_of(cohort).isoformat(),
            "visitors": people[cohort][0],
            **{f"week_{weeks}": came_again(cohort, weeks) for weeks in later},
        }
        for cohort in cohorts
    ]
