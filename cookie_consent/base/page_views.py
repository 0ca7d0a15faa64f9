"""Which requests are views: pages that a person saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Headers = Iterable[tuple[bytes, bytes]]

_OF_PAGES = (b"", b"document")
FRAMES = frozenset((b"iframe", b"frame", b"embed", b"object", b"fencedframe"))
"""The Sec-Fetch-Dest fields of requests for documents that stand in other ones (Fetch, request destinations)."""
FIRST_ERROR = 400
"""From this status on a page only says what went wrong (RFC 9110, section 15): a request, and no view of a page."""
NOT_MODIFIED = 304
"""The status of a response whose content the browser still has (RFC 9110, section 15.4.5)."""


def is_page(method: str, status: int, headers: Headers) -> bool:
    """Return whether a response is a page: HTML that answers a GET and leads nowhere else, or has not changed.

    One that says what went wrong is a page too; it is no view, see `FIRST_ERROR`.

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


def seen_at(scope: Mapping[str, Any], *, not_modified: bool = False) -> bytes | None:
    """Return the Host field of a request for a page that somebody looks at; None where nobody does.

    A page that a script fetches, that stands in a frame, or that is only loaded in advance is none (Fetch, section 3.2
    of "Sec-Fetch-*" and "Sec-Purpose").

    Args:
        scope: the request's ASGI scope.
        not_modified: whether the response has no content that would say that it is a page: only what the browser
            says counts then.
    """
    return seen_by(dict(scope["headers"]), not_modified=not_modified)


def seen_by(fields: Mapping[bytes, bytes], *, not_modified: bool = False) -> bytes | None:
    """Return the same by the header fields of a request; see `seen_at`.

    Args:
        fields: the fields by their names in small letters.
        not_modified: see `seen_at`.
    """
    destination = fields.get(b"sec-fetch-dest", b"")
    if destination not in (_OF_PAGES[1:] if not_modified else _OF_PAGES):
        return None
    for name in (b"sec-purpose", b"purpose"):
        if name in fields and b"prefetch" in fields[name].lower():
            return None
    return fields.get(b"host", b"")
