"""A site in three languages for tests with all engines, once for each layout of the banner.

The paths of the layouts are /corner, /bar and /modal. `?lang=` selects the language of a page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.visitors.pages.rendering import LAYOUTS
from tests.support.browsers.visitor_browser import ROOT, Sites
from tests.support.policies import KEY, policy_of
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.sites.three_language_site import POLICY

TEMPLATES = {"media": "media", "both": "analytics media", "nothing": ""}
"""The id of an element -> the purposes that its template needs."""
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
WATCH = """
const violations = document.createElement("ul");
violations.id = "violations";
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    if (blockedURI.endsWith("favicon.ico")) return; // only the browser requests it
    const textContent = `${violatedDirective} ${blockedURI}`;
    violations.append(Object.assign(document.createElement("li"), { textContent }));
});
addEventListener("DOMContentLoaded", () => document.querySelector("main").append(violations));
"""
"""Writes the violations of a page's policy into the page."""
policy = policy_of(tomllib.loads(POLICY))


def document(request: Request, main: str, *, head: str = "") -> HTMLResponse:
    """Return a page with this content."""
    base, lang = request.state.consent.base, request.query_params.get("lang", "en")
    return HTMLResponse(
        f'<!doctype html><html lang="{lang}" dir="{"rtl" if lang == "ar" else "ltr"}">'
        '<head><meta charset="utf-8"><title>City Museum</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'{head}<script type="module" src="{base}/choices.js"></script></head><body>'
        '<header><a href="./" id="start">Start</a></header>'
        f"<main><h1>A page</h1>{main}</main>"
        f'<footer><a href="{base}" id="settings" data-privacy-settings>Privacy settings</a></footer></body></html>'
    )


def templates() -> str:
    """Return one template for each entry of `TEMPLATES`."""
    return "".join(
        f'<template data-purpose="{purposes}"><p id="{name}">{name}</p></template>'
        for name, purposes in TEMPLATES.items()
    )


async def start(request: Request) -> Response:
    """Show templates."""
    return document(request, templates())


async def strict(request: Request) -> Response:
    """Show the start page under a policy that allows only scripts and styles of the site, and Trusted Types."""
    head = f'<script src="{request.scope["root_path"]}/watch.js"></script>'
    response = document(request, templates(), head=head)
    response.headers["content-security-policy"] = STRICT
    return response


async def watch(request: Request) -> Response:
    """Return the script that writes violations into the page."""
    return Response(WATCH, media_type="text/javascript")


async def long(request: Request) -> Response:
    """Show a page that is much higher than any screen."""
    return document(request, "<p>Text to read.</p>" * 100)


@requires("media")
async def video(request: Request) -> Response:
    """Show a page that needs consent and has no fallback."""
    return document(request, '<p id="video">A video</p>')


def site(layout: str) -> Starlette:
    """Return the site with this layout of the banner."""
    paths = {"/": start, "/strict": strict, "/watch.js": watch, "/long": long, "/video": video}
    app = Starlette(routes=[Route(path, endpoint) for path, endpoint in paths.items()])
    app.add_middleware(
        ConsentMiddleware,
        policy=policy,
        secret_keys=KEY,
        layout=layout,
        settings_link=False,
    )
    return app


app = Starlette(routes=[Mount(f"/{layout}", site(layout)) for layout in LAYOUTS])


@contextmanager
def engines_site(folder: Path) -> Iterator[Sites]:
    """Start the site; the address is that of the layout "corner"."""
    with started("tests.support.sites.engines_site:app", ROOT, folder / "site.log", (LOOPBACK, 0), {}) as served:
        yield Sites(f"{served.address}/corner", "", folder / "access.jsonl")
