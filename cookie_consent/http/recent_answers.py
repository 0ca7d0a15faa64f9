"""Answers and erasures that this process received while other requests were running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from cookie_consent.decision.decision import Decision, decide, without_optional
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.decision.visit import Visit, refused_cookie_names

MAX_REMEMBERED = 4096
"""They take about 4 MB with a policy of four purposes."""


class _Event(NamedTuple):
    """An answer, or an erasure (which has no record).

    Args:
        before: identifies the cookies before the answer; None if there were none.
        after: identifies the cookies after the answer.
        record: the answer.
        visitor_ids: the visitor's pseudonyms.
    """

    before: str | int | None
    after: str | int | None
    record: ConsentRecord | None
    visitor_ids: tuple[str, ...]


class RecentAnswers:
    """Remembers answers and erasures, so that requests that began earlier respect them.

    A request reads `sequence` when it begins. Only if that has grown since, it has to look again.

    Args:
        lifetime: how long an answer is valid.
        clock: returns seconds since 1970.
        most: how many events to remember.

    Attributes:
        sequence: the number of events so far.
    """

    def __init__(self, lifetime: timedelta, clock: Callable[[], float], most: int = MAX_REMEMBERED) -> None:
        self.sequence = 0
        self._lifetime, self._clock, self._most = lifetime, clock, most
        self._events = [_Event(None, None, None, ())] * most
        self._lock = threading.Lock()

    def answered(self, before: ConsentRecord | None, record: ConsentRecord, visitor_ids: Iterable[str] = ()) -> None:
        """Remember an answer.

        Args:
            before: the earlier answer, or None.
            record: the new answer.
            visitor_ids: the visitor's known pseudonyms.
        """
        key = None if before is None else _cookie_key(before)
        self._add(_Event(key, _cookie_key(record), record, tuple(visitor_ids)))

    def erased(self, visitor_id: str) -> None:
        """Remember that a visitor's access records were erased."""
        self._add(_Event(None, None, None, (visitor_id,)))

    def apply_to(self, visit: Visit, began: int, visitor_id: str | None) -> Visit:
        """Return the visit with newer events applied; the same object if there are none of this visitor.

        A newer answer can only take permissions away: the app built its response without the ones that it adds. If more
        events happened than are remembered, all optional purposes are off.

        Args:
            visit: the visit as it was when the request began.
            began: `sequence` when the request began.
            visitor_id: the pseudonym for an access record of this request; None if the browser has none yet.
        """
        if self.sequence - began > self._most:
            return replace(visit, decision=without_optional(visit.decision), traced=False)
        decision, keys, is_erased = visit.decision, set[str | int | None](), False
        if decision.record is not None:
            keys.add(_cookie_key(decision.record))
        for number in range(began, self.sequence):
            event = self._events[number % self._most]
            if event.before not in keys and visitor_id not in event.visitor_ids:
                continue
            if event.record is None:
                is_erased = True
            else:
                keys.add(event.after)
                decision = self._narrowed(decision, event.record)
        if decision is visit.decision and not is_erased:
            return visit
        may_trace = visitor_id is not None and not is_erased
        return replace(
            visit,
            decision=decision,
            refused_cookies=refused_cookie_names(visit.refusable_cookies, decision.record),
            traced=visit.traced and decision.traces and may_trace,
        )

    def _add(self, event: _Event) -> None:
        with self._lock:  # an app may run event loops in several threads
            self._events[self.sequence % self._most] = event
            self.sequence += 1

    def _narrowed(self, decision: Decision, record: ConsentRecord) -> Decision:
        """Return the decision for a newer record, without anything that the earlier decision did not allow."""
        newer = decide(
            decision.policy,
            record,
            frozenset(decision.signals),
            self._clock(),
            lifetime=self._lifetime,
        )
        both = {id_: is_allowed and newer.purposes[id_] for id_, is_allowed in decision.purposes.items()}
        return replace(newer, purposes=MappingProxyType(both))


def _cookie_key(record: ConsentRecord) -> str | int:
    """Return a key for the cookie of an answer: its id, or else a hash of its content.

    Without an id, visitors who gave the same answer in the same second share a cookie. If one of them answers again,
    that counts for the running requests of all of them.
    """
    if record.consent_id:
        return record.consent_id
    answers = tuple((id_, answer.state.value, answer.facts) for id_, answer in record.answers.items())
    content = (record.policy, record.decided_at, record.source, record.language, frozenset(record.signals))
    return hash((*content, answers))
