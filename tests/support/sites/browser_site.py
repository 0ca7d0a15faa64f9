"""A small site with two purposes, a strict Content-Security-Policy, a long page and templates.

The banner has the layout "corner"; below /corner, /bar and /modal it has the layout of that name.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.templating import Jinja2Templates

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.http.features import fallback_box
from cookie_consent.integrations.jinja import consent_context
from cookie_consent.pages.pages import LAYOUTS, Layout
from tests.support.policies import KEY, policy_of

POLICY = """
[site]
name = "Plain Site"
controller = "Plain Site Ltd."
contact = "privacy@site.example"
prevailing_language = "en"
languages = ["en", "ja"]

[purposes.analytics]
title = { en = "Counting", ja = "集計" }
description = { en = "We count visits.", ja = "訪問を数えます。" }
retention = "30 days"

[purposes.media]
title = { en = "Maps", ja = "地図" }
description = { en = "We show maps.", ja = "地図を表示します。" }

[features.map]
title = { en = "Map of offices", ja = "事務所の地図" }
purposes = ["media"]
fallback = { en = "The addresses are listed below.", ja = "住所は下にあります。" }
"""
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
TEMPLATES = {"media": "media", "both": "analytics media", "weather": "media weather", "nothing": ""}
"""The id of an element -> the purposes that its template needs."""
LINKS = 40
FEATURES = Path(__file__).parents[3] / "docs" / "features.md"


def document(main: str, base: str = "/privacy-choices", head: str = "") -> str:
    """Return a page with this content."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Plain Site</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'{head}<script type="module" src="{base}/choices.js"></script></head><body>'
        '<header><a href="./" id="start">Start</a></header>'
        f"<main><h1>A page</h1>{main}</main>"
        f'<footer><a href="{base}" id="settings" data-privacy-settings>Privacy settings</a></footer></body></html>'
    )


def start_page(request: Request, head: str = "") -> str:
    """Return a page with templates, and the fallback box of a feature that is off."""
    templates = "".join(
        f'<template data-purpose="{purposes}"><p id="{name}">{name}</p></template>'
        for name, purposes in TEMPLATES.items()
    )
    consent = request.state.consent
    box = "" if consent.feature("map").available else fallback_box(request.scope, "map")
    return document(box + templates, consent.base, head)


async def start(request: Request) -> HTMLResponse:
    """Show the start page."""
    return HTMLResponse(start_page(request))


async def strict(request: Request) -> HTMLResponse:
    """Show the start page under a policy that allows only scripts and styles of the site, and Trusted Types."""
    head = f'<script src="{request.scope["root_path"]}/watch.js"></script>'
    return HTMLResponse(start_page(request, head), headers={"content-security-policy": STRICT})


async def watch(request: Request) -> Response:
    """Return the script that writes violations into the page."""
    return Response(WATCH, media_type="text/javascript")


async def long(request: Request) -> HTMLResponse:
    """Show many links on a long page."""
    links = "".join(f'<p><a href="/?link={number}">Link {number}</a></p>' for number in range(LINKS))
    return HTMLResponse(document(links, request.state.consent.base))


def features_template() -> str:
    """Return the Jinja2 template without the lines that load other sites."""
    block = re.search(r"```html\+jinja\n(.*?)```", FEATURES.read_text("utf-8"), re.DOTALL)
    assert block
    lines = [line for line in block[1].splitlines() if "https://" not in line]
    assert 'consent.feature("map").available' in lines[0]
    return "\n".join(lines).replace('src="…"', 'title="Map" srcdoc="<p>A map"')


templates = Jinja2Templates(
    env=Environment(
        loader=DictLoader({"offices": document(f'{features_template()}<label>Name <input name="name"></label>')}),
        autoescape=True,
    ),
    context_processors=[consent_context],
)


async def offices(request: Request) -> Response:
    """Show the template of docs/features.md and a form."""
    return templates.TemplateResponse(request, "offices")


@requires("media")
async def video(request: Request) -> HTMLResponse:
    """Show a page that needs consent and has no fallback."""
    return HTMLResponse(document('<p id="video">A video</p>', request.state.consent.base))


def site(layout: Layout) -> ConsentMiddleware:
    """Return the site with this layout of the banner."""
    paths = {"/": start, "/strict": strict, "/watch.js": watch, "/long": long, "/offices": offices, "/video": video}
    return ConsentMiddleware(
        Starlette(routes=[Route(path, endpoint) for path, endpoint in paths.items()]),
        policy=policy_of(tomllib.loads(POLICY)),
        secret_keys=KEY,
        layout=layout,
        settings_link=False,
    )


app = Starlette(routes=[*(Mount(f"/{layout}", site(layout)) for layout in LAYOUTS), Mount("/", site("corner"))])
