"""The site of most tests with a browser: pages of many kinds, under several options of the middleware.

The first part of a path names the options, as `SITES` has them: /corner/second. Each page has two purposes, "analytics"
and "media", whose recipient is a company of maps.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates

from cookie_consent import ConsentMiddleware, Policy, requires
from cookie_consent.http.features import fallback_box
from cookie_consent.integrations.jinja import consent_context
from cookie_consent.pages.pages import LAYOUTS
from cookie_consent.texts import locales
from cookie_consent.texts.catalog import shipped_languages
from tests.support.browsers.visitor_browser import Sites, serve
from tests.support.policies import KEY, policy_of

ROOT = Path(__file__).parents[3]
MODULES = ROOT / "node_modules"
LANGUAGES = shipped_languages()
TEMPLATES = {"media": "media", "both": "analytics media"}
"""The id of an element -> the purposes that its template needs."""
LIBRARIES = {
    "htmx2": ("htmx2/dist/htmx.min.js", 'hx-boost="true"'),
    "htmx4": ("htmx.org/dist/htmx.min.js", 'hx-boost:inherited="true"'),
    "turbo": ("@hotwired/turbo/dist/turbo.es2017-umd.js", ""),
}
"""A library that swaps pages -> its file, and what the body says to it."""
FRAMEWORKS = {
    "bootstrap": "bootstrap/dist/css/bootstrap.css",
    "tailwind": "tailwindcss/preflight.css",
    "pico": "@picocss/pico/css/pico.css",
}
"""The name of a framework -> its stylesheet."""
STYLES = {
    "none": "",
    "reset": (
        "* { margin: 0; padding: 0; border: 0; font: inherit; color: inherit; background: none;"
        " box-sizing: content-box; letter-spacing: 3px; text-transform: uppercase; line-height: 1; text-align: center }"
    ),
    "inline": "* { display: inline } button { display: inline; all: unset }",
    "decorated": (
        "*::before, *::after { content: '!'; display: block; font-size: 30px }"
        "*::marker { content: '+'; font-size: 30px }"
    ),
    "ids": (
        "#app button, #app a, #app p, #app h2, #app label, #app input, #app summary, #app legend, #app form, #app div,"
        " #app fieldset, #app details, #app section, #app dialog, #root body * { margin: 20px; padding: 20px;"
        " background: red; color: lime; border: 9px dotted; border-radius: 0; box-shadow: 0 0 9px red;"
        " letter-spacing: 3px; text-transform: uppercase; font: 30px monospace; text-align: end; text-indent: 1em;"
        " text-shadow: 1px 1px red; opacity: 0.5; white-space: nowrap; transform: scale(0.5); float: right }"
    ),
    "small root": "html { font-size: 62.5% }",
    "large text": "html, body { font: bold italic 40px/3 cursive; word-spacing: 9px; direction: rtl; zoom: 1 }",
    "transformed": "body { transform: translate(40px, 90px) scale(0.8); perspective: 500px; contain: paint }",
    "filtered": "body { filter: invert(1) blur(2px); opacity: 0.3; mix-blend-mode: difference; isolation: isolate }",
    "cut off": "html, body { overflow: hidden; height: 50px; width: 50px; clip-path: inset(0) }",
    "flex": "html, body { display: flex; flex-direction: column-reverse } body > * { flex: 1; order: -1; width: 9em }",
    "grid": (
        "html, body { display: grid; place-items: center; grid: 50px 50px / 50px 50px }"
        " body > * { grid-area: 1 / 1; justify-self: end; align-self: end; max-width: 40px; max-height: 40px }"
    ),
    "covered": "#cover { position: fixed; inset: 0; z-index: 2147483647; background: gold }",
}
"""The name of a style -> its rules. The page is `<html id=root><body id=app>` with an element `#cover`."""
ENDS = {
    "narrow": "body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem; font: 1.1rem/1.5 serif; color: #234 }",
    "beside": "body { margin: 0 0 0 5rem }",
    "card": "body { display: flex; place-content: center; align-items: center; min-height: 100vh; margin: 0 }",
    "columns": "body { display: flex; margin: 0 } aside { flex: 0 0 30% } main { flex: 1 }",
    "column": "body { display: flex; flex-direction: column; min-height: 100vh; margin: 0 } main { flex: 1 }",
    "grid": (
        "body { display: grid; grid-template: 'a m' 1fr 'f f' auto / 30% 1fr; min-height: 100vh; margin: 0 }"
        " aside { grid-area: a } main { grid-area: m } footer { grid-area: f }"
    ),
    "dark": "body { background: #111; color: #eee; font-family: sans-serif } a { text-decoration: none; color: #222 }",
    "reset": "* { margin: 0; padding: 0; box-sizing: border-box } nav, nav a { background: red; float: left }",
}
"""The name of a style of a whole page, by whose end the link to the settings is looked at -> its rules."""
STRICT = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'"
NONCES = (
    "script-src 'nonce-{script}' 'strict-dynamic'; style-src 'nonce-{style}'; connect-src 'self'; base-uri 'none'; "
    "object-src 'none'"
)
POLICIES = {
    "files": STRICT,
    "trusted types": f"{STRICT}; require-trusted-types-for 'script'; trusted-types 'none'",
    "nonces": NONCES,
    "two nonces": NONCES,
    "sandbox": "sandbox allow-forms allow-same-origin",
    "no scripts": STRICT.replace("script-src 'self'; ", ""),
    "no connections": STRICT.replace("connect-src 'self'", "connect-src 'none'"),
    "frames": "frame-src 'self'",
}
"""The name of a Content-Security-Policy -> its text, with placeholders for nonces."""
SPECULATING = """<script>
new BroadcastChannel("go").onmessage = ({ data }) => {
    if (data !== "ahead") return document.getElementById("next").click();
    const rules = { prerender: [{ urls: ["second"], eagerness: "immediate" }] };
    document.head.append(
        Object.assign(document.createElement("script"), { type: "speculationrules", text: JSON.stringify(rules) }),
    );
};
</script>"""
"""Prerenders another page on a message, and opens it on a second message."""
WORKER = """
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
"""A service worker that always shows the pages of the first visit."""
SCRIPT = '<script type="module" src="BASE/privacy-choices/choices.js"></script>'
TRACK = '<script type="module" src="BASE/privacy-choices/track.js"></script>'
LINKS = (
    '<p><a href="/files/report.pdf?key=secret" id="report">Report</a>'
    '<a href="/files/%E5%B9%B4%E5%A0%B1" id="named" download><b id="inside">Yearbook</b></a>'
    '<a id="elsewhere" href="https://files.example/a.zip?key=secret">Archive</a><a id="blob" download>Made here</a>'
    '<a id="partner" href="https://partner.example/%E5%B9%B4?key=secret#part">Partner</a>'
    '<a id="broken" href="missing">Moved</a> <a id="after" href="both-scripts">After</a></p>'
)
WAITING = "".join(
    f'<template data-purpose="{purposes}"><p id="{name}">{name}</p></template>' for name, purposes in TEMPLATES.items()
)
NEVER = (
    '<template data-purpose="media weather"><p id="weather">a</p></template><template data-purpose=""><p id="nothing">a'
)
"""Waits for a purpose that is not there, and for none."""


