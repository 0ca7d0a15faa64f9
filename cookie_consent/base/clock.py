"""Times: compares, converts and prints them, and does work once a day."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo

HOUR = 3600
DAY = 86_400
"""Seconds."""
SKEW = 300.0
"""How much the clocks of hosts may differ (seconds). A stored time further in the future is ignored."""


def is_future(then: float, now: float) -> bool:
    """Return whether a stored time is in the future, so that a clock must have been ahead.

    Args:
        then: the time, in seconds since 1970.
        now: seconds since 1970.
    """
    return then > now + SKEW


def is_within(seconds: float, then: float | None, now: float) -> bool:
    """Return whether something happened within the last seconds. A time in the future does not count.

    Args:
        seconds: how many seconds.
        then: when it happened, in seconds since 1970, or None.
        now: seconds since 1970.
    """
    return then is not None and not is_future(then, now) and now - then < seconds


def day_of(seconds: float) -> date:
    """Return the UTC date of a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).date()


def rfc3339(seconds: float) -> str:
    """Return a time in seconds since 1970 in RFC 3339 format, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(time: str) -> int:
    """Return the seconds since 1970 for a time in the format of `rfc3339`."""
    return int(datetime.fromisoformat(time).timestamp())


UTC_NAME = "UTC"
TIME_ZONE_REMEDY = (
    'Write a name of the IANA database, like "Asia/Tokyo", "Europe/Berlin" or "UTC". If this machine '
    "has no database of time zones: pip install tzdata."
)


def time_zone(name: str) -> tzinfo:
    """Return a time zone. UTC is there on machines without a database of time zones, too.

    Args:
        name: its name in the IANA database, like "Asia/Tokyo".

    Raises:
        ValueError: there is no such time zone.
    """
    from zoneinfo import ZoneInfo  # most sites name no time zone, and importing it takes milliseconds

    try:
        return UTC if name == UTC_NAME else ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no path, a folder, no file
        raise ValueError(f'there is no time zone "{name}". {TIME_ZONE_REMEDY}') from None


_FAR = 7 * DAY
_log = logging.getLogger("cookie_consent")


class Daily:
    """Runs a function once a day, in a thread.

    The first run of a process is at once. A later one waits for a call an hour after the one that found it due. So a
    clock that is far ahead for less causes no run.

    Args:
        run: the function, which takes the time in seconds since 1970.

    Attributes:
        ran: when this process last ran it (seconds since 1970); 0 for never.
    """

    def __init__(self, run: Callable[[float], None]) -> None:
        self._run = run
        self.ran = 0.0
        self._due_at = math.inf
        self._thread: threading.Thread | None = None

    def run_if_due(self, now: float, *, again: bool = False) -> None:
        """Start a run if this process has had none for a day. This does not wait.

        Args:
            now: seconds since 1970.
            again: start it only if there was a run before. Calls on each request use this.
        """
        if -SKEW <= now - self.ran < DAY or (again and not self.ran):
            return
        if self.ran:
            if not 0 <= now - self._due_at < _FAR:
                self._due_at = now
            if now - self._due_at < HOUR:
                return
        self._due_at = math.inf
        if is_future(self.ran, now):
            back = self.ran - now
            _log.warning("The clock was set back by %d seconds: what is done once a day is done again.", back)
        self.ran = now
        # A daemon: what it has not removed when the process ends is found by the next run.
        self._thread = threading.Thread(target=self._run, args=(now,), name="consent-retention", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the current run to end, if there is one."""
        if self._thread is not None:
            self._thread.join()
