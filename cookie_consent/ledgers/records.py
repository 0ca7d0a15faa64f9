"""Consent records as a ledger stores them: the answer and the evidence around it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cookie_consent.base.clock import rfc3339, seconds_of
from cookie_consent.decision.record import Answer, ConsentRecord, State, name_event
from cookie_consent.ledgers import Entry
from cookie_consent.ledgers.chain import SCHEMA
from cookie_consent.policy.policy import Policy, canonical_json

DOUBLE_CLICK_WINDOW = 10
"""An identical answer within this time counts as a repeat if the visitor has no earlier record (seconds). Only the
form's id then tells that the two came from one visitor."""
REPEAT_WINDOW = 60
"""An identical answer of the same visitor within this time counts as a repeat, such as a double click or a retry
(seconds)."""
_LAST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
"""The latest date that RFC 3339 can express, as Unix time."""
_COMPARED = ("granted", "refused", "facts", "policy", "signals")
"""The fields in which two identical answers agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownText:
    """What the visitor saw when answering.

    Args:
        surface: "banner", "again" (the banner, reopened to change an answer), "settings", "box", "card" or "page".
        feature: the id of the feature that needed consent, on a box or page; None elsewhere.
        html: the text exactly as shown.
        prevailing_html: the same text in the prevailing language.
        build: the hash of the program and templates that rendered it.
    """

    surface: str
    feature: str | None
    html: str
    prevailing_html: str
    build: str


def describe_record(record: ConsentRecord) -> dict[str, Any]:
    """Return the fields of a record that follow from the answer alone, as plain data for JSON."""
    return {
        "schema": SCHEMA,
        "consent_id": record.consent_id or None,
        "policy": record.policy,
        "status": record.status,
        "decided_at": rfc3339(record.decided_at),
        "expires_at": rfc3339(record.expires_at),
        "source": record.source,
        "language": record.language,
        "signals": sorted(record.signals),
        "granted": list(record.granted),
        "refused": list(record.refused),
        "facts": {id_: answer.facts for id_, answer in record.answers.items()},
    }


def answer_at(records: Iterable[Mapping[str, Any]], time: int) -> ConsentRecord | None:
    """Return the answer that a visitor gave at a time, rebuilt from the ledger's records; None if there is none.

    Args:
        records: the records of one consent id, as the ledger returns them.
        time: Unix time in seconds.
    """
    for stored in records:
        if _is_answer(stored) and seconds_of(stored["decided_at"]) == time:
            states = dict.fromkeys(stored["facts"], State.UNANSWERED)
            states |= dict.fromkeys(stored["refused"], State.REFUSED) | dict.fromkeys(stored["granted"], State.GRANTED)
            return ConsentRecord(
                answers={id_: Answer(states[id_], facts) for id_, facts in stored["facts"].items()},
                policy=stored["policy"],
                decided_at=time,
                source=stored["source"],
                language=stored["language"],
                signals=frozenset(stored["signals"]),
                consent_id=stored["consent_id"],
                lifetime=seconds_of(stored["expires_at"]) - time,
            )
    return None


def repeats(last: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
    """Return whether an answer repeats the visitor's last record within `REPEAT_WINDOW`.

    This happens on a double click, when the second request still carries the old cookie, and on a retry after a lost
    response. Two that arrive at the same time have one `repeat_key`.

    Args:
        last: the last record, as `document` or the ledger returns it.
        answer: the answer, as `document` returns it.
    """
    if not _is_answer(last) or any(last.get(name) != answer[name] for name in _COMPARED):
        return False
    return seconds_of(answer["decided_at"]) - seconds_of(last["decided_at"]) <= REPEAT_WINDOW


def find_newest_answer(records: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any] | None, frozenset[str]]:
    """Return the newest answer among records, and the purposes that it grants and no later signal switched off.

    Args:
        records: the newest records of one consent id, oldest first.
    """
    granted = []
    for record in reversed(records):
        granted.append(frozenset(record["granted"]))
        if _is_answer(record):
            return record, frozenset.intersection(*granted)
    return None, frozenset()


def _is_answer(record: Mapping[str, Any]) -> bool:
    """Return whether a record is an answer, not the effect of a signal."""
    return bool(record["source"] != "signal")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordContext:
    """What goes into every new record, whatever its kind.

    Args:
        record_id: a random id for the record.
        policy: the policy under the service whose conditions apply.
    """

    record_id: str
    policy: Policy

    def keep_until(self, end: str) -> str:
        """Return until when to keep a record, by the policy's retention after the consent ends (PC-10).

        Args:
            end: when the consent ends, as in RFC 3339.
        """
        return rfc3339(min(seconds_of(end) + self.policy.records.keep.total_seconds(), _LAST))

    def cited(self) -> dict[str, Any]:
        """Return the fields that identify the policy, the service, and the law if the policy names one."""
        service, law = self.policy.service, self.policy.law
        return {
            "policy": self.policy.version,
            "policy_sha256": _hash_of(self.policy),
            "service": service.id if service else None,
            "prevailing_language": self.policy.site.prevailing_language,
            **({"law": law.code} if law else {}),
        }


def make_entry(
    record: ConsentRecord,
    context: RecordContext,
    *,
    before: ConsentRecord | None,
    previous: str | None,
    form_id: str,
    shown: ShownText | None,
) -> Entry:
    """Return the entry for a visitor's answer.

    Args:
        record: the answer.
        context: the circumstances.
        before: the previous answer, if there was one.
        previous: the id of the visitor's previous record, if there is one.
        form_id: the id of the submitted form, unique to it; "" if unknown.
        shown: what the visitor saw; None if unknown.
    """
    fields = describe_record(record)
    # With neither, a program sent the answer without a cookie, and nothing can recognise a repetition.
    origin = previous or form_id or context.record_id
    # The exact time of a refusal before the first consent would link that record to the visitor's id.
    may_link = previous is not None or (before is not None and bool(before.granted))
    identity = [origin, *(fields[name] for name in _COMPARED)]
    return Entry(
        document={
            **context.cited(),
            **fields,
            "record_id": context.record_id,
            "event": name_event(before, record),
            "text": digest(shown.html) if shown else None,
            "prevailing_text": digest(shown.prevailing_html) if shown else None,
            "surface": shown.surface if shown else None,
            "feature": shown.feature if shown else None,
            "answered_before": rfc3339(before.decided_at) if before and may_link else None,
            "build": shown.build if shown else None,
            "previous": previous,
            "keep_until": context.keep_until(fields["expires_at"]),
            "repeat_key": _digest_of(identity),
        },
        policies={context.policy.version: _policy_data(context.policy)},
        texts={digest(text): text for text in ((shown.html, shown.prevailing_html) if shown else ())},
        # Without an earlier record, two visitors who answer alike could be taken for one. So this time is short.
        repeat_within=REPEAT_WINDOW if previous else DOUBLE_CLICK_WINDOW,
    )


def make_signal_entry(
    record: ConsentRecord,
    context: RecordContext,
    *,
    now: float,
    off: frozenset[str],
    signals: tuple[str, ...],
    previous: str | None,
) -> Entry:
    """Return the entry for a browser signal that switches purposes off, or that stopped doing so.

    Args:
        record: the answer that the signal overrides.
        context: the current circumstances.
        now: Unix time in seconds.
        off: the ids of the purposes that the signal refuses; empty if the signal is gone.
        signals: the names of the browser's signals.
        previous: the id of the visitor's previous record, if there is one.
    """
    fields = describe_record(record)
    granted = [id_ for id_ in fields["granted"] if id_ not in off]
    refused = [id_ for id_ in record.answers if id_ in off or id_ in fields["refused"]]
    status = "refused" if len(refused) == len(record.answers) else "partial"
    return Entry(
        document={
            **fields,
            **context.cited(),
            "record_id": context.record_id,
            "event": "signal" if off else "changed",
            "source": "signal",
            "status": status if off else record.status,
            "decided_at": rfc3339(now),
            "signals": list(signals),
            "granted": granted,
            "refused": refused,
            "answered_before": rfc3339(record.decided_at),
            "previous": previous,
            "keep_until": context.keep_until(fields["expires_at"]),
            # One record for each change, whichever process sees the signal first.
            "repeat_key": _digest_of(["signal", previous, record.consent_id, record.decided_at, sorted(off)]),
        },
        policies={context.policy.version: _policy_data(context.policy)},
        repeat_within=int(now),  # since 1970: a repeat of any age counts
    )


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=64)
def _hash_of(policy: Policy) -> str:
    """Return the full hash of a policy; its version is a prefix of it."""
    return _digest_of(policy.document())


@lru_cache(maxsize=64)
def _policy_data(policy: Policy) -> dict[str, Any]:
    """Return a policy as plain data. Cached because many records cite the same policy."""
    return policy.document()


def _digest_of(data: Any) -> str:
    return digest(canonical_json(data).decode())
