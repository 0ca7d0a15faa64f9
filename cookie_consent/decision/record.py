"""The consent record: what a visitor answered. The cookie, the ledger and the receipt all hold it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from cookie_consent.base.messages import check
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.policy.policy import Policy

CONSENT_LIFETIME = timedelta(days=184)
"""Never less than six months, for refusals and grants alike (CNIL 2020-092, section 39; Garante 231/2021, 6.2)."""
OPT_OUT_LIFETIME = timedelta(days=366)
"""12 months without asking again after an opt-out of sale or sharing (Cal. Civ. Code 1798.135(c)(4))."""
SOURCES = ("banner", "settings", "feature", "api", "signal")
"""Where an answer can be given."""


class State(StrEnum):
    """The answer for one purpose; the value is how the cookie writes it."""

    GRANTED = "+"
    REFUSED = "-"
    UNANSWERED = "!"


class Answer(NamedTuple):
    """The answer for one purpose.

    Args:
        state: what was answered.
        facts: a short digest of the purpose's material facts at that time; see `policy/diff.py:digests`.
    """

    state: State
    facts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """Who answered what, to which text, and when.

    Args:
        answers: purpose id -> answer, for each optional purpose of the policy that was shown.
        policy: the version of that policy.
        decided_at: when, in seconds since 1970, by the server's clock.
        source: where the answer was given, one of `SOURCES`.
        language: the language that was shown.
        signals: names of the browser's signals at the time of the answer.
        consent_id: a random id that ties the cookie to the ledger. It is "" without a ledger, and for a refusal by a
            visitor who has never consented.
        overridden_by: names of the signals that have overridden the answer since. What they refuse stays off until the
            visitor answers again.
        lifetime: how long the answer is valid, in seconds.

    Attributes:
        granted: the ids of the purposes that were granted.
        refused: the ids of the purposes that were refused.
    """

    answers: Mapping[str, Answer]
    policy: str
    decided_at: int
    source: str
    language: str
    signals: frozenset[str] = frozenset()
    consent_id: str = ""
    overridden_by: frozenset[str] = frozenset()
    lifetime: float = CONSENT_LIFETIME.total_seconds()
    granted: tuple[str, ...] = field(init=False, repr=False, compare=False)
    refused: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        granted = []
        refused = []
        for purpose, answer in self.answers.items():
            if answer.state is State.GRANTED:
                granted.append(purpose)
            elif answer.state is State.REFUSED:
                refused.append(purpose)
        object.__setattr__(self, "granted", tuple(granted))
        object.__setattr__(self, "refused", tuple(refused))

    @property
    def expires_at(self) -> float:
        """When the answer ends, in seconds since 1970."""
        return self.decided_at + self.lifetime

    @property
    def status(self) -> str:
        """The answers in one word: "unknown", "granted", "refused" or "partial"."""
        if not self.granted and not self.refused:
            return "unknown"
        if len(self.granted) == len(self.answers):
            return "granted"
        return "refused" if len(self.refused) == len(self.answers) else "partial"


def name_event(before: ConsentRecord | None, after: ConsentRecord) -> str:
    """Return the event of an answer: "granted", "refused", "changed" or "withdrawn".

    Args:
        before: the previous answer, if there was one.
        after: the new answer.
    """
    granted_before = set(before.granted) if before else set()
    granted_after = set(after.granted)
    if granted_before and not granted_after:
        return "withdrawn"
    if granted_before in (set(), granted_after):
        return "granted" if granted_after else "refused"
    return "changed"


def choose_newest(records: Iterable[ConsentRecord]) -> ConsentRecord | None:
    """Return the newest record, or None. Of equally new ones, a refusal in any of them holds."""
    first: ConsentRecord | None = None
    for record in records:
        if first is None or record.decided_at > first.decided_at:
            first = record
        elif record.decided_at == first.decided_at:
            refused = {id_: record.answers[id_] for id_ in record.refused}
            first = replace(first, answers={**first.answers, **refused})
    return first


def choose_lifetime(consent_days: float | None, policy: Policy) -> timedelta:
    """Return how long an answer is valid.

    Args:
        consent_days: the middleware's option; None for six months, or 12 where the policy has a sale or sharing, or a
            law asks for it.
        policy: the policy.

    Raises:
        ValueError: it is no number of days, or more than 400; or the policy has a sale or sharing and it is less than
            12 months, or less than a law of the policy asks for.
    """
    least = timedelta(days=max((law.asked_again_days for law in policy.laws), default=0))
    if consent_days is None:
        return max(OPT_OUT_LIFETIME if policy.sells else CONSENT_LIFETIME, least)
    # True is an int in Python, and would mean one day.
    is_number = isinstance(consent_days, int | float) and not isinstance(consent_days, bool)
    is_valid = is_number and 1 <= consent_days * 86_400 <= LONGEST_COOKIE.total_seconds()
    remedy = f"Write a number of days, at most {LONGEST_COOKIE.days} days."
    check("consent_days", consent_days, is_valid=is_valid, remedy=remedy)
    lifetime = timedelta(days=consent_days)
    check(
        "consent_days",
        consent_days,
        is_valid=not policy.sells or lifetime >= OPT_OUT_LIFETIME,
        remedy="The policy has sells = true, and a visitor who refused a sale is not asked again for 12 months: leave "
        f"it out, or write at least {OPT_OUT_LIFETIME.days}.",
    )
    if lifetime < least:
        asking = next(law for law in policy.laws if law.asked_again_days == least.days)
        raise ValueError(
            f"consent_days: {consent_days!r} is not valid. Who refused is not asked again for {least.days} days under "
            f"the law of {asking.name}: leave it out, or write at least that."
        )
    return lifetime
