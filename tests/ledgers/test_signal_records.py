"""The proof that a signal switched off what was granted: once for each change, and no page waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.decision.decision import CONSENT_LIFETIME, Decision, decide
from cookie_consent.decision.own_cookies import new_id
from cookie_consent.decision.record import State
from cookie_consent.ledgers import Entry, Ledger, MemoryLedger, open_ledger
from cookie_consent.ledgers.signal_records import SignalProofs
from cookie_consent.policy.declarations import SignalRules
from tests.support.asgi import (
    PREFIX,
    ROBOT,
    Clock,
    Fields,
    Visitor,
    answer_to,
    answering,
    bodies,
    install,
    page,
    policy,
    scope,
)
from tests.support.policies import NOW, answered, granted, small

GPC, DNT = ("sec-gpc", "1"), ("dnt", "1")


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    ledger: Ledger = MemoryLedger() if request.param == "memory" else open_ledger(f"sqlite:///{tmp_path}/consent.db")
    yield ledger
    ledger.close()


def visit(*visits: tuple[ASGIApp, Visitor, Fields], times: int = 1, path: str = "/") -> None:
    """Let visitors look at a page, all at once and so many times, as a server does; wait for all that this begins."""

    async def all_of_it() -> None:
        for _ in range(times):
            requests = []
            for app, visitor, headers in visits:
                cookies = ("cookie", "; ".join(f"{name}={value}" for name, value in visitor.jar.items()))
                requests.append(answer_to(app, scope("GET", path, [*headers, cookies]), bodies(b"")))
            for reply in await asyncio.gather(*requests):
                assert reply.status == 200
        begun = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*begun)

    asyncio.run(all_of_it())


def kept(visitor: Visitor) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = visitor.get(f"{PREFIX}/export").json["consent_records"]
    return records


def who_accepted(app: ASGIApp) -> Visitor:
    visitor = Visitor(app)
    visitor.accept()
    return visitor


def test_a_hundred_requests_with_a_signal_leave_one_record(ledger: Ledger) -> None:
    clock = Clock()
    app = install(ledger=ledger, clock=clock)
    visitor = who_accepted(app)
    clock.forward(days=1)
    visit((app, visitor, [GPC]), times=100)
    first, signal = kept(visitor)
    assert (signal["event"], signal["source"], signal["signals"]) == ("signal", "signal", ["gpc"])
    assert (signal["granted"], signal["refused"], signal["status"]) == (["analytics"], ["media"], "partial")
    assert signal["consent_id"] == first["consent_id"]
    assert signal["decided_at"] == "2025-06-16T15:06:40Z"
    assert signal["expires_at"] == first["expires_at"]


def test_a_hundred_requests_at_once_leave_one_record(ledger: Ledger) -> None:
    app = install(ledger=ledger)
    visitor = who_accepted(app)
    visit(*[(app, visitor, [GPC])] * 100)
    assert [record["event"] for record in kept(visitor)] == ["granted", "signal"]


@pytest.mark.slow
def test_several_hosts_that_share_a_ledger_leave_one_record(tmp_path: Path) -> None:
    clock = Clock()
    apps = [install(ledger=f"sqlite:///{tmp_path}/consent.db", clock=clock) for _ in range(3)]
    visitor = who_accepted(apps[0])
    visit(*[(app, visitor, [GPC]) for app in apps], times=3)
    clock.forward(days=100)
    restarted = install(ledger=f"sqlite:///{tmp_path}/consent.db", clock=clock)
    visit((restarted, visitor, [GPC]), (apps[1], visitor, [GPC]))
    assert [record["event"] for record in kept(visitor)] == ["granted", "signal"]


def test_each_visitor_and_each_answer_has_a_record_of_its_own() -> None:
    clock, ledger = Clock(), MemoryLedger()
    app = install(ledger=ledger, clock=clock)
    first, second = who_accepted(app), who_accepted(app)
    visit((app, first, [GPC]), (app, second, [GPC]), times=2)
    clock.forward(days=1)
    first.accept()
    visit((app, first, [GPC]), times=2)
    assert [record["event"] for record in kept(first)] == ["granted", "signal", "granted", "signal"]
    assert [record["event"] for record in kept(second)] == ["granted", "signal"]


def test_each_change_of_what_signals_switch_off_is_a_record(ledger: Ledger) -> None:
    app = install(ledger=ledger)
    visitor = who_accepted(app)
    for headers in ([], [GPC], [GPC, DNT], [DNT], [], [], [GPC], []):
        visit((app, visitor, headers), times=3)
    first, *records = kept(visitor)
    assert [(record["signals"], record["granted"], record["status"]) for record in records] == [
        (["gpc"], ["analytics"], "partial"),
        (["dnt", "gpc"], [], "refused"),
        (["dnt"], ["media"], "partial"),
        ([], ["analytics", "media"], "granted"),
        (["gpc"], ["analytics"], "partial"),
        ([], ["analytics", "media"], "granted"),
    ]
    assert [record["event"] for record in records] == [*["signal"] * 3, "changed", "signal", "changed"]
    assert {record["source"] for record in records} == {"signal"}
    assert [record["previous"] for record in records] == [record["record_id"] for record in [first, *records[:-1]]]


@pytest.mark.slow
def test_that_a_signal_has_gone_is_seen_by_another_process_and_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()

    def start() -> ASGIApp:
        return install(ledger=f"sqlite:///{tmp_path}/consent.db", clock=clock)

    one = start()
    visitor = who_accepted(one)
    for app, headers in ((one, [GPC]), (start(), []), (start(), []), (one, []), (start(), [GPC]), (start(), [GPC])):
        clock.forward(days=1)
        visit((app, visitor, headers))
    assert [record["granted"] for record in kept(visitor)[1:]] == [["analytics"], ["analytics", "media"], ["analytics"]]


def test_an_answer_says_by_itself_that_what_a_signal_switched_off_is_granted(ledger: Ledger) -> None:
    app = install(ledger=ledger)
    visitor = who_accepted(app)
    visit((app, visitor, [GPC]))
    visitor.post({"choice": "accept_all"}, [GPC])
    visit((app, visitor, [GPC]), times=2)
    visit((app, visitor, []), times=2)
    assert [record["event"] for record in kept(visitor)] == ["granted", "signal", "granted"]


@pytest.mark.slow
def test_a_note_is_no_end_of_a_signal_and_its_records_stay_a_chain(ledger: Ledger) -> None:
    clock = Clock()
    visitor = who_accepted(install(ledger=ledger, clock=clock))

    def note() -> None:
        about = {"record": kept(visitor)[0]["record_id"], "note": f"At {clock()}"}
        assert visitor.post(about, path=f"{PREFIX}/records/note").status == 303

    for headers in ([], [GPC], [GPC], []):
        clock.forward(days=1)
        note()
        # As after a restart: what was noted in the process is gone.
        visit((install(ledger=ledger, clock=clock), visitor, headers))
    first, *records = kept(visitor)
    assert [record["event"] for record in records] == ["note", "note", "signal", "note", "note", "changed"]
    assert [record["previous"] for record in records] == [record["record_id"] for record in [first, *records[:-1]]]


def test_a_visitor_whose_records_are_only_notes_has_none_of_an_answer() -> None:
    ledger = MemoryLedger()
    app = install(ledger=ledger)
    visitor = who_accepted(app)
    (granted,) = ledger.kept
    note = {"event": "note", "record_id": "n", "about": granted["record_id"], "repeat_key": ""}
    other = MemoryLedger()
    asyncio.run(
        other.append(Entry(document={**granted, **note, "policy": None, "text": None, "prevailing_text": None}))
    )
    app = install(ledger=other)
    visit((app, visitor, []), times=2)
    visit((app, visitor, [GPC]), times=2)
    assert [record["event"] for record in other.kept] == ["note", "signal"]


def test_a_cookie_from_before_the_last_answer_leaves_no_record_after_it(ledger: Ledger) -> None:
    clock = Clock()
    app = install(ledger=ledger, clock=clock)
    late = who_accepted(app)
    before = dict(late.jar)
    clock.forward(days=1)
    late.refuse()
    late.jar = before
    visit((app, late, [GPC]))
    visit((app, late, []))
    assert [record["event"] for record in kept(late)] == ["granted", "withdrawn"]


@pytest.mark.slow
def test_a_browser_that_changes_its_mind_all_the_time_leaves_a_bounded_number_of_records() -> None:
    clock, ledger = Clock(), MemoryLedger()
    app = install(ledger=ledger, clock=clock)
    visitor = who_accepted(app)
    for _ in range(50):
        visit((app, visitor, [GPC]))
        visit((app, visitor, []))
    assert len(ledger.kept) == 61
    clock.forward(seconds=3600)
    visit((app, visitor, [GPC]), times=2)
    assert ledger.kept[-1]["signals"] == ["gpc"]
    assert len(ledger.kept) == 62


def test_nobody_is_looked_up_who_granted_nothing_that_a_signal_can_refuse() -> None:
    ledger = Counting()
    app = install(ledger=ledger)
    refused, partly = Visitor(app), Visitor(app)
    refused.refuse()
    visit((app, refused, []), (app, refused, [GPC]), (app, Visitor(app), []))
    assert ledger.looked == []
    partly.save(analytics=True)
    visit((app, partly, []), times=100)
    assert len(ledger.looked) == 1


def test_those_who_come_without_a_signal_are_looked_up_one_at_a_time() -> None:
    ledger = Counting()
    app = install(ledger=ledger)
    visitors = [who_accepted(app) for _ in range(5)]
    everybody: list[tuple[ASGIApp, Visitor, Fields]] = [(app, visitor, []) for visitor in visitors]
    for looked in (1, 2, 3, 4, 5, 5):
        visit(*everybody)
        assert len(ledger.looked) == looked


@pytest.mark.parametrize(
    "prepare",
    [
        lambda visitor: None,
        Visitor.refuse,
        lambda visitor: visitor.save(analytics=True),
        lambda visitor: visitor.post({"choice": "accept_all"}, [GPC]),
    ],
)
def test_where_a_signal_switches_off_nothing_no_record_is_left(prepare: Any) -> None:
    ledger = MemoryLedger()
    app = install(ledger=ledger)
    visitor = Visitor(app)
    prepare(visitor)
    before = len(ledger.kept)
    visit((app, visitor, [GPC]), times=3)
    assert len(ledger.kept) == before


def test_neither_robots_nor_forged_cookies_leave_one() -> None:
    ledger = MemoryLedger()
    app = install(ledger=ledger)
    forged = who_accepted(app)
    forged.jar["__Host-consent"] = forged.jar["__Host-consent"][:-1]
    visit((app, forged, [GPC]), (app, Visitor(app), [GPC, ("user-agent", ROBOT)]))
    assert [record["event"] for record in ledger.kept] == ["granted"]


def test_an_answer_from_before_there_was_a_ledger_has_nothing_to_be_tied_to() -> None:
    ledger = MemoryLedger()
    visitor = who_accepted(install())
    visit((install(ledger=ledger), visitor, [GPC]))
    assert ledger.kept == []


def test_without_a_ledger_there_is_nothing_to_keep() -> None:
    app = install(page())
    visit((app, who_accepted(app), [GPC]), times=2)


def test_on_a_page_of_a_service_it_is_the_same_record() -> None:
    ledger = MemoryLedger()
    app = install(ledger=ledger)
    visitor = who_accepted(app)
    visit((app, visitor, [GPC]), path="/whois/x")
    visit((app, visitor, [GPC]), path="/")
    assert [record["event"] for record in kept(visitor)] == ["granted", "signal"]


class Counting(MemoryLedger):
    """A ledger that tells whose newest record was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.looked: list[str] = []

    async def last(self, consent_id: str) -> dict[str, Any] | None:
        self.looked.append(consent_id)
        return await super().last(consent_id)


