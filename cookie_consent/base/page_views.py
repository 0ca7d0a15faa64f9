"""Which requests are page views: pages that a person saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Headers = Iterable[tuple[bytes, bytes]]

_OF_PAGES = (b"", b"document")
FRAMES = frozenset((b"iframe", b"frame", b"embed", b"object", b"fencedframe"))
"""Values of Sec-Fetch-Dest in requests for documents inside other documents (Fetch, request destinations)."""
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


def page_view_host(scope: Mapping[str, Any], *, not_modified: bool = False) -> bytes | None:
    """Return the Host field of a request that can be a page view ("" if it has none), or None.

    A page that a script fetches, that is in a frame, or that is prefetched is no page view (Fetch Metadata,
    "Sec-Fetch-Dest"; Fetch, "Sec-Purpose").

    Args:
        scope: the request's ASGI scope.
        not_modified: whether the response is "not modified", whose fields need not say that it is a page. Then only a
            browser's "Sec-Fetch-Dest: document" counts.
    """
    return page_view_host_in(dict(scope["headers"]), not_modified=not_modified)


def page_view_host_in(fields: Mapping[bytes, bytes], *, not_modified: bool = False) -> bytes | None:
    """Return what `page_view_host` returns, given the header fields of a request.

    Args:
        fields: the fields by name, in lowercase.
        not_modified: see `page_view_host`.
    """
    destination = fields.get(b"sec-fetch-dest", b"")
    if destination not in (_OF_PAGES[1:] if not_modified else _OF_PAGES):
        return None
    for name in (b"sec-purpose", b"purpose"):
        if name in fields and b"prefetch" in fields[name].lower():
            return None
    return fields.get(b"host", b"")
