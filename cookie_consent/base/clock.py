"""Compares stored times with the clock, which may be wrong now or may have been wrong then."""

from __future__ import annotations

HOUR, DAY = 3600, 86_400
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
