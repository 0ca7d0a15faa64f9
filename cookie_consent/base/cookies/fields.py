"""Reads and writes Cookie and Set-Cookie fields in bytes (RFC 6265bis)."""

from __future__ import annotations

import re

from cookie_consent.base.cookies.dates import cookie_date
from cookie_consent.base.cookies.lifetime import LONGEST_ATTRIBUTE

_LOSSLESS = "surrogateescape"
_MAX_AGE = re.compile(rb"-?[0-9]+")
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
        return all(map(_MAX_AGE.fullmatch, max_ages)) and (max_ages[-1][:1] == b"-" or not max_ages[-1].strip(b"0"))
    expires = cookie_date(dates[-1].decode("latin-1")) if dates else None
    return expires is not None and expires.timestamp() <= now


def _attributes(set_cookie_field: bytes, name: bytes) -> list[bytes]:
    """Return the values of all attributes with a name, which is given in lowercase."""
    attributes = (attribute.partition(b"=") for attribute in set_cookie_field.split(b";")[1:])
    return [value.strip(b" \t") for key, _, value in attributes if key.strip(b" \t").lower() == name]
