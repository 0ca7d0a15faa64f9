"""Several sites with different options, whose pages libraries swap, browsers keep and caches share.

Their paths are /corner, /bar, /modal, /shared (nothing injected), /tongues (the path selects the language), /asked (a
function selects it) and /enforced (with a Content-Security-Policy of ours).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from cookie_consent import ConsentMiddleware, requires
from tests.support.policies import KEY, policy_of

POLICY = """
[site]
name = "Life Site"
controller = "Life Site Ltd."
contact = "privacy@site.example"
prevailing_language = "en"
languages = ["en", "ja", "ar"]

[purposes.analytics]
title = { en = "Counting", ja = "集計", ar = "العد" }
description = { en = "We count visits.", ja = "訪問を数えます。", ar = "نعد الزيارات." }
retention = "30 days"

[purposes.media]
title = { en = "Maps", ja = "地図", ar = "الخرائط" }
description = { en = "We show maps.", ja = "地図を表示します。", ar = "نعرض الخرائط." }

[[recipients]]
id = "maps"
name = "Example Maps Inc."
purpose = "media"
origins = ["https://maps.example"]
directives = ["frame"]
receives = { en = "IP address", ja = "IPアドレス", ar = "عنوان IP" }
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


def document(request: Request, title: str, main: str, *, head: str = "", body: str = "", lang: str = "en") -> str:
    """Return a page.

    Args:
        request: the request.
        title: its title and heading.
        main: the content below the heading.
        head: further elements of its head.
        body: the attributes of its body.
        lang: its language; "" for none.
    """
    home = request.scope["root_path"]
    attribute = f' lang="{lang}"' if lang else ""
    return (
        f'<!doctype html><html{attribute}><head><meta charset="utf-8"><title>{title}</title>'
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


async def written(request: Request) -> Response:
    """Show a page in any language."""
    return HTMLResponse(document(request, "Written", "", lang=request.query_params.get("in", "")))


async def with_script(request: Request) -> Response:
    """Show a page that loads the script itself."""
    lang = request.query_params.get("in", "en")
    return HTMLResponse(document(request, "With script", template("media"), head=own_script(request), lang=lang))


async def guarded(request: Request) -> Response:
    """Show a page with a Content-Security-Policy."""
    page = document(request, "Guarded", template("media"), head=own_script(request))
    return HTMLResponse(page, headers={"content-security-policy": "frame-src 'self'"})


async def framing(request: Request) -> Response:
    """Show a page with another one in a frame."""
    frame = f'<iframe src="{request.scope["root_path"]}/with-script" title="Frame" id="frame"></iframe>'
    return HTMLResponse(document(request, "Framing", frame, head=own_script(request)))


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
    main = (
        '<p><a href="first" id="previous">First</a> <a href="video" id="video">Video</a> '
        # A link of the site itself, which the script does not recognise.
        f'<a href="{home}/privacy-choices?next={quote(request.url.path)}" id="settings">Cookies</a></p>'
        '<button hx-get="part" hx-target="#part">More</button><div id="part"></div>'
    )
    return HTMLResponse(document(request, name.title(), main + template("media"), head=head, body=BOOSTS[library]))


@requires("media")
async def video(request: Request) -> Response:
    """Show a page that needs consent and has no fallback."""
    return HTMLResponse(document(request, "Video", template("media"), head=own_script(request)))


async def part(request: Request) -> Response:
    """Return a part of a page, with a template."""
    return HTMLResponse(f'<p id="more">More</p>{template("both")}')


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
    "/written": written,
    "/with-script": with_script,
    "/speculating": speculating,
    "/worker.js": worker,
    "/guarded": guarded,
    "/framing": framing,
    "/{tongue}/written": written,
    "/{tongue}/with-script": with_script,
    "/{library}/script": script,
    "/{library}/part": part,
    "/{library}/video": video,
    "/{library}/{name}": swapped,
}


def language_in_query(request: HTTPConnection) -> str | None:
    """Return the language that the query selects."""
    return request.query_params.get("tongue")


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
    "tongues": {"language": "path"},
    "asked": {"language": language_in_query},
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
