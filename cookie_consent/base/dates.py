"""Converts times between seconds since 1970 and dates or RFC 3339 texts."""

from __future__ import annotations

from datetime import UTC, date, datetime


def day_of(seconds: float) -> date:
    """Return the UTC date of a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).date()


def rfc3339(seconds: float) -> str:
    """Return a time in seconds since 1970 in RFC 3339 format, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(time: str) -> int:
    """Return the seconds since 1970 for a time in the format of `rfc3339`."""
    return int(datetime.fromisoformat(time).timestamp())
