"""Reads and limits the lifetime of a cookie in its Set-Cookie field."""

from __future__ import annotations

import re
from email.utils import formatdate

from cookie_consent.base.cookies.dates import cookie_date

LONGEST_ATTRIBUTE = 1024
"""Browsers ignore an attribute whose value has more octets (RFC 6265bis section 5.6)."""
_MAX_AGE, _EXPIRES = b"max-age", b"expires"
_SECONDS = re.compile(rb"-[0-9]*|0*([0-9]+)")
_LONGEST_NUMBER = 12
"""Digits to read of a number. A number with more is longer than any lifetime anyway."""
_FIXDATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")


def lifetime(field: bytes, now: float) -> float | None:
    """Return how many seconds a browser keeps a cookie, or None for the browser session.

    The last Max-Age counts, or else the last Expires. An attribute that cannot be read is ignored (RFC 6265bis,
    section 5.7, step 3).

    Args:
        field: the value of a Set-Cookie field.
        now: seconds since 1970.
    """
    lifetimes: dict[bytes, float] = {}
    for name, value in map(_read, field.split(b";")[1:]):
        seconds = _seconds_of(name, value, now)
        if seconds is not None:
            lifetimes[name] = seconds
    return lifetimes.get(_MAX_AGE, lifetimes.get(_EXPIRES))


def limited(field: bytes, longest: int | None, now: float) -> bytes:
    """Return a Set-Cookie field with which no browser keeps the cookie longer than allowed. Nothing else changes.

    Browsers differ in which Max-Age and Expires they use if there are several or one is malformed. So every one of
    them is limited, and malformed ones are removed.

    Args:
        field: the value of a Set-Cookie field.
        longest: the longest lifetime in seconds; None for the browser session.
        now: seconds since 1970.
    """
    # Most cookies of apps last for the session, and have neither.
    lowered = field.lower()
    if _MAX_AGE not in lowered and _EXPIRES not in lowered:
        return field
    pair, *attributes = field.split(b";")
    if longest is None and (lifetime(field, now) or 0) > 0:
        remaining = [attribute for attribute in attributes if _read(attribute)[0] not in (_MAX_AGE, _EXPIRES)]
    else:
        limited_ones = (_limited(attribute, longest or 0, now) for attribute in attributes)
        remaining = [attribute for attribute in limited_ones if attribute is not None]
    return b";".join([pair, *remaining])


def _limited(attribute: bytes, longest: int, now: float) -> bytes | None:
    """Return an attribute with at most the longest lifetime, or None to remove it."""
    name, value = _read(attribute)
    if name not in (_MAX_AGE, _EXPIRES):
        return attribute
    seconds = _seconds_of(name, value, now)
    if seconds is None or (longest == 0 and seconds > 0):
        return None
    if seconds <= longest and (name == _MAX_AGE or seconds <= 0 or _FIXDATE.fullmatch(value.decode("latin-1"))):
        return attribute
    seconds = min(seconds, longest)
    value = b"%d" % seconds if name == _MAX_AGE else formatdate(now + seconds, usegmt=True).encode("ascii")
    return attribute.partition(b"=")[0] + b"=" + value


def _read(attribute: bytes) -> tuple[bytes, bytes]:
    """Return the name of an attribute, in lowercase, and its value."""
    name, _, value = attribute.partition(b"=")
    return name.strip(b" \t").lower(), value.strip(b" \t")


def _seconds_of(name: bytes, value: bytes, now: float) -> float | None:
    """Return the lifetime in an attribute, or None if it has none or cannot be read."""
    if len(value) > LONGEST_ATTRIBUTE:
        return None
    if name == _MAX_AGE and (match := _SECONDS.fullmatch(value)):
        return float(match[1][:_LONGEST_NUMBER]) if match[1] else -1
    if name == _EXPIRES and (date := cookie_date(value.decode("latin-1"))):
        return date.timestamp() - now
    return None
