"""Several sites with different options, whose pages libraries swap, browsers keep and caches share.

Their paths are /corner, /bar, /modal, /shared (nothing injected) and /enforced (with a policy of ours).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from cookie_consent import ConsentMiddleware
from tests.support.policies import KEY, policy_of

POLICY = """
[site]
name = "Life Site"
controller = "Life Site Ltd."
contact = "privacy@site.example"
prevailing_language = "en"
languages = ["en"]

[purposes.analytics]
title = { en = "Counting" }
description = { en = "We count visits." }
retention = "30 days"

[purposes.media]
title = { en = "Maps" }
description = { en = "We show maps." }

[[recipients]]
id = "maps"
name = "Example Maps Inc."
purpose = "media"
origins = ["https://maps.example"]
directives = ["frame"]
receives = { en = "IP address" }
"""
LIBRARIES = {
    "htmx2": "htmx2/dist/htmx.min.js",
    "htmx4": "htmx.org/dist/htmx.min.js",
    "turbo": "@hotwired/turbo/dist/turbo.es2017-umd.js",
}
BOOSTS = {"htmx2": 'hx-boost="true"', "htmx4": 'hx-boost:inherited="true"', "turbo": ""}
WAITING = {"media": "media", "both": "analytics media"}
"""The id of an element -> the purposes that its template needs."""
MODULES = Path(__file__).parents[3] / "node_modules"
OFFLINE_FIRST = """
addEventListener("activate", event => event.waitUntil(clients.claim()));
addEventListener("fetch", event => {
    if (event.request.mode !== "navigate") return;
    const page = event.request.url.split("#")[0];
    event.respondWith((async () => {
        const store = await caches.open("pages");
        const kept = await store.match(page, { ignoreVary: true });
        if (kept) return kept;
        const fresh = await fetch(event.request);
        await store.put(page, fresh.clone());
        return fresh;
    })());
});
"""


def template(name: str) -> str:
    """Return the template of the element with this id."""
    return f'<template data-purpose="{WAITING[name]}"><p id="{name}">{name}</p></template>'


def own_script(request: Request) -> str:
    """Return the tag that loads the script."""
    return f'<script type="module" src="{request.scope["root_path"]}/privacy-choices/choices.js"></script>'


def document(request: Request, title: str, main: str, *, head: str = "", body: str = "") -> str:
    """Return a page.

    Args:
        request: the request.
        title: its title and heading.
        main: the content below the heading.
        head: further elements of its head.
        body: the attributes of its body.
    """
    home = request.scope["root_path"]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head><body {body}>'
        f'<main><h1>{title}</h1><p><a href="{home}/" id="home">Home</a> <a href="second" id="next">Next</a></p>'
        f'<p><input aria-label="Name" id="name"></p>{main}</main></body></html>'
    )


async def start(request: Request) -> Response:
    """Show two templates."""
    return HTMLResponse(document(request, "Start", template("media") + template("both"), head=own_script(request)))


async def second(request: Request) -> Response:
    """Show another page."""
    return HTMLResponse(document(request, "Second", template("media"), head=own_script(request)))


async def kept(request: Request) -> Response:
    """Show a page with max-age."""
    page = document(request, "Kept", template("media"), head=own_script(request))
    return HTMLResponse(page, headers={"cache-control": "max-age=600"})


async def misspelt(request: Request) -> Response:
    """Show templates with an unknown purpose."""
    return HTMLResponse(document(request, "Misspelt", '<template data-purpose="medai"></template>' * 2))


async def long(request: Request) -> Response:
    """Show a page that is much higher than any screen."""
    return HTMLResponse(document(request, "Long", "<p>Text to read.</p>" * 200 + '<a href="second" id="end">End</a>'))


async def with_script(request: Request) -> Response:
    """Show a page that loads the script itself."""
    return HTMLResponse(document(request, "With script", template("media"), head=own_script(request)))


async def guarded(request: Request) -> Response:
    """Show a page with a Content-Security-Policy."""
    page = document(request, "Guarded", template("media"), head=own_script(request))
    return HTMLResponse(page, headers={"content-security-policy": "frame-src 'self'"})


GO_AHEAD = """<script>
new BroadcastChannel("go").onmessage = ({ data }) => {
    if (data !== "ahead") return document.getElementById("next").click();
    const rules = { prerender: [{ urls: ["second"], eagerness: "immediate" }] };
    document.head.append(
        Object.assign(document.createElement("script"), { type: "speculationrules", text: JSON.stringify(rules) }),
    );
};
</script>"""


async def speculating(request: Request) -> Response:
    """Show a page that prerenders another one on a message, and opens it on a second message."""
    return HTMLResponse(document(request, "Speculating", GO_AHEAD))


async def swapped(request: Request) -> Response:
    """Show a page whose links a library handles."""
    library, name, home = request.path_params["library"], request.path_params["name"], request.scope["root_path"]
    head = f'{own_script(request)}<script src="{home}/{library}/script"></script>'
    return HTMLResponse(document(request, name.title(), template("media"), head=head, body=BOOSTS[library]))


async def script(request: Request) -> Response:
    """Return a library."""
    return FileResponse(MODULES / LIBRARIES[request.path_params["library"]], media_type="text/javascript")


async def worker(request: Request) -> Response:
    """Return a service worker that always shows the pages of the first visit."""
    return Response(OFFLINE_FIRST, media_type="text/javascript")


PAGES: Mapping[str, Callable[[Request], Any]] = {
    "/": start,
    "/second": second,
    "/kept": kept,
    "/misspelt": misspelt,
    "/long": long,
    "/with-script": with_script,
    "/speculating": speculating,
    "/worker.js": worker,
    "/guarded": guarded,
    "/{library}/script": script,
    "/{library}/{name}": swapped,
}


def site(**options: Any) -> ConsentMiddleware:
    """Return a site with these options of the middleware."""
    return ConsentMiddleware(
        Starlette(routes=[Route(path, page) for path, page in PAGES.items()]),
        policy=policy_of(tomllib.loads(POLICY)),
        secret_keys=KEY,
        **options,
    )


SITES: Mapping[str, Mapping[str, Any]] = {
    "corner": {},
    "bar": {"layout": "bar"},
    "modal": {"layout": "modal"},
    "shared": {"inject": False},
    "enforced": {"csp": "enforce"},
}
looked: list[str] = []
"""The pages that asked for the state, in order."""


async def who_looked(request: Request) -> Response:
    """List the pages that asked for the state."""
    return JSONResponse(looked)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the sites, and note which pages ask for the state."""
    if scope.get("path", "").endswith("/state"):
        looked.extend(parse_qs(scope["query_string"].decode()).get("page", []))
    await mounted(scope, receive, send)


mounted = Starlette(
    routes=[
        Route("/looked", who_looked),
        *(Mount(f"/{name}", site(**options)) for name, options in SITES.items()),
    ]
)
