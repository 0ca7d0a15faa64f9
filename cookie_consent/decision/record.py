"""What a visitor answered: the consent record, the same in the cookie, in the ledger and on a receipt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

SOURCES = ("banner", "settings", "feature", "api", "signal", "imported")
"""Where an answer can be given."""


class State(StrEnum):
    """What was answered for one purpose. The value is its sign in the cookie."""

    GRANTED = "+"
    REFUSED = "-"
    UNANSWERED = "!"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one purpose.

    Args:
        state: what was answered.
        facts: a short digest of the purpose's material facts at that time.
    """

    state: State
    facts: str


class SharedAnswers(dict[str, Answer]):
    """Answers that many visitors gave alike: one object for all of them, which is never changed.

    It can be a part of a key. The same answers in another object may be another key.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]


@dataclass(slots=True, kw_only=True)
class ConsentRecord:
    """Who answered what, to which text, when. Requests that are alike share it: it is never changed.

    It is not frozen, since one is made for each cookie that was never seen before, at half the cost.

    Args:
        answers: purpose id -> answer, for each optional purpose of the policy that was shown.
        policy: the version of that policy.
        decided_at: when, in seconds since 1970, by the server's clock.
        source: where the answer was given, one of `SOURCES`.
        language: the language that was shown.
        signals: the names of the browser's signals that were there when the answer was given.
        consent_id: a random id that ties the cookie to the ledger; "" where no ledger is kept, and for a refusal by
            somebody who has never consented.
        overruled: the names of the signals that have ruled over the answer since it was given. What they refuse stays
            off until it is answered again.
    """

    answers: Mapping[str, Answer]
    policy: str
    decided_at: int
    source: str
    language: str
    signals: frozenset[str] = frozenset()
    consent_id: str = ""
    overruled: frozenset[str] = frozenset()

    @property
    def status(self) -> str:
        """What was answered on the whole: "unknown", "granted", "refused" or "partial"."""
        states = {answer.state for answer in self.answers.values()}
        if len(states) > 1:
            return "partial"
        return _STATUS[states.pop()] if states else "unknown"

    def in_state(self, state: State) -> list[str]:
        """Return the ids of the purposes that were answered in one way."""
        return [id_ for id_, answer in self.answers.items() if answer.state is state]


_STATUS = {State.GRANTED: "granted", State.REFUSED: "refused", State.UNANSWERED: "unknown"}


def newest(records: Iterable[ConsentRecord]) -> ConsentRecord | None:
    """Return the record that counts among several: the newest; of equally new ones, whatever any of them refused."""
    first: ConsentRecord | None = None
    for record in records:
        if first is None or record.decided_at > first.decided_at:
            first = record
        elif record.decided_at == first.decided_at:
            first = _refusals_of_both(first, record)
    return first


def _refusals_of_both(first: ConsentRecord, other: ConsentRecord) -> ConsentRecord:
    refused = {id_: answer for id_, answer in other.answers.items() if answer.state is State.REFUSED}
    return replace(first, answers={**first.answers, **refused})
