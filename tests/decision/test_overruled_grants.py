"""A grant that a signal of the browser ruled over does not come back when the signal goes: only an answer brings it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent import requires
from cookie_consent.decision.consent_cookie import SIGNAL_SALT, SignalCookie
from cookie_consent.decision.own_cookies import CookieSettings, OwnCookies
from cookie_consent.decision.signing import Signer
from cookie_consent.ledgers import MemoryLedger
from tests.support.asgi import (
    NOW,
    PREFIX,
    SITE,
    Clock,
    Reply,
    Visitor,
    answer_to,
    answering,
    bodies,
    call,
    install,
    page,
    run,
    scope,
)
from tests.support.policies import KEY

HTML = [("accept", "text/html")]
GPC, DNT = ("sec-gpc", "1"), ("dnt", "1")
MARK = "__Host-consent-signal"
STAYS = "A signal of your browser has switched off what you had allowed"
HONOURED = "Global Privacy Control honoured"


def who_accepted(app: ASGIApp | None = None, **options: Any) -> Visitor:
    visitor = Visitor(install(app or page(), **options), HTML)
    visitor.accept()
    return visitor


def text_of(reply: Reply) -> str:
    return reply.text.replace("\u2068", "").replace("\u2069", "")


def test_what_a_signal_ruled_over_stays_off_until_it_is_answered_again() -> None:
    visitor = who_accepted()
    assert visitor.state()["purposes"]["media"]
    reply = visitor.get("/", [GPC])
    assert list(reply.set_cookies) == [MARK]
    assert reply.set_cookies[MARK].endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert "private" in reply.get("cache-control")
    assert {"cookie", "sec-gpc"} <= {name.strip().lower() for name in reply.get("vary").split(",")}
    state = visitor.state()
    assert (state["purposes"]["media"], state["purposes"]["analytics"]) == (False, True)
    assert (state["status"], state["should_ask"], state["signals"]) == ("granted", False, [])
    assert (state["overruled"], state["honours_gpc"]) == (["media"], True)
    settings = text_of(visitor.get(PREFIX))
    assert f"{STAYS} (Maps and videos)" in settings
    visitor.post({"choice": "grant", "purposes": {"media": True}})
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, "analytics": True, "media": True}
    assert (state["overruled"], state["honours_gpc"]) == ([], False)
    assert MARK not in visitor.jar
    assert STAYS not in text_of(visitor.get(PREFIX))


def test_an_answer_in_sight_of_the_signal_rules_over_it() -> None:
    visitor = Visitor(install(page()), HTML)
    visitor.post({"choice": "accept_all"}, [GPC])
    for headers in ([GPC], []):
        reply = visitor.get("/", headers)
        assert reply.set_cookies == {}
        assert visitor.state(headers)["purposes"]["media"]
    assert MARK not in visitor.jar


def test_an_answer_in_sight_of_one_signal_does_not_rule_over_another() -> None:
    visitor = Visitor(install(page()), HTML)
    visitor.post({"choice": "accept_all"}, [DNT])
    visitor.get("/", [GPC, DNT])
    assert visitor.state()["overruled"] == ["media"]
    visitor.post({"choice": "accept_all"}, [GPC, DNT])
    assert visitor.state()["overruled"] == []


def test_each_signal_is_remembered_beside_the_one_before() -> None:
    visitor = who_accepted()
    visitor.get("/", [GPC])
    assert MARK in visitor.get("/", [DNT]).set_cookies
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "media": False}
    assert visitor.get("/", [GPC, DNT]).set_cookies == {}


def test_it_is_remembered_once_and_as_long_as_the_answer_holds() -> None:
    clock = Clock()
    visitor = who_accepted(clock=clock)
    clock.forward(days=30)
    assert f"Max-Age={150 * 86_400 - 1}" in visitor.get("/", [GPC]).set_cookies[MARK]
    assert [visitor.get("/", [GPC]).set_cookies for _ in range(5)] == [{}] * 5


@pytest.mark.parametrize(
    "headers", [[("cache-control", "public, max-age=60")], [("etag", '"1"'), ("last-modified", "x")], []]
)
def test_any_response_may_be_the_first_and_no_shared_cache_keeps_it(headers: list[tuple[str, str]]) -> None:
    app = answering(b"body {}", "text/css", headers=headers)
    visitor = who_accepted(app)
    reply = visitor.get("/site.css", [GPC])
    assert MARK in reply.set_cookies
    assert "private" in reply.get("cache-control")
    assert "public" not in reply.get("cache-control")
    assert visitor.get("/site.css", [GPC]).all("cache-control") == [value for name, value in headers if "cache" in name]


def test_where_a_signal_refuses_nothing_that_was_granted_nothing_is_remembered() -> None:
    visitor = Visitor(install(page()), HTML)
    assert MARK not in visitor.get("/", [GPC]).set_cookies
    visitor.save(analytics=True, media=False)
    assert MARK not in visitor.get("/", [GPC]).set_cookies


def test_the_endpoints_remember_it_too_but_not_what_shared_caches_keep() -> None:
    for path in (PREFIX, f"{PREFIX}/state", f"{PREFIX}/question"):
        assert MARK in who_accepted().get(path, [GPC]).set_cookies, path
    script = next(
        part.split('"')[0] for part in Visitor(install(page()), HTML).get("/").text.split('src="') if ".js" in part
    )
    assert who_accepted().get(script, [GPC]).set_cookies == {}
    assert MARK not in who_accepted().post({"choice": "refuse_all"}, [GPC]).set_cookies


def mark(signals: set[str], decided_at: int, key: str = KEY) -> str:
    return SignalCookie(Signer([key], SIGNAL_SALT)).write(frozenset(signals), decided_at)


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        (mark({"gpc"}, int(NOW)), True),
        (mark({"dnt", "gpc"}, int(NOW)), True),
        (mark({"dnt"}, int(NOW)), False),
        (mark({"gpc"}, int(NOW) - 1), False),
        (mark({"gpc"}, int(NOW), key="another-key-" * 4), False),
        (mark({"gpc"}, int(NOW))[:-1], False),
        (Signer([KEY], SIGNAL_SALT).sign(b"gx\xff", int(NOW)).decode("latin-1"), True),
        (Signer([KEY], "cookie_consent.visitor").sign(b"g", int(NOW)).decode(), False),
        ("g", False),
        ("", False),
    ],
)
def test_only_a_token_for_this_very_answer_counts(value: str, holds: bool) -> None:
    visitor = who_accepted(clock=Clock())
    visitor.jar[MARK] = value
    assert visitor.state()["purposes"]["media"] is not holds


def test_the_page_says_that_global_privacy_control_is_honoured() -> None:
    for settings_link in (True, False):
        visitor = Visitor(install(page(), settings_link=settings_link), HTML)
        assert HONOURED not in visitor.get("/").text
        reply = visitor.get("/", [GPC])
        assert f">{HONOURED}</a>" in reply.text
        assert ("data-privacy-settings" in reply.text) is settings_link
        assert f"<strong>{HONOURED}</strong>" in visitor.get(PREFIX, [GPC]).text
        visitor.accept()
        assert HONOURED in visitor.get("/", [GPC]).text
        assert HONOURED in visitor.get("/").text  # it rules still
        visitor.post({"choice": "accept_all"}, [GPC])
        assert HONOURED not in visitor.get("/", [GPC]).text


def test_it_is_not_said_where_the_policy_ignores_the_signal_or_only_another_is_there() -> None:
    ignoring = install(page(), SITE + '\n[signals]\ngpc = "ignore"\n', settings_link=True)
    assert HONOURED not in Visitor(ignoring, HTML).get("/", [GPC]).text
    assert HONOURED not in Visitor(install(page(), settings_link=True), HTML).get("/", [DNT]).text


def test_the_question_says_what_stays_off() -> None:
    visitor = who_accepted()
    visitor.get("/", [GPC])
    question = text_of(visitor.get(f"{PREFIX}/question", query=b"again"))
    assert f"{STAYS} (Maps and videos)" in question
    # Kept texts of others who have the same off by their own answer say nothing of it.
    other = Visitor(visitor.app, HTML)
    other.save(analytics=True, media=False)
    assert STAYS not in text_of(other.get(f"{PREFIX}/question", query=b"again"))


def test_what_is_off_says_that_a_signal_did_it() -> None:
    @requires("media")
    async def film(request: Request) -> Response:
        return Response("A film")

    visitor = who_accepted(Starlette(routes=[Route("/film", film)]))
    assert visitor.get("/film").text == "A film"
    assert "Your browser refuses it by the Global Privacy Control signal." in visitor.get("/film", [GPC]).text
    assert "A signal of your browser has switched it off since you accepted it." in visitor.get("/film").text


def test_a_websocket_heeds_what_is_remembered() -> None:
    seen: list[bool] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            seen.append(scope["state"]["consent"].allows("media"))
            await send({"type": "websocket.close"})
        else:
            await page()(scope, receive, send)

    visitor = who_accepted(app)
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.jar.items())
    visitor.get("/", [GPC])
    more = f"{cookies}; {MARK}={visitor.jar[MARK]}"

    async def connect(field: str) -> None:
        async def send(message: Message) -> None:
            pass

        asked = {**scope("GET", "/", [("cookie", field)]), "type": "websocket", "scheme": "wss"}
        await visitor.app(asked, _nothing, send)

    run(connect(cookies))
    run(connect(more))
    assert seen == [True, False]


async def _nothing() -> Message:
    return {"type": "websocket.connect"}


def test_the_ledger_hears_of_it_once_and_of_no_end_that_does_not_come() -> None:
    ledger = MemoryLedger()
    visitor = who_accepted(ledger=ledger)

    async def look(headers: list[tuple[str, str]]) -> None:
        cookies = ("cookie", "; ".join(f"{name}={value}" for name, value in visitor.jar.items()))
        reply = await answer_to(visitor.app, scope("GET", "/", [*headers, cookies]), bodies(b""))
        for name, line in reply.set_cookies.items():
            visitor.jar[name] = line.partition(";")[0].partition("=")[2]
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    for headers in ([GPC], [], [], [GPC], []):
        run(look(headers))
    records = visitor.get(f"{PREFIX}/export").json["consent_records"]
    assert [record["event"] for record in records] == ["granted", "signal"]


# What the script says, where a proxy has taken the header field away.


def test_the_script_tells_the_endpoints_of_the_signal() -> None:
    visitor = who_accepted()
    state = visitor.get(f"{PREFIX}/state", query=b"page=/&gpc=1").json
    assert (state["signals"], state["purposes"]["media"]) == (["gpc"], False)
    assert not visitor.state()["purposes"]["media"]
    for query in (b"gpc=0", b"gpc", b"xgpc=1", b"agpc=1&gpc=11"):
        assert Visitor(install(page())).get(f"{PREFIX}/state", query=query).json["signals"] == []
    assert call(install(page()), path="/", query=b"gpc=1", headers=HTML).text.count("Global Privacy Control") == 0


def test_what_the_script_shows_is_answered_in_sight_of_the_signal() -> None:
    visitor = Visitor(install(page()), HTML)
    question = visitor.get(f"{PREFIX}/question", query=b"gpc=1").text
    assert "It is honoured" in question
    assert f'action="{PREFIX}?gpc=1"' in question
    visitor.post({"choice": "accept_all"}, query=b"gpc=1")
    state = visitor.get(f"{PREFIX}/state", query=b"gpc=1").json
    assert state["purposes"]["media"]
    for reply in (visitor.get(f"{PREFIX}/question"), visitor.get("/", [GPC]), visitor.get(PREFIX, [GPC])):
        assert "gpc=1" not in reply.text


def test_the_name_of_the_cookie_follows_that_of_the_consent_cookie() -> None:
    own = OwnCookies(CookieSettings([KEY], consent_name="choice"))
    assert own.names("signal") == ["__Host-choice-signal", "choice-signal"]
    with pytest.raises(ValueError, match="choice-signal"):
        CookieSettings([KEY], consent_name="choice", visitor_name="choice-signal")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_of_another_site_says_nothing_of_the_browsers_signal(site: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(page(), ledger=ledger), HTML)
    visitor.accept()
    for path in (PREFIX, f"{PREFIX}/state", f"{PREFIX}/question"):
        assert visitor.get(path, [("sec-fetch-site", site)], query=b"gpc=1").set_cookies == {}
    assert set(visitor.state()["purposes"].values()) == {True}
    assert visitor.get(f"{PREFIX}/state", [("sec-fetch-site", "same-origin")], query=b"gpc=1").set_cookies
    assert set(visitor.state()["purposes"].values()) == {True, False}
