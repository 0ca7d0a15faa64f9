"""Times that were kept or remembered, held against a clock that may have been wrong then, or is now."""

from __future__ import annotations

HOUR, DAY = 3600, 86_400
"""Seconds."""
SKEW = 300.0
"""How much the clocks of hosts may differ (seconds). A time that is further in the future counts as none."""


def is_future(then: float, now: float) -> bool:
    """Return whether a time is in the future: a clock was ahead when it was taken.

    Args:
        then: the time (seconds since 1970).
        now: the time of now.
    """
    return then > now + SKEW


def is_within(seconds: float, then: float | None, now: float) -> bool:
    """Return whether something was done within so many seconds; one in the future counts as none.

    Args:
        seconds: how many.
        then: when it was done (seconds since 1970), or None.
        now: the time of now.
    """
    return then is not None and not is_future(then, now) and now - then < seconds
