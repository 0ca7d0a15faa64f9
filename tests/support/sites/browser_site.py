"""A small site with two purposes, a strict Content-Security-Policy, a long page and templates."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from jinja2 import DictLoader, Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from cookie_consent import ConsentMiddleware, requires
from cookie_consent.enforcement.features import fallback_box
from cookie_consent.integrations.jinja import consent_context
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
    "require-trusted-types-for 'script'"
)
TEMPLATES = {"media": "media", "both": "analytics media", "weather": "media weather", "nothing": ""}
"""The id of an element -> the purposes that its template needs."""
LINKS = 40
FEATURES = Path(__file__).parents[3] / "docs" / "features.md"


def document(main: str) -> str:
    """Return a page with this content."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Plain Site</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<script type="module" src="/privacy-choices/choices.js"></script></head><body>'
        '<header><a href="/" id="start">Start</a></header>'
        f"<main><h1>A page</h1>{main}</main>"
        '<footer><a href="/privacy-choices" data-privacy-settings>Privacy settings</a></footer></body></html>'
    )


async def start(request: Request) -> HTMLResponse:
    """Show templates, and the fallback box of a feature that is off."""
    templates = "".join(
        f'<template data-purpose="{purposes}"><p id="{name}">{name}</p></template>'
        for name, purposes in TEMPLATES.items()
    )
    available = request.state.consent.feature("map").available
    return HTMLResponse(document(("" if available else fallback_box(request.scope, "map")) + templates))


async def strict(request: Request) -> HTMLResponse:
    """Show the start page under a policy that allows only scripts and styles of the site."""
    response = await start(request)
    response.headers["content-security-policy"] = STRICT
    return response


async def long(request: Request) -> HTMLResponse:
    """Show many links on a long page."""
    links = "".join(f'<p><a href="/?link={number}">Link {number}</a></p>' for number in range(LINKS))
    return HTMLResponse(document(links))


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
    return HTMLResponse(document('<p id="video">A video</p>'))


app = Starlette(
    routes=[
        Route("/", start),
        Route("/strict", strict),
        Route("/long", long),
        Route("/offices", offices),
        Route("/video", video),
    ],
)
app.add_middleware(
    ConsentMiddleware,
    policy=policy_of(tomllib.loads(POLICY)),
    secret_keys=KEY,
)
