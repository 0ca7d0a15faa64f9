"""Reads the answer in a body, and makes its consent record."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import Any

from cookie_consent.decision.decision import Decision, Reason
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.http.forms import FORM, Problem, read_fields
from cookie_consent.policy.diff import digests
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.parts import NECESSARY
from cookie_consent.policy.policy import Policy

_CHOICES = ("accept_all", "refuse_all", "save", "grant", "opt_out")
_SOURCES = ("banner", "settings", "feature", "api")
_MARKS = {"once": re.compile(r"[A-Za-z0-9_-]{0,64}"), "answered": re.compile(r"[0-9]{1,10}")}
"""Marks of a form that help to recognise a double click and the text that was shown. A bad one is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedAnswer:
    """An answer as the visitor sent it. All attributes but `purposes` are texts, "" if not given.

    Attributes:
        choice: "accept_all" (grants all but what a signal refuses), "refuse_all", "save" (grants `purposes`, refuses
            all others), "grant" (grants `purposes` but for what a signal refuses, leaves all others as they are) or
            "opt_out" (refuses every sale or sharing, leaves all others as they are).
        purposes: purpose id -> whether it was ticked, for the purposes that the answer names.
        policy: the version of the policy that was shown.
        next: the address to continue at.
        source: where the answer was given: "banner", "settings", "feature" or "api". Without it, a form counts as
            "settings", and JSON as "api".
        language: the language that was shown.
        service: the id of the service on whose page it was given.
        surface: the kind of page or box that was shown.
        feature: the id of the feature that needed consent.
        card: what the form of a card says of it, see `Pages.read_card`.
        once: the id of the form.
        answered: the time of the answer that the form showed, in seconds since 1970; "0" for no answer.
        notice: the name of the message above the form.
        first: "1" if the question was the first of a visit.
        asked: the ids of the purposes that the form asked for, separated by spaces. The first three choices leave all
            others as they are. "" asks for all.
    """

    choice: str = ""
    purposes: Mapping[str, bool] = field(default_factory=dict)
    policy: str = ""
    next: str = ""
    source: str = ""
    language: str = ""
    service: str = ""
    surface: str = ""
    feature: str = ""
    card: str = ""
    once: str = ""
    answered: str = ""
    notice: str = ""
    first: str = ""
    asked: str = ""


_TEXTS = [attribute.name for attribute in fields(PostedAnswer) if attribute.name != "purposes"]


def read_answer(media_type: str, body: bytes, policy: Policy) -> PostedAnswer:
    """Parse and validate the body of an answer.

    Raises:
        Problem: 400, the body is no valid answer.
    """
    data = read_fields(media_type, body, repeated="purpose")
    purposes: Any
    if media_type == FORM:
        purposes = dict.fromkeys(data["purpose"], True)
        data = {"source": "settings", **data}
    else:
        purposes = data.get("purposes", None if data.get("choice") in ("save", "grant") else {})
        _check_purposes(purposes)
        data = {"source": "api", **data}
    texts = {}
    for name in _TEXTS:
        texts[name] = data.get(name, "")
        if not isinstance(texts[name], str):
            raise Problem(400, f'"{name}" has to be a text.')
    for name, pattern in _MARKS.items():
        if not pattern.fullmatch(texts[name]):
            texts[name] = ""
    posted = PostedAnswer(purposes=purposes, **texts)
    _check(posted, policy)
    return posted


def _check_purposes(purposes: Any) -> None:
    if not isinstance(purposes, dict) or not all(isinstance(value, bool) for value in purposes.values()):
        raise Problem(400, '"purposes" has to be an object of true and false.')
    if purposes.get(NECESSARY) is False:
        raise Problem(400, "What is necessary cannot be refused.")


