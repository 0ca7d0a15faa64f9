"""Scripts and style sheets."""

from __future__ import annotations

import re

from starlette.responses import Response

from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.http.forms import Problem
from cookie_consent.http.site import Site
from cookie_consent.pages.assets import assets, script_address

_ACCEPTS_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)")


async def send_asset(site: Site, request: OwnRequest) -> Response:
    """Respond with a file. Its address has a hash of its content, so caches may keep it forever.

    Raises:
        Problem: 404, there is no such file.
    """
    name = request.path.removeprefix(f"{site.prefix}/assets/")
    asset = next((asset for asset in assets().values() if asset.name == name), None)
    if asset is None:
        raise Problem(404, "There is nothing at this path.")
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    content = asset.content
    if _ACCEPTS_GZIP.search(request.headers.get("accept-encoding", "")):
        content = asset.compressed
        headers["content-encoding"] = "gzip"
    return Response(content, headers=headers, media_type=asset.media_type)


async def send_script(site: Site, request: OwnRequest) -> Response:
    """Respond with a script at a fixed address, which re-exports the current one, for pages that import it by name.

    Raises:
        Problem: 404, there is no such script.
    """
    name = request.path.removeprefix(f"{site.prefix}/")
    if name not in assets():
        raise Problem(404, "There is nothing at this path.")
    address = script_address(site.policy.traced) if name == "track.js" else assets()[name].name
    return Response(f'export * from "./assets/{address}";\n', media_type="text/javascript; charset=utf-8")
