"""A site whose pages hold scripts, frames and pictures, in the markup of several consent tools.

What they load comes from /third/KEY/NAME on another host name.
"""

from __future__ import annotations

import asyncio
import tomllib

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from cookie_consent.http.features import consent_card
from tests.support.documentation import blocks
from tests.support.policies import KEY, policy_of

POLICY = """
[site]
name = "Gallery"
controller = "Gallery Ltd."
contact = "privacy@site.example"
prevailing_language = "en"
languages = ["en"]

[purposes.analytics]
title = { en = "Counting" }
description = { en = "We count visits." }

[purposes.media]
title = { en = "Maps and films" }
description = { en = "We show maps and films." }

[purposes.ads]
title = { en = "Offers" }
description = { en = "We look which offers are liked." }

[purposes.social]
title = { en = "Posts" }
description = { en = "We show posts." }

[purposes.chirp]
title = { en = "Posts of Chirp" }
description = { en = "We show posts of Chirp." }

[purposes.photos]
title = { en = "Photos" }
description = { en = "We show pictures of Photos." }
"""
MAP = """{
  "statistics": "analytics", "marketing": "ads", "matomo": "analytics", "youtube": "media", "iframe": "media",
  "google-tag-manager": "analytics", "Pixel": "ads", "measurement": "analytics"
}"""
OURS = {
    "analytics": """
      <script type="text/plain" data-purpose="analytics" data-src="THIRD/ours.js" data-kept="as it was"></script>
      <script type="text/plain" data-purpose="analytics">note("ours inline")</script>
      <script type="text/plain" data-purpose="analytics" data-type="module">note("ours module")</script>
      <link rel="stylesheet" data-purpose="analytics" data-href="THIRD/ours.css">""",
    "media": """
      <iframe title="Map" data-purpose="media" data-src="THIRD/ours.html"></iframe>
      <img alt="" data-purpose="media" data-src="THIRD/ours.png" data-srcset="THIRD/ours-wide.png 2x">
      <video data-purpose="media" data-poster="THIRD/poster.png"><source data-src="THIRD/ours.webm" type="video/webm">
      </video>
      <audio data-purpose="media" data-src="THIRD/ours.ogg" preload="auto"></audio>
      <object data-purpose="media" data-data="THIRD/object.html"></object>
      <embed data-purpose="media" data-src="THIRD/embed.html">""",
    "media analytics": '<img alt="" data-purpose="media analytics" data-src="THIRD/both.png">',
}
"""Purposes -> what waits for them."""
COOKIECONSENT = {
    "analytics": """
      <script type="text/plain" data-category="analytics" data-service="Google Analytics">
        note("vanilla inline")</script>
      <script type="text/plain" src="THIRD/vanilla.js" data-category="analytics" data-service="My service"
        data-type="module"></script>
      <script type="text/plain" data-category="analytics" data-src="THIRD/vanilla-data.js"></script>""",
    "analytics ads": """
      <script type="text/plain" data-category="analytics" data-service="Pixel">note("pixel")</script>""",
    "!analytics": '<script type="text/plain" data-category="!analytics">note("vanilla off")</script>',
    "!analytics ads": """
      <script type="text/plain" data-category="analytics" data-service="!Pixel">note("no pixel")</script>""",
}
KLARO = {
    "analytics": """
      <script type="text/plain" data-type="application/javascript" data-name="matomo"
        data-src="THIRD/klaro.js"></script>
      <script type="text/plain" data-type="text/javascript" data-name="matomo">note("klaro inline")</script>
      <img alt="" data-name="matomo" data-src="THIRD/klaro.png">
      <link rel="stylesheet" type="text/plain" data-type="text/css" data-name="matomo" data-href="THIRD/klaro.css">""",
    "media": '<iframe title="Film" data-name="youtube" data-src="THIRD/klaro.html"></iframe>',
}
OREJIME = {
    "analytics": """
      <script type="opt-in" data-type="application/javascript" data-name="matomo" data-src="THIRD/orejime.js"></script>
      <script type="opt-in" data-type="application/javascript" data-name="matomo">note("orejime 2")</script>
      <template data-purpose="google-tag-manager">
        <script src="THIRD/orejime-3.js"></script><script>note("orejime 3, after its file")</script>
      </template>""",
    "media": """
      <template data-purpose="youtube" data-contextual>
        <iframe title="Film" src="THIRD/orejime.html"></iframe></template>
      """,
}
C15T = {
    "analytics": '<iframe title="Film" data-category="measurement" data-src="THIRD/c15t.html"></iframe>',
}
TARTEAUCITRON = {
    "media": """
      <div class="tac_iframe" title="Film" width="100" height="50" data-url="THIRD/tarteaucitron.html"></div>""",
}
COOKIEBOT = {
    "analytics": """
      <script type="text/plain" data-cookieconsent="statistics">note("cookiebot inline")</script>
      <script type="text/plain" data-cookieconsent="statistics" src="THIRD/cookiebot.js"></script>""",
    "analytics ads": """
      <script type="text/plain" data-cookieconsent="statistics,marketing">note("cookiebot both")</script>""",
    "ads": """
      <iframe title="Film" data-cookieblock-src="THIRD/cookiebot.html" data-cookieconsent="marketing"></iframe>
      <img alt="" data-cookieblock-src="THIRD/cookiebot.png" data-cookieconsent="marketing">""",
}
TOOLS = {
    "ours": OURS,
    "cookieconsent": COOKIECONSENT,
    "klaro": KLARO,
    "orejime": OREJIME,
    "c15t": C15T,
    "tarteaucitron": TARTEAUCITRON,
    "cookiebot": COOKIEBOT,
}
ALL = "".join(html for tool in TOOLS.values() for html in tool.values())
ORDER = """
  <script type="text/plain" data-purpose="analytics">note("1 inline")</script>
  <script type="text/plain" data-purpose="analytics" data-src="THIRD/2-slow.js"></script>
  <script type="text/plain" data-purpose="analytics" data-src="THIRD/3.js"></script>
  <script type="text/plain" data-purpose="analytics">note("4 inline")</script>
  <script type="text/plain" data-purpose="analytics" data-src="THIRD/5.js"></script>
  <script type="text/plain" data-purpose="analytics" nomodule data-src="THIRD/never.js"></script>
  <script type="text/plain" data-purpose="analytics" data-src="THIRD/missing.js"></script>
  <script type="text/plain" data-purpose="analytics">note("6 inline")</script>
  <script type="text/plain" data-purpose="analytics" data-type="application/ld+json">{}</script>
  <script type="text/plain" data-purpose="analytics">note("7 inline")</script>"""
