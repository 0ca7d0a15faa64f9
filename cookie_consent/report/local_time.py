"""Local times of a time zone, as milliseconds that count from a local midnight of 1970.

A database need not know time zones: a local time is a UTC time plus an offset, and the offset changes seldom.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from cookie_consent.base.time_zones import time_zone

HOUR = 3_600_000
DAY = 24 * HOUR
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

    def day(self, moment: int) -> int:
        """Return the local day at a time: days since 1970."""
        return (moment + self.offset(moment)) // DAY

    def begin(self, day: int) -> int:
        """Return the first moment of a local day. A day that was left out has no time: it begins with the next one."""
        starts = (0, *self.changes)
        ends = (*self.changes, None)
        return next(
            max(day * DAY - offset, start)
            for start, end, offset in zip(starts, ends, self.offsets, strict=True)
            if end is None or day * DAY - offset < end
        )

    def hours(self, since: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the number of each local hour in a span, as in each_hour.sql, and the time at which it begins.

        An hour that a change cuts is two. The number of the second is the begin that it would have had without the cut.
        """
        while since < end:
            offset = self.offset(since)
            number = (since + offset) // HOUR * HOUR - offset
            yield number, since
            since = min([number + HOUR, *(change for change in self.changes if change > since)])

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
    changes, offsets = list[int](), [_offset_at(zone, first * DAY)]
    for day in range(first, last + 1):
        after = _offset_at(zone, (day + 1) * DAY)
        if after != offsets[-1]:
            changes.append(_after_midnight(_change(zone, day * DAY), offsets[-1], after))
            offsets.append(after)
    return LocalTime(tuple(changes), tuple(offsets))


def _offset_at(zone: tzinfo, moment: int) -> int:
    # Zones far ahead of UTC have no last day of the year 9999.
    local = (_EPOCH + timedelta(milliseconds=min(moment, _LATEST))).astimezone(zone)
    return (local.utcoffset() or timedelta()) // _MILLISECOND


def _change(zone: tzinfo, since: int) -> int:
    """Return the time at which the offset changes, within a day from `since`."""
    before = _offset_at(zone, since)
    first, last = since, since + DAY
    while last - first > 1:
        middle = (first + last) // 2
        if _offset_at(zone, middle) == before:
            first = middle
        else:
            last = middle
    return last


def _after_midnight(change: int, before: int, after: int) -> int:
    """Return when a change of the offset counts: a clock that is set back over a midnight would begin a day twice."""
    midnight = (change + before) // DAY * DAY
    return midnight - after if change + after < midnight < change + before else change
