"""Tests of refusals that wait in memory for a ledger which fails; `tests/endpoints/test_answer.py` has more."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.testing

from cookie_consent.ledgers.background import MAX_WAITING, PAUSE, WaitingRecords
from cookie_consent.ledgers.records import RecordContext, make_entry
from tests.support.faulty_ledger import FaultyLedger
from tests.support.policies import NOW, refusing_record, small_policy


@pytest.mark.slow
def test_no_more_than_a_thousand_refusals_wait(caplog: pytest.LogCaptureFixture) -> None:
    ledger = FaultyLedger(OSError("no space left"))
    policy = small_policy("media")
    waiting = WaitingRecords(ledger, lambda: NOW)

    async def wait() -> None:
        for number in range(MAX_WAITING + 5):
            context = RecordContext(record_id=f"r{number}", policy=policy)
            make = partial(make_entry, context=context, before=None, form_id="", shown=None)
            waiting.add(f"r{number}", refusing_record(policy), make)
        ledger.fault = None
        await trio.sleep(PAUSE + 0.5)

    trio.run(wait, clock=trio.testing.MockClock(autojump_threshold=0))
    assert len(ledger.kept) == MAX_WAITING
    assert sum("its record waits for the ledger" in message for message in caplog.messages) == MAX_WAITING + 5