def document(title: str, main: str, head: str = SCRIPT, body: str = "") -> str:
    """Return a page. BASE is where the site begins.

    Args:
        title: its title and heading.
        main: the content below the heading.
        head: further elements of its head.
        body: the attributes of its body.
    """
    return (
        f'<!doctype html><html lang="en" id="root"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{head}</head><body id="app" {body}>'
        f'<main><h1>{title}</h1><p><a href="BASE/" id="home">Home</a> <a href="second" id="next">Next</a></p>'
        f'<p><input aria-label="Name" id="name"></p>{main}</main></body></html>'
    )


TEXTS = {
    "/": document("Start", WAITING),
    "/second": document("Second", WAITING),
    "/misspelt": document("Misspelt", '<template data-purpose="medai"></template>' * 2, ""),
    "/long": document("Long", "<p>Text to read.</p>" * 200 + '<a href="second" id="end">End</a>', ""),
    "/speculating": document("Speculating", SPECULATING, ""),
    "/tracking": document("Read", LINKS, TRACK),
    "/views": document("Read", LINKS, TRACK.replace(">", " data-views>", 1)),
    "/outbound": document("Read", LINKS, TRACK.replace(">", " data-outbound>", 1)),
    "/both-scripts": document("Read", LINKS, TRACK + SCRIPT),
    "/both-scripts-turned": document("Read", LINKS, SCRIPT + TRACK),
    "/plain": document("Plain", "", ""),
}
"""The path of a page that is always the same -> its text."""


