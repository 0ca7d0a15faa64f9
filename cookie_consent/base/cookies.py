"""Reads and writes Cookie and Set-Cookie fields in bytes (RFC 6265bis)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate

_LOSSLESS = "surrogateescape"
_NUMBER = re.compile(rb"-?[0-9]+")
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Browsers reject cookies with these characters (RFC 6265bis section 5.6). In a name we send, they could end the field.
"""


def pairs(field: bytes) -> list[tuple[bytes, bytes]]:
    """Return the name and the whole pair of each cookie in a Cookie field; a pair without "=" has an empty name."""
    cookies = []
    for part in field.split(b";"):
        if pair := part.strip(b" \t"):
            name, equals, _ = pair.partition(b"=")
            cookies.append((name.rstrip(b" \t") if equals else b"", pair))
    return cookies


def names_read(name: bytes) -> set[bytes]:
    """Return the names under which frameworks read a cookie.

    Frameworks strip names with `str.strip`, which also removes the bytes 1C to 1F, 85 and A0. Browsers keep these as
    part of the name. Starlette and Django decode the field as Latin-1, Werkzeug as UTF-8.
    """
    return {name.decode(read_as, _LOSSLESS).strip().encode(read_as, _LOSSLESS) for read_as in ("latin-1", "utf-8")}


def values(field: bytes, name: bytes) -> list[bytes]:
    """Return the values of all cookies in a Cookie field that have exactly this name."""
    start = name + b"="
    matching = []
    for part in field.split(b";"):
        pair = part.lstrip(b" \t")
        if pair.startswith(start):
            matching.append(pair[len(start) :])
    return matching


def set_cookie(  # noqa: PLR0913 (the attributes of a cookie)
    name: str,
    value: str,
    max_age: int | None,
    *,
    path: str = "/",
    domain: str | None = None,
    secure: bool,
    http_only: bool = True,
) -> bytes:
    """Return a Set-Cookie field for one of our own cookies, which are SameSite=Lax.

    Args:
        name: its name.
        value: its value, in cookie octets.
        max_age: its lifetime in seconds; None for the browser session.
        path: its path, percent-encoded.
        domain: its domain; None if it is host-only.
        secure: whether the connection is https.
        http_only: whether no script may read it.
    """
    lifetime = "" if max_age is None else f"; Max-Age={max_age}"
    line = f"{name}={value}{lifetime}; Path={path}; {'HttpOnly; ' if http_only else ''}SameSite=Lax"
    if domain:
        line += f"; Domain={domain}"
    return (line + "; Secure" if secure else line).encode("ascii")


def expire_cookie(name: bytes, *, path: str = "/", domain: str | None = None, secure: bool) -> bytes:
    """Return a Set-Cookie field that deletes a cookie (RFC 6265bis section 5.7, step 23).

    Args:
        name: its name.
        path: the path that it was set with.
        domain: the domain that it was set with; None if it is host-only.
        secure: whether the connection is https.
    """
    line = f"=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path={path}"
    if domain:
        line += f"; Domain={domain}"
    # Browsers ignore a field for such a name without Secure, also one that deletes (RFC 6265bis section 4.1.3).
    if secure or name.lower().startswith((b"__host-", b"__secure-")):
        line += "; Secure"
    return name + line.encode("ascii")


def cookie_name(set_cookie_field: bytes) -> bytes:
    """Return the name of the cookie that a Set-Cookie field sets; without "=" the name is empty."""
    name, equals, _ = set_cookie_field.partition(b";")[0].partition(b"=")
    return name.strip(b" \t") if equals else b""


def is_deletion(set_cookie_field: bytes, now: float) -> bool:
    """Return whether every browser treats a Set-Cookie field as the deletion of a cookie.

    The last Max-Age counts, or else the last Expires (RFC 6265bis section 5.7, step 3). A field that browsers read
    differently is no deletion, because some might store it: one with control characters, with a Max-Age that is no
    number, with either attribute longer than browsers must read, or with a last Expires that is no date.

    Args:
        set_cookie_field: the field's value.
        now: seconds since 1970.
    """
    if CONTROL.search(set_cookie_field):
        return False
    max_ages, dates = _attributes(set_cookie_field, b"max-age"), _attributes(set_cookie_field, b"expires")
    if any(len(value) > LONGEST_ATTRIBUTE for value in max_ages + dates):
        return False
    if max_ages:  # zero or a negative number deletes
        return all(map(_NUMBER.fullmatch, max_ages)) and (max_ages[-1][:1] == b"-" or not max_ages[-1].strip(b"0"))
    expires = cookie_date(dates[-1].decode("latin-1")) if dates else None
    return expires is not None and expires.timestamp() <= now


def _attributes(set_cookie_field: bytes, name: bytes) -> list[bytes]:
    """Return the values of all attributes with a name, which is given in lowercase."""
    attributes = (attribute.partition(b"=") for attribute in set_cookie_field.split(b";")[1:])
    return [value.strip(b" \t") for key, _, value in attributes if key.strip(b" \t").lower() == name]


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


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DELIMITERS = re.compile(r"[\t \x21-\x2f;-@\[-`{-~]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")


def cookie_date(text: str) -> datetime | None:
    """Parse a date as browsers do (RFC 6265bis section 5.1.1); return None if they would ignore it."""
    clock = day = month = year = None
    for token in _DELIMITERS.split(text):
        if clock is None and (match := _TIME.match(token)):
            clock = (int(match[1]), int(match[2]), int(match[3]))
        elif day is None and (match := _DAY.match(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (match := _YEAR.match(token)):
            year = _full_year(int(match[1]))
    if clock is None or day is None or month is None or year is None or year < 1601:
        return None
    try:
        return datetime(year, month, day, *clock, tzinfo=UTC)
    except ValueError:
        return None


def _full_year(year: int) -> int:
    """Return the year for two digits (RFC 6265bis section 5.1.1, steps 3 and 4)."""
    if 70 <= year <= 99:
        return year + 1900
    return year + 2000 if year <= 69 else year


MAX_DOMAINS = 5
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}")
"""A host name with a dot. It excludes IPv4 addresses, whose last label is a number."""


def is_domain(name: str) -> bool:
    """Return whether browsers may store cookies with this Domain: a name in lowercase with a dot, and no address."""
    return _NAME.fullmatch(name) is not None


def settable_domains(host: str) -> list[str]:
    """Return at most five values of Domain with which a host can set cookies, the most general first.

    Some may be public suffixes, of which no list is complete. Browsers ignore cookies for those.

    Args:
        host: the host, in lowercase and without a port.
    """
    if not is_domain(host):
        return []
    labels = host.split(".")
    return [".".join(labels[-number:]) for number in range(2, len(labels) + 1)][:MAX_DOMAINS]


def is_sent_to(path: str, cookie_path: str) -> bool:
    """Return whether browsers send a cookie with a path in requests for another path."""
    if not path.startswith(cookie_path):
        return False
    return path == cookie_path or cookie_path.endswith("/") or path[len(cookie_path)] == "/"
