"""The consent record as a ledger keeps it: an answer, and what has to be shown of it years later."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cookie_consent.base.dates import rfc3339, seconds_of
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.ledgers import Entry
from cookie_consent.ledgers.chain import SCHEMA
from cookie_consent.policy.policy import Policy, canonical_json

CLICKED_WITHIN = 10
"""The same without a cookie: a form says then that it is sent again, and nothing else says whose it is (seconds)."""
REPEATED_WITHIN = 60
"""An identical answer that comes within so many seconds is the same: a double click, a second try."""
_LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
"""The last day that RFC 3339 can say."""
_TOLD_APART = ("granted", "refused", "facts", "policy", "signals")
"""What identical answers have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What was shown when an answer was given.

    Args:
        surface: "banner", "again" (the banner, called for to change the answer), "settings", "box", "page".
        feature: the id of the feature that needed consent, on a box or page; None elsewhere.
        html: the very text.
        prevailing_html: the same in the prevailing language.
        build: the hash of what made it.
    """

    surface: str
    feature: str | None
    html: str
    prevailing_html: str
    build: str


def document(record: ConsentRecord, lifetime: timedelta) -> dict[str, Any]:
    """Return what a consent record says by itself, as plain data for JSON; each purpose's answer both ways.

    Args:
        record: the answer.
        lifetime: how long it holds.
    """
    return {
        "schema": SCHEMA,
        "consent_id": record.consent_id or None,
        "policy": record.policy,
        "status": record.status,
        "decided_at": rfc3339(record.decided_at),
        "expires_at": rfc3339(record.decided_at + lifetime.total_seconds()),
        "source": record.source,
        "language": record.language,
        "signals": sorted(record.signals),
        "granted": record.in_state(State.GRANTED),
        "refused": record.in_state(State.REFUSED),
        "facts": {id_: answer.facts for id_, answer in record.answers.items()},
    }


def answer_at(records: Iterable[Mapping[str, Any]], time: int) -> ConsentRecord | None:
    """Return the answer that was given at a time, as a ledger keeps it; None where there is none.

    Args:
        records: the records of one consent id, as the ledger returns them.
        time: seconds since 1970.
    """
    for kept in records:
        if _is_answer(kept) and seconds_of(kept["decided_at"]) == time:
            states = dict.fromkeys(kept["facts"], State.UNANSWERED)
            states |= dict.fromkeys(kept["refused"], State.REFUSED) | dict.fromkeys(kept["granted"], State.GRANTED)
            return ConsentRecord(
                answers={id_: Answer(states[id_], facts) for id_, facts in kept["facts"].items()},
                policy=kept["policy"],
                decided_at=time,
                source=kept["source"],
                language=kept["language"],
                signals=frozenset(kept["signals"]),
                consent_id=kept["consent_id"],
            )
    return None


def event(before: ConsentRecord | None, after: ConsentRecord) -> str:
    """Return what an answer is: "granted", "refused", "changed" or "withdrawn".

    Args:
        before: the answer that held until then, if there was one.
        after: the answer.
    """
    had, has = (set(record.in_state(State.GRANTED)) if record else set() for record in (before, after))
    if had and not has:
        return "withdrawn"
    if had in (set(), has):
        return "granted" if has else "refused"
    return "changed"


def repeats(last: Mapping[str, Any], answer: Entry) -> bool:
    """Return whether an answer says again what the visitor's last record says, about the same and just after it.

    So does the second of two clicks that came with the cookie from before the first, and a second try where the
    answer to the first was lost on its way.

    Args:
        last: the record, as the ledger returns it.
        answer: what the ledger would be given to keep.
    """
    same = all(last.get(name) == answer.document[name] for name in _TOLD_APART)
    return same and _is_answer(last) and answer.decided_at - seconds_of(last["decided_at"]) <= REPEATED_WITHIN


def says_again(before: ConsentRecord, after: ConsentRecord) -> bool:
    """Return whether an answer repeats a plain refusal just after it; see `repeats`. Only the cookie knows of that one.

    Args:
        before: the answer in the cookie. Where it has an id, the ledger knows better.
        after: the answer.
    """
    if before.consent_id or before.in_state(State.GRANTED):
        return False
    same = (before.answers, before.policy, before.signals) == (after.answers, after.policy, after.signals)
    return same and after.decided_at - before.decided_at <= REPEATED_WITHIN


def tells_of_consent(record: Mapping[str, Any]) -> bool:
    """Return whether a record, as the ledger returns it, shows that its visitor has consented to something."""
    return bool(record.get("granted")) or record["event"] in ("withdrawn", "signal")


def newest_answer(records: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any] | None, frozenset[str]]:
    """Return the newest answer among records, and the ids of what it grants and no signal has switched off since.

    Args:
        records: the newest ones of one consent id, oldest first.
    """
    granted = []
    for record in reversed(records):
        if record["event"] != "note":
            granted.append(frozenset(record["granted"]))
        if _is_answer(record):
            return record, frozenset.intersection(*granted)
    return None, frozenset()


def _is_answer(record: Mapping[str, Any]) -> bool:
    """Return whether a record is that of an answer, and neither a note nor what a signal has changed."""
    return bool(record["event"] != "note" and record["source"] != "signal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What every record is made with.

    Args:
        record_id: a random id for it.
        policy: what it is about, as it holds there: with the service whose conditions apply.
        lifetime: how long an answer holds.
    """

    record_id: str
    policy: Policy
    lifetime: timedelta

    def keep_until(self, end: str) -> str:
        """Return until when a record is kept whose consent ends then: the policy's time longer (PC-10)."""
        return rfc3339(min(seconds_of(end) + self.policy.records.keep.total_seconds(), _LAST))

    def cited(self) -> dict[str, Any]:
        """Return what each record says of the policy and the service."""
        service = self.policy.service
        return {
            "policy": self.policy.version,
            "policy_sha256": _hash_of(self.policy),
            "service": service.id if service else None,
            "prevailing_language": self.policy.site.prevailing_language,
        }


