"""A site for visitors with any browser: once with each layout of the question, in three languages.

Each layout lies under its own name: /corner, /bar and /modal. `?lang=` says in which language a page is.
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

from cookie_consent import ConsentMiddleware, Policy, requires
from cookie_consent.cli.demo.site import LOOPBACK, started
from cookie_consent.policy.from_toml import declarations
from cookie_consent.visitors.pages.pages import LAYOUTS
from tests.support.browsers.visitor_browser import ROOT, Sites
from tests.support.sites.three_language_site import POLICY

TEMPLATES = {"media": "media", "both": "analytics media", "nothing": ""}
"""The id of an element -> the purposes that its template waits for."""
STRICT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
WATCH = """
const violations = document.createElement("ul");
violations.id = "violations";
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    if (blockedURI.endsWith("favicon.ico")) return; // nobody but the browser asks for it
    const textContent = `${violatedDirective} ${blockedURI}`;
    violations.append(Object.assign(document.createElement("li"), { textContent }));
});
addEventListener("DOMContentLoaded", () => document.querySelector("main").append(violations));
"""
"""Writes into the page what its policy did not allow."""
policy = Policy(**vars(declarations(tomllib.loads(POLICY))))


def document(request: Request, main: str, *, head: str = "") -> HTMLResponse:
    """Return a page with this in its middle."""
    base, lang = request.state.consent.base, request.query_params.get("lang", "en")
    return HTMLResponse(
        f'<!doctype html><html lang="{lang}" dir="{"rtl" if lang == "ar" else "ltr"}">'
        '<head><meta charset="utf-8"><title>City Museum</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'{head}<script type="module" src="{base}/choices.js"></script></head><body>'
        '<header><a href="./" id="start">Start</a></header>'
        f"<main><h1>A page</h1>{main}</main>"
        f'<footer><a href="{base}" id="settings" data-privacy-settings>Privacy settings</a></footer></body></html>'
    )


def templates() -> str:
    """Return templates of all kinds."""
    return "".join(
        f'<template data-purpose="{purposes}"><p id="{name}">{name}</p></template>'
        for name, purposes in TEMPLATES.items()
    )


async def start(request: Request) -> Response:
    """Show templates."""
    return document(request, templates())


async def strict(request: Request) -> Response:
    """Show the same where scripts and styles may only come from files of the site, and HTML from nowhere."""
    head = f'<script src="{request.scope["root_path"]}/watch.js"></script>'
    response = document(request, templates(), head=head)
    response.headers["content-security-policy"] = STRICT
    return response


async def watch(request: Request) -> Response:
    """Return the script that notes what a page's policy did not allow."""
    return Response(WATCH, media_type="text/javascript")


async def long(request: Request) -> Response:
    """Show a page that is much higher than any screen."""
    return document(request, "<p>Text to read.</p>" * 100)


@requires("media")
async def video(request: Request) -> Response:
    """Show what no page of the site has a fallback for."""
    return document(request, '<p id="video">A video</p>')


def site(layout: str) -> Starlette:
    """Return the site with a layout of the question."""
    paths = {"/": start, "/strict": strict, "/watch.js": watch, "/long": long, "/video": video}
    app = Starlette(routes=[Route(path, endpoint) for path, endpoint in paths.items()])
    app.add_middleware(
        ConsentMiddleware,
        policy=policy,
        secret_keys="a-key-that-only-the-tests-know-" + "k" * 32,
        layout=layout,
        settings_link=False,
    )
    return app


app = Starlette(routes=[Mount(f"/{layout}", site(layout)) for layout in LAYOUTS])


@contextmanager
def engines_site(folder: Path) -> Iterator[Sites]:
    """Start the site; what is visited is the one with the question in the corner."""
    with started("tests.support.sites.engines_site:app", ROOT, folder / "site.log", (LOOPBACK, 0), {}) as served:
        yield Sites(f"{served.address}/corner", "", folder / "access.jsonl")
