"""Which responses a browser takes a Content-Security-Policy from."""

from __future__ import annotations

import re
from enum import Enum

from cookie_consent.base.caching import Headers
from cookie_consent.base.limits import LONGEST_KEPT
from cookie_consent.base.page_views import NOT_MODIFIED

_PAGE = re.compile(rb"(?:text/html|application/xhtml\+xml)[\t ]*(?:;|$)", re.IGNORECASE)
_INERT = re.compile(
    rb"(?:text/(?:plain|css|csv|event-stream)|application/(?:json|[\w.-]+\+json|octet-stream|pdf|zip|gzip|wasm)"
    rb"|image/(?!svg)[\w.+-]+|(?:audio|video|font)/[\w.+-]+)[\t ]*(?:;|$)",
    re.IGNORECASE,
)
_WITHOUT_CONTENT = frozenset({204, 205})


class Content(Enum):
    """What a browser makes of a response.

    - PAGE: an HTML document.
    - ACTIVE: what may be a document or the script of a worker: SVG, XML, JavaScript, and whatever is not known.
    - INERT: what no browser runs, such as JSON and pictures.
    """

    PAGE = "page"
    ACTIVE = "active"
    INERT = "inert"


def content_of(status: int, headers: Headers, *, accepts_pages: bool) -> Content:
    """Return what a browser makes of a response.

    Args:
        status: the status code.
        headers: the header fields.
        accepts_pages: whether the request accepts HTML. Then a "not modified" may be about a page, whose stored header
            fields it replaces (RFC 9111, section 3.2).
    """
    if status == NOT_MODIFIED:
        return Content.PAGE if accepts_pages else Content.INERT
    if status < 200 or 300 <= status < 400 or status in _WITHOUT_CONTENT:
        return Content.INERT
    kinds = {kind_of(value) for name, value in headers if len(name) == 12 and name.lower() == b"content-type"}
    # Of several types, browsers take the last that they can read (Fetch, "extract a MIME type").
    return next((kind for kind in Content if kind in kinds), Content.ACTIVE)


def kind_of(content_type: bytes) -> Content:
    """Return what a browser makes of a response with a Content-Type."""
    if len(content_type) > LONGEST_KEPT:
        return Content.ACTIVE
    content_type = content_type.strip(b"\t ")
    if _PAGE.match(content_type):
        return Content.PAGE
    return Content.INERT if _INERT.match(content_type) else Content.ACTIVE
