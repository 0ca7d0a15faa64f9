"""Proof that a browser signal switches off granted purposes: one record for each change (SG-06)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from anyio import fail_after

from cookie_consent.base.bounds import LONGEST_WAIT, Cache, RateLimit
from cookie_consent.base.clock import HOUR
from cookie_consent.base.messages import log_failure
from cookie_consent.base.threads import start
from cookie_consent.decision.decision import Decision
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers import records as proof

_MAX_NOTED = 10_000
_MAX_CHANGES = 60
"""The limit of comparisons with the ledger for one visitor within an hour."""
_REST = 10.0
"""How long to pause after the ledger failed (seconds)."""


class SignalProofs:
    """Stores a record when a signal starts or stops overriding an answer. No page waits for it.

    The process remembers the last effect of each visitor's signals, so the ledger is asked only if that changed or is
    not known yet.

    Args:
        ledger: stores the records.
        clock: returns Unix time in seconds.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger, self._clock = ledger, clock
        self._limit = RateLimit(_MAX_CHANGES, HOUR)
        self._noted = Cache[str, tuple[int, frozenset[str]]](_MAX_NOTED)
        self._running: set[str] = set()
        self._rests_until = 0.0

    def note(self, decision: Decision) -> None:
        """Store the effect of a signal on the visitor's answer, unless it is stored already."""
        record, off = decision.record, decision.overruled
        if record is None or not record.consent_id or self._noted.get(record.consent_id) == (record.decided_at, off):
            return
        # Most visitors without a signal never sent one, so these lookups run only while no other does.
        if record.consent_id in self._running if off else self._running:
            return
        now = self._clock()
        if 0 < self._rests_until - now <= _REST or self._limit.wait(record.consent_id, now):
            return
        # Before it is stored, so that the visitor's next requests do not start this again. A failure reverts it.
        self._noted.keep(record.consent_id, (record.decided_at, off))
        self._running.add(record.consent_id)
        start(partial(self._keep, decision, record, off), lambda: self._running.discard(record.consent_id))

    async def _keep(self, decision: Decision, record: ConsentRecord, off: frozenset[str]) -> None:
        try:
            with fail_after(LONGEST_WAIT):
                last = await self._ledger.last(record.consent_id)
                entry = proof.make_signal_entry(
                    record,
                    proof.RecordContext(record_id=secrets.token_urlsafe(16), policy=decision.policy),
                    now=self._clock(),
                    off=off,
                    signals=tuple(sorted(record.overridden_by.union(decision.signals))),
                    previous=last["record_id"] if last else None,
                )
                if _is_change(last, entry.document, off):
                    await self._ledger.append(entry)
        except Exception as error:  # noqa: BLE001 (a ledger may raise anything; a later request tries again)
            self._noted.pop(record.consent_id, None)
            self._rests_until = self._clock() + _REST
            log_failure("The ledger could not keep the record of a signal", error)


def _is_change(last: Mapping[str, Any] | None, signal: Mapping[str, Any], off: frozenset[str]) -> bool:
    """Return whether a signal's effect differs from what the visitor's last record states."""
    answered_at = last and last["answered_before" if last["source"] == "signal" else "decided_at"]
    if last is None or answered_at < signal["answered_before"]:
        return bool(off)
    # A slow request can carry a cookie from before the last answer.
    return answered_at == signal["answered_before"] and {*last["granted"]} != {*signal["granted"]}
