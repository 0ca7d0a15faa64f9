"""Tests of overriding signals: a grant that a signal has overridden stays off until a new answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from cookie_consent import requires
from cookie_consent.ledgers import MemoryLedger
from tests.support.asgi import (
    PREFIX,
    Reply,
    Visitor,
    bodies,
    call,
    install,
    page_app,
    reply_app,
    response_to,
    run,
    scope,
)

HTML = [("accept", "text/html")]
GPC, DNT = ("sec-gpc", "1"), ("dnt", "1")
SIGNAL_COOKIE = "__Host-consent-signal"
SWITCHED_OFF = "A signal of your browser has switched off what you had allowed"
HONOURED = "Global Privacy Control honoured"
EVERYTHING = {"choice": "save", "purposes": {"analytics": True, "media": True}}


def accepting_visitor(app: ASGIApp | None = None, **options: Any) -> Visitor:
    visitor = Visitor(install(app or page_app(), **options), HTML)
    visitor.accept()
    return visitor


def plain_text(reply: Reply) -> str:
    return reply.text.replace("\u2068", "").replace("\u2069", "")


@pytest.mark.requirement("SG-05")
def test_overridden_purpose_stays_off_until_new_answer() -> None:
    visitor = accepting_visitor()
    assert visitor.state()["purposes"]["media"]
    reply = visitor.get("/", [GPC])
    assert list(reply.set_cookies) == [SIGNAL_COOKIE]
    assert reply.set_cookies[SIGNAL_COOKIE].endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert "private" in reply.get("cache-control")
    assert {"cookie", "sec-gpc"} <= {name.strip().lower() for name in reply.get("vary").split(",")}
    state = visitor.state()
    assert (state["purposes"]["media"], state["purposes"]["analytics"]) == (False, True)
    assert (state["status"], state["should_ask"], state["signals"]) == ("granted", False, [])
    assert (state["overruled"], state["honours_gpc"]) == (["media"], True)
    settings = plain_text(visitor.get(PREFIX))
    assert f"{SWITCHED_OFF} (Maps and videos)" in settings
    for choice in ("grant", "accept_all"):
        visitor.post({"choice": choice, "purposes": {"media": True}}, [GPC])
        assert not visitor.state([GPC])["purposes"]["media"]
    visitor.save(analytics=True, media=True)
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, "analytics": True, "media": True}
    assert (state["overruled"], state["honours_gpc"]) == ([], False)
    assert SIGNAL_COOKIE not in visitor.jar
    assert SWITCHED_OFF not in plain_text(visitor.get(PREFIX))


@pytest.mark.parametrize(
    "headers", [[("cache-control", "public, max-age=60")], [("etag", '"1"'), ("last-modified", "x")], []]
)
def test_any_response_can_set_signal_cookie_and_is_then_private(headers: list[tuple[str, str]]) -> None:
    app = reply_app(b"body {}", "text/css", headers=headers)
    visitor = accepting_visitor(app)
    reply = visitor.get("/site.css", [GPC])
    assert SIGNAL_COOKIE in reply.set_cookies
    assert "private" in reply.get("cache-control")
    assert "public" not in reply.get("cache-control")
    assert visitor.get("/site.css", [GPC]).all("cache-control") == [value for name, value in headers if "cache" in name]


def test_endpoints_set_signal_cookie_but_assets_and_answers_do_not() -> None:
    for path in (PREFIX, f"{PREFIX}/state", f"{PREFIX}/question"):
        assert SIGNAL_COOKIE in accepting_visitor().get(path, [GPC]).set_cookies, path
    page = Visitor(install(page_app()), HTML).get("/").text
    script = page.split('<script type="module" src="')[1].split('"')[0]
    assert accepting_visitor().get(script, [GPC]).set_cookies == {}
    assert SIGNAL_COOKIE not in accepting_visitor().post({"choice": "refuse_all"}, [GPC]).set_cookies


def test_fallback_says_that_signal_switched_feature_off() -> None:
    @requires("media")
    async def film(request: Request) -> Response:
        return Response("A film")

    visitor = accepting_visitor(Starlette(routes=[Route("/film", film)]))
    assert visitor.get("/film").text == "A film"
    assert "Your browser refuses it by the Global Privacy Control signal." in visitor.get("/film", [GPC]).text
    assert "A signal of your browser has switched it off since you accepted it." in visitor.get("/film").text


def test_ledger_records_overriding_signal_once() -> None:
    ledger = MemoryLedger()
    visitor = accepting_visitor(ledger=ledger)

    async def look(headers: list[tuple[str, str]]) -> None:
        cookies = ("cookie", visitor.cookies)
        reply = await response_to(visitor.app, scope("GET", "/", [*headers, cookies]), bodies(b""))
        for name, line in reply.set_cookies.items():
            visitor.jar[name] = line.partition(";")[0].partition("=")[2]
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    for headers in ([GPC], [], [], [GPC], []):
        run(look(headers))
    records = visitor.get(f"{PREFIX}/export").json["consent_records"]
    assert [record["event"] for record in records] == ["granted", "signal"]


# If a proxy removes the header field, the script sends the signal in the query.


def test_endpoints_read_gpc_from_query() -> None:
    visitor = accepting_visitor()
    state = visitor.get(f"{PREFIX}/state", query=b"page=/&gpc=1").json
    assert (state["signals"], state["purposes"]["media"]) == (["gpc"], False)
    assert not visitor.state()["purposes"]["media"]
    for query in (b"gpc=0", b"gpc", b"xgpc=1", b"agpc=1&gpc=11"):
        assert Visitor(install(page_app())).get(f"{PREFIX}/state", query=query).json["signals"] == []
    assert call(install(page_app()), path="/", query=b"gpc=1", headers=HTML).text.count("Global Privacy Control") == 0


def test_answer_to_question_with_gpc_in_query_overrides_signal() -> None:
    visitor = Visitor(install(page_app()), HTML)
    question = visitor.get(f"{PREFIX}/question", query=b"again&gpc=1").text
    assert "It is honoured" in question
    assert f'action="{PREFIX}?gpc=1"' in question
    visitor.post(EVERYTHING, query=b"gpc=1")
    state = visitor.get(f"{PREFIX}/state", query=b"gpc=1").json
    assert state["purposes"]["media"]
    for reply in (visitor.get(f"{PREFIX}/question"), visitor.get("/", [GPC]), visitor.get(PREFIX, [GPC])):
        assert "gpc=1" not in reply.text


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_gpc_in_query_of_other_site_is_ignored(site: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(page_app(), ledger=ledger), HTML)
    visitor.accept()
    for path in (PREFIX, f"{PREFIX}/state", f"{PREFIX}/question"):
        assert visitor.get(path, [("sec-fetch-site", site)], query=b"gpc=1").set_cookies == {}
    assert set(visitor.state()["purposes"].values()) == {True}
    assert visitor.get(f"{PREFIX}/state", [("sec-fetch-site", "same-origin")], query=b"gpc=1").set_cookies
    assert set(visitor.state()["purposes"].values()) == {True, False}
