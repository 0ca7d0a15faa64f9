"""What a serving process does with its ledger in the background: retention, records that wait, records of signals."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from anyio import fail_after, sleep

from cookie_consent.base.bounds import LONGEST_WAIT, Cache, RateLimit
from cookie_consent.base.clock import DAY, HOUR, is_future, is_within, rfc3339, seconds_of
from cookie_consent.base.messages import log_failure
from cookie_consent.base.threads import start
from cookie_consent.decision.decision import Decision
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.ledgers import Entry, Ledger, Removal
from cookie_consent.ledgers.records import RecordContext, describe_record, make_signal_entry
from cookie_consent.policy.parts import RequestRules
from cookie_consent.policy.policy import canonical_json

MAX_WAITING = 1000
"""They take about 3 MB with a policy of four purposes, and share the texts that were shown."""
LONGEST_WAITING = 50 * 60
"""Seconds. `verify` accepts dates that are up to an hour out of order; this leaves ten minutes for differing clocks."""
PAUSE = 10.0
"""How long to pause after the ledger failed (seconds)."""
_MAX_NOTED = 10_000
_MAX_CHANGES = 60
"""The limit of comparisons with the ledger for one visitor within an hour."""
_log = logging.getLogger("cookie_consent")


def remove_due(ledger: Ledger, rules: RequestRules, now: float) -> None:
    """Remove due records and requests, and log the counts. Records wait if another process did them within a day.

    `cookie-consent purge` does the same for cron. Several processes and hosts may do it at once.

    Args:
        ledger: stores the records, and the requests beside them.
        rules: how long requests are kept. Each record states its own retention.
        now: Unix time in seconds.
    """
    removed = Removal(0, 0, 0)
    try:
        # `cookie-consent purge` removes requests only if given a policy, so its run does not count here.
        purged = ledger.requests.purge(now=now, rules=rules)
        if not is_within(DAY, last_removal(ledger, now), now):
            removed = ledger.remove(now=now, make_id=partial(secrets.token_urlsafe, 16))
    except Exception as error:  # noqa: BLE001 (a ledger may raise anything; retention is retried tomorrow)
        log_failure("What is due could not be removed from the ledger", error)
        return
    _log.info(
        "Removed what is due from the ledger: %d records, %d texts, %d policies, %d requests, %d addresses.",
        *(removed.records, removed.texts, removed.policies),
        *purged.values(),
    )
    if removed.misfiled:
        _log.error(
            "Records that are due stay, since they are not as they were recorded: %d. Run: cookie-consent verify",
            removed.misfiled,
        )


def last_removal(ledger: Ledger, now: float) -> float | None:
    """Return the Unix time at which due records were last removed from a ledger, or None.

    A time in the future is logged and ignored: some host's clock was ahead when it removed records.

    Args:
        ledger: stores the records.
        now: Unix time in seconds.
    """
    last = ledger.last_removal()
    if last is None or not is_future(last, now):
        return last
    _log.warning(
        "Records were removed from the ledger at %s: a host's clock was ahead, or the one here is behind. It counts as "
        "not done; records that were not due may be gone.",
        rfc3339(last),
    )
    return ledger.last_removal(now)


class WaitingRecords:
    """Keeps refusals in memory until the ledger takes their records. The log tells each of them at once."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._waiting: dict[str, tuple[ConsentRecord, Callable[..., Entry]]] = {}
        self._is_trying = False

    def add(self, record_id: str, record: ConsentRecord, make_entry: Callable[..., Entry]) -> None:
        """Log a record, and try from now on to bring it to the ledger. All who saw a text share it.

        Args:
            record_id: its id in the ledger.
            record: the refusal.
            make_entry: makes the entry of a record; takes the record, and the id of the visitor's record before it.
        """
        fields = canonical_json({"record_id": record_id, **describe_record(record)}).decode()
        _log.error("A refusal holds, and its record waits for the ledger: %s", fields)
        if len(self._waiting) < MAX_WAITING:
            self._waiting[record_id] = (record, make_entry)
        if self._waiting and not self._is_trying:
            self._is_trying = True
            start(self._try_again, self._end)

    async def bring(self, consent_id: str | None = None) -> None:
        """Bring the waiting records of a visitor, or all, to the ledger, oldest first.

        Raises:
            Exception: the ledger still fails. What it did not take goes on waiting.
        """
        for record_id, (record, make_entry) in [*self._waiting.items()]:
            if consent_id not in (None, record.consent_id) or record_id not in self._waiting:
                continue
            last = await self._ledger.last(record.consent_id)
            # Another task may have brought it, or the ledger kept it though its reply was lost.
            is_kept = last is not None and last["record_id"] == record_id
            is_outdated = last is not None and seconds_of(last["decided_at"]) > record.decided_at
            is_late = self._clock() - record.decided_at > LONGEST_WAITING
            if not (is_kept or is_outdated or is_late):
                await self._ledger.append(make_entry(record, previous=last["record_id"] if last else None))
                is_kept = True
            if self._waiting.pop(record_id, None) and is_kept:
                _log.warning("The ledger has kept the record that waited: %s", record_id)

    async def _try_again(self) -> None:
        while self._waiting:
            await sleep(PAUSE)
            with suppress(Exception), fail_after(LONGEST_WAIT):
                await self.bring()

    def _end(self) -> None:
        self._is_trying = False


