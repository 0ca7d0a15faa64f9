"""Tests of taking an answer: response, visitor id, ledger, services and limits."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from cookie_consent.base.bounds import LONGEST_WAIT
from cookie_consent.decision.own_cookies import HTTPS
from cookie_consent.ledgers import Entry, MemoryLedger
from cookie_consent.ledgers.background import PAUSE
from cookie_consent.ledgers.chain import verify
from cookie_consent.ledgers.chronology import Chronology
from cookie_consent.sinks import MemorySink
from tests.support.asgi import (
    NOW,
    PHONE,
    PREFIX,
    SITE,
    Clock,
    Visitor,
    bodies,
    drive,
    install,
    page_app,
    policy,
    response_to,
    scope,
    without_form_ids,
)
from tests.support.faulty_ledger import FaultyLedger
from tests.support.policies import text_of
from tests.support.waiting import eventually

ERASING = SITE.replace("traces = true", "traces = true\nerase_on_withdrawal = true")
TWO = ERASING.replace("[purposes.media]", '[purposes.media]\ntraces = true\nretention = "30 days"', 1)
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


@pytest.mark.requirement("CK-21", "CK-22")
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


# Its cookies, and the tracing that it begins or ends.


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["__Host-consent"]),
        ({"access_log": MemorySink()}, ["__Host-consent", "__Host-visitor"]),
        ({"shared_pages": True}, ["__Host-consent", "__Host-consent-state"]),
        (
            {"cookie_prefix": "shop-", "consent_days": 30, "access_log": MemorySink()},
            ["__Host-shop-consent", "__Host-shop-visitor"],
        ),
    ],
)
def test_options_say_which_cookies_a_grant_sets(options: dict[str, Any], names: list[str]) -> None:
    cookies = Visitor(install(**options)).accept().set_cookies
    assert list(cookies) == names
    days = options.get("consent_days", 184)
    assert cookies[names[0]].endswith(f"; Max-Age={days * 86_400}; Path=/; HttpOnly; SameSite=Lax; Secure")
    if names[-1].endswith("visitor"):
        assert re.match(r"__Host-[\w-]*visitor=[\w-]{22}\.", cookies[names[-1]])
        assert cookies[names[-1]].endswith("; Max-Age=34128000; Path=/; HttpOnly; SameSite=Lax; Secure")


@pytest.mark.requirement("SG-05")
def test_answer_in_sight_of_a_signal_overrides_it_from_then_on() -> None:
    visitor = Visitor(install())
    visitor.accept()
    visitor.get(f"{PREFIX}/state", [("sec-gpc", "1")])
    (signal,) = visitor.jar.keys() - {"__Host-consent"}
    visitor.save(media=True)
    assert signal not in visitor.jar
    assert visitor.state()["purposes"]["media"]


def test_visitor_id_exists_only_while_tracing_is_granted() -> None:
    visitor = Visitor(install(access_log=MemorySink()))
    for answer, has_id, begins in (
        ({"media": True}, False, False),
        ({"analytics": True}, True, True),
        ({"analytics": True, "media": True}, True, False),
        ({"media": True}, False, False),
    ):
        reply = visitor.save(**answer)
        assert ("__Host-visitor" in visitor.jar) is has_id
        assert reply.json.get("tracing_began", False) is begins


@pytest.mark.parametrize(
    ("text", "answer", "kept"),
    [
        (SITE, {"choice": "refuse_all"}, True),
        (SITE, {"choice": "save", "purposes": {"analytics": True}}, None),
        (ERASING, {"choice": "refuse_all"}, False),
        (ERASING, {"choice": "save", "purposes": {"media": True}}, False),
        (ERASING, {"choice": "accept_all", "service": "whois"}, None),
        # Both purposes trace, and one promises to erase.
        (TWO, {"choice": "refuse_all"}, False),
        (TWO, {"choice": "save", "purposes": {"media": True}}, None),
    ],
)
def test_withdrawal_of_tracing_keeps_former_id_for_erasure_or_erases(
    text: str, answer: dict[str, Any], kept: bool | None
) -> None:
    sink = MemorySink()
    visitor = Visitor(install(text=text, access_log=sink), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get()
    former = visitor.jar["__Host-visitor"].partition(".")[0]
    cookies = visitor.post(answer).set_cookies
    assert ("__Host-visitor" in visitor.jar) is (kept is None)
    erasure = [line for name, line in cookies.items() if "erasure" in name]
    assert [former in line for line in erasure] == ([True] if kept else [])
    assert eventually(lambda: bool(sink.records) is (kept is not False))


def test_end_of_tracing_erases_for_whom_no_cookie_could_keep_the_id() -> None:
    """The consent has ended, the visitor id is replaced, and the policy promises to erase."""
    clock, sink = Clock(), MemorySink()
    visitor = Visitor(install(text=ERASING, access_log=sink, clock=clock), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get()
    assert sink.records
    clock.forward(days=185)
    visitor.accept()
    assert eventually(lambda: not sink.records)
    assert visitor.jar.keys() == {"__Host-consent", "__Host-visitor"}


CAME = b"referrer=https%3A%2F%2Fother.example%2Fpage"


@pytest.mark.parametrize(
    ("query", "body", "referrer"),
    [
        (CAME, "choice=accept_all&source=banner&next=/", "https://other.example"),
        (CAME, "choice=accept_all&source=feature&next=/", "https://other.example"),
        (b"referrer=%3Futm_source%3Dnews%26id%3D1", "choice=accept_all&source=banner&next=/", "?utm_source=news"),
        (b"", "choice=accept_all&source=banner&next=/", ""),
        (CAME, "choice=accept_all&source=settings&next=/", None),
        (CAME, "choice=accept_all&source=banner", None),
        (CAME, {"choice": "accept_all", "source": "banner", "next": "/"}, "https://other.example"),
        (b"", {"choice": "accept_all", "source": "banner", "next": "/"}, None),
    ],
)
def test_new_visitor_id_keeps_referrer_if_the_page_is_loaded_again(
    query: bytes, body: str | dict[str, str], referrer: str | None
) -> None:
    app = install(access_log=MemorySink(), clock=Clock())
    visitor = Visitor(app)
    if isinstance(body, str):
        visitor.send_form(body, query=query)
    else:
        visitor.post(body, query=query)
    found = app._site.own_cookies.read_visitor(visitor.cookies.encode(), NOW, HTTPS)
    assert found is not None
    assert found.referrer == referrer


ACCEPT, REFUSE = {"choice": "accept_all"}, {"choice": "refuse_all"}


@pytest.mark.parametrize(
    ("earlier", "answer", "counts"),
    [
        (
            [],
            {**ACCEPT, "first": "1", "next": "/offices%20/tokyo?a=b", "language": "ja"},
            "ja answered_first, ja granted, granted_by_device mobile, granted_by_prefix /offices ,"
            " granted_by_purpose analytics, granted_by_purpose media",
        ),
        ([], ACCEPT, "en granted, granted_by_device mobile, granted_by_purpose analytics, granted_by_purpose media"),
        ([], REFUSE, "en refused, refused_by_purpose analytics, refused_by_purpose media"),
        (
            [],
            {"choice": "grant", "purposes": {"media": True}},
            "en partial, granted_by_purpose media",
        ),
        (
            [ACCEPT],
            {**REFUSE, "first": "1"},
            "en withdrawn, withdrawn_by_purpose analytics, withdrawn_by_purpose media",
        ),
        (
            [REFUSE],
            {"choice": "save", "purposes": {"media": True}, "first": "1"},
            "en changed, en partial, changed_by_purpose media, granted_by_purpose media",
        ),
        (
            [ACCEPT],
            {"choice": "save", "purposes": {"media": True}},
            "en changed, en partial, withdrawn_by_purpose analytics",
        ),
        (
            [{"choice": "grant", "purposes": {"media": True}}],
            {"choice": "save", "purposes": {"media": True}, "first": "1"},
            "en answered_first, en partial, refused_by_purpose analytics",
        ),
        ([ACCEPT], ACCEPT, ""),
    ],
)
def test_answer_is_counted_with_what_it_says(
    earlier: list[dict[str, Any]], answer: dict[str, Any], counts: str
) -> None:
    sink, clock = MemorySink(), Clock()
    app = install(access_log=sink, ledger=MemoryLedger(), clock=clock)
    log = app._site.access_log
    assert log is not None
    visitor = Visitor(app, [("user-agent", PHONE)])
    for one in earlier:
        visitor.post(one)
        log.counts.flush()
        sink.counts.clear()
    clock.forward(seconds=1)
    visitor.post(answer)
    log.counts.flush()
    found = []
    for count in sink.counts:
        assert (count["count.value"], count["server.address"]) == (1, "site.example")
        words = (count.get("consent.language"), count["count.name"], count.get("count.detail"))
        if not count["count.name"].endswith(("by_policy", "changed_by_device")):
            found.append(" ".join(filter(None, words)))
    assert sorted(found) == sorted(counts.split(", ") if counts else [])


def test_answer_over_a_limit_is_counted_if_it_is_new() -> None:
    sink = MemorySink()
    app = install(access_log=sink, ledger=MemoryLedger())
    app._site.limits["first answers from addresses that are not public"].most = 0
    Visitor(app).refuse()
    log = app._site.access_log
    assert log is not None
    log.counts.flush()
    assert [count["count.name"] for count in sink.counts if "_by_" not in count["count.name"]] == ["refused"]


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


@pytest.mark.requirement("CK-20")
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


@pytest.mark.requirement("DG-06")
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
    clock = Clock()
    visitor = Visitor(install(page_app(), ledger=FaultyLedger(FULL), clock=clock))
    visitor.jar |= {"_ga": "1"}
    reply = visitor.refuse()
    assert reply.status == 200
    assert (reply.json["status"], reply.json["should_ask"]) == ("refused", False)
    assert visitor.jar.keys() == {"__Host-consent"}
    assert b"refuse_all" not in visitor.get(headers=[("accept", "text/html")]).body
    (told,) = told_records(caplog)
    assert (told["consent_id"], told["status"], told["refused"]) == (None, "refused", ["analytics", "media"])
    clock.forward(seconds=61)
    assert visitor.refuse().status == 200, "also if it refuses nothing more"


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


# Services with conditions of their own.


@pytest.mark.requirement("PO-02")
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


SHOP = '\n[services.shop]\nhost = "shop.example"\n[services.shop.purposes.media]\nrefused = true\n'


def test_answer_on_service_host_counts_for_whole_site() -> None:
    visitor = Visitor(install(text=SITE + SHOP))
    reply = visitor.request("POST", PREFIX, [JSON, OWN], b'{"choice": "accept_all"}', host="shop.example")
    assert reply.json["purposes"]["media"] is False
    assert visitor.state()["purposes"]["analytics"] is True


@pytest.mark.parametrize(("choice", "status", "seconds"), [("refuse_all", 200, 2), ("accept_all", 503, LONGEST_WAIT)])
def test_answer_waits_for_a_hanging_ledger_only_so_long(choice: str, status: int, seconds: float) -> None:
    app = install(ledger=FaultyLedger(anyio.sleep_forever))

    async def answer() -> tuple[int, float]:
        body = b'{"choice": "%b"}' % choice.encode()
        reply = await response_to(app, scope("POST", PREFIX, [JSON, OWN]), bodies(body))
        return reply.status, trio.current_time()

    assert trio.run(answer, clock=trio.testing.MockClock(autojump_threshold=0)) == (status, seconds)


# Limits.


class Limited(Visitor):
    """A visitor who may give two answers an hour, after the first."""

    def __init__(self) -> None:
        self.clock, self.ledger, self.sink = Clock(), MemoryLedger(), MemorySink()
        super().__init__(install(ledger=self.ledger, clock=self.clock, access_log=self.sink))
        self.app._site.limits["answers"].most = 2  # type: ignore[attr-defined]

    def answer(self, *choices: str) -> list[int]:
        """Give answers, more than a minute apart; return the status codes."""
        codes = []
        for choice in choices:
            self.clock.forward(seconds=61)
            codes.append(self.post({"choice": choice}).status)
        return codes

    @property
    def events(self) -> list[str]:
        return [record["event"] for record in self.ledger.kept]


def test_answers_over_the_limit_get_429_and_refusals_are_taken_and_recorded_once() -> None:
    visitor = Limited()
    assert visitor.answer(*["accept_all", "refuse_all"] * 2) == [200] * 4
    assert visitor.answer(*["accept_all", "refuse_all"] * 2) == [429, 200] * 2
    assert visitor.events == ["granted", "withdrawn"] * 2
    assert visitor.state()["status"] == "refused"
    assert visitor.state()["decided_at"] == visitor.ledger.kept[-1]["decided_at"]
    reply = visitor.send_form("choice=accept_all&language=ja&next=/offices")
    assert (reply.status, reply.all("set-cookie")) == (429, [])
    assert 3000 < int(reply.get("retry-after")) <= 3600
    assert text_of(policy(), "ja", "error_too_many") in reply.text
    assert 'href="/offices"' in reply.text
    assert Visitor(visitor.app).accept().status == 200
    visitor.clock.forward(seconds=3600)
    assert visitor.answer("accept_all") == [200]


def test_old_cookies_do_not_evade_the_limit() -> None:
    visitor = Limited()
    visitor.answer("accept_all", "refuse_all", "accept_all")
    earlier = dict(visitor.jar)
    for _ in range(3):
        visitor.jar = dict(earlier)
        visitor.clock.forward(seconds=61)
        visitor.get("/", [("sec-gpc", "1")])
        assert visitor.save(analytics=True).json["purposes"]["media"] is False
    assert [event for event in visitor.events if event != "signal"] == ["granted", "withdrawn", "granted", "changed"]
    log = visitor.app._site.access_log  # type: ignore[attr-defined]
    log.counts.flush()
    changes = [count["count.value"] for count in visitor.sink.counts if count["count.name"] == "partial"]
    assert changes == [1], "what leaves no record, since it is there, is not counted again"


def test_limit_needs_a_ledger() -> None:
    app = install()
    app._site.limits["answers"].most = 0
    visitor = Visitor(app)
    assert [visitor.accept().status for _ in range(3)] == [200] * 3
