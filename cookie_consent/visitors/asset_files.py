"""Serves scripts and style sheets, at an address with a hash of the content, and scripts also at a fixed address."""

from __future__ import annotations

import re

from starlette.responses import Response

from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.pages.assets import Asset

_ACCEPTS_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)")


async def serve_asset(asset: Asset, inquiry: Inquiry) -> Response:
    """Respond with a file. Its address has a hash of its content, so caches may keep it forever."""
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    if not _ACCEPTS_GZIP.search(inquiry.request.headers.get("accept-encoding", "")):
        return Response(asset.content, headers=headers, media_type=asset.media_type)
    headers["content-encoding"] = "gzip"
    return Response(asset.compressed, headers=headers, media_type=asset.media_type)


async def serve_reexport(script: str, inquiry: Inquiry) -> Response:
    """Respond with a script at a fixed address, which re-exports the current one, for pages that import it by name."""
    return Response(f'export * from "./assets/{script}";\n', media_type="text/javascript; charset=utf-8")
