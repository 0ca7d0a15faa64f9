"""The answers and erasures that this process took while other requests were running."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from cookie_consent.decision.decision import Decision, decide, without_optional
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.decision.visit import Visit, refused_names

MOST_REMEMBERED = 4096
"""With a policy of four purposes they take about 4 MB."""


class _Event(NamedTuple):
    """An answer, or an erasure, which has no record.

    Args:
        before: tells the cookies that the answer took the place of; None where there were none.
        after: likewise those that it set.
        record: the answer.
        visitor_ids: the pseudonyms of whoever answered or erased.
    """

    before: str | int | None
    after: str | int | None
    record: ConsentRecord | None
    visitor_ids: tuple[str, ...]


class RecentAnswers:
    """Remembers answers and erasures, so that a request which began earlier heeds them.

    A request notes `sequence` when it begins. As long as that has not grown, there is nothing to heed.

    Args:
        lifetime: how long an answer holds.
        clock: returns seconds since 1970.
        most: how many are remembered.

    Attributes:
        sequence: how many there were.
    """

    def __init__(self, lifetime: timedelta, clock: Callable[[], float], most: int = MOST_REMEMBERED) -> None:
        self.sequence = 0
        self._lifetime, self._clock, self._most = lifetime, clock, most
        self._events = [_Event(None, None, None, ())] * most
        self._lock = threading.Lock()

    def answered(self, before: ConsentRecord | None, record: ConsentRecord, visitor_ids: Iterable[str] = ()) -> None:
        """Remember an answer.

        Args:
            before: the answer that held until then, or None.
            record: the new one.
            visitor_ids: the visitor's pseudonyms, as far as they are known.
        """
        self._add(_Event(None if before is None else _key(before), _key(record), record, tuple(visitor_ids)))

    def erased(self, visitor_id: str) -> None:
        """Remember that a visitor had the access records erased."""
        self._add(_Event(None, None, None, (visitor_id,)))

    def look_again(self, visit: Visit, began: int, visitor_id: str | None) -> Visit:
        """Return what holds now on a request; the same object where its visitor has neither answered nor erased.

        Each newer answer takes from what was allowed when the request began, and none adds to it: what the app has
        made by then was made without. Where so much happened since that it is not remembered, all that is optional is
        off.

        Args:
            visit: what was known of the request when it began.
            began: the `sequence` of then.
            visitor_id: the pseudonym that an access record of it would have; None where the browser has none yet.
        """
        if self.sequence - began > self._most:
            return replace(visit, decision=without_optional(visit.decision), traced=False, exempt="")
        decision, keys, is_erased = visit.decision, set[str | int | None](), False
        if decision.record is not None:
            keys.add(_key(decision.record))
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
        is_kept = visitor_id is not None and not is_erased
        return replace(
            visit,
            decision=decision,
            left_over=refused_names(visit.carried, decision.record),
            traced=visit.traced and decision.traces and is_kept,
            exempt=decision.exempt if visit.exempt and is_kept else "",
        )

    def _add(self, event: _Event) -> None:
        with self._lock:  # an app may run on event loops in several threads
            self._events[self.sequence % self._most] = event
            self.sequence += 1

    def _narrowed(self, decision: Decision, record: ConsentRecord) -> Decision:
        """Return the decision by a newer record, without what the one before did not allow."""
        newer = decide(decision.policy, record, frozenset(decision.signals), self._clock(), lifetime=self._lifetime)
        both = {id_: is_allowed and newer.purposes[id_] for id_, is_allowed in decision.purposes.items()}
        return replace(newer, purposes=MappingProxyType(both))


def _key(record: ConsentRecord) -> str | int:
    """Return what tells the cookie of an answer from others: its id, else a hash of all that it says.

    Without an id, visitors who answered alike in the same second have the same cookie. What one of them answers then
    counts for all of them who have a request running, for that request.
    """
    if record.consent_id:
        return record.consent_id
    answers = tuple((id_, answer.state.value, answer.facts) for id_, answer in record.answers.items())
    said = (record.policy, record.decided_at, record.source, record.language, frozenset(record.signals))
    return hash((*said, answers))
