"""The head of a response: what it says of the body, Vary and Cache-Control (RFC 9110, 12.5.5; RFC 9111, 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.cookies import Headers
from cookie_consent.http.insert import find_encoding

if TYPE_CHECKING:
    from cookie_consent.tracing.tracer import Trace

_PART = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^,])+')
_NO_WHOLE_BODY = frozenset((204, 205, 206))
_MAY_HIDE = frozenset((b"content-range", b"content-encoding", b"content-disposition"))
_CDN_FIELDS = (b"-cache-control", b"x-accel-expires", b"surrogate-control", b"edge-control")
"""Ends of the names of fields that some caches prefer to Cache-Control: targeted fields such as CDN-Cache-Control (RFC
9213), nginx's, those of the Edge Architecture Specification, and Akamai's."""


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


def depend_on(fields: Headers, names: Iterable[bytes]) -> Headers:
    """Return the header fields of a private response that depends on fields of the request.

    One Vary and one Cache-Control have what the app's say. The fields that single caches prefer to it are left out.
    """
    others = Headers()
    vary = b""
    control = b""
    for name, value in fields:
        lowered = name.lower()
        if lowered == b"vary":
            vary += value + b","
        elif lowered == b"cache-control":
            control += value + b","
        elif not lowered.endswith(_CDN_FIELDS):
            others.append((name, value))
    return [*others, *_make_private(vary, control, tuple(names))]


@lru_cache(maxsize=256)
def _make_private(vary: bytes, control: bytes, names: tuple[bytes, ...]) -> Headers:
    """Return Vary and Cache-Control. There are as many as the app has kinds of pages."""
    varying = _split_list(vary)
    present = {word.lower() for word in varying}
    if b"*" not in present:
        varying.extend(name for name in names if name.lower() not in present)
    directives = [word for word in _split_list(control) if not _is_for_shared(word)]
    if not any(word.lower() in (b"private", b"no-store") for word in directives):
        directives.append(b"private")
    return [(b"vary", b", ".join(varying)), (b"cache-control", b", ".join(directives))]


def is_shared(headers: Headers) -> bool:
    """Return whether a response says that shared caches may keep it: by "public" or "s-maxage" in Cache-Control."""
    values = [value for name, value in headers if name.lower().endswith(b"cache-control")]
    return any(_is_for_shared(word) for word in _split_list(b",".join(values)))


def _split_list(value: bytes) -> list[bytes]:
    """Return the parts of a field that are separated by commas outside quotes."""
    return [word for part in _PART.findall(value) if (word := part.strip())]


def _is_for_shared(directive: bytes) -> bool:
    return directive.partition(b"=")[0].strip().lower() in (b"public", b"s-maxage")


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


@dataclass(slots=True)
class Head:
    """What the app wants to send, and the request that it answers.

    Attributes:
        kind: the type of the ASGI message.
        status: the status code; 0 for none.
        fields: the header fields.
        found: the header fields by name in lowercase; of several, the last.
        scope: the ASGI scope of the request.
        trace: the traced request, if there will be an access record.
        asks: whether a page may ask here.
        request_fields: what `request` returns, once it was read.
    """

    kind: str
    status: int
    fields: Headers
    found: Mapping[bytes, bytes]
    scope: Mapping[str, Any]
    trace: Trace | None = None
    asks: bool = False
    request_fields: Mapping[bytes, bytes] | None = None

    @property
    def request(self) -> Mapping[bytes, bytes]:
        """The header fields of the request by name in lowercase."""
        if self.request_fields is None:
            self.request_fields = dict(self.scope["headers"]) if self.trace is None else self.trace.fields
        return self.request_fields


def read_head(message: Mapping[str, Any], scope: Mapping[str, Any], trace: Trace | None = None, *, asks: bool) -> Head:
    """Return the head in an ASGI message."""
    fields = message.get("headers", ())
    if type(fields) is not list:
        fields = plain_fields(fields)
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        if type(name) is not bytes or type(value) is not bytes:
            return read_head({**message, "headers": plain_fields(fields)}, scope, trace, asks=asks)
        found[name.lower()] = value
    return Head(message["type"], message.get("status", 0), fields, found, scope, trace, asks)


def read_encoding(head: Head) -> str | None:
    """Return the encoding for markup of ours; "" if the page is compressed, None if it is no whole page."""
    kind = head.found.get(b"content-type", b"")
    if len(kind) > LONGEST_KEPT or head.status < 200 or 300 <= head.status < 400 or head.status in _NO_WHOLE_BODY:
        return None
    if len(head.found) < len(head.fields) and has_two_types(head.fields):
        return None
    encoding = find_encoding(kind)
    if encoding is not None and not _MAY_HIDE.isdisjoint(head.found):
        return look_into(head.found, encoding)
    return encoding


def look_into(found: Mapping[bytes, bytes], encoding: str) -> str | None:
    """Return the encoding of a page; "" if it is compressed, None if it is a part or a download."""
    disposition, _, _ = found.get(b"content-disposition", b"").partition(b";")
    if b"content-range" in found or disposition.strip().lower() == b"attachment":
        return None
    if found.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        return ""
    return encoding


def has_two_types(fields: Headers) -> bool:
    """Return whether there are two fields that say what the body is."""
    return sum(name.lower() == b"content-type" for name, _ in fields) > 1
