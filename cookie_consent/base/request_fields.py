"""What the header fields of a request say: whether a person sees the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Headers = list[tuple[bytes, bytes]]
_OF_PAGES = (b"", b"document")
FRAMES = frozenset((b"iframe", b"frame", b"embed", b"object", b"fencedframe"))
"""Values of Sec-Fetch-Dest in requests for documents inside other documents (Fetch, request destinations)."""


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
