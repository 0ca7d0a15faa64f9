"""How long something lives, as a policy file says it: "395 days", "30 minutes", "session"."""

from __future__ import annotations

import math
import re
from datetime import timedelta

_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
}
_EXACT = ("day", "hour", "minute", "second")
"""The units that a duration is written in, as months and years have other lengths elsewhere."""
_ROUNDED_FROM = 3600
"""Seconds from which a duration is written in whole minutes: who computes a date has lost some seconds."""
_DURATION = re.compile(r"([1-9][0-9]{0,5}) (second|minute|hour|day|week|month|year)s?")


def parse_duration(text: str) -> timedelta:
    """Read a duration like "395 days"; a month counts as 30 days, a year as 365.

    Raises:
        ValueError: the text is not a whole number, a space and a unit.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        raise ValueError(f'{text!r} is no duration: write a whole number and a unit, as in "395 days"')
    return int(match[1]) * _UNITS[match[2]]


def written_duration(seconds: float) -> str:
    """Return a duration as a policy file says it, rounded up: "14 days".

    Args:
        seconds: at least one second.
    """
    whole = math.ceil(seconds)
    if whole > _ROUNDED_FROM:
        whole = math.ceil(whole / 60) * 60
    lengths = ((unit, int(_UNITS[unit].total_seconds())) for unit in _EXACT)
    unit, length = next((unit, length) for unit, length in lengths if whole % length == 0)
    number = whole // length
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
