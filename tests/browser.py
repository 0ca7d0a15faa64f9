"""What a browser does with what it gets, written down from the standards and not from the package."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DELIMITERS = {0x09, *range(0x20, 0x30), *range(0x3B, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x7F)}


@dataclass(frozen=True)
class Stored:
    """A cookie in a browser's store."""

    name: bytes
    value: bytes


def stored(field: bytes, now: float) -> Stored | None:
    """Return what a browser keeps of a Set-Cookie field (RFC 6265bis sections 5.6 and 5.7), None for nothing."""
    if any(byte <= 0x08 or 0x0A <= byte <= 0x1F or byte == 0x7F for byte in field):
        return None
    name_value, *attributes = field.split(b";")
    name, equals, value = name_value.partition(b"=")
    if not equals:
        name, value = b"", name
    name, value = name.strip(b" \t"), value.strip(b" \t")
    if not (name or value) or len(name + value) > 4096:
        return None
    expiry = _expiry(attributes, now)
    return None if expiry is not None and expiry <= now else Stored(name, value)


def _expiry(attributes: list[bytes], now: float) -> float | None:
    """Return when a cookie ends; None with the session."""
    max_age = expires = None
    for attribute in attributes:
        name, _, value = attribute.partition(b"=")
        name, value = name.strip(b" \t").lower(), value.strip(b" \t")
        if len(value) > 1024:
            continue
        if name == b"max-age" and re.fullmatch(rb"-?[0-9]*", value) and value:
            digits = value.lstrip(b"-")
            seconds = min(int(digits), 34_560_000) if digits else 0
            max_age = now + seconds if seconds > 0 and not value.startswith(b"-") else float("-inf")
        elif name == b"expires":
            date = parse_date(value)
            expires = expires if date is None else date
    return max_age if max_age is not None else expires


def parse_date(text: bytes) -> float | None:
    """Return a cookie date (section 5.1.1) in seconds since 1970."""
    tokens = bytes(byte if byte not in _DELIMITERS else 0x20 for byte in text).split(b" ")
    time = day = month = year = None
    for token in filter(None, tokens):
        if time is None and (found := re.match(rb"(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)", token)):
            time = [int(part) for part in found.groups()]
        elif day is None and (found := re.match(rb"(\d{1,2})(?!\d)", token)):
            day = int(found[1])
        elif month is None and token[:3].decode("latin-1").lower() in _MONTHS:
            month = _MONTHS.index(token[:3].decode("latin-1").lower()) + 1
        elif year is None and (found := re.match(rb"(\d{2,4})(?!\d)", token)):
            year = int(found[1])
    if time is None or day is None or month is None or year is None:
        return None
    year += 1900 if 70 <= year <= 99 else 2000 if year <= 69 else 0
    if year < 1601 or time[0] > 23 or time[1] > 59 or time[2] > 59:
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, *time))