CARD = """
  <iframe title="Film" src="THIRD/card.html"></iframe><script>note("card")</script>"""
SERVICES = """
  <iframe title="Post" data-purpose="chirp" data-src="THIRD/chirp.html"></iframe>
  <iframe title="Picture" data-purpose="photos" data-src="THIRD/photos.html"></iframe>
  <script type="text/plain" data-category="social" data-service="chirp">note("chirp")</script>
  <script type="text/plain" data-category="social" data-service="photos">note("photos")</script>
  <script type="text/plain" data-category="social" data-service="Some other">note("social")</script>"""
HOSTILE = """
  <iframe title="1" data-purpose="analytics" data-src="javascript:parent.note('ran')"></iframe>
  <iframe title="2" data-purpose="analytics" data-src=" java&#10;script:parent.note('ran')"></iframe>
  <iframe title="3" data-purpose="analytics" data-src="data:text/html,<script>parent.note('ran')</script>"></iframe>
  <script type="text/plain" data-purpose="analytics" data-src="data:text/javascript,note('ran')"></script>
  <script type="text/plain" data-purpose="analytics" data-src="javascript:note('ran')">note("ran")</script>
  <object data-purpose="analytics" data-data="javascript:parent.note('ran')"></object>
  <div class="tac_iframe" data-purpose="analytics" data-url="javascript:parent.note('ran')"></div>
  <svg><script type="text/plain" data-purpose="analytics">note("ran")</script>
  <script type="text/plain" data-purpose="analytics" data-href="THIRD/svg.js"></script></svg>
  <img alt="" data-purpose="constructor" data-src="THIRD/unknown.png">
  <img alt="" data-purpose="__proto__" data-src="THIRD/unknown.png">
  <img alt="" data-purpose="" data-src="THIRD/unknown.png">
  <img alt="" data-category="!unknown" data-src="THIRD/unknown.png">
  <script type="text/plain" data-purpose="analytics" data-type="text/plain">note("ran")</script>
  <script type="text/plain">note("ran")</script>
  <img alt="" data-src="THIRD/lazy.png">
  <section data-category="analytics"><img alt="" data-src="THIRD/lazy.png"></section>"""
