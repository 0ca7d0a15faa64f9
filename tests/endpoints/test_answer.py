"""Tests of taking an answer: response, visitor id, ledger, services and limits."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import trio.testing
from starlette.types import Message

from cookie_consent.ledgers import Entry, MemoryLedger, open_ledger
from cookie_consent.ledgers.background import MAX_WAITING, PAUSE
from cookie_consent.ledgers.chain import verify
from cookie_consent.ledgers.chronology import Chronology
from cookie_consent.sinks import MemorySink
from tests.support.asgi import (
    PHONE,
    PREFIX,
    SITE,
    Clock,
    Reply,
    Visitor,
    bodies,
    drive,
    install,
    page_app,
    policy,
    reply_app,
    response_to,
    scope,
    without_form_ids,
)
from tests.support.faulty_ledger import FaultyLedger
from tests.support.ledger_files import ledger_url
from tests.support.policies import text_of

JSON = ("content-type", "application/json")
OWN = ("sec-fetch-site", "same-origin")


# The response to an answer.


@pytest.mark.parametrize(
    ("data", "status", "purposes"),
    [
        ({"choice": "accept_all"}, "granted", {"analytics": True, "media": True}),
        ({"choice": "refuse_all"}, "refused", {"analytics": False, "media": False}),
        ({"choice": "save", "purposes": {"media": True}}, "partial", {"analytics": False, "media": True}),
        ({"choice": "save", "purposes": {}}, "refused", {"analytics": False, "media": False}),
        (
            {"choice": "save", "purposes": {"analytics": True, "media": True, "necessary": True}},
            "granted",
            {"analytics": True, "media": True},
        ),
    ],
)
def test_json_answer_returns_state(data: object, status: str, purposes: dict[str, bool]) -> None:
    visitor = Visitor(install(clock=Clock()))
    reply = visitor.post(data)
    assert reply.status == 200
    assert reply.get("content-type") == "application/json"
    assert reply.json == {
        "status": status,
        "purposes": {"necessary": True, **purposes},
        "outcome": status,
        "should_ask": False,
        "asked": [],
        "policy": policy().version,
        "decided_at": "2025-06-15T15:06:40Z",
        "expires_at": "2025-12-16T15:06:40Z",
        "source": "api",
        "signals": [],
        "features": {"map": purposes["media"]},
        "reloads": False,
        "honours_gpc": False,
        "opted_out": False,
        "overruled": [],
    }
    assert visitor.state() == reply.json


@pytest.mark.parametrize(
    ("before", "answer", "empties"),
    [
        ({}, {}, False),
        ({}, {"media": True}, False),
        ({"media": True}, {"media": True}, False),
        ({"media": True}, {"media": True, "analytics": True}, False),
        ({"media": True}, {}, True),
        ({"media": True}, {"analytics": True}, True),
    ],
)
def test_withdrawal_and_every_form_answer_clear_browser_cache(
    before: dict[str, bool], answer: dict[str, bool], empties: bool
) -> None:
    visitor = Visitor(install())
    visitor.save(**before)
    assert visitor.save(**answer).get("clear-site-data") == ('"cache"' if empties else "")
    assert visitor.send_form("choice=accept_all").get("clear-site-data") == '"cache"'


@pytest.mark.parametrize(
    ("next_path", "location"),
    [
        ("", PREFIX),
        ("&next=", PREFIX),
        ("&next=/there?a=b%26c", "/there?a=b&c"),
        ("&next=/%E5%9C%B0%E5%9B%B3", "/%E5%9C%B0%E5%9B%B3"),
        ("&next=//evil.example", PREFIX),
        ("&next=https://evil.example/", PREFIX),
        ("&next=/%5Cevil.example", PREFIX),
        ("&next=/%09/evil.example", PREFIX),
        ("&next=/%0d%0aset-cookie:x=1", PREFIX),
        ("&next=there", PREFIX),
    ],
)
def test_form_answer_redirects_to_next_path_within_site(next_path: str, location: str) -> None:
    reply = Visitor(install()).send_form(f"choice=refuse_all{next_path}")
    assert (reply.status, reply.get("location"), reply.body) == (303, location, b"")
    assert list(reply.set_cookies) == ["__Host-consent", "player"]


def test_form_without_ticked_purposes_refuses_all() -> None:
    visitor = Visitor(install())
    visitor.send_form("choice=save")
    assert visitor.state()["status"] == "refused"


def test_grant_and_refusal_get_same_headers_and_cookie_attributes() -> None:
    app = install(text=SITE.replace('path = "/videos"\n', ""), clock=Clock())
    accepted, refused = Visitor(app).accept(), Visitor(app).refuse()
    assert [name for name, _ in accepted.headers] == [name for name, _ in refused.headers]
    attributes = [reply.set_cookies["__Host-consent"].partition(";")[2] for reply in (accepted, refused)]
    assert attributes[0] == attributes[1] == " Max-Age=15897600; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert accepted.json["expires_at"] == refused.json["expires_at"]


def test_consent_cookie_over_plain_http_has_no_host_prefix() -> None:
    visitor = Visitor(install(), [("origin", "http://site.example")], scheme="http")
    reply = visitor.request("POST", PREFIX, [JSON], b'{"choice": "accept_all"}')
    (line,) = reply.all("set-cookie")
    assert line.startswith("consent=")
    assert line.endswith("; Max-Age=15897600; Path=/; HttpOnly; SameSite=Lax")
    assert visitor.state()["status"] == "granted"
    visitor.scheme = "https"
    assert visitor.state()["status"] == "unknown"


def test_prefix_of_cookies_and_lifetime_of_answers_can_be_set() -> None:
    reply = Visitor(install(cookie_prefix="shop-", consent_days=30, access_log=MemorySink())).accept()
    assert list(reply.set_cookies) == ["__Host-shop-consent", "__Host-shop-visitor"]
    assert "Max-Age=2592000;" in reply.set_cookies["__Host-shop-consent"]
    assert "Max-Age=34128000;" in reply.set_cookies["__Host-shop-visitor"]


def test_answer_expires_after_184_days_by_server_clock() -> None:
    clock = Clock()
    visitor = Visitor(install(clock=clock))
    visitor.accept()
    clock.forward(days=184, seconds=-1)
    assert visitor.state()["status"] == "granted"
    clock.forward(seconds=1)
    assert visitor.state()["status"] == "unknown"
    assert visitor.state()["should_ask"] is True


@pytest.mark.parametrize("source", ["banner", "settings", "feature", "api"])
def test_receipt_names_source_and_language_of_answer(source: str) -> None:
    visitor = Visitor(install())
    visitor.post({"choice": "accept_all", "source": source, "language": "ja"})
    receipt = visitor.get(f"{PREFIX}/receipt").json
    assert (receipt["source"], receipt["language"]) == (source, "ja")


def test_grant_for_feature_leaves_other_purposes_unanswered() -> None:
    visitor = Visitor(install())
    reply = visitor.send_form("choice=grant&purpose=media&source=feature&next=/offices")
    assert reply.get("location") == "/offices"
    state = visitor.state()
    assert (state["status"], state["should_ask"], state["source"]) == ("partial", True, "feature")
    assert state["purposes"] == {"necessary": True, "analytics": False, "media": True}


@pytest.mark.parametrize("ledger", [None, MemoryLedger()])
def test_answer_without_record_is_counted(ledger: MemoryLedger | None) -> None:
    sink = MemorySink()
    app = install(access_log=sink, ledger=ledger)
    app._site.limits["first answers from addresses that are not public"].most = 0
    Visitor(app).refuse()
    log = app._site.access_log
    assert log is not None
    log.counts.flush()
    found = [(count["count.name"], count["count.value"]) for count in sink.counts]
    assert [count for count in found if "_by_" not in count[0]] == [("refused", 1)]
    assert not ledger or not ledger.kept


def test_answer_tells_script_that_tracing_began() -> None:
    visitor = Visitor(install(access_log=MemorySink()))
    assert "tracing_began" not in visitor.save(media=True).json
    assert visitor.accept().json["tracing_began"] is True
    assert "tracing_began" not in visitor.accept().json


# The visitor id.


def test_visitor_id_exists_only_while_tracing_is_granted() -> None:
    visitor = Visitor(install(access_log=MemorySink()))
    assert list(visitor.save(media=True).set_cookies) == ["__Host-consent"]
    line = visitor.save(analytics=True).set_cookies["__Host-visitor"]
    assert re.match(r"__Host-visitor=[\w-]{22}\.", line)
    assert line.endswith("; Max-Age=34128000; Path=/; HttpOnly; SameSite=Lax; Secure")
    assert "__Host-visitor" not in visitor.accept().set_cookies
    assert "Max-Age=0" in visitor.save(media=True).set_cookies["__Host-visitor"]


def test_site_without_access_log_sets_no_visitor_id() -> None:
    assert list(Visitor(install()).accept().set_cookies) == ["__Host-consent"]


# The ledger.


def test_ledger_keeps_record_before_response_starts() -> None:
    order: list[str] = []

    class Watched(MemoryLedger):
        async def append(self, entry: Entry) -> dict[str, Any]:
            await asyncio.sleep(0)
            kept = await super().append(entry)
            order.append("kept")
            return kept

    ledger = Watched()
    request = scope("POST", PREFIX, [JSON, OWN])
    asyncio.run(
        drive(
            install(ledger=ledger, clock=Clock()),
            request,
            bodies(b'{"choice": "accept_all"}'),
            lambda message: order.append(message["type"]),
        )
    )
    assert order == ["kept", "http.response.start", "http.response.body"]
    (kept,) = ledger.kept
    assert re.fullmatch(r"[\w-]{22}", kept["consent_id"])
    assert (kept["event"], kept["granted"]) == ("granted", ["analytics", "media"])


def test_all_answers_of_one_visitor_share_a_consent_id() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger))
    for answer in (visitor.accept, visitor.refuse, visitor.accept):
        answer()
    assert [kept["status"] for kept in ledger.kept] == ["granted", "refused", "granted"]
    assert len({kept["consent_id"] for kept in ledger.kept}) == 1
    Visitor(visitor.app).refuse()
    assert len({kept["consent_id"] for kept in ledger.kept}) == 2


def test_no_consent_id_is_made_without_ledger() -> None:
    visitor = Visitor(install())
    visitor.accept()
    assert visitor.get(f"{PREFIX}/receipt").json["consent_id"] is None


@pytest.mark.parametrize(("answer", "has_id"), [(Visitor.accept, True), (Visitor.refuse, False)])
def test_ledger_added_later_gives_consent_id_to_grants_only(answer: Any, has_id: bool) -> None:
    before = Visitor(install())
    before.accept()
    ledger = MemoryLedger()
    after = Visitor(install(ledger=ledger))
    after.jar = dict(before.jar)
    answer(after)
    assert (ledger.kept[0]["consent_id"] is not None) == has_id


FULL = OSError("no space left")
WAIT = PAUSE + 0.5


def told_records(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the records that the log tells because the ledger could not keep them."""
    begin = "A refusal holds, and its record waits for the ledger: "
    return [json.loads(line.removeprefix(begin)) for line in caplog.messages if line.startswith(begin)]


