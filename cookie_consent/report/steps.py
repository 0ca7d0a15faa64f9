"""The steps of time by which a report counts: hours, days, weeks or months."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

from cookie_consent.base.time_zones import time_zone
from cookie_consent.report.local_time import LocalTime, day_number, day_of

HOUR, DAY, WEEK, MONTH = STEPS = ("hour", "day", "week", "month")
MOST_DAYS_OF_HOURS = 92
"""The longest range by hours, in days. More steps than that are no picture."""
_DEFAULTS = ((2, HOUR), (92, DAY), (549, WEEK))
"""The longest range, in days -> its step. Longer ranges have months."""
FIGURES = {HOUR: "each_hour", DAY: "by_day", WEEK: "each_week", MONTH: "each_month"}
"""Step -> the name of its SQL file."""
_FROM_MONDAY = 3
"""Days from a Monday to 1970-01-01, a Thursday."""


def default_step(days: int) -> str:
    """Return the step of a range, in days: hours for two, days for three months, weeks for a year and a half."""
    return next((step for most, step in _DEFAULTS if days <= most), MONTH)


def check_step(step: str, days: int) -> None:
    """Check that a range of so many days can be counted by a step.

    Raises:
        ValueError: it cannot; the message says what is allowed.
    """
    if step not in STEPS:
        raise ValueError(f"step: one of {', '.join(STEPS)}.")
    if step == HOUR and days > MOST_DAYS_OF_HOURS:
        raise ValueError(f"step: hours are for {MOST_DAYS_OF_HOURS} days at most. Choose days, weeks or months.")


def numbered(step: str, days: list[date], local: LocalTime, zone: str) -> Iterator[tuple[int, str]]:
    """Yield the number of each step in its SQL file, and when the step begins within the range: a day, or an hour.

    Args:
        step: one of STEPS.
        days: the days of the range.
        local: the local time of the range.
        zone: its time zone.
    """
    if step == HOUR:
        since, end = local.begin(day_number(days[0])), local.begin(day_number(days[-1]) + 1)
        for number, begin in local.hours(since, end):
            yield number, _hour(begin, zone)
        return
    last = None
    for day in days:
        if (number := step_number(step, day_number(day))) != last:
            yield number, day.isoformat()
        last = number


def step_number(step: str, day: int) -> int:
    """Return the number of the step that a day is in, as its SQL file has it; of hours, the day itself.

    Args:
        step: one of STEPS.
        day: the day, as days since 1970.
    """
    if step == MONTH:
        month = day_of(day)
        return (month.year - 1970) * 12 + month.month - 1
    return (day + _FROM_MONDAY) // 7 if step == WEEK else day


def monday_of(week: int) -> date:
    """Return the first day of a week, from its number."""
    return day_of(week * 7 - _FROM_MONDAY)


def _hour(begin: int, zone: str) -> str:
    """Return an hour with its offset, like "2026-11-25T13:00+09:00"."""
    return datetime.fromtimestamp(begin // 1000, time_zone(zone)).isoformat(timespec="minutes")
