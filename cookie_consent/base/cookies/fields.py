"""The wire form of cookies: Cookie and Set-Cookie fields as RFC 6265bis has them, in bytes."""

from __future__ import annotations

import re

from cookie_consent.base.cookies.dates import cookie_date
from cookie_consent.base.cookies.lifetime import LONGEST_ATTRIBUTE

_LOSSLESS = "surrogateescape"
_MAX_AGE = re.compile(rb"-?[0-9]+")
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""No browser keeps a cookie with these (RFC 6265bis section 5.6); sent back in a name, they could end the field."""


def pairs(field: bytes) -> list[tuple[bytes, bytes]]:
    """Return the name and the whole pair of each cookie in a Cookie field; a pair without "=" has no name."""
    found = []
    for part in field.split(b";"):
        if pair := part.strip(b" \t"):
            name, equals, _ = pair.partition(b"=")
            found.append((name.rstrip(b" \t") if equals else b"", pair))
    return found


def names_read(name: bytes) -> set[bytes]:
    """Return the names under which frameworks read a cookie, which strip more spaces from it than HTTP has.

    `str.strip` takes away the bytes 1C to 1F, 85 and A0 too, which browsers keep as a part of the name. Starlette and
    Django read the field as Latin-1, Werkzeug reads it as UTF-8.
    """
    return {name.decode(read_as, _LOSSLESS).strip().encode(read_as, _LOSSLESS) for read_as in ("latin-1", "utf-8")}


def values(field: bytes, name: bytes) -> list[bytes]:
    """Return the values of all cookies in a Cookie field with exactly this name, byte for byte."""
    start = name + b"="
    found = []
    for part in field.split(b";"):
        pair = part.lstrip(b" \t")
        if pair.startswith(start):
            found.append(pair[len(start) :])
    return found


def set_cookie(name: str, value: str, max_age: int, *, path: str = "/", secure: bool) -> bytes:
    """Return a Set-Cookie field for a cookie of our own: host only, out of scripts' reach.

    Args:
        name: its name.
        value: cookie octets only.
        max_age: seconds.
        path: where browsers send it, as addresses have it.
        secure: whether the connection is https.
    """
    line = f"{name}={value}; Max-Age={max_age}; Path={path}; HttpOnly; SameSite=Lax"
    return (line + "; Secure" if secure else line).encode("ascii")


def expire_cookie(name: bytes, *, path: str = "/", domain: str | None = None, secure: bool) -> bytes:
    """Return a Set-Cookie field that deletes a cookie where it was set (RFC 6265bis section 5.7, step 23)."""
    line = f"=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path={path}"
    if domain:
        line += f"; Domain={domain}"
    if secure or name.lower().startswith((b"__host-", b"__secure-")):
        line += "; Secure"
    return name + line.encode("ascii")


def cookie_name(set_cookie_field: bytes) -> bytes:
    """Return the name that a Set-Cookie field sets; one without "=" sets a cookie without a name."""
    name, equals, _ = set_cookie_field.partition(b";")[0].partition(b"=")
    return name.strip(b" \t") if equals else b""


def is_deletion(set_cookie_field: bytes, now: float) -> bool:
    """Return whether every browser takes a Set-Cookie field as the deletion of a cookie.

    The last Max-Age counts, then the last Expires (RFC 6265bis section 5.7, step 3). What browsers read differently
    makes it no deletion, since it might store: control characters, a Max-Age that is no number, either of the two
    longer than they have to read, a last Expires that is no date.

    Args:
        set_cookie_field: the field's value.
        now: seconds since 1970.
    """
    if CONTROL.search(set_cookie_field):
        return False
    max_ages, dates = _attributes(set_cookie_field, b"max-age"), _attributes(set_cookie_field, b"expires")
    if any(len(value) > LONGEST_ATTRIBUTE for value in max_ages + dates):
        return False
    if max_ages:
        return all(map(_MAX_AGE.fullmatch, max_ages)) and (max_ages[-1][:1] == b"-" or not max_ages[-1].strip(b"0"))
    expires = cookie_date(dates[-1].decode("latin-1")) if dates else None
    return expires is not None and expires.timestamp() <= now


def _attributes(set_cookie_field: bytes, name: bytes) -> list[bytes]:
    """Return the values of all attributes with a name, given in small letters."""
    attributes = (attribute.partition(b"=") for attribute in set_cookie_field.split(b";")[1:])
    return [value.strip(b" \t") for own, _, value in attributes if own.strip(b" \t").lower() == name]
