"""Tests of the examples in docs/how-to, each page by what it promises."""

from __future__ import annotations

import json
import logging
import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.cli.main import GOOD, main
from tests.support.documentation import ROOT, answer, blocks, commands, get, run, visit
from tests.support.policies import KEY, policy_of

FOLDER = ROOT / "docs" / "how-to"
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}
BROWSER = {
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept": "text/html",
}
HOME = "<!doctype html><html lang='en'><title>Home</title><body><h1>Welcome</h1>"
pytestmark = pytest.mark.usefixtures("site_folder")


def page(name: str) -> str:
    return f"docs/how-to/{name}.md"


def site(*cookies: str) -> Starlette:
    """Return a site of one page, which sets cookies."""

    async def home(_: Request) -> Response:
        response = HTMLResponse(HOME)
        for name in cookies:
            response.set_cookie(name, "1")
        return response

    return Starlette(routes=[Route("/", home)])


def installed(name: str, *cookies: str, **given: Any) -> Starlette:
    """Return that site with the middleware as a page adds it."""
    app = site(*cookies)
    run(blocks(page(name), "python")[0], app=app, **given)
    return app


def policy_with(table: str) -> Policy:
    """Return the policy that `init` writes, with the tables of a page in place of those with the same name."""
    written, shown = tomllib.loads(Path("consent.toml").read_text("utf-8")), tomllib.loads(table)
    return policy_of({**written, **shown, "purposes": {**written["purposes"], **shown.get("purposes", {})}})


def test_map_shows_after_consent_only(tmp_path: Path) -> None:
    name = page("show-a-map-only-with-consent")
    templates_code, plain_code = blocks(name, "python")
    (tmp_path / "templates").mkdir()
    (template,) = blocks(name, "html+jinja")
    (tmp_path / "templates" / "map.html").write_text(f"<!doctype html><html lang=en><body>{template}</body></html>")
    templates = run(templates_code)["templates"]

    async def card(request: Request) -> Response:
        response: Response = templates.TemplateResponse(request, "map.html")
        return response

    app = Starlette(routes=[Route("/card", card), Route("/plain", run(plain_code)["offices"])])
    (policy,) = blocks(name, "toml")
    app.add_middleware(ConsentMiddleware, policy=policy_with(policy), secret_keys=[KEY])
    steps = [get("/card"), get("/plain"), answer("accept_all"), get("/card"), get("/plain")]
    card_off, off, _, card_on, on = (reply.text for reply in visit(app, *steps, **SAME_ORIGIN))
    assert "Show once" in card_off
    assert "Example Maps Inc." in card_off
    assert re.search(r"<template[^>]*>\s*<iframe", card_off)
    assert "The map is switched off." in off
    assert "<iframe" not in off
    assert "Show once" not in card_on
    assert '<iframe src="https://maps.example.com/embed"' in card_on
    assert '<iframe src="https://maps.example.com/embed"' in on


def test_each_start_forgets_all_answers_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def asks_again() -> bool:
        first, second = (installed("ask-again-while-developing") for _ in range(2))
        cookie = visit(first, answer("accept_all"), **SAME_ORIGIN)[0].headers["set-cookie"]
        consent = re.search(r"__Host-consent=[^;]+", cookie)
        assert consent
        (state,) = visit(second, get("/privacy-choices/state"), cookie=consent[0])
        return bool(state.json()["should_ask"])

    assert not asks_again()
    monkeypatch.delenv("CONSENT_KEY")
    assert asks_again()


def test_pages_without_a_banner_are_those_of_the_page() -> None:
    async def fragment(_: Request) -> Response:
        return HTMLResponse("<p>A part</p>")

    app = Starlette(routes=[*site().routes, Route("/fragment", fragment)])
    app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=[KEY])
    asked = {
        "a browser": visit(app, get(), **BROWSER),
        "a fragment": visit(app, get("/fragment"), **BROWSER),
        "a frame": visit(app, get(), **BROWSER, **{"sec-fetch-dest": "iframe"}),
        "Googlebot": visit(app, get(), **{**BROWSER, "user-agent": "Googlebot/2.1"}),
    }
    assert [who for who, (page,) in asked.items() if "refuse_all" in page.text] == ["a browser"]
    (address,) = blocks(page("find-out-why-no-banner-appears"), "text")
    (state,) = visit(app, get(urlsplit(address.strip()).path), **BROWSER)
    assert state.json()["should_ask"]


def test_file_of_init_has_the_one_language() -> None:
    (block,) = blocks(page("one-language-only"), "console")
    (command,) = commands(block)
    assert main([*command[1:], "written.toml"]) == GOOD
    assert Policy.load("written.toml").site.languages == ("en",)


def test_policy_in_one_language_speaks_it_to_everybody() -> None:
    (policy,) = blocks(page("one-language-only"), "toml")
    app = site()
    app.add_middleware(ConsentMiddleware, policy=policy_of(tomllib.loads(policy)), secret_keys=[KEY])
    (home,) = visit(app, get(), **{"accept-language": "ja"})
    assert "Refuse all" in home.text
    assert 'lang="en"' in home.text


def test_answer_under_the_old_key_counts_until_the_key_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_KEY", "a new key of the tests, long enough too")
    before = site()
    before.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=[KEY])
    cookie = visit(before, answer("accept_all"), **SAME_ORIGIN)[0].headers["set-cookie"]
    consent = re.search(r"__Host-consent=[^;]+", cookie)
    assert consent
    statuses = []
    for old in (KEY, "another key, which nobody has ever used"):
        monkeypatch.setenv("CONSENT_KEY_OLD", old)
        (state,) = visit(installed("replace-a-secret-key"), get("/privacy-choices/state"), cookie=consent[0])
        statuses.append(state.json()["status"])
    assert statuses == ["granted", "unknown"]


def test_undeclared_cookie_passes_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    name = "find-the-cookies-that-your-site-sets"
    with caplog.at_level(logging.WARNING, "cookie_consent"):
        (home,) = visit(installed(name, "cart"), get())
    assert "cart=1" in home.headers["set-cookie"]
    (shown,) = blocks(page(name), "text")
    assert shown.strip() in [message.strip() for message in caplog.messages]


def test_answer_as_json_is_taken_and_gives_the_state() -> None:
    sent, received = map(json.loads, blocks(page("answer-by-json"), "json"))
    app = site()
    app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=[KEY])
    client = TestClient(app, base_url="https://site.example")
    reply = client.post("/privacy-choices", json=sent, headers=SAME_ORIGIN)
    assert received.items() <= reply.json().items()
    assert client.get("/privacy-choices/state").json() == reply.json()
    assert client.post("/privacy-choices", json=sent, headers={"origin": "https://other.example"}).status_code == 403