class SignalProofs:
    """Stores a record when a browser signal starts or stops overriding an answer (SG-06). No page waits for it.

    The process remembers the last effect of each visitor's signals, so the ledger is asked only if that changed or is
    not known yet.

    Args:
        ledger: stores the records.
        clock: returns Unix time in seconds.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._limit = RateLimit(_MAX_CHANGES, HOUR)
        self._noted = Cache[str, tuple[int, frozenset[str]]](_MAX_NOTED)
        self._running: set[str] = set()
        self._rests_until = 0.0

    def note(self, decision: Decision) -> None:
        """Store the effect of a signal on the visitor's answer, unless it is stored already."""
        record = decision.record
        off = decision.overruled
        if record is None or not record.consent_id or self._noted.get(record.consent_id) == (record.decided_at, off):
            return
        # Most visitors without a signal never sent one, so these lookups run only while no other does.
        if record.consent_id in self._running if off else self._running:
            return
        now = self._clock()
        if 0 < self._rests_until - now <= PAUSE or self._limit.wait(record.consent_id, now):
            return
        # Before it is stored, so that the visitor's next requests do not start this again. A failure reverts it.
        self._noted.keep(record.consent_id, (record.decided_at, off))
        self._running.add(record.consent_id)
        start(partial(self._keep, decision, record), lambda: self._running.discard(record.consent_id))

    async def _keep(self, decision: Decision, record: ConsentRecord) -> None:
        try:
            with fail_after(LONGEST_WAIT):
                last = await self._ledger.last(record.consent_id)
                entry = make_signal_entry(
                    record,
                    RecordContext(record_id=secrets.token_urlsafe(16), policy=decision.policy),
                    now=self._clock(),
                    off=decision.overruled,
                    signals=tuple(sorted(record.overridden_by.union(decision.signals))),
                    previous=last["record_id"] if last else None,
                )
                if _is_change(last, entry.document, decision.overruled):
                    await self._ledger.append(entry)
        except Exception as error:  # noqa: BLE001 (a ledger may raise anything; a later request tries again)
            self._noted.pop(record.consent_id, None)
            self._rests_until = self._clock() + PAUSE
            log_failure("The ledger could not keep the record of a signal", error)


def _is_change(last: Mapping[str, Any] | None, signal: Mapping[str, Any], off: frozenset[str]) -> bool:
    """Return whether a signal's effect differs from what the visitor's last record states."""
    answered_at = last and last["answered_before" if last["source"] == "signal" else "decided_at"]
    if last is None or answered_at < signal["answered_before"]:
        return bool(off)
    # A slow request can carry a cookie from before the last answer.
    return answered_at == signal["answered_before"] and {*last["granted"]} != {*signal["granted"]}
