"""The head of a response: is it a page, and Vary and Cache-Control (RFC 9110 section 12.5.5, RFC 9111 section 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from cookie_consent.base.request_fields import Headers

ONLY_BYTES = frozenset({bytes})
"""The type that names and values of header fields should have. Some apps send other kinds of bytes, or texts."""

_DIRECTIVE = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^,])+')
_SHARED = (b"public", b"s-maxage")
_FIELDS_OF_ONE_CACHE = {
    b"x-accel-expires": (b"0", b""),
    b"surrogate-control": (b"no-store", b"content"),
    b"edge-control": (b"no-store", b"dca"),
}
"""Fields that certain caches prefer to Cache-Control (nginx; the Edge Architecture Specification; Akamai) -> the value
for a private response, and a directive to leave in because it is not about caching."""
_TARGETED = b"cache-control"
"""The end of the names of targeted fields, such as CDN-Cache-Control (RFC 9213)."""

CACHE_FIELDS = (b"vary", _TARGETED, *_FIELDS_OF_ONE_CACHE)
"""Ends of the names, in lowercase, of the fields that `depending_on` may change."""


def plain_fields(headers: Iterable[Sequence[Any]]) -> Headers:
    """Return header fields as bytes, whatever kinds of bytes or texts they are."""
    return [(_plain(name), _plain(value)) for name, value in headers]


def _plain(part: Any) -> bytes:
    return part.encode("latin-1", "replace") if isinstance(part, str) else bytes(part)


def depending_on(headers: Headers, names: Sequence[bytes]) -> Headers:
    """Return header fields with Vary on some request fields and Cache-Control: private.

    Args:
        headers: the header fields of a response.
        names: names of request fields.
    """
    for name, _ in headers:
        if name.lower().endswith(CACHE_FIELDS):
            return keep_private(vary_on(headers, names))
    return [*headers, (b"vary", b", ".join(names)), (b"cache-control", b"private")]


def vary_on(headers: Headers, names: Sequence[bytes]) -> Headers:
    """Return header fields whose Vary also has some request fields, each once."""
    fields = [value for name, value in headers if len(name) == len(b"vary") and name.lower() == b"vary"]
    present = {word.strip().lower() for value in fields for word in value.split(b",")}
    missing = [] if b"*" in present else [name for name in names if name.lower() not in present]
    if not missing:
        return headers
    for position, (name, value) in enumerate(headers):
        if name.lower() == b"vary" and value.strip():
            merged = (name, b", ".join([value, *missing]))
            return [*headers[:position], merged, *headers[position + 1 :]]
    return [*headers, (b"vary", b", ".join(missing))]


def keep_private(headers: Headers) -> Headers:
    """Return header fields that allow no shared cache to store the response, and are otherwise unchanged.

    This also changes the fields that some caches read instead of Cache-Control: targeted fields such as
    CDN-Cache-Control (RFC 9213), X-Accel-Expires, Surrogate-Control and Edge-Control.
    """
    headers = [(name, _of_one_cache(name.lower(), value)) for name, value in headers]
    targeted = {name.lower() for name, _ in headers if name[-len(_TARGETED) :].lower() == _TARGETED}
    for target in targeted | {_TARGETED}:
        headers = _private(headers, target)
    return headers


def _of_one_cache(name: bytes, value: bytes) -> bytes:
    """Return the value of a field for a private response; the value is unchanged unless the field is for one cache."""
    if name not in _FIELDS_OF_ONE_CACHE:
        return value
    private, unrelated = _FIELDS_OF_ONE_CACHE[name]
    directives = [part.strip() for part in _DIRECTIVE.findall(value)] if unrelated else []
    return b", ".join([private, *(part for part in directives if part.partition(b"=")[0].strip().lower() == unrelated)])


def _private(headers: Headers, target: bytes) -> Headers:
    fields: Headers = []
    is_private = False
    position = None
    for name, value in headers:
        if name.lower() == target:
            directives = [part for match in _DIRECTIVE.findall(value) if (part := match.strip())]
            is_private |= any(directive.lower() in (b"private", b"no-store") for directive in directives)
            value = b", ".join(directive for directive in directives if not _is_shared(directive))
            if not value:
                continue
            position = len(fields)
        fields.append((name, value))
    if is_private:
        return fields
    if position is None:
        return [*fields, (target, b"private")]
    fields[position] = (fields[position][0], fields[position][1] + b", private")
    return fields


def is_shared(headers: Headers) -> bool:
    """Return whether a response says that shared caches may keep it: by "public" or "s-maxage" in Cache-Control."""
    values = (value for name, value in headers if name.lower().endswith(_TARGETED))
    return any(_is_shared(match) for value in values for match in _DIRECTIVE.findall(value))


def _is_shared(directive: bytes) -> bool:
    return directive.partition(b"=")[0].strip().lower() in _SHARED


FIRST_ERROR = 400
"""From this status on, a page only reports an error (RFC 9110, section 15), so it is no page view."""
NOT_MODIFIED = 304
"""The status of a response whose content the browser has cached (RFC 9110, section 15.4.5)."""


def is_page(method: str, status: int, headers: Headers) -> bool:
    """Return whether a response is a page: HTML for a GET, not a redirect; or a "not modified" without Content-Type.

    An error page is a page too, but no page view; see `FIRST_ERROR`.

    Args:
        method: the request's method.
        status: the status code of the response.
        headers: the header fields of the response.
    """
    if method != "GET" or (300 <= status < 400 and status != NOT_MODIFIED):
        return False
    for name, value in headers:
        if len(name) == 12 and name.lower() == b"content-type":
            return value[:9].lower() == b"text/html"
    return status == NOT_MODIFIED
