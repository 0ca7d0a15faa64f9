"""Tests of the examples in docs/features.md."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from cookie_consent.integrations.jinja import consent_context
from tests.support.documentation import answer, blocks, run, visit
from tests.support.policies import KEY

FEATURES, FASTAPI, KEPT, STATUS = blocks("docs/features.md", "python")
(TEMPLATE,) = blocks("docs/features.md", "html+jinja")
pytestmark = pytest.mark.usefixtures("site_folder")


def test_feature_example_gives_fallback_until_granted() -> None:
    names = run(FEATURES)
    site = Starlette(routes=[Route("/offices", names["offices"]), Route("/tour", names["tour"])])
    app = ConsentMiddleware(site, "consent.toml", KEY)
    steps = [
        ("GET", "/offices", {}),
        ("GET", "/tour", {}),
        answer("accept_all"),
        ("GET", "/offices", {}),
        ("GET", "/tour", {}),
    ]
    headers = {"sec-fetch-site": "same-origin", "accept": "text/html", "accept-language": "en"}
    degraded, explained, _, full, video = visit(app, *steps, **headers)
    assert degraded.text == "The map is switched off. The address is written below it."
    assert explained.status_code == 200
    assert 'value="grant"' in explained.text
    assert (full.text, video.text) == ("the map", "the video")


def test_fastapi_example_gives_fallback_until_granted() -> None:
    steps = [
        ("GET", "/tour", {}),
        ("GET", "/suggestions", {}),
        answer("accept_all"),
        ("GET", "/tour", {}),
        ("GET", "/suggestions", {}),
    ]
    off, plain, _, on, own = visit(run(FASTAPI)["app"], *steps, **{"sec-fetch-site": "same-origin"})
    assert off.status_code == 200
    assert off.json()["missing"] == ["media"]
    assert plain.json() == ["for everybody"]
    assert (on.json(), own.json()) == ({"video": "tour.mp4"}, ["for you"])


def test_example_keeps_the_newest_choice_of_a_user() -> None:
    names = run(KEPT)
    app = ConsentMiddleware(Starlette(routes=[Route("/account/{user}", names["account"])]), "consent.toml", KEY)
    steps = [("GET", "/account/ann", {}), answer("accept_all"), ("GET", "/account/ann", {})]
    before, _, laptop = visit(app, *steps, **{"sec-fetch-site": "same-origin"})
    assert before.json() is None
    assert laptop.json()["purposes"]["media"] is True
    (phone,) = visit(app, ("GET", "/account/ann", {}))
    assert phone.json() == laptop.json()


def test_example_with_a_status_answers_with_it() -> None:
    app = run(STATUS, **run(FASTAPI))["app"]
    steps = [("GET", "/film", {}), answer("accept_all"), ("GET", "/film", {})]
    off, _, on = visit(app, *steps, **{"sec-fetch-site": "same-origin"})
    assert (off.status_code, off.json()["available"]) == (403, False)
    assert on.json() == {"video": "film.mp4"}


def test_template_example_renders_before_and_after_grant() -> None:
    template = Environment(autoescape=True).from_string(TEMPLATE)

    async def page(request: Request) -> Any:
        return HTMLResponse(template.render(consent_context(request)))

    app = ConsentMiddleware(Starlette(routes=[Route("/", page)]), "consent.toml", KEY)
    steps = [("GET", "/", {}), answer("accept_all"), ("GET", "/", {})]
    off, _, on = visit(app, *steps, **{"sec-fetch-site": "same-origin", "accept-language": "en"})
    assert "<iframe" not in off.text
    assert "The map is switched off." in off.text
    assert "<iframe" in on.text
    assert '<a href="/privacy-choices?language=en&amp;next=/" data-privacy-settings>' in on.text
