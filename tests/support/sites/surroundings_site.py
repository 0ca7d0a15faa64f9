"""Pages with styles that affect every element, with strict Content-Security-Policies, and in each language.

The banner has the layout "corner"; below /bar and /modal it has the other layouts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.http.features import fallback_box
from cookie_consent.pages.pages import LAYOUTS, Layout
from cookie_consent.texts import locales
from cookie_consent.texts.catalog import shipped_languages
from tests.support.policies import KEY, policy_of

MODULES = Path(__file__).parents[3] / "node_modules"
LANGUAGES = shipped_languages()
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
COLLECTING = "; report-uri /reports"
STRICT = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'"
NONCES = (
    "script-src 'nonce-{script}' 'strict-dynamic'; style-src 'nonce-{style}'; connect-src 'self'; base-uri 'none'; "
    "object-src 'none'"
)
POLICIES = {
    "files": STRICT,
    "trusted types": f"{STRICT}; require-trusted-types-for 'script'; trusted-types 'none'",
    "nonces": NONCES,
    "sandbox": "sandbox allow-forms allow-same-origin",
    "no scripts": STRICT.replace("script-src 'self'; ", ""),
    "no connections": STRICT.replace("connect-src 'self'", "connect-src 'none'"),
}
"""The name of a Content-Security-Policy -> its text, with placeholders for nonces."""

_reports: list[Any] = []


def policy() -> Policy:
    """Return a policy with two purposes, in all shipped languages."""

    def translated(text: str) -> dict[str, str]:
        return dict.fromkeys(LANGUAGES, text)

    maps = {
        "title": translated("Map of offices"),
        "purposes": ["media"],
        "fallback": translated("See the addresses below."),
    }
    declared = {
        "site": {
            "name": "Example",
            "controller": "Example Ltd.",
            "contact": "office@site.example",
            "prevailing_language": "en",
            "languages": LANGUAGES,
        },
        "purposes": {
            "analytics": {
                "title": translated("Counting"),
                "description": translated("We count visits."),
                "retention": "30 days",
            },
            "media": {"title": translated("Maps"), "description": translated("We show maps.")},
        },
        "features": {"map": maps},
    }
    return policy_of(declared)


def _document(request: Request, *, head: str = "", main: str = "", language: str = "en", nonce: str = "") -> str:
    script = f"{request.scope['root_path']}/privacy-choices/choices.js"
    return (
        f'<!doctype html><html lang="{language}" id="root"><head><meta charset="utf-8"><title>Example</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<script type="module" src="{script}"{nonce}></script>{head}</head><body id="app">'
        f'<main><h1>A page</h1><p>With a <a href="/">link</a>.</p>{main}</main></body></html>'
    )


async def _styled(request: Request) -> Response:
    """Show a page with a style, and with an element that the style may use to cover the page."""
    main = fallback_box(request.scope, "map") if "box" in request.query_params else ""
    link = f'<link rel="stylesheet" href="/styles/{request.path_params["name"]}">'
    return HTMLResponse(_document(request, head=link, main=f'{main}<div id="cover"></div>'))


async def _style(request: Request) -> Response:
    name = request.path_params["name"]
    framework = FRAMEWORKS.get(name)
    style = (MODULES / framework).read_text(encoding="utf-8") if framework else STYLES[name]
    return Response(style, media_type="text/css")


async def _ending(request: Request) -> Response:
    """Show a page of several parts with a style from ENDS or of a framework, in a language and its direction."""
    name, language = request.path_params["name"], request.query_params.get("in", "en")
    style = f"<style>{ENDS[name]}</style>" if name in ENDS else f'<link rel="stylesheet" href="/styles/{name}">'
    page = _document(request, head=style, main="<p>Words about the house.</p>" * 9, language=language)
    begun, rest = page.split("<main>")
    around = "<aside>Menu</aside><main class=container>", "</main><footer class=container>The house</footer>"
    direction = f'dir="{locales.direction(language)}" id="root"'
    return HTMLResponse(around[0].join((begun.replace('id="root"', direction), rest.replace("</main>", around[1]))))


async def _translated(request: Request) -> Response:
    return HTMLResponse(_document(request, language=request.path_params["tag"]))


async def _governed(request: Request) -> Response:
    """Show a page under a policy that reports violations to /reports; with `?trial` it is report-only."""
    nonces = {"script": secrets.token_urlsafe(16), "style": secrets.token_urlsafe(16)}
    if "apart" not in request.query_params:
        nonces["style"] = nonces["script"]
    kind = "content-security-policy" + ("-report-only" if "trial" in request.query_params else "")
    field = POLICIES[request.path_params["name"]].format(**nonces) + COLLECTING
    own = f'<style nonce="{nonces["style"]}">h1 {{ color: green }}</style>'
    page = _document(request, head=own if "nonce" in field else "", nonce=f' nonce="{nonces["script"]}"')
    return HTMLResponse(page, headers={kind: field})


async def _keep_report(request: Request) -> Response:
    _reports.append(await request.json())
    return Response(status_code=204)


async def _show_reports(request: Request) -> Response:
    reports = list(_reports)
    _reports.clear()
    return JSONResponse(reports)


def _with_banner(layout: Layout) -> Callable[..., Any]:
    pages = [
        Route("/styled/{name}", _styled),
        Route("/in/{tag}", _translated),
        Route("/ending/{name}", _ending),
        Route("/governed/{name}", _governed),
    ]
    return ConsentMiddleware(Starlette(routes=pages), policy=policy(), secret_keys=KEY, layout=layout)


app = Starlette(
    routes=[
        Route("/styles/{name}", _style),
        Route("/reports", _keep_report, methods=["POST"]),
        Route("/reports", _show_reports),
        *(Mount("/" if layout == "corner" else f"/{layout}", app=_with_banner(layout)) for layout in reversed(LAYOUTS)),
    ]
)
