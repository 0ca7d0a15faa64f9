"""Keeps the proof that a signal of the browser has switched off what was granted: once, not at each request (SG-06)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from cookie_consent import proof
from cookie_consent.bounded import LONGEST_WAIT, make_room
from cookie_consent.decision import Decision, switched_off
from cookie_consent.ledgers import Ledger

_MOST_NOTED = 10_000
_log = logging.getLogger("cookie_consent")


class SignalProofs:
    """Keeps a record when a signal begins to rule over an answer. The page waits for none of it.

    Args:
        ledger: keeps it.
        lifetime: how long an answer holds.
        clock: returns seconds since 1970.
        make_id: returns a random id.
    """

    def __init__(
        self, ledger: Ledger, lifetime: timedelta, clock: Callable[[], float], make_id: Callable[[], str]
    ) -> None:
        self._ledger, self._lifetime, self._clock, self._make_id = ledger, lifetime, clock, make_id
        self._noted: set[tuple[str, int, frozenset[str]]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, decision: Decision) -> None:
        """Keep the proof, if it is not kept yet."""
        record, off = decision.record, switched_off(decision)
        if record is None or not record.consent_id:
            return
        key = (record.consent_id, record.decided_at, off)
        if key in self._noted:
            return
        make_room(self._noted, _MOST_NOTED)
        self._noted.add(key)
        task = asyncio.get_running_loop().create_task(self._keep(decision, off, key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, decision: Decision, off: frozenset[str], key: tuple[str, int, frozenset[str]]) -> None:
        record = decision.record
        assert record is not None  # noqa: S101 (it has been looked at)
        entry = proof.signal_entry(
            record,
            proof.Circumstances(record_id=self._make_id(), policy=decision.policy, lifetime=self._lifetime),
            now=self._clock(),
            off=off,
            signals=decision.signals,
        )
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._ledger.append(entry)
        except Exception:  # noqa: BLE001 (whatever a ledger raises, it is tried again with the next request)
            self._noted.discard(key)
            _log.exception("The ledger could not keep the record of a signal.")