def entry(
    record: ConsentRecord,
    given: Circumstances,
    *,
    before: ConsentRecord | None,
    previous: str | None,
    form_id: str,
    shown: Shown | None,
) -> Entry:
    """Return what a ledger is given to keep of an answer.

    Args:
        record: the answer.
        given: its circumstances.
        before: the answer that held until then, if there was one.
        previous: the id of the visitor's record before it, if there is one.
        form_id: what the form that was sent has, and no other; "" where it says nothing.
        shown: what was shown; None where that is not known.
    """
    said = document(record, given.lifetime)
    came_from = previous or form_id or given.record_id
    # A refusal before the first consent stands alone: its time, to the second, would join the two.
    joined = previous is not None or (before is not None and bool(before.in_state(State.GRANTED)))
    told_apart = [came_from, *(said[name] for name in _TOLD_APART)]
    return Entry(
        document={
            **given.cited(),
            **said,
            "record_id": given.record_id,
            "event": event(before, record),
            "text": digest(shown.html) if shown else None,
            "prevailing_text": digest(shown.prevailing_html) if shown else None,
            "surface": shown.surface if shown else None,
            "feature": shown.feature if shown else None,
            "answered_before": rfc3339(before.decided_at) if before and joined else None,
            "build": shown.build if shown else None,
            "previous": previous,
            "keep_until": given.keep_until(said["expires_at"]),
            "repeat_key": _digest_of(told_apart),
        },
        policies={given.policy.version: _said_by(given.policy)},
        texts={digest(text): text for text in ((shown.html, shown.prevailing_html) if shown else ())},
        repeat_within=REPEATED_WITHIN if previous else CLICKED_WITHIN,
    )


def signal_entry(
    record: ConsentRecord,
    given: Circumstances,
    *,
    now: float,
    off: frozenset[str],
    signals: tuple[str, ...],
    previous: str | None,
) -> Entry:
    """Return what a ledger is given to keep when a signal of the browser switches off what was granted, or no longer.

    Args:
        record: the answer that it rules over.
        given: the circumstances of now.
        now: seconds since 1970.
        off: the ids of the purposes that the signal refuses; none where it has gone.
        signals: the names of the browser's signals.
        previous: the id of the visitor's record before it, if there is one.
    """
    said = document(record, given.lifetime)
    granted = [id_ for id_ in said["granted"] if id_ not in off]
    refused = [id_ for id_ in record.answers if id_ in off or id_ in said["refused"]]
    status = "refused" if len(refused) == len(record.answers) else "partial"
    return Entry(
        document={
            **said,
            **given.cited(),
            "record_id": given.record_id,
            "event": "signal" if off else "changed",
            "source": "signal",
            "status": status if off else record.status,
            "decided_at": rfc3339(now),
            "signals": list(signals),
            "granted": granted,
            "refused": refused,
            "answered_before": rfc3339(record.decided_at),
            "previous": previous,
            "keep_until": given.keep_until(said["expires_at"]),
            # Once after each record, whichever process sees it first.
            "repeat_key": _digest_of(["signal", previous, record.consent_id, record.decided_at, sorted(off)]),
        },
        policies={given.policy.version: _said_by(given.policy)},
        repeat_within=int(now),
    )


def note_entry(
    about: Mapping[str, Any], given: Circumstances, *, now: float, text: str, language: str, previous: str
) -> Entry:
    """Return what a ledger is given to keep when a visitor attaches a note to a record.

    Args:
        about: the record; it stays as it is.
        given: the circumstances of now.
        now: seconds since 1970.
        text: what the visitor writes.
        language: the language of the page.
        previous: the id of the visitor's record before it.
    """
    said = {"consent_id": about["consent_id"], "about": about["record_id"], "note": text}
    return Entry(
        document={
            "schema": SCHEMA,
            "record_id": given.record_id,
            "event": "note",
            "decided_at": rfc3339(now),
            "language": language,
            "previous": previous,
            # As long as the record, and after the end of its consent for as long as any other from now on.
            "keep_until": given.keep_until(max(about["expires_at"], rfc3339(now))),
            "repeat_key": _digest_of(said),
            **said,
        },
        repeat_within=REPEATED_WITHIN,
    )


def digest(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=64)
def _hash_of(policy: Policy) -> str:
    """Return the whole hash of what a policy says, of which its version is the begin."""
    return _digest_of(policy.document())


@lru_cache(maxsize=64)
def _said_by(policy: Policy) -> dict[str, Any]:
    """Return what a policy says; kept, since no answer changes it."""
    return policy.document()


def _digest_of(said: Any) -> str:
    return digest(canonical_json(said).decode())
