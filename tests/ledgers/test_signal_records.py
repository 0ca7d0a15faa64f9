"""Tests of signal records: each change of the purposes that a signal refuses is kept once, and no page waits for it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.decision.decision import Decision, decide
from cookie_consent.ledgers import Ledger, MemoryLedger, background
from cookie_consent.ledgers.background import SignalProofs
from tests.support.asgi import (
    PREFIX,
    ROBOT,
    Clock,
    Fields,
    Visitor,
    bodies,
    install,
    policy,
    reply_app,
    response_to,
    scope,
)
from tests.support.faulty_ledger import FaultyLedger
from tests.support.policies import NOW, granting_record

GPC, DNT = ("sec-gpc", "1"), ("dnt", "1")


def visit(*visits: tuple[ASGIApp, Visitor, Fields], times: int = 1, path: str = "/") -> None:
    """Send the requests of several visitors at once, so many times, and wait for all background tasks."""

    async def send_all() -> None:
        for _ in range(times):
            requests = []
            for app, visitor, headers in visits:
                cookies = ("cookie", "; ".join(f"{name}={value}" for name, value in visitor.jar.items()))
                requests.append(response_to(app, scope("GET", path, [*headers, cookies]), bodies(b"")))
            for reply in await asyncio.gather(*requests):
                assert reply.status == 200
        begun = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*begun)

    asyncio.run(send_all())


def kept(visitor: Visitor) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = visitor.get(f"{PREFIX}/export").json["consent_records"]
    return records


def accepting_visitor(app: ASGIApp) -> Visitor:
    visitor = Visitor(app)
    visitor.accept()
    return visitor


@pytest.mark.requirement("SG-06")
def test_many_requests_with_a_signal_leave_one_record(ledger: Ledger) -> None:
    clock = Clock()
    app = install(ledger=ledger, clock=clock)
    visitor = accepting_visitor(app)
    clock.forward(days=1)
    visit(*[(app, visitor, [GPC])] * 50, times=2)
    first, signal = kept(visitor)
    assert (signal["event"], signal["source"], signal["signals"]) == ("signal", "signal", ["gpc"])
    assert (signal["granted"], signal["refused"], signal["status"]) == (["analytics"], ["media"], "partial")
    assert (signal["consent_id"], signal["expires_at"]) == (first["consent_id"], first["expires_at"])
    assert signal["decided_at"] == "2025-06-16T15:06:40Z"


def test_each_answer_gets_its_own_signal_record() -> None:
    clock, ledger = Clock(), MemoryLedger()
    app = install(ledger=ledger, clock=clock)
    first, second = accepting_visitor(app), accepting_visitor(app)
    visit((app, first, [GPC]), (app, second, [GPC]), times=2)
    clock.forward(days=1)
    first.accept()
    visit((app, first, [GPC]), times=2)
    assert [record["event"] for record in kept(first)] == ["granted", "signal", "granted", "signal"]
    assert [record["event"] for record in kept(second)] == ["granted", "signal"]


def test_each_change_of_signals_leaves_record(ledger: Ledger) -> None:
    app = install(ledger=ledger)
    visitor = accepting_visitor(app)
    for headers in ([], [GPC], [GPC, DNT], [DNT], [], [], [GPC], []):
        visit((app, visitor, headers), times=3)
    first, *records = kept(visitor)
    assert [(record["event"], record["signals"], record["granted"], record["status"]) for record in records] == [
        ("signal", ["gpc"], ["analytics"], "partial"),
        ("signal", ["dnt", "gpc"], [], "refused"),
        ("signal", ["dnt"], ["media"], "partial"),
        ("changed", [], ["analytics", "media"], "granted"),
        ("signal", ["gpc"], ["analytics"], "partial"),
        ("changed", [], ["analytics", "media"], "granted"),
    ]
    assert {record["source"] for record in records} == {"signal"}
    assert [record["previous"] for record in records] == [record["record_id"] for record in [first, *records[:-1]]]


def test_end_of_signal_is_recorded_after_restart(ledger: Ledger) -> None:
    clock = Clock()

    def start() -> ASGIApp:
        return install(ledger=ledger, clock=clock)

    one = start()
    visitor = accepting_visitor(one)
    for app, headers in ((one, [GPC]), (start(), []), (start(), []), (one, []), (start(), [GPC]), (start(), [GPC])):
        clock.forward(days=1)
        visit((app, visitor, headers))
    assert [record["granted"] for record in kept(visitor)[1:]] == [["analytics"], ["analytics", "media"], ["analytics"]]


def test_outdated_cookie_leaves_no_signal_record(ledger: Ledger) -> None:
    clock = Clock()
    app = install(ledger=ledger, clock=clock)
    late = accepting_visitor(app)
    before = dict(late.jar)
    clock.forward(days=1)
    late.refuse()
    late.jar = before
    visit((app, late, [GPC]))
    visit((app, late, []))
    assert [record["event"] for record in kept(late)] == ["granted", "withdrawn"]


def forge(visitor: Visitor) -> None:
    visitor.accept()
    visitor.jar["__Host-consent"] = visitor.jar["__Host-consent"][:-1]


@pytest.mark.parametrize(
    "prepare",
    [
        lambda visitor: None,
        Visitor.refuse,
        lambda visitor: visitor.save(analytics=True),
        lambda visitor: visitor.post({"choice": "accept_all"}, [GPC]),
        lambda visitor: visitor.post({"choice": "save", "purposes": {"analytics": True, "media": True}}, [GPC]),
        forge,
    ],
)
def test_signal_that_refuses_nothing_leaves_no_record(prepare: Any, ledger: Ledger) -> None:
    clock = Clock()
    app = install(ledger=ledger, clock=clock)
    visitor = Visitor(app)
    prepare(visitor)
    before = ledger.size()
    for headers in ([GPC], [], [GPC, ("user-agent", ROBOT)]):
        clock.forward(days=1)
        visit((app, visitor, headers), times=2)
    assert ledger.size() == before


@pytest.mark.requirement("SG-12")
@pytest.mark.slow
def test_signal_records_are_limited_per_hour() -> None:
    clock, ledger = Clock(), MemoryLedger()
    app = install(ledger=ledger, clock=clock)
    visitor = accepting_visitor(app)
    for _ in range(50):
        visit((app, visitor, [GPC]))
        visit((app, visitor, []))
    assert len(ledger.kept) == 61
    clock.forward(seconds=3600)
    visit((app, visitor, [GPC]), times=2)
    assert ledger.kept[-1]["signals"] == ["gpc"]
    assert len(ledger.kept) == 62


def test_ledger_is_read_only_for_grants_that_signals_can_refuse() -> None:
    ledger = FaultyLedger()
    app = install(ledger=ledger)
    refused, partly = Visitor(app), Visitor(app)
    refused.refuse()
    visit((app, refused, []), (app, refused, [GPC]), (app, Visitor(app), []))
    assert ledger.arguments("last") == []
    partly.save(analytics=True)
    visit((app, partly, []), times=100)
    assert len(ledger.arguments("last")) == 1


def failing_ledger(times: int) -> FaultyLedger:
    """Return a ledger whose first attempts to keep a signal fail."""

    def fail() -> None:
        if 0 < tries(ledger) <= times and ledger.arguments("append")[-1].document["event"] == "signal":
            raise OSError("no space left")

    ledger = FaultyLedger(fail)
    return ledger


def tries(ledger: FaultyLedger) -> int:
    return sum(entry.document["event"] == "signal" for entry in ledger.arguments("append"))


def test_failed_signal_record_is_retried_while_pages_are_served(caplog: pytest.LogCaptureFixture) -> None:
    clock, ledger = Clock(), failing_ledger(times=2)
    app = install(reply_app(b"a page"), ledger=ledger, clock=clock)
    visitor = accepting_visitor(app)
    for seconds, tried, records in ((0, 1, 1), (9, 1, 1), (1, 2, 1), (9, 2, 1), (1, 3, 2), (0, 3, 2)):
        clock.forward(seconds=seconds)
        visit((app, visitor, [GPC]), times=2)
        assert (tries(ledger), len(ledger.kept)) == (tried, records)
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    message = "The ledger could not keep the record of a signal: OSError no space left"
    assert [record.getMessage() for record in logged] == [message] * 2
    assert not any(record.exc_info for record in logged), "each error is one line"
    assert ledger.kept[-1]["event"] == "signal"


def test_failing_ledger_is_retried_once_for_all_visitors() -> None:
    clock, ledger = Clock(), failing_ledger(times=1)
    app = install(ledger=ledger, clock=clock)
    first, second = accepting_visitor(app), accepting_visitor(app)
    visit((app, first, [GPC]))
    visit((app, second, [GPC]), (app, first, [GPC]))
    assert tries(ledger) == 1
    clock.forward(seconds=10)
    visit((app, second, [GPC]), (app, first, [GPC]))
    assert [record["event"] for record in (*kept(first), *kept(second))] == ["granted", "signal"] * 2


def test_page_does_not_wait_for_stalled_ledger() -> None:
    begun = asyncio.Event()

    async def hang() -> None:
        if ledger.arguments("append")[-1].document["event"] == "signal":
            begun.set()
            await asyncio.Event().wait()

    ledger = FaultyLedger(hang, {"append"})
    seen: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await begun.wait()  # the record is being kept while the page is made
        await reply_app(b"a page")(scope, receive, send)
        seen.append(b"a page")

    site = install(app, ledger=ledger)
    visitor = accepting_visitor(site)
    assert visitor.get("/", [GPC]).body == b"a page"
    assert seen == [b"a page"]


def note_all(signal_proofs: SignalProofs, *decisions: Decision) -> None:
    async def note_each() -> None:
        for decision in decisions:
            signal_proofs.note(decision)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    asyncio.run(note_each())


@pytest.mark.requirement("SG-12")
def test_remembered_signals_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_MAX_NOTED", 20)
    ledger, site = FaultyLedger(), policy()
    proofs = SignalProofs(ledger, lambda: NOW)
    decisions = [decide(site, granting_record(site, consent_id=f"v{n}"), frozenset({"gpc"}), NOW) for n in range(21)]
    for number, asked in ((range(20), 20), ([0, 19], 20), ([20], 21), ([0], 22)):
        note_all(proofs, *(decisions[each] for each in number))
        assert len(ledger.arguments("last")) == asked