@pytest.mark.parametrize("error", [FULL, KeyError("bug")])
def test_grant_gets_503_and_changes_nothing_while_ledger_fails(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    visitor = Visitor(install(page_app(), ledger=FaultyLedger(error)))
    before = visitor.get(headers=[("accept", "text/html")]).text
    reply = visitor.accept()
    assert (reply.status, reply.get("content-type")) == (503, "application/problem+json")
    assert reply.all("set-cookie") == []
    after = visitor.get(headers=[("accept", "text/html")]).text
    assert without_form_ids(after) == without_form_ids(before)
    (logged,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert logged.startswith("The ledger could not keep a consent record; the answer was refused: ")
    assert "\n" not in logged


def test_first_refusal_holds_while_ledger_fails(caplog: pytest.LogCaptureFixture) -> None:
    visitor = Visitor(install(page_app(), ledger=FaultyLedger(FULL)))
    visitor.jar |= {"_ga": "1"}
    reply = visitor.refuse()
    assert reply.status == 200
    assert (reply.json["status"], reply.json["should_ask"]) == ("refused", False)
    assert visitor.jar.keys() == {"__Host-consent"}
    assert b"refuse_all" not in visitor.get(headers=[("accept", "text/html")]).body
    (told,) = told_records(caplog)
    assert (told["consent_id"], told["status"], told["refused"]) == (None, "refused", ["analytics", "media"])


@pytest.mark.parametrize("by_form", [False, True])
def test_withdrawal_holds_while_ledger_fails(by_form: bool, caplog: pytest.LogCaptureFixture) -> None:
    clock, ledger, sink = Clock(), FaultyLedger(), MemorySink()
    visitor = Visitor(install(page_app(), ledger=ledger, access_log=sink, clock=clock), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get()
    (granted,) = ledger.kept
    traced = len(sink.records)
    assert traced
    visitor.jar |= {"_ga": "1"}
    ledger.fault = FULL
    clock.forward(seconds=600)
    reply = visitor.send_form("choice=refuse_all&next=/") if by_form else visitor.refuse()
    assert reply.status == (303 if by_form else 200)
    assert visitor.jar.keys() & {"_ga", "__Host-visitor"} == set()
    visitor.get()
    assert len(sink.records) == traced
    assert visitor.state()["status"] == "refused"
    assert visitor.accept().status == 503
    assert visitor.state()["status"] == "refused"
    (told,) = told_records(caplog)
    assert told["consent_id"] == granted["consent_id"]
    assert told["decided_at"] == visitor.state()["decided_at"]


def test_withdrawal_comes_into_chain_before_next_answer_with_its_own_time(caplog: pytest.LogCaptureFixture) -> None:
    clock, ledger = Clock(), FaultyLedger()
    app = install(page_app(), ledger=ledger, clock=clock)
    visitor, other = Visitor(app), Visitor(app)
    visitor.accept()
    ledger.fault = FULL
    clock.forward(seconds=600)
    withdrawn_at = visitor.refuse().json["decided_at"]
    ledger.fault = None
    clock.forward(seconds=1200)
    other.accept()
    visitor.accept()
    granted, of_other, withdrawn, again = ledger.kept
    assert [record["event"] for record in ledger.kept] == ["granted", "granted", "withdrawn", "granted"]
    assert of_other["consent_id"] != granted["consent_id"] == withdrawn["consent_id"] == again["consent_id"]
    assert (withdrawn["previous"], again["previous"]) == (granted["record_id"], withdrawn["record_id"])
    assert withdrawn["decided_at"] == withdrawn_at < of_other["decided_at"]
    assert [record["record_id"] for record in told_records(caplog)] == [withdrawn["record_id"]]
    assert f"The ledger has kept the record that waited: {withdrawn['record_id']}" in caplog.messages
    chronology = Chronology((), int(clock()))
    assert verify(ledger.links(), inspect=chronology.check).wrong is None
    assert list(chronology.findings()) == []


def test_withdrawal_whose_reply_was_lost_is_kept_once(caplog: pytest.LogCaptureFixture) -> None:
    clock, ledger = Clock(), FaultyLedger()
    visitor = Visitor(install(page_app(), ledger=ledger, clock=clock))
    visitor.accept()
    ledger.loses_replies = True
    visitor.refuse()
    ledger.loses_replies = False
    clock.forward(seconds=600)
    visitor.accept()
    assert [record["event"] for record in ledger.kept] == ["granted", "withdrawn", "granted"]
    assert f"The ledger has kept the record that waited: {ledger.kept[1]['record_id']}" in caplog.messages


def test_answer_of_another_visitor_brings_no_withdrawal_but_its_own() -> None:
    clock, ledger = Clock(), FaultyLedger()
    app = install(page_app(), ledger=ledger, clock=clock)
    visitor, other = Visitor(app), Visitor(app)
    visitor.accept()
    other.accept()
    ledger.fault = FULL
    clock.forward(seconds=90)
    visitor.refuse()
    ledger.fault = None
    clock.forward(seconds=90)
    other.refuse()
    assert [record["event"] for record in ledger.kept] == ["granted", "granted", "withdrawn"]
    assert ledger.kept[-1]["consent_id"] == ledger.kept[1]["consent_id"]
    visitor.accept()
    assert [record["event"] for record in ledger.kept[3:]] == ["withdrawn", "granted"]


def test_withdrawal_that_waited_too_long_stays_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock, ledger = Clock(), FaultyLedger()
    visitor = Visitor(install(page_app(), ledger=ledger, clock=clock))
    visitor.accept()
    ledger.fault = FULL
    visitor.refuse()
    ledger.fault = None
    clock.forward(seconds=3060)
    visitor.accept()
    assert [record["status"] for record in ledger.kept] == ["granted", "granted"]
    assert [record["status"] for record in told_records(caplog)] == ["refused"]
    assert not any("has kept" in message for message in caplog.messages)


def test_waiting_record_comes_into_ledger_without_another_answer() -> None:
    ledger = FaultyLedger(FULL)
    app = install(page_app(), ledger=ledger)

    async def visit() -> None:
        await response_to(app, scope("POST", PREFIX, [JSON, OWN]), bodies(b'{"choice": "refuse_all"}'))
        await trio.sleep(WAIT)
        assert ledger.kept == []
        ledger.fault = None
        await trio.sleep(WAIT)
        assert [record["event"] for record in ledger.kept] == ["refused"]

    trio.run(visit, clock=trio.testing.MockClock(autojump_threshold=0))


def test_older_withdrawal_does_not_follow_newer_answer_of_another_process() -> None:
    clock, ledger = Clock(), FaultyLedger()
    one, other = (install(page_app(), ledger=ledger, clock=clock) for _ in range(2))

    visitor = Visitor(one)
    visitor.accept()
    ledger.fault = FULL
    visitor.refuse()
    ledger.fault = None
    clock.forward(seconds=90)
    visitor.app = other
    visitor.accept()

    async def wait() -> None:
        ledger.fault = FULL
        await response_to(one, scope("POST", PREFIX, [JSON, OWN]), bodies(b'{"choice": "refuse_all"}'))
        ledger.fault = None
        await trio.sleep(WAIT)

    trio.run(wait, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [record["event"] for record in ledger.kept] == ["granted", "granted", "refused"]


def test_no_more_than_a_thousand_refusals_wait(caplog: pytest.LogCaptureFixture) -> None:
    ledger = FaultyLedger(FULL)
    app = install(page_app(), ledger=ledger)

    async def visit() -> None:
        for _ in range(MAX_WAITING + 5):
            await response_to(app, scope("POST", PREFIX, [JSON, OWN]), bodies(b'{"choice": "refuse_all"}'))
        ledger.fault = None
        await trio.sleep(WAIT)

    trio.run(visit, clock=trio.testing.MockClock(autojump_threshold=0))
    assert len(ledger.kept) == MAX_WAITING
    assert len(told_records(caplog)) == MAX_WAITING + 5


SAVES_BOTH = {"choice": "save", "purposes": {"media": True}}


@pytest.mark.parametrize("by_form", [False, True])
def test_answer_that_also_grants_holds_in_what_it_refuses_while_ledger_fails(by_form: bool) -> None:
    ledger = FaultyLedger()
    visitor = Visitor(install(page_app(), ledger=ledger))
    visitor.save(analytics=True)
    visitor.jar |= {"_ga": "1"}
    ledger.fault = FULL
    form = "choice=save&purpose=media&surface=settings"
    reply = visitor.send_form(form) if by_form else visitor.save(media=True)
    assert reply.status == 503
    if by_form:
        assert text_of(policy(), "en", "error_unavailable") in reply.text
    state = visitor.state()
    assert state["purposes"] == {"necessary": True, "analytics": False, "media": False}
    assert visitor.jar.keys() == {"__Host-consent"}
    ledger.fault = None
    visitor.save(media=True)
    assert [(record["granted"], record["refused"]) for record in ledger.kept] == [
        (["analytics"], ["media"]),
        ([], ["analytics", "media"]),
        (["media"], ["analytics"]),
    ]


def test_what_is_granted_again_in_an_answer_stays_granted_while_ledger_fails() -> None:
    ledger = FaultyLedger()
    visitor = Visitor(install(page_app(), ledger=ledger))
    visitor.accept()
    ledger.fault = FULL
    assert visitor.save(media=True).status == 200
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert visitor.save(media=True).status == 503, "it renews a grant"


def test_ledger_failure_is_explained_to_form_on_a_page() -> None:
    reply = Visitor(install(ledger=FaultyLedger(FULL)), [("accept-language", "ja")]).send_form("choice=accept_all")
    assert reply.status == 503
    assert text_of(policy(), "ja", "error_unavailable") in reply.text
    assert reply.all("set-cookie") == []


def test_refusal_waits_two_seconds_for_hanging_ledger() -> None:
    app = install(page_app(), ledger=FaultyLedger(anyio.sleep_forever))

    async def refuse() -> tuple[int, float]:
        reply = await response_to(app, scope("POST", PREFIX, [JSON, OWN]), bodies(b'{"choice": "refuse_all"}'))
        return reply.status, trio.current_time()

    began = trio.testing.MockClock(autojump_threshold=0)
    status, ended = trio.run(refuse, clock=began)
    assert (status, ended) == (200, 2)


@pytest.mark.slow
def test_hanging_ledger_times_out_without_delaying_other_requests() -> None:
    app = install(reply_app(b"a page"), ledger=FaultyLedger(anyio.sleep_forever))

    async def visit() -> tuple[Reply, list[Message]]:
        request = scope("POST", PREFIX, [JSON, OWN])
        answer = asyncio.create_task(response_to(app, request, bodies(b'{"choice": "accept_all"}')))
        await asyncio.sleep(0)
        page = await drive(app, scope(), bodies(b""))
        assert not answer.done()
        return await answer, page

    reply, page = asyncio.run(visit())
    assert page[1]["body"] == b"a page"
    assert reply.status == 503
    assert reply.all("set-cookie") == []


def test_failing_ledger_does_not_affect_page_views() -> None:
    visitor = Visitor(install(ledger=FaultyLedger(FULL)))
    assert visitor.get().status == 200
    assert visitor.state()["status"] == "unknown"
    assert visitor.get(PREFIX).status == 200


def test_cancelled_answer_raises_cancelled_error() -> None:
    async def visit() -> None:
        answer = asyncio.create_task(
            drive(
                install(ledger=FaultyLedger(anyio.sleep_forever)),
                scope("POST", PREFIX, [JSON, OWN]),
                bodies(b'{"choice": "accept_all"}'),
            )
        )
        for _ in range(20):
            await asyncio.sleep(0)
        answer.cancel()
        await answer

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(visit())


# Services with conditions of their own.


def test_answer_on_service_page_skips_purposes_refused_by_service() -> None:
    visitor = Visitor(install(page_app()), [("accept", "text/html")])
    text = visitor.get("/whois").text
    assert 'name="service" value="whois"' in text
    visitor.send_form("choice=accept_all&source=banner&service=whois&next=/whois")
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert visitor.state()["should_ask"] is True
    visitor.refuse()
    visitor.send_form("choice=accept_all&service=whois")
    assert visitor.state()["should_ask"] is False
    assert visitor.state()["purposes"]["analytics"] is False


def test_old_answer_within_lifetime_of_the_site_is_changed_on_service_page() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock, consent_days=390))
    visitor.accept()
    clock.forward(days=389)
    visitor.send_form("choice=refuse_all&service=whois")
    assert [record["event"] for record in ledger.kept] == ["granted", "changed"]
    assert len({record["consent_id"] for record in ledger.kept}) == 1


SHOP = '\n[services.shop]\nhost = "shop.example"\n[services.shop.purposes.media]\nrefused = true\n'


def test_answer_skips_only_purposes_refused_by_its_own_service() -> None:
    visitor = Visitor(install(text=SITE + SHOP))
    visitor.send_form("choice=accept_all&service=whois")
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "media": True}


def test_answer_on_service_host_counts_for_whole_site() -> None:
    visitor = Visitor(install(text=SITE + SHOP))
    reply = visitor.request("POST", PREFIX, [JSON, OWN], b'{"choice": "accept_all"}', host="shop.example")
    assert reply.json["purposes"]["media"] is False
    assert visitor.state()["purposes"]["analytics"] is True


# Limits.


def alternating(visitor: Visitor, times: int, clock: Clock) -> list[int]:
    """Accept and refuse in turn, a second apart; return the status codes."""
    codes = []
    for number in range(times):
        clock.forward(seconds=1)
        codes.append((visitor.refuse if number % 2 else visitor.accept)().status)
    return codes


@pytest.mark.slow
def test_answers_over_hourly_limit_get_429_but_refusals_are_taken(tmp_path: Path) -> None:
    clock, ledger = Clock(), open_ledger(ledger_url(tmp_path))
    app = install(ledger=ledger, clock=clock)
    visitor = Visitor(app)
    codes = alternating(visitor, 100, clock)
    assert codes == [200] * 62 + [429, 200] * 19
    reply = visitor.accept()
    assert (reply.status, reply.all("set-cookie")) == (429, [])
    assert 3400 < int(reply.get("retry-after")) <= 3600
    assert ledger.size() == 62
    clock.forward(seconds=3600)
    assert visitor.accept().status == 200
    ledger.close()


@pytest.mark.slow
def test_answer_limit_is_explained_on_a_page_in_visitors_language() -> None:
    clock = Clock()
    visitor = Visitor(install(ledger=MemoryLedger(), clock=clock))
    alternating(visitor, 62, clock)
    reply = visitor.send_form("choice=accept_all&language=ja&next=/offices")
    assert reply.status == 429
    assert text_of(policy(), "ja", "error_too_many") in reply.text
    assert 'href="/offices"' in reply.text


@pytest.mark.slow
def test_withdrawal_over_answer_limit_is_recorded_once() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    alternating(visitor, 61, clock)
    assert visitor.state()["status"] == "granted"
    clock.forward(seconds=1)
    assert visitor.save(analytics=True).status == 200
    assert [(record["event"], record["granted"]) for record in ledger.kept[-1:]] == [("changed", ["analytics"])]
    kept = len(ledger.kept)
    for _ in range(20):
        clock.forward(seconds=61)
        assert visitor.refuse().status == 200
        assert visitor.post({"choice": "refuse_all"}, [("sec-gpc", "1")]).status == 200
    assert visitor.state()["status"] == "refused"
    assert [record["event"] for record in ledger.kept[kept:]] == ["withdrawn"]


@pytest.mark.slow
def test_signals_and_old_cookies_do_not_evade_answer_limit() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock), [("user-agent", PHONE)])
    alternating(visitor, 61, clock)
    earlier = dict(visitor.jar)
    visitor.refuse()
    for _ in range(10):
        clock.forward(seconds=61)
        assert visitor.refuse().status == 200
        visitor.jar = dict(earlier)
        visitor.get("/", [("sec-gpc", "1")])
        assert visitor.refuse().status == 200
        assert visitor.state()["status"] == "refused"
    answers = [record for record in ledger.kept if record["event"] != "signal"]
    assert len(answers) == 62


@pytest.mark.slow
def test_answer_limit_is_per_visitor_and_needs_a_ledger() -> None:
    clock = Clock()
    app = install(ledger=MemoryLedger(), clock=clock)
    alternating(Visitor(app), 70, clock)
    assert Visitor(app).accept().status == 200
    assert set(alternating(Visitor(install(clock=clock)), 70, clock)) == {200}
