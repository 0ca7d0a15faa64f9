"""Serves scripts and stylesheets: under an address that changes with the content, and under one that stays."""

from __future__ import annotations

import re

from starlette.responses import Response

from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.pages.assets import Asset

_ACCEPTS_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)")


async def serve(asset: Asset, inquiry: Inquiry) -> Response:
    """Answer with a file. Its address has a hash of its content, so that caches keep it for ever."""
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    if not _ACCEPTS_GZIP.search(inquiry.request.headers.get("accept-encoding", "")):
        return Response(asset.content, headers=headers, media_type=asset.media_type)
    headers["content-encoding"] = "gzip"
    return Response(asset.compressed, headers=headers, media_type=asset.media_type)


async def lead_to(script: str, inquiry: Inquiry) -> Response:
    """Answer with a script under an address that stays the same, for pages and scripts that name it themselves."""
    return Response(f'export * from "./assets/{script}";\n', media_type="text/javascript; charset=utf-8")
