"""What an ordinary page is: one that the question, and the link to the settings, are put into in fewer steps.

It comes whole, in one message. It begins as an earlier page did, and has no header field that needs care. What is done
to it is what is done to every other page; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from cookie_consent.bounded import LONGEST_KEPT
from cookie_consent.injection import html_encoding
from cookie_consent.pages import as_written
from cookie_consent.request_consent import own_path

_NEED_CARE = frozenset(
    (
        *(b"set-cookie", b"content-range", b"content-encoding", b"content-disposition"),
        *(b"vary", b"cache-control", b"x-accel-expires", b"surrogate-control", b"edge-control"),
        *(b"etag", b"last-modified", b"accept-ranges"),
        *(b"content-md5", b"digest", b"content-digest", b"repr-digest"),
        *(b"content-security-policy", b"content-security-policy-report-only"),
        *(b"content-type", b"content-length"),  # a second one
    )
)
"""Header fields by which a page is not an ordinary one. All other names in small letters go out as they come."""


def ordinary_encoding(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the encoding of an ordinary page, by its header fields; "" where they are not those of one."""
    kind, lengths = b"", 0
    for name, value in headers:
        if type(name) is not bytes or type(value) is not bytes:
            return ""
        if name == b"content-type" and not kind:
            kind = value
        elif name == b"content-length" and not lengths and value.isdigit() and len(value) < 19:
            lengths = 1
        elif name in _NEED_CARE or name.endswith(b"cache-control") or not name.islower():
            return ""
    return (html_encoding(kind) or "") if len(kind) <= LONGEST_KEPT else ""


@lru_cache(maxsize=512)
def way_to(path: str, query: bytes) -> tuple[str, bytes]:
    """Return the address of a page, to come back to it, and the same as it is written in the query of a link.

    Args:
        path: the path, as the outside sees it. With the query it has 256 characters at most.
        query: the query.
    """
    next_path = own_path({"path": path, "query_string": query})
    return next_path, as_written(next_path)[1]
