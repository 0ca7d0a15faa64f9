"""Times as people and programs read them."""

from __future__ import annotations

from datetime import UTC, date, datetime


def day_of(seconds: float) -> date:
    """Return the day of a time (seconds since 1970), in UTC."""
    return datetime.fromtimestamp(seconds, UTC).date()


def rfc3339(seconds: float) -> str:
    """Return seconds since 1970 as RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(time: str) -> int:
    """Return a time that `rfc3339` has written, in seconds since 1970."""
    return int(datetime.fromisoformat(time).timestamp())