def feature_template() -> str:
    """Return the Jinja2 template of docs/features.md without the lines that load other sites."""
    text = (ROOT / "docs" / "features.md").read_text("utf-8")
    block = re.search(r"```html\+jinja\n(.*?)```", text, re.DOTALL)
    assert block
    lines = [line for line in block[1].splitlines() if "https://" not in line]
    assert 'consent.feature("map").available' in lines[0]
    return "\n".join(lines).replace('src="…"', 'title="Map" srcdoc="<p>A map"')


templates = Jinja2Templates(
    env=Environment(loader=DictLoader({"offices": document("Offices", feature_template())}), autoescape=True),
    context_processors=[consent_context],
)


def base(request: Request) -> str:
    """Return where the site begins."""
    return str(request.scope["root_path"])


def page(request: Request, text: str, **headers: str) -> Response:
    """Return a page."""
    return HTMLResponse(text.replace("BASE", base(request)), headers={**headers})


async def text(request: Request) -> Response:
    """Show a page of `TEXTS`; with the script of events under a strict policy."""
    found = TEXTS[request.url.path.removeprefix(base(request))]
    strict = {"content-security-policy": POLICIES["trusted types"]} if TRACK.partition(">")[0] in found else {}
    return page(request, found, **strict)


async def public(request: Request) -> Response:
    """Show a page that all caches may keep for a while."""
    strict = {"content-security-policy": STRICT} if "strict" in request.path_params["name"] else {}
    return page(request, document("Kept", WAITING), **{"cache-control": "public, max-age=600", **strict})


async def box(request: Request) -> Response:
    """Show the fallback box of a feature that is off."""
    found = "" if request.state.consent.feature("map").available else fallback_box(request.scope, "map")
    return page(request, document("Box", f"{found}{WAITING}{NEVER}"))


async def offices(request: Request) -> Response:
    """Show the template of docs/features.md and a form."""
    shown = templates.TemplateResponse(request, "offices")
    return page(request, bytes(shown.body).decode())


@requires("media")
async def video(request: Request) -> Response:
    """Show a page that needs consent and has no fallback."""
    return page(request, document("Video", '<p id="video">A video</p>'))


async def library(request: Request) -> Response:
    """Return a library, or a page whose links it handles."""
    name = request.path_params["name"]
    path, attributes = LIBRARIES[request.path_params["library"]]
    if name == "script":
        return FileResponse(MODULES / path, media_type="text/javascript")
    head = f'{SCRIPT}<script src="{base(request)}/{request.path_params["library"]}/script"></script>'
    return page(request, document(name.title(), WAITING, head, attributes))


async def missing(request: Request) -> Response:
    """Show an error page."""
    return HTMLResponse(TEXTS["/tracking"].replace("BASE", base(request)), 404)


async def file(request: Request) -> Response:
    """Return a file to download."""
    return Response(b"%PDF-", media_type="application/pdf", headers={"content-disposition": "attachment"})


async def worker(request: Request) -> Response:
    """Return the service worker."""
    return Response(WORKER, media_type="text/javascript")


async def styled(request: Request) -> Response:
    """Show a page with a style, and with an element that the style may use to cover the page."""
    main = fallback_box(request.scope, "map") if "box" in request.query_params else ""
    link = f'<link rel="stylesheet" href="/styles/{request.path_params["name"]}">'
    return page(request, document("Styled", f'{main}<div id="cover"></div>', SCRIPT + link))


async def style(request: Request) -> Response:
    """Return a style of `STYLES`, or the stylesheet of a framework."""
    name = request.path_params["name"]
    found = STYLES.get(name)
    if found is None:
        found = (MODULES / FRAMEWORKS[name]).read_text("utf-8")
    return Response(found, media_type="text/css")


