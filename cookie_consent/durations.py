"""How long something lives, as a policy file says it: "395 days", "30 minutes", "session"."""

from __future__ import annotations

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