def _check(posted: PostedAnswer, policy: Policy) -> None:
    """Check that all exists that an answer names. What the client sent is cut, because it is part of the response."""
    for kind, name, words in (("choice", posted.choice, _CHOICES), ("source", posted.source, _SOURCES)):
        if name not in words:
            raise Problem(400, f"There is no {kind} {name[:40]!r}. Known: {', '.join(words)}.")
    rows: list[tuple[str, str, Sequence[str]]] = [
        ("purpose", purpose, policy.optional) for purpose in posted.purposes if purpose != NECESSARY
    ]
    if posted.service:
        rows.append(("service", posted.service, [service.id for service in policy.services]))
    for kind, name, known in rows:
        if name not in known:
            raise Problem(400, f"There is no {kind} {name[:40]!r}. {did_you_mean(name[:40], known)}")
    if posted.choice == "grant" and not any(posted.purposes.values()):
        raise Problem(400, "There is no purpose to grant.")
    if posted.choice == "opt_out" and not policy.sells:
        raise Problem(400, "Nothing is sold or shared here.")


def make_record(
    posted: PostedAnswer, before: Decision, shown: Policy, *, now: int, language: str, lifetime: timedelta
) -> ConsentRecord:
    """Return the consent record of an answer, without a consent id: the ledger decides whether it needs one.

    Args:
        posted: the answer.
        before: the decision until now.
        shown: the policy that applies where the answer was given. What a service refuses is not asked there, and stays
            as it was.
        now: seconds since 1970.
        language: the language that was shown.
        lifetime: how long the answer is valid.
    """
    policy = before.policy
    granted, refused = _choose(posted, before)
    facts = digests(policy)
    answers = {}
    for purpose in policy.optional:
        is_closed = shown.in_force[purpose].refused and posted.choice != "opt_out"
        if purpose in refused and not is_closed:
            state = State.REFUSED
        elif purpose in granted and not is_closed:
            # A box that ran unasked and was left ticked is no consent (GDPR, recital 32), should the visitor move to
            # where consent is needed.
            is_left_ticked = before.reasons[purpose] is Reason.UNREFUSED and posted.choice != "accept_all"
            state = State.UNANSWERED if is_left_ticked else State.GRANTED
        else:
            state = _state_so_far(before, purpose)
        answers[purpose] = Answer(state, facts[purpose])
    return ConsentRecord(
        answers=answers,
        policy=policy.version,
        decided_at=now,
        source=posted.source,
        language=language,
        signals=frozenset(before.signals),
        lifetime=lifetime.total_seconds(),
    )


def _choose(posted: PostedAnswer, before: Decision) -> tuple[frozenset[str], frozenset[str]]:
    """Return the purposes that an answer grants, and those that it refuses. It leaves all others as they are."""
    asked = frozenset(posted.asked.split() or before.policy.optional)
    ticked = frozenset(purpose for purpose, is_ticked in posted.purposes.items() if is_ticked)
    none = frozenset[str]()
    match posted.choice:
        case "accept_all":
            return asked - before.refused_by_signal, none
        case "refuse_all":
            return none, asked | before.refused_by_signal
        case "save":
            return asked & ticked, asked - ticked
        case "grant":
            return ticked - before.refused_by_signal, none
        case _:
            return none, frozenset(before.policy.sells)


def keep_refusals(record: ConsentRecord, before: Decision) -> ConsentRecord | None:
    """Return what counts of an answer if its record cannot be stored: what it refuses. None if it refuses nothing.

    A refusal needs no proof. What the answer would newly allow stays as it was.
    """
    answers = dict(record.answers)
    for purpose in record.granted:
        answers[purpose] = answers[purpose]._replace(state=_state_so_far(before, purpose))
    refusal = replace(record, answers=answers)
    refused_before = before.record.refused if before.record else ()
    refuses_more = not set(refused_before).issuperset(refusal.refused)
    return refusal if refuses_more or not record.granted else None


def _state_so_far(before: Decision, purpose: str) -> State:
    """Return the state of a purpose that an answer leaves as it is.

    A grant stays only if it still counts, with signals and policy changes applied. A signal against a sale or sharing
    counts as a refusal, and is not asked about again.
    """
    if before.reasons[purpose] is Reason.GRANTED:
        return State.GRANTED
    was_refused = before.record is not None and purpose in before.record.refused
    is_opted_out = purpose in before.refused_by_signal and purpose in before.policy.sells
    return State.REFUSED if was_refused or is_opted_out else State.UNANSWERED