class Faulty(MemoryLedger):
    """A ledger that fails so many times when it is to keep a signal."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times, self.tried = times, 0

    async def append(self, entry: Entry) -> dict[str, Any]:
        if entry.document["event"] == "signal":
            self.tried += 1
            if self.tried <= self.times:
                raise OSError("no space left")
        return await super().append(entry)


def test_a_ledger_that_fails_is_tried_again_and_costs_no_page(caplog: pytest.LogCaptureFixture) -> None:
    clock, ledger = Clock(), Faulty(times=2)
    app = install(answering(b"a page"), ledger=ledger, clock=clock)
    visitor = who_accepted(app)
    for seconds, tried, records in ((0, 1, 1), (9, 1, 1), (1, 2, 1), (9, 2, 1), (1, 3, 2), (0, 3, 2)):
        clock.forward(seconds=seconds)
        visit((app, visitor, [GPC]), times=2)
        assert (ledger.tried, len(ledger.kept)) == (tried, records)
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    said = "The ledger could not keep the record of a signal: OSError no space left"
    assert [record.getMessage() for record in logged] == [said] * 2
    assert not any(record.exc_info for record in logged), "one line each"
    assert ledger.kept[-1]["event"] == "signal"


def test_while_a_ledger_is_down_it_is_tried_once_for_all_visitors() -> None:
    clock, ledger = Clock(), Faulty(times=1)
    app = install(ledger=ledger, clock=clock)
    first, second = who_accepted(app), who_accepted(app)
    visit((app, first, [GPC]))
    visit((app, second, [GPC]), (app, first, [GPC]))
    assert ledger.tried == 1
    clock.forward(seconds=10)
    visit((app, second, [GPC]), (app, first, [GPC]))
    assert [record["event"] for record in (*kept(first), *kept(second))] == ["granted", "signal"] * 2


def test_a_ledger_that_was_down_while_the_clock_was_ahead_is_tried_again() -> None:
    clock, ledger = Clock(), Faulty(times=1)
    app = install(ledger=ledger, clock=clock)
    visitor = who_accepted(app)
    clock.forward(days=100)
    visit((app, visitor, [GPC]))
    clock.forward(days=-99)
    visit((app, visitor, [GPC]))
    assert (ledger.tried, [record["event"] for record in kept(visitor)]) == (2, ["granted", "signal"])


def test_no_page_waits_for_a_ledger_that_hangs() -> None:
    begun = asyncio.Event()

    class Hanging(MemoryLedger):
        async def append(self, entry: Entry) -> dict[str, Any]:
            if entry.document["event"] == "signal":
                begun.set()
                await asyncio.Event().wait()
            return await super().append(entry)

    seen: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await begun.wait()  # the proof is being kept while the page is made
        await answering(b"a page")(scope, receive, send)
        seen.append(b"a page")

    site = install(app, ledger=Hanging())
    visitor = who_accepted(site)
    assert visitor.get("/", [GPC]).body == b"a page"
    assert seen == [b"a page"]


def note_all(proofs: SignalProofs, *decisions: Decision) -> None:
    async def all_of_them() -> None:
        for decision in decisions:
            proofs.note(decision)
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    asyncio.run(all_of_them())


def proofs(ledger: Ledger) -> SignalProofs:
    return SignalProofs(ledger, CONSENT_LIFETIME, lambda: NOW, new_id)


@pytest.mark.slow
def test_what_is_noted_stays_bounded_and_the_ledger_knows_the_rest() -> None:
    asked: list[str] = []

    class Asked(MemoryLedger):
        async def append(self, entry: Entry) -> dict[str, Any]:
            asked.append(entry.document["consent_id"])
            return {}

    noting, site = proofs(Asked()), policy()
    decisions = [decide(site, granted(site, consent_id=f"v-{n}"), frozenset({"gpc"}), NOW) for n in range(10_001)]
    note_all(noting, *decisions[:10_000])
    note_all(noting, decisions[0], decisions[9_999])
    assert len(asked) == 10_000
    note_all(noting, decisions[10_000], decisions[0])
    assert asked[10_000:] == ["v-10000", "v-0"]


def test_only_what_was_granted_and_is_refused_by_a_new_signal_counts() -> None:
    ledger = MemoryLedger()
    site = small("ads", "media", signals=SignalRules(gpc=("ads", "media"), dnt=()))
    record = answered(site, {"ads": State.GRANTED, "media": State.UNANSWERED}, consent_id="v", decided_at=NOW - 5)
    note_all(proofs(ledger), decide(site, record, frozenset({"gpc", "dnt"}), NOW))
    (signal,) = ledger.kept
    assert (signal["granted"], signal["refused"], signal["status"]) == ([], ["ads"], "partial")
    assert signal["signals"] == ["dnt", "gpc"]
    note_all(proofs(ledger), decide(site, None, frozenset({"gpc"}), NOW))
    assert len(ledger.kept) == 1
