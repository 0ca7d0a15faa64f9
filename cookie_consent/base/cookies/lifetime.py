"""How long a Set-Cookie field lets browsers keep a cookie, and how it is made to let them keep it for less."""

from __future__ import annotations

import re
from email.utils import formatdate

from cookie_consent.base.cookies.dates import cookie_date

LONGEST_ATTRIBUTE = 1024
"""Browsers pass over an attribute whose value has more octets (RFC 6265bis section 5.6)."""
_MAX_AGE, _EXPIRES = b"max-age", b"expires"
_SECONDS = re.compile(rb"-[0-9]*|0*([0-9]+)")
_LONGEST_NUMBER = 12
"""Digits that are read; more of them are longer than any lifetime all the same."""
_FIXDATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")


def lifetime(field: bytes, now: float) -> float | None:
    """Return for how many seconds a browser keeps a cookie; None for the browser session.

    The last Max-Age counts, then the last Expires; what cannot be read is passed over (RFC 6265bis, section 5.7,
    step 3).

    Args:
        field: the value of a Set-Cookie field.
        now: seconds since 1970.
    """
    found: dict[bytes, float] = {}
    for name, value in map(_read, field.split(b";")[1:]):
        seconds = _seconds_of(name, value, now)
        if seconds is not None:
            found[name] = seconds
    return found.get(_MAX_AGE, found.get(_EXPIRES))


def limited(field: bytes, longest: int | None, now: float) -> bytes:
    """Return a Set-Cookie field by which no browser keeps the cookie for longer than that; all else in it stays.

    Browsers differ in which Max-Age and Expires they read where there are several, or where one is misspelled. So each
    of them is limited, and one that the standard cannot read is removed.

    Args:
        field: the value of a Set-Cookie field.
        longest: seconds; None for the browser session.
        now: seconds since 1970.
    """
    lowered = field.lower()
    if _MAX_AGE not in lowered and _EXPIRES not in lowered:
        return field
    pair, *attributes = field.split(b";")
    if longest is None and (lifetime(field, now) or 0) > 0:
        kept = [attribute for attribute in attributes if _read(attribute)[0] not in (_MAX_AGE, _EXPIRES)]
    else:
        limited_ones = (_limited(attribute, longest or 0, now) for attribute in attributes)
        kept = [attribute for attribute in limited_ones if attribute is not None]
    return b";".join([pair, *kept])


def _limited(attribute: bytes, longest: int, now: float) -> bytes | None:
    """Return an attribute that says no more than that; None where it says nothing then."""
    name, value = _read(attribute)
    if name not in (_MAX_AGE, _EXPIRES):
        return attribute
    seconds = _seconds_of(name, value, now)
    if seconds is None or (longest == 0 and seconds > 0):
        return None
    if seconds <= longest and (name == _MAX_AGE or seconds <= 0 or _FIXDATE.fullmatch(value.decode("latin-1"))):
        return attribute
    seconds = min(seconds, longest)
    said = b"%d" % seconds if name == _MAX_AGE else formatdate(now + seconds, usegmt=True).encode("ascii")
    return attribute.partition(b"=")[0] + b"=" + said


def _read(attribute: bytes) -> tuple[bytes, bytes]:
    """Return the name of an attribute, in small letters, and its value."""
    name, _, value = attribute.partition(b"=")
    return name.strip(b" \t").lower(), value.strip(b" \t")


def _seconds_of(name: bytes, value: bytes, now: float) -> float | None:
    """Return how long an attribute says; None for one that says nothing of it, or nothing that can be read."""
    if len(value) > LONGEST_ATTRIBUTE:
        return None
    if name == _MAX_AGE and (read := _SECONDS.fullmatch(value)):
        return float(read[1][:_LONGEST_NUMBER]) if read[1] else -1
    if name == _EXPIRES and (date := cookie_date(value.decode("latin-1"))):
        return date.timestamp() - now
    return None
