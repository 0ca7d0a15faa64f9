"""Tests of refusals whose records wait while the ledger fails."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from cookie_consent.decision.record import ConsentRecord
from cookie_consent.ledgers import Entry, background
from cookie_consent.ledgers.background import LONGEST_WAITING, WaitingRecords
from cookie_consent.ledgers.records import RecordContext, make_entry
from tests.support.asgi import Clock
from tests.support.faulty_ledger import FaultyLedger
from tests.support.policies import NOW, refusing_record, small_policy

POLICY = small_policy("media")
DOWN = OSError("the disk is full")


def refusal(consent_id: str = "a", seconds: int = 0, signal: str = "") -> ConsentRecord:
    return refusing_record(POLICY, consent_id=consent_id, decided_at=NOW + seconds, signals=frozenset({signal}))


def entry_of(record: ConsentRecord, previous: str | None, record_id: str) -> Entry:
    context = RecordContext(record_id=record_id, policy=POLICY)
    return make_entry(record, context, before=None, previous=previous, form_id="", shown=None)


class Desk:
    """A ledger that can be down, and the records that wait for it."""

    def __init__(self) -> None:
        self.clock, self.ledger = Clock(NOW), FaultyLedger(DOWN, {"append", "last"})
        self.waiting = WaitingRecords(self.ledger, self.clock)

    def add(self, record_id: str, record: ConsentRecord) -> None:
        self.waiting.add(record_id, record, partial(entry_of, record_id=record_id))

    @property
    def kept(self) -> list[tuple[str, str | None]]:
        return [(record["record_id"], record["previous"]) for record in self.ledger.kept]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_records_wait_in_order_until_the_ledger_takes_them(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        for number, consent_id in enumerate("aba"):
            desk.add(f"r{number}", refusal(consent_id, number, f"signal {number}"))
        with pytest.raises(OSError, match="the disk is full"):
            await desk.waiting.bring()
        desk.ledger.fault = None
        await desk.waiting.bring("b")
        assert desk.kept == [("r1", None)]
        await desk.waiting.bring()
        await desk.waiting.bring()

    asyncio.run(play())
    assert desk.kept == [("r1", None), ("r0", None), ("r2", "r0")]
    waits, kept = ([message for message in caplog.messages if word in message] for word in ("waits", "has kept"))
    assert [message.partition('"record_id":"')[2][:2] for message in waits] == ["r0", "r1", "r2"]
    assert kept == [f"The ledger has kept the record that waited: {record_id}" for record_id in ("r1", "r0", "r2")]


@pytest.mark.parametrize(
    ("earlier", "later", "kept"),
    [
        (None, LONGEST_WAITING, ["r"]),
        (None, LONGEST_WAITING + 1, []),  # a later date would not fit those around it
        (entry_of(refusal(seconds=-1, signal="gpc"), None, "before"), 0, ["before", "r"]),
        (entry_of(refusal(signal="gpc"), None, "same time"), 0, ["same time", "r"]),
        (entry_of(refusal(seconds=1), None, "after"), 0, ["after"]),  # the visitor has answered anew
        (entry_of(refusal(), None, "r"), 0, ["r"]),  # only the reply was lost
    ],
)
def test_record_that_came_or_is_overtaken_is_not_brought(
    earlier: Entry | None, later: int, kept: list[str], desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        desk.add("r", refusal())
        desk.ledger.fault = None
        if earlier:
            await desk.ledger.append(earlier)
        desk.clock.forward(seconds=later)
        await desk.waiting.bring()

    asyncio.run(play())
    assert [record_id for record_id, _ in desk.kept] == kept
    assert any("has kept" in message for message in caplog.messages) == ("r" in kept)


def test_ledger_is_tried_again_after_a_pause(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PAUSE", 0.01)

    tries: list[str] = []

    async def fail_twice() -> None:
        tries.append("")
        if len(tries) % 3:
            raise DOWN

    async def play() -> None:
        desk.ledger.fault = fail_twice
        desk.ledger.methods = ("last",)
        for number in range(2):
            desk.add(f"r{number}", refusal(str(number)))
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))

    asyncio.run(play())
    assert [record_id for record_id, _ in desk.kept] == ["r0", "r1"]
    assert len(tries) == 6


def test_waiting_records_are_bounded_and_each_is_logged(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "MAX_WAITING", 2)

    async def play() -> None:
        for number in range(3):
            desk.add(f"r{number}", refusal(str(number)))
        desk.ledger.fault = None
        await desk.waiting.bring()

    asyncio.run(play())
    assert [record_id for record_id, _ in desk.kept] == ["r0", "r1"]
    assert sum("its record waits for the ledger" in message for message in caplog.messages) == 3


def test_record_is_logged_though_nothing_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(background, "MAX_WAITING", 0)
    desk.add("r", refusal())  # without an event loop
    assert "A refusal holds, and its record waits for the ledger: " in caplog.text
