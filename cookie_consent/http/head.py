"""The head of a response: is it a page, and Vary and Cache-Control (RFC 9110 section 12.5.5, RFC 9111 section 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from typing import Any

from cookie_consent.base.cookies import Headers

ONLY_BYTES = frozenset({bytes})
"""The type that names and values of header fields should have. Some apps send other kinds of bytes, or texts."""

_DIRECTIVE = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^,])+')
_SHARED = (b"public", b"s-maxage")
_CDN_FIELDS = (b"-cache-control", b"x-accel-expires", b"surrogate-control", b"edge-control")
"""Ends of the names of fields that some caches prefer to Cache-Control: targeted fields such as CDN-Cache-Control (RFC
9213), nginx's, those of the Edge Architecture Specification, and Akamai's."""
CACHE_FIELDS = (b"vary", b"cache-control", *_CDN_FIELDS)
"""Ends of the names, in lowercase, of the fields that `depend_on` may change."""


def plain_fields(headers: Iterable[Sequence[Any]]) -> Headers:
    """Return header fields as bytes, whatever kinds of bytes or texts they are."""
    return [(_plain(name), _plain(value)) for name, value in headers]


def with_plain_fields(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the scope of a request whose header fields are a list of pairs of bytes."""
    fields = scope["headers"]
    # Nearly all servers send such fields. A middleware adds other ones at either end, so that a look at both ends finds
    # them without a loop.
    if type(fields) is list and (not fields or (type(fields[0][1]) is bytes and type(fields[-1][1]) is bytes)):
        return scope
    return {**scope, "headers": plain_fields(fields)}


def _plain(part: Any) -> bytes:
    return part.encode("latin-1", "replace") if isinstance(part, str) else bytes(part)


def depend_on(fields: Headers, names: Sequence[bytes]) -> Headers:
    """Return the header fields of a private response that depends on fields of the request."""
    for name, _ in fields:
        if name.lower().endswith(CACHE_FIELDS):
            return keep_private(vary_on(fields, names))
    return [*fields, (b"vary", b", ".join(names)), (b"cache-control", b"private")]


def vary_on(headers: Headers, names: Sequence[bytes]) -> Headers:
    """Return header fields whose Vary also has some request fields, each once."""
    vary = b", ".join(value for name, value in headers if name.lower() == b"vary" and value.strip())
    present = [word.strip().lower() for word in vary.split(b",")]
    missing = [name for name in names if name.lower() not in present]
    if b"*" in present or not missing:
        return headers
    others = [(name, value) for name, value in headers if name.lower() != b"vary"]
    return [*others, (b"vary", b", ".join([vary, *missing] if vary else missing))]


def keep_private(headers: Headers) -> Headers:
    """Return header fields that allow no shared cache to store the response.

    One Cache-Control has the other directives of the app's. The fields that single caches prefer to it are left out.
    """
    fields = Headers()
    directives = list[bytes]()
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"cache-control":
            directives.extend(_unshared_directives(value))
        elif not lowered.endswith(_CDN_FIELDS):
            fields.append((name, value))
    if not any(directive.lower() in (b"private", b"no-store") for directive in directives):
        directives.append(b"private")
    return [*fields, (b"cache-control", b", ".join(directives))]


def _unshared_directives(value: bytes) -> Iterator[bytes]:
    for match in _DIRECTIVE.findall(value):
        directive = match.strip()
        if directive and not _is_shared(directive):
            yield directive


def is_shared(headers: Headers) -> bool:
    """Return whether a response says that shared caches may keep it: by "public" or "s-maxage" in Cache-Control."""
    values = (value for name, value in headers if name.lower().endswith(b"cache-control"))
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
