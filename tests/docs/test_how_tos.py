"""Tests of the examples in docs/how-to, each page by what it promises."""

from __future__ import annotations

import json
import logging
import re
import shlex
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


def installed(name: str, *cookies: str, number: int = 0, **given: Any) -> Starlette:
    """Return that site with the middleware as a page adds it."""
    app = site(*cookies)
    run(blocks(page(name), "python")[number], app=app, **given)
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


def test_tag_of_google_analytics_is_that_of_the_page_on_vendors() -> None:
    """The recipe there runs in a browser: see tests/docs/test_vendors.py."""
    name = page("gate-google-analytics-4")
    (toml,) = blocks(name, "toml")
    assert toml == blocks("docs/vendors.md", "toml")[1]
    assert blocks(name, "html") == blocks("docs/vendors.md", "html")[:2]
    assert [mapping.id for mapping in policy_with(toml).vendors] == ["google_consent_mode"]


def test_settings_for_proxies_are_those_of_the_page_on_proxies() -> None:
    """They run there: see tests/whole/test_behind_a_proxy.py."""
    name, guide = page("behind-nginx-or-caddy"), "docs/behind-a-proxy.md"
    assert [blocks(name, kind) for kind in ("nginx", "caddyfile")] == [
        blocks(guide, kind) for kind in ("nginx", "caddyfile")
    ]
    (command,) = commands(blocks(name, "console")[0])
    assert f"`{shlex.join(command)}`" in (ROOT / guide).read_text("utf-8")


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
        "later": visit(app, answer("later"), get(), **BROWSER, **SAME_ORIGIN)[1:],
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


def test_answer_counts_on_each_host_of_the_example() -> None:
    name = page("one-answer-for-several-hosts")
    (policy,) = blocks(name, "toml")
    purposes = '[purposes.media]\ntitle = { en = "Maps" }\ndescription = { en = "We show maps." }\n'
    Path("consent.toml").write_text(policy + purposes, "utf-8")
    app = installed("one-answer-for-several-hosts")
    host, other = tomllib.loads(policy)["site"]["hosts"][1:]
    (reply,) = visit(app, answer("refuse_all"), base_url=f"https://{host}", **SAME_ORIGIN)
    consent = re.search(r"__Secure-consent=[^;]+", reply.headers["set-cookie"])
    assert consent
    (state,) = visit(app, get("/privacy-choices/state"), base_url=f"https://{other}", cookie=consent[0])
    assert state.json()["status"] == "refused"


def test_layout_and_properties_of_the_look_exist() -> None:
    (css,) = blocks(page("change-the-look"), "css")
    table = (ROOT / "docs" / "reference" / "css.md").read_text("utf-8")
    assert [name for name in re.findall(r"--pchoice-\w+", css) if f"`{name}`" not in table] == []
    (home,) = visit(installed("change-the-look"), get())
    assert "pchoice-bar" in home.text


def test_link_of_your_own_is_the_only_one() -> None:
    name = page("put-the-link-into-your-footer")
    app = installed("put-the-link-into-your-footer")
    _, home = visit(app, answer("refuse_all"), get(), **SAME_ORIGIN)
    assert "pchoice-way-back" not in home.text
    (link,) = blocks(name, "html")
    assert link.startswith('<a href="/privacy-choices" ')
    assert visit(app, get("/privacy-choices"))[0].status_code == 200


@pytest.mark.slow
def test_proof_is_kept_and_verified(capsys: pytest.CaptureFixture[str]) -> None:
    app = installed("keep-proof")
    visit(app, get(), answer("accept_all"), answer("refuse_all"), **SAME_ORIGIN)
    installation, given = map(commands, blocks(page("keep-proof"), "console"))
    assert [command[:2] for command in installation] == [["pip", "install"]]
    assert [command[1] for command in given] == ["verify", "records", "requests", "purge"]
    for command in given:
        assert main(command[1:]) == GOOD
    said = capsys.readouterr().out
    assert "granted" in said
    assert "withdrawn" in said


def test_browsers_let_no_recipient_in_before_a_yes() -> None:
    app = installed("keep-third-parties-out")
    before, _, after = visit(app, get(), answer("accept_all"), get(), **SAME_ORIGIN)
    policies = [home.headers["content-security-policy"] for home in (before, after)]
    assert ["https://maps.example.com" in policy for policy in policies] == [False, True]


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


@pytest.mark.slow
def test_first_report_shows_the_only_visitor(capsys: pytest.CaptureFixture[str]) -> None:
    app = installed("read-your-first-report")
    with TestClient(app, base_url="https://site.example", headers={**BROWSER, **SAME_ORIGIN}) as client:
        client.post("/privacy-choices", data={"choice": "accept_all"})
        client.get("/")
    installation, report = commands(blocks(page("read-your-first-report"), "console")[0])
    assert installation[:2] == ["pip", "install"]
    assert main(report[1:]) == GOOD
    said = capsys.readouterr().out
    assert "Firefox" in said


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
