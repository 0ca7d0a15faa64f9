"""What a report is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta

DAY = 86_400_000
"""A day in milliseconds."""
THRESHOLD = 5
"""Rows with fewer visitors are joined."""
MOST_ROWS = 50
"""How many rows a list has where nothing else is said, besides the one of all others."""
LARGEST_LIMIT = 10_000
"""How many it can have: a page with more is no use to people, and takes long to make."""
_MARGIN = 6 * 3_600_000
"""How far outside its range a report looks, in milliseconds: sessions that begin before or end after it. Of a visitor
who pauses for less than 30 minutes in all that time, what is further away is left out."""
_UNKEPT = re.compile("[\0\ud800-\udfff]")
"""What is in no record."""
_EPOCH = date(1970, 1, 1)
_FIRST, _LAST = date(1970, 1, 2), date(9999, 12, 30)
_LONGEST = timedelta(days=3660)


@dataclass(frozen=True, slots=True)
class Question:
    """The range of a report, and how it is shown.

    Args:
        since: the first day, UTC.
        until: the last day, included.
        host: only what came to this host; None for all.
        path: only pages whose path begins with this; None for all.
        limit: how many rows a list has, besides that of all others; 10,000 at most.
        threshold: rows with fewer visitors are joined; 1 joins none.

    Raises:
        ValueError: says what would be right.
    """

    since: date
    until: date
    host: str | None = None
    path: str | None = None
    limit: int = MOST_ROWS
    threshold: int = THRESHOLD

    def __post_init__(self) -> None:
        if self.since > self.until:
            raise ValueError(f"from: {self.since} is no day before or equal to {self.until}.")
        if self.since < _FIRST or self.until > _LAST:
            raise ValueError(f"from, to: there are records of days from {_FIRST} to {_LAST} alone.")
        if self.until - self.since > _LONGEST:
            raise ValueError("from: a report covers ten years at most.")
        if self.limit < 1 or self.threshold < 1:
            raise ValueError("limit, threshold: a whole number of 1 or more.")
        if self.limit > LARGEST_LIMIT:
            raise ValueError(f"limit: {LARGEST_LIMIT:,} rows at most.")
        if any(_UNKEPT.search(text or "") for text in (self.host, self.path)):
            raise ValueError("host, path: a text without NUL characters, in UTF-8.")

    @property
    def days(self) -> list[date]:
        """Every day of the range."""
        return [self.since + timedelta(days=number) for number in range((self.until - self.since).days + 1)]

    @property
    def given(self) -> dict[str, int | str]:
        """The values of the parameters in the SQL texts; times in milliseconds since 1970, days since 1970."""
        since, end = _days(self.since) * DAY, (_days(self.until) + 1) * DAY
        return {
            "since": since,
            "end": end,
            "read_since": since - _MARGIN,
            "read_end": end + _MARGIN,
            "first_day": self.since.isoformat(),
            "last_day": self.until.isoformat(),
            "host": (self.host or "").lower(),
            "path": self.path or "",
            "threshold": self.threshold,
            "most": self.limit,
        }

    def before(self) -> Question:
        """Return the same question about as many days just before.

        Raises:
            ValueError: there are no days before.
        """
        length = self.until - self.since + timedelta(days=1)
        return replace(self, since=self.since - length, until=self.until - length)


def day_of(number: int) -> date:
    """Return the day of a number of days since 1970."""
    return _EPOCH + timedelta(days=number)


def _days(day: date) -> int:
    return (day - _EPOCH).days
