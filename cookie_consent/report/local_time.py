"""Local time and its steps: days, weeks and months of a time zone, as milliseconds that count from 1970.

A database need not know time zones: a local time is a UTC time plus an offset, and the offset changes seldom.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import groupby

from cookie_consent.base.clock import time_zone

_HOUR = 3_600_000
_DAY = 24 * _HOUR
"""Milliseconds."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LATEST = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // _MILLISECOND


def day_number(day: date) -> int:
    """Return the number of a day: days since 1970."""
    return (day - _EPOCH.date()).days


def day_of(number: int) -> date:
    """Return the day of a number."""
    return _EPOCH.date() + timedelta(days=number)


def begin_of(day: date, zone: str) -> int:
    """Return the first moment of a day in a time zone.

    Raises:
        ValueError: there is no such zone.
    """
    number = day_number(day)
    return local_time(zone, number - 1, number).begin(number)


@dataclass(frozen=True, slots=True)
class LocalTime:
    """The offsets of a time zone in a span.

    Args:
        changes: the times at which the offset changes, oldest first.
        offsets: the offsets before the first change and after each: what is added to UTC.
    """

    changes: tuple[int, ...]
    offsets: tuple[int, ...]

    def offset(self, moment: int) -> int:
        """Return the offset at a time."""
        return self.offsets[sum(change <= moment for change in self.changes)]

    def begin(self, day: int) -> int:
        """Return the first moment of a local day. A day that was left out has no time: it begins with the next one."""
        starts = (0, *self.changes)
        ends = (*self.changes, None)
        return next(
            max(day * _DAY - offset, start)
            for start, end, offset in zip(starts, ends, self.offsets, strict=True)
            if end is None or day * _DAY - offset < end
        )

    def hours(self, since: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the number of each local hour in a span, as in local_time.sql, and the time at which it begins.

        An hour that a change cuts is two. The number of the second is the begin that it would have had without the cut.
        """
        while since < end:
            offset = self.offset(since)
            number = (since + offset) // _HOUR * _HOUR - offset
            yield number, since
            since = min([number + _HOUR, *(change for change in self.changes if change > since)])

    @property
    def given(self) -> dict[str, int | str]:
        """The parameters of the SQL texts, see local_time.sql."""
        return {
            "changes": len(self.changes),
            **{f"change_{number}": change for number, change in enumerate(self.changes, 1)},
            **{f"offset_{number}": offset for number, offset in enumerate(self.offsets)},
        }


@lru_cache(maxsize=64)
def local_time(name: str, first: int, last: int) -> LocalTime:
    """Return the local time of a zone.

    Args:
        name: the zone's IANA name.
        first: the first day of the span in UTC, as days since 1970.
        last: its last day. A zone changes its offset at most once a day.

    Raises:
        ValueError: there is no such zone.
    """
    zone = time_zone(name)
    if zone is UTC:
        return LocalTime((), (0,))
    changes, offsets = list[int](), [_offset_at(zone, first * _DAY)]
    for day in range(first, last + 1):
        after = _offset_at(zone, (day + 1) * _DAY)
        if after != offsets[-1]:
            changes.append(_after_midnight(_change(zone, day * _DAY), offsets[-1], after))
            offsets.append(after)
    return LocalTime(tuple(changes), tuple(offsets))


def _offset_at(zone: tzinfo, moment: int) -> int:
    # Zones far ahead of UTC have no last day of the year 9999.
    local = (_EPOCH + timedelta(milliseconds=min(moment, _LATEST))).astimezone(zone)
    return (local.utcoffset() or timedelta()) // _MILLISECOND


def _change(zone: tzinfo, since: int) -> int:
    """Return the time at which the offset changes, within a day from `since`."""
    before = _offset_at(zone, since)
    day = range(since, since + _DAY + 1)
    return day[bisect_left(day, True, key=lambda moment: _offset_at(zone, moment) != before)]


def _after_midnight(change: int, before: int, after: int) -> int:
    """Return when a change of the offset counts: a clock that is set back over a midnight would begin a day twice."""
    midnight = (change + before) // _DAY * _DAY
    return midnight - after if change + after < midnight < change + before else change


HOUR, DAY, WEEK, MONTH = STEPS = ("hour", "day", "week", "month")
MOST_DAYS_OF_HOURS = 92
"""The longest range by hours, in days. More steps than that are no picture."""
_DEFAULTS = ((2, HOUR), (92, DAY), (549, WEEK))
"""The longest range, in days -> its step. Longer ranges have months."""
HOUR_OF_DAY = "hour of the day"
"""Hours of all days together."""
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
    """Yield the number of each step in local_time.sql, and when the step begins within the range: a day, or an hour.

    Args:
        step: one of STEPS.
        days: the days of the range.
        local: the local time of the range.
        zone: its time zone.
    """
    if step == HOUR:
        since, end = local.begin(day_number(days[0])), local.begin(day_number(days[-1]) + 1)
        for number, begin in local.hours(since, end):
            yield number, _hour_text(begin, zone)
        return
    for number, of_step in groupby(days, lambda day: step_number(step, day_number(day))):
        yield number, next(of_step).isoformat()


def step_number(step: str, day: int) -> int:
    """Return the number of the step that a day is in, as local_time.sql has it; of hours, the day itself.

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


def _hour_text(begin: int, zone: str) -> str:
    """Return an hour with its offset, like "2026-11-25T13:00+09:00"."""
    return datetime.fromtimestamp(begin // 1000, time_zone(zone)).isoformat(timespec="minutes")
