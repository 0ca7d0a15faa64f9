"""The range and the options of a report."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from cookie_consent.base.clock import UTC_NAME
from cookie_consent.base.clock import time_zone as find_time_zone
from cookie_consent.report.engines.engine import MARGIN
from cookie_consent.report.local_time import MONTH, LocalTime, check_step, day_number, default_step, local_time
from cookie_consent.report.settings import Goals
from cookie_consent.report.where import Segment, Where, segment_of

DEFAULT_ROWS = 50
"""The default number of rows in a list, without the "(other)" row."""
LARGEST_LIMIT = 10_000
"""The largest allowed number of rows. A longer page helps nobody and takes long to make."""
THRESHOLD = 5
"""List rows with fewer visitors than this are joined."""
_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")
"""Characters that no record contains."""
# The margin before the first day, and the day after the last, have to be dates, too.
_FIRST, _LAST = date(1970, 1, 2), date(9999, 12, 30)
_LONGEST = timedelta(days=3660)
_NO_GOALS = Goals()
PREVIOUS, YEAR = COMPARISONS = ("previous", "year")
"""What a report may be compared with: the weeks before, or the same weeks of the year before."""
LAST_DAYS = 30
"""The default range of a report, in days."""
_WEEK = timedelta(days=7)
_WEEKS_OF_YEAR = 52
_NUMBER_OF_DAYS = re.compile("([1-9][0-9]{0,3})d")


def parse_day(text: str, today: date) -> date:
    """Return the day of a text like "2026-11-25", "today", "yesterday" or "7d", the first of the last seven days.

    Raises:
        ValueError: the text is no day; the message says what is allowed.
    """
    if text in _NAMED_DAYS:
        return today - timedelta(days=_NAMED_DAYS[text])
    if match := _NUMBER_OF_DAYS.fullmatch(text):
        return today - timedelta(days=int(match[1]) - 1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day: write it as 2026-11-25, yesterday, or 7d") from None


_NAMED_DAYS = {"today": 0, "yesterday": 1}


@dataclass(frozen=True, slots=True)
class Question:
    """The range of a report, and how its lists are shortened.

    Args:
        since: the first day.
        until: the last day, included.
        host: report only requests to this host; None for all hosts.
        limit: rows in a list, without the "(other)" row; 1 to 10,000.
        threshold: rows with fewer visitors are joined; 1 joins none.
        time_zone: the time zone of days and hours, by its IANA name.
        goals: the goals and funnels that it counts.
        step: the step of figures over time, one of `steps.STEPS`; None for one that fits the range.
        where: the filters of a segment; all of them hold.
        elapsed: how much of the last day the report covers, in milliseconds; None for all of it.

    Raises:
        ValueError: an argument is out of range; the message says what is allowed.
    """

    since: date
    until: date
    host: str | None = None
    limit: int = DEFAULT_ROWS
    threshold: int = THRESHOLD
    time_zone: str = UTC_NAME
    goals: Goals = _NO_GOALS
    step: str | None = None
    where: Where = ()
    elapsed: int | None = None

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
        if _IMPOSSIBLE.search(self.host or ""):
            raise ValueError("host: a text without NUL characters, in UTF-8.")
        _ = self.local_time  # refuses an unknown time zone
        _ = self.segment  # refuses a wrong filter
        if self.step is not None:
            check_step(self.step, len(self.days))

    @property
    def days(self) -> list[date]:
        """Every day of the range."""
        return [self.since + timedelta(days=number) for number in range((self.until - self.since).days + 1)]

    @property
    def steps(self) -> str:
        """The step of figures over time."""
        return self.step or default_step(len(self.days))

    @property
    def local_time(self) -> LocalTime:
        """The local time of the range."""
        # Local days begin up to a day before or after those of UTC.
        return local_time(self.time_zone, day_number(self.since) - 1, day_number(self.until) + 1)

    @property
    def segment(self) -> Segment:
        """The segment that the filters choose."""
        return segment_of(self.where)

    @property
    def given(self) -> dict[str, int | str]:
        """The parameters of the SQL texts. Times are milliseconds since 1970."""
        local = self.local_time
        since, end = local.begin(day_number(self.since)), local.begin(day_number(self.until) + 1)
        if self.elapsed is not None:
            end = min(end, local.begin(day_number(self.until)) + self.elapsed)
        return {
            "since": since,
            "end": end,
            "read_since": since - MARGIN,
            "read_end": end + MARGIN,
            # Days in UTC that have some of the range.
            "first_day": (self.since - timedelta(days=1)).isoformat(),
            "last_day": (self.until + timedelta(days=1)).isoformat(),
            # Records have host names in lowercase.
            "host": (self.host or "").lower(),
            "threshold": self.threshold,
            "most": self.limit,
            "time_zone": self.time_zone,
            **local.given,
            **self.goals.given,
            **self.segment.given,
        }

    @property
    def end_time(self) -> str | None:
        """The time of the last day at which the report ends, like "14:02"; None for the end of the day."""
        if self.elapsed is None:
            return None
        begin = self.local_time.begin(day_number(self.until))
        end = datetime.fromtimestamp((begin + self.elapsed) / 1000, find_time_zone(self.time_zone))
        return end.strftime("%H:%M")

    def earlier(self, comparison: str, now: float) -> Question:
        """Return the same question about an earlier period, in the same steps.

        It begins on the same day of the week, since weekends differ from other days. Of a range by months, it is the
        period of equal length just before, or has the same dates. If the last day is not over, it ends at the same time
        of its last day.

        Args:
            comparison: one of COMPARISONS.
            now: the time of the report, in seconds since 1970.

        Raises:
            ValueError: there is no such comparison, or no records can exist that far back.
        """
        if comparison not in COMPARISONS:
            raise ValueError(f"compare: one of {', '.join(COMPARISONS)}.")
        length = self.until - self.since + timedelta(days=1)
        since, until = self.since - length, self.until - length
        if comparison == YEAR and self.steps == MONTH:
            since, until = _year_before(self.since), _year_before(self.until)
        elif self.steps != MONTH:
            weeks = _WEEKS_OF_YEAR if comparison == YEAR else -(-length // _WEEK)
            since, until = self.since - weeks * _WEEK, self.until - weeks * _WEEK
        return replace(self, since=since, until=until, step=self.steps, elapsed=self._elapsed(now))

    def _elapsed(self, now: float) -> int | None:
        """Return how much of the last day is over, in milliseconds; None if it is not the running day."""
        if datetime.fromtimestamp(now, find_time_zone(self.time_zone)).date() != self.until:
            return None
        return round(now * 1000) - self.local_time.begin(day_number(self.until))


def _year_before(day: date) -> date:
    """Return the same day of the year before. The 29th of February becomes the 28th."""
    is_leap_day = (day.month, day.day) == (2, 29)
    return day.replace(year=day.year - 1, day=28 if is_leap_day else day.day)
