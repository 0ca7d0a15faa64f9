"""A small site that tells every vendor of the catalog what its visitors allow, without any vendor's script."""

from __future__ import annotations

import tomllib
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from tests.support.policies import KEY, policy_of

POLICY = """
[site]
name = "Vendor Site"
controller = "Vendor Site Ltd."
contact = "privacy@site.example"
prevailing_language = "en"
languages = ["en"]

[purposes.analytics]
title = { en = "Counting" }
description = { en = "We count visits." }
retention = "30 days"

[purposes.ads]
title = { en = "Advertising" }
description = { en = "We measure campaigns." }
sells = true

[vendors]
linkedin = "ads"
plausible = "analytics"
hotjar = "analytics"
google_consent_mode = { ad_storage = "ads", ad_user_data = "ads", ad_personalization = "ads", analytics_storage = "analytics", security_storage = "necessary", ads_data_redaction = true, url_passthrough = true }
microsoft_uet = "ads"
microsoft_clarity = { ad_Storage = "ads", analytics_Storage = "analytics" }
meta_pixel = "ads"
tiktok = "ads"
pinterest = "ads"
matomo = "analytics"
posthog = "analytics"
segment = { Advertising = "ads", Analytics = "analytics" }
"""  # noqa: E501 (TOML has no line breaks in inline tables)
PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">{first}<title>Vendor Site</title>'
    '<script type="module" src="/privacy-choices/choices.js"></script></head><body><main><h1>A page</h1></main>'
    '<footer><a href="/privacy-choices" data-privacy-settings>Privacy settings</a></footer></body></html>'
)
FIRST = "<script>window.toldBefore = window.dataLayer?.length ?? 0</script>"
"""The first script of the site's own."""
WAITING = """
<script type="text/plain" data-purpose="ads">window.toldBeforeTag = dataLayer.length</script>
<script type="module" src="/privacy-choices/gated.js"></script>
"""
"""A tag that waits."""
WORKER = """
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
    if (event.request.url.endsWith("/plain"))
        event.respondWith((async () => {
            const cache = await caches.open("pages");
            const kept = await cache.match("/plain", { ignoreVary: true });
            if (kept) return kept;
            const reply = await fetch(event.request);
            await cache.put("/plain", reply.clone());
            return reply;
        })());
});
"""
"""A service worker."""


PAGES = {
    "/": PAGE.format(first=FIRST),
    "/other": PAGE.format(first=FIRST),
    "/plain": "<!doctype html><title>Plain</title><h1>Plain</h1>",
    "/waiting": f"<!doctype html><title>Waiting</title>{WAITING}",
}


async def page(request: Request) -> Response:
    """Show a page, or the service worker that keeps the plain page as it first was."""
    if request.url.path == "/worker.js":
        return Response(WORKER, media_type="text/javascript")
    return HTMLResponse(PAGES[request.url.path])


def site(policy: str, **options: Any) -> Starlette:
    """Return the site with a policy and options of the middleware."""
    made = Starlette(routes=[Route(path, page) for path in (*PAGES, "/worker.js")])
    made.add_middleware(ConsentMiddleware, policy=policy_of(tomllib.loads(policy)), secret_keys=KEY, **options)
    return made


app = site(POLICY)
shared = site(POLICY, shared_pages=True)
stored = site(
    POLICY.partition("[vendors]")[0]
    + """
[[cookies]]
name = "theme"
kind = "storage"
purpose = "analytics"

[[cookies]]
name = "seen of *"
kind = "storage"
purpose = "analytics"

[[cookies]]
name = "cart"
kind = "storage"
purpose = "necessary"
"""
)
"""The site of scripts that keep something in the browser's storage."""