async def ending(request: Request) -> Response:
    """Show a page of several parts with a style from ENDS or of a framework, in a language and its direction."""
    name, language = request.path_params["name"], request.query_params.get("in", "en")
    head = f"<style>{ENDS[name]}</style>" if name in ENDS else f'<link rel="stylesheet" href="/styles/{name}">'
    html = document("House", "<p>Words about the house.</p>" * 9, SCRIPT + head)
    for old, new in {
        '<html lang="en"': f'<html lang="{language}" dir="{locales.direction(language)}"',
        "<main>": "<aside>Menu</aside><main class=container>",
        "</main>": "</main><footer class=container>The house</footer>",
    }.items():
        html = html.replace(old, new)
    return page(request, html)


async def translated(request: Request) -> Response:
    """Show a page in a language."""
    return page(request, TEXTS["/plain"].replace('lang="en"', f'lang="{request.path_params["tag"]}"'))


async def governed(request: Request) -> Response:
    """Show a page under a policy of `POLICIES`; with `?trial` it is report-only."""
    name = request.path_params["name"]
    script = secrets.token_urlsafe(16)
    own = secrets.token_urlsafe(16) if name == "two nonces" else script
    kind = "content-security-policy" + ("-report-only" if "trial" in request.query_params else "")
    head = SCRIPT.replace("<script", f'<script nonce="{script}"')
    if "nonces" in name:
        head += f'<style nonce="{own}">h1 {{ color: green }}</style>'
    return page(request, document("Governed", WAITING, head), **{kind: POLICIES[name].format(script=script, style=own)})


ICON = Route("/favicon.ico", lambda request: Response(status_code=204))
ROUTES: Mapping[str, Callable[[Request], Any]] = {
    "/files/{name}": file,
    **dict.fromkeys(TEXTS, text),
    "/public/{name}": public,
    "/box": box,
    "/offices": offices,
    "/video": video,
    "/missing": missing,
    "/worker.js": worker,
    "/styled/{name}": styled,
    "/ending/{name}": ending,
    "/in/{tag}": translated,
    "/governed/{name}": governed,
    "/{library}/{name}": library,
}
PURPOSES = {
    "analytics": {"title": "Counting", "description": "We count visits.", "retention": "30 days"},
    "media": {"title": "Maps", "description": "We show maps."},
}


def translate(part: Any) -> Any:
    """Return a part of a policy with its texts in all languages."""
    if isinstance(part, dict):
        return {key: dict.fromkeys(LANGUAGES, text) if key in ("title", "description", "fallback", "receives")
                else translate(text) for key, text in part.items()}  # fmt: skip
    return part


def policy(**of_analytics: Any) -> Policy:
    """Return the policy of the site, in all shipped languages.

    Args:
        of_analytics: further keys of the purpose "analytics".
    """
    purposes = {**PURPOSES, "analytics": {**PURPOSES["analytics"], **of_analytics}}
    maps = {"id": "maps", "name": "Maps Inc.", "purpose": "media", "receives": "IP address"}
    return policy_of(
        {
            "site": {
                "name": "Example",
                "controller": "Example Ltd.",
                "contact": "office@site.example",
                "prevailing_language": "en",
                "languages": LANGUAGES,
            },
            "purposes": translate(purposes),
            "features": {
                "map": translate({"title": "Map of offices", "purposes": ["media"], "fallback": "See the addresses."})
            },
            "recipients": [{**translate(maps), "origins": ["https://maps.example"], "directives": ["frame"]}],
        }
    )


POLICY = policy()
SITES: Mapping[str, Mapping[str, Any]] = {
    **{layout: {"layout": layout} for layout in LAYOUTS},
    "shared": {"inject": False},
    "enforced": {"csp": "enforce"},
    "public": {"shared_pages": True},
}
"""The first part of a path -> the options of the middleware."""


def site(policy: Policy = POLICY, **options: Any) -> ConsentMiddleware:
    """Return the site with these options of the middleware."""
    routes = [Route(path, endpoint) for path, endpoint in ROUTES.items()]
    return ConsentMiddleware(Starlette(routes=[ICON, *routes]), policy=policy, secret_keys=KEY, **options)


@contextmanager
def traced_site(folder: Path) -> Iterator[Sites]:
    """Serve the site, with "analytics" for tracing and with access records in the folder."""
    log = folder / "access.jsonl"
    with serve(site(policy(traces=True), access_log=log), log) as sites:
        yield sites


app = Starlette(
    routes=[
        ICON,
        Route("/styles/{name}", style),
        *(Mount(f"/{name}", site(**options)) for name, options in SITES.items()),
    ]
)