PAGES = {
    "all": ALL,
    "nothing": "<p>Nothing waits here.</p>",
    "order": ORDER,
    "services": SERVICES,
    "hostile": HOSTILE,
    "later": '<div id="place"></div>',
    "unmapped": COOKIEBOT["analytics"],
    **{name: "".join(tool.values()) for name, tool in TOOLS.items()},
    **{f"docs-{number}": block for number, block in enumerate(blocks("docs/gated.md", "html"))},
}
TRUSTED = (
    "default-src 'none'; script-src 'nonce-fresh' 'strict-dynamic'; style-src 'self' THIRD; connect-src 'self'; "
    "form-action 'self'; img-src THIRD; media-src THIRD; frame-src THIRD; object-src THIRD; "
    "require-trusted-types-for 'script'; trusted-types "
)
POLICIES = {"trusted": TRUSTED + "cookie-consent", "untrusted": TRUSTED + "'none'"}
NOTE = """
var order = [], note = (it) => order.push(it), violations = [];
addEventListener("securitypolicyviolation", (it) => violations.push(`${it.effectiveDirective} ${it.blockedURI}`));
"""
FILES = {
    "js": "text/javascript",
    "css": "text/css",
    "html": "text/html",
    "png": "image/png",
    "webm": "video/webm",
    "ogg": "audio/ogg",
}


async def page(request: Request) -> Response:
    """Show a page. `?map=` sets other names than `MAP`, `?csp=` names a policy, `?nonce=` is on what waits.

    `?choices=1` adds choices.js.
    """
    name, query = request.path_params["name"], request.query_params
    third = f"http://localhost:{request.url.port}/third/{query['key']}"
    mapped = query.get("map", "" if name == "unmapped" else MAP)
    nonce = ' nonce="fresh"' if "csp" in query else ""
    body = PAGES[name] if name != "card" else consent_card(request, "media", CARD)
    body = body.replace("THIRD", third)
    if query.get("nonce"):
        body = body.replace("<script", f'<script nonce="{query["nonce"]}"')
    tag = f"""<script type="module" src="/privacy-choices/gated.js"{nonce} data-map='{mapped}'></script>"""
    if name.startswith("docs-"):
        tag = ""
    if "choices" in query:
        tag = f'<script type="module" src="/privacy-choices/choices.js"></script>{tag}'
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Gallery</title>'
        f"<script{nonce}>{NOTE}</script>"
        f"{tag}</head><body><h1>Pictures</h1>"
        f'<template id="later">{ALL.replace("THIRD", third)}</template>{body}</body></html>'
    )
    response = HTMLResponse(html)
    if policy := POLICIES.get(query.get("csp", "")):
        response.headers["content-security-policy"] = policy.replace("THIRD", f"http://localhost:{request.url.port}")
    return response


async def third(request: Request) -> Response:
    """Return a file of the third party. A script notes its name in the page."""
    name = request.path_params["name"]
    if "slow" in name:
        await asyncio.sleep(0.2)
    kind = FILES[name.rpartition(".")[2]]
    content = f'note("{name}")' if kind == "text/javascript" else ""
    headers = {"cache-control": "no-store", "access-control-allow-origin": "*"}
    return Response(content, 404 if "missing" in name else 200, media_type=kind, headers=headers)


app = Starlette(
    routes=[
        Route("/third/{key}/{name}", third),
        Route("/{name}", page),
    ],
)
app.add_middleware(ConsentMiddleware, policy=policy_of(tomllib.loads(POLICY)), secret_keys=KEY)
