"""Records of refusals that the ledger could not keep: the log tells each of them, and the ledger gets them later."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from anyio import fail_after, sleep

from cookie_consent.base.bounds import LONGEST_WAIT
from cookie_consent.base.clock import seconds_of
from cookie_consent.base.threads import start
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.ledgers import Entry, Ledger
from cookie_consent.ledgers.records import describe_record
from cookie_consent.policy.policy import canonical_json

MAX_WAITING = 1000
"""They take about 3 MB with a policy of four purposes, and share the texts that were shown."""
LONGEST_WAITING = 50 * 60
"""Seconds. `verify` accepts dates that are up to an hour out of order; this leaves ten minutes for differing clocks."""
PAUSE = 10.0
"""Seconds between two tries."""
_log = logging.getLogger("cookie_consent")


class WaitingRecord(NamedTuple):
    """A record that waits.

    Attributes:
        record_id: its id in the ledger.
        record: the refusal.
        make_entry: makes the entry of a record; takes the record, and the id of the visitor's record before it.
    """

    record_id: str
    record: ConsentRecord
    make_entry: Callable[..., Entry]


class WaitingRecords:
    """Keeps refusals in memory until the ledger takes their records."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._waiting: OrderedDict[str, WaitingRecord] = OrderedDict()
        self._is_trying = False

    def add(self, waiting: WaitingRecord) -> None:
        """Log a record, and try from now on to bring it to the ledger. All who saw a text share it."""
        fields = {"record_id": waiting.record_id, **describe_record(waiting.record)}
        _log.error("A refusal holds, and its record waits for the ledger: %s", canonical_json(fields).decode())
        if len(self._waiting) < MAX_WAITING:
            self._waiting[waiting.record_id] = waiting
        if self._waiting and not self._is_trying:
            self._is_trying = True
            start(self._try_again, self._end)

    async def bring(self, consent_id: str | None = None) -> None:
        """Bring the waiting records of a visitor, or all, to the ledger, oldest first.

        Raises:
            Exception: the ledger still fails. What it did not take goes on waiting.
        """
        for record_id, waiting in [*self._waiting.items()]:
            if consent_id not in (None, waiting.record.consent_id) or self._waiting.pop(record_id, None) is None:
                continue
            try:
                await self._bring(waiting)
            except BaseException:  # cancelling, too
                self._waiting[record_id] = waiting
                self._waiting.move_to_end(record_id, last=False)
                raise

    async def _bring(self, waiting: WaitingRecord) -> None:
        """Append a record, unless it is too old, or a newer one of the same visitor is in the ledger."""
        decided_at = waiting.record.decided_at
        if self._clock() - decided_at > LONGEST_WAITING:
            return
        last = await self._ledger.last(waiting.record.consent_id)
        if last is None or seconds_of(last["decided_at"]) <= decided_at:
            previous = last["record_id"] if last else None
            await self._ledger.append(waiting.make_entry(waiting.record, previous=previous))
            _log.warning("The ledger has kept the record that waited: %s", waiting.record_id)

    async def _try_again(self) -> None:
        while self._waiting:
            await sleep(PAUSE)
            with suppress(Exception), fail_after(LONGEST_WAIT):
                await self.bring()

    def _end(self) -> None:
        self._is_trying = False
