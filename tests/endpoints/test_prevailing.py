"""Tests that each surface that asks names the language that prevails, to readers of a translation."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cookie_consent import requires
from cookie_consent.http.features import consent_card, fallback_box
from tests.support.asgi import PREFIX, SITE, Visitor, install

SELLING = SITE.replace("[purposes.media]", "[purposes.media]\nsells = true", 1)
PREVAILS = {"ja": "原文（英語）が優先します。", "en": "The version in English prevails."}
SURFACES = {
    "banner": "/",
    "banner of a script": f"{PREFIX}/question",
    "banner opened again": f"{PREFIX}/question?again",
    "settings": PREFIX,
    "explaining page": "/offices",
    "card": "/card",
    "box": "/box",
    "Do not sell": f"{PREFIX}/do-not-sell",
}


def page(content: str = "") -> Response:
    return HTMLResponse(f"<!doctype html><html><title>t</title><body>{content}</body></html>")


def home(request: Request) -> Response:
    return page()


@requires("media")
async def offices(request: Request) -> Response:
    return page()


def card(request: Request) -> Response:
    return page(consent_card(request, "maps", "<p>Map</p>"))


def box(request: Request) -> Response:
    return page(fallback_box(request.scope, "map"))


def site(**options: Any) -> Visitor:
    routes = [
        Route("/", home),
        Route("/offices", offices),
        Route("/card", card),
        Route("/box", box),
    ]
    return Visitor(install(Starlette(routes=routes), SELLING, **options), [("accept", "text/html")])


def text_on(surface: str, accepted: str, **options: Any) -> str:
    """Return the text that is read on a surface, without the question that the app's own page may have beside it."""
    path, _, query = SURFACES[surface].partition("?")
    visitor = site(inject=surface == "banner", **options)
    html = visitor.get(path, [("accept-language", accepted)], query=query.encode()).text
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@pytest.mark.requirement("PO-08")
@pytest.mark.parametrize("surface", SURFACES)
def test_surface_that_asks_says_in_language_of_reader_which_language_prevails(surface: str) -> None:
    assert text_on(surface, "ja").count(PREVAILS["ja"]) == 1


@pytest.mark.parametrize("surface", SURFACES)
def test_surface_in_prevailing_language_says_nothing_of_it(surface: str) -> None:
    assert PREVAILS["en"] not in text_on(surface, "en")


def test_question_that_is_the_same_for_everybody_says_so_too() -> None:
    assert PREVAILS["ja"] in text_on("banner", "ja", shared_pages=True, language=lambda request: "ja")
