"""Reads and writes Cookie and Set-Cookie fields in bytes (RFC 6265bis)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate

Headers = list[tuple[bytes, bytes]]
_LOSSLESS = "surrogateescape"
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""Browsers reject cookies with these characters (RFC 6265bis section 5.6). In a name we send, they could end the field.
"""


def split_cookies(field: bytes) -> list[tuple[bytes, bytes]]:
    """Return the name and the whole pair of each cookie in a Cookie field; a pair without "=" has an empty name."""
    cookies = []
    for part in field.split(b";"):
        if pair := part.strip(b" \t"):
            name, equals, _ = pair.partition(b"=")
            cookies.append((name.rstrip(b" \t") if equals else b"", pair))
    return cookies


def list_names_read(name: bytes) -> set[bytes]:
    """Return the names under which frameworks read a cookie.

    Frameworks strip names with `str.strip`, which also removes the bytes 1C to 1F, 85 and A0. Browsers keep these as
    part of the name. Starlette and Django decode the field as Latin-1, Werkzeug as UTF-8.
    """
    return {name.decode(read_as, _LOSSLESS).strip().encode(read_as, _LOSSLESS) for read_as in ("latin-1", "utf-8")}


def find_values(field: bytes, name: bytes) -> list[bytes]:
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
    max_age: int,
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
        max_age: its lifetime in seconds.
        path: its path, percent-encoded.
        domain: its domain; None if it is host-only.
        secure: whether the connection is https.
        http_only: whether no script may read it.
    """
    line = f"{name}={value}; Max-Age={max_age}; Path={path}; {'HttpOnly; ' if http_only else ''}SameSite=Lax"
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


def read_cookie_name(set_cookie_field: bytes) -> bytes:
    """Return the name of the cookie that a Set-Cookie field sets; without "=" the name is empty."""
    name, equals, _ = set_cookie_field.partition(b";")[0].partition(b"=")
    return name.strip(b" \t") if equals else b""


def is_deletion(field: bytes, now: float) -> bool:
    """Return whether every browser treats a Set-Cookie field as the deletion of a cookie.

    A field that browsers read differently is no deletion, because some might store it: one with control characters,
    with a Max-Age that cannot be read, with a last Expires that is no date, or with a long attribute.

    Args:
        field: the field's value.
        now: seconds since 1970.
    """
    if CONTROL.search(field) or any(
        len(_read_attribute(part)[1]) > LONGEST_ATTRIBUTE for part in field.split(b";")[1:]
    ):
        return False
    lifetimes = list(_read_lifetimes(field, now))
    if (_MAX_AGE, None) in lifetimes:
        return False
    last = dict(lifetimes)
    seconds = last.get(_MAX_AGE, last.get(_EXPIRES))
    return seconds is not None and -math.inf < seconds <= 0


LONGEST_ATTRIBUTE = 1024
"""Browsers ignore an attribute whose value has more octets (RFC 6265bis section 5.6)."""
_MAX_AGE = b"max-age"
_EXPIRES = b"expires"
_SECONDS = re.compile(rb"-[0-9]*|0*([0-9]+)")
_LONGEST_NUMBER = 12
"""Digits to read of a number. A number with more is longer than any lifetime anyway."""
_FIXDATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")


def read_lifetime(field: bytes, now: float) -> float | None:
    """Return how many seconds a browser keeps a cookie, or None for the browser session.

    The last Max-Age counts, or else the last Expires. An attribute that cannot be read is ignored (RFC 6265bis,
    section 5.7, step 3).

    Args:
        field: the value of a Set-Cookie field.
        now: seconds since 1970.
    """
    last = {name: seconds for name, seconds in _read_lifetimes(field, now) if seconds is not None}
    return last.get(_MAX_AGE, last.get(_EXPIRES))


def shorten_lifetime(field: bytes, longest: timedelta | None, now: float) -> bytes:
    """Return a Set-Cookie field with which no browser keeps the cookie longer than allowed. Nothing else changes.

    Browsers differ in which Max-Age and Expires they use if there are several or one is malformed. So every one of
    them is limited, and malformed ones are removed.

    Args:
        field: the value of a Set-Cookie field.
        longest: the longest lifetime; None for the browser session.
        now: seconds since 1970.
    """
    if not any(_read_lifetimes(field, now)):
        return field
    limit = 0 if longest is None else int(longest.total_seconds())
    pair, *attributes = field.split(b";")
    ends_with_session = longest is None and (read_lifetime(field, now) or 0) > 0
    kept = [pair]
    for attribute in attributes:
        name, value = _read_attribute(attribute)
        if name not in (_MAX_AGE, _EXPIRES):
            kept.append(attribute)
            continue
        seconds = _seconds_of(name, value, now)
        if seconds is None or ends_with_session or (not limit and seconds > 0):
            continue
        is_short = seconds <= limit
        if is_short and (name == _MAX_AGE or seconds <= 0 or _FIXDATE.fullmatch(value.decode("latin-1"))):
            kept.append(attribute)
            continue
        seconds = min(seconds, limit)
        date = formatdate(now + seconds, usegmt=True).encode("ascii")
        kept.append(attribute.partition(b"=")[0] + b"=" + (b"%d" % seconds if name == _MAX_AGE else date))
    return b";".join(kept)


def _read_lifetimes(field: bytes, now: float) -> Iterator[tuple[bytes, float | None]]:
    """Yield the name and the seconds of each Max-Age and Expires of a field; None if they cannot be read."""
    lowered = field.lower()
    if _MAX_AGE not in lowered and _EXPIRES not in lowered:  # most cookies of apps last for the session
        return
    for attribute in field.split(b";")[1:]:
        name, value = _read_attribute(attribute)
        if name in (_MAX_AGE, _EXPIRES):
            yield name, _seconds_of(name, value, now)


def _read_attribute(attribute: bytes) -> tuple[bytes, bytes]:
    """Return the name of an attribute, in lowercase, and its value."""
    name, _, value = attribute.partition(b"=")
    return name.strip(b" \t").lower(), value.strip(b" \t")


def _seconds_of(name: bytes, value: bytes, now: float) -> float | None:
    """Return the lifetime in an attribute, or None if it cannot be read."""
    if len(value) > LONGEST_ATTRIBUTE:
        return None
    if name == _EXPIRES:
        date = parse_date(value.decode("latin-1"))
        return None if date is None else date.timestamp() - now
    match = _SECONDS.fullmatch(value)
    if match is None:
        return None
    if value == b"-":  # some browsers read it as below 0
        return -math.inf
    return float(match[1][:_LONGEST_NUMBER]) if match[1] else -1.0


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DELIMITERS = re.compile(r"[\t \x21-\x2f;-@\[-`{-~]+")
_PARTS_OF_DATE = {
    "time": re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])"),
    "day": re.compile(r"([0-9]{1,2})(?![0-9])"),
    "month": re.compile(f"({'|'.join(_MONTHS)})", re.IGNORECASE),
    "year": re.compile(r"([0-9]{2,4})(?![0-9])"),
}
"""In the order in which browsers try them on each word of a date (RFC 6265bis section 5.1.1)."""


def parse_date(text: str) -> datetime | None:
    """Parse a date as browsers do (RFC 6265bis section 5.1.1); return None if they would ignore it."""
    found: dict[str, re.Match[str]] = {}
    for token in _DELIMITERS.split(text):
        for name, pattern in _PARTS_OF_DATE.items():
            if name not in found and (match := pattern.match(token)):
                found[name] = match
                break
    if len(found) < len(_PARTS_OF_DATE):
        return None
    year = int(found["year"][1])
    if year < 100:
        year += 1900 if year >= 70 else 2000
    month = _MONTHS.index(found["month"][1].lower()) + 1
    hour, minute, second = map(int, found["time"].groups())
    try:
        date = datetime(year, month, int(found["day"][1]), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return date if year >= 1601 else None


MAX_DOMAINS = 5
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}")
"""A host name with a dot. It excludes IPv4 addresses, whose last label is a number."""


def is_domain(name: str) -> bool:
    """Return whether browsers may store cookies with this Domain: a name in lowercase with a dot, and no address."""
    return _NAME.fullmatch(name) is not None


def list_settable_domains(host: str) -> list[str]:
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
