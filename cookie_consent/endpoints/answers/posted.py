"""Parses an answer from a request body, and turns it into a consent record."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from cookie_consent.decision.decision import Decision
from cookie_consent.decision.reasons import Reason
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.http.forms import FORM, JSON, Problem, each_once, form_fields, json_object, reader_for
from cookie_consent.policy.diff import digests
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.parts import NECESSARY
from cookie_consent.policy.policy import Policy

_CHOICES = ("accept_all", "refuse_all", "save", "grant", "opt_out")
_SOURCES = ("banner", "settings", "feature", "api")
_FORM_ID = re.compile(r"[A-Za-z0-9_-]{0,64}")
_ANSWERED = re.compile(r"[0-9]{1,10}")
_SAME = ("language", "service", "surface", "feature", "card", "answered", "notice", "first", "asked")
_OF_FORMS = {**{name: name for name in _SAME}, "once": "form_id"}
"""Fields in which a form describes itself -> attribute of `PostedAnswer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedAnswer:
    """An answer as the visitor sent it.

    Args:
        choice: "accept_all" (grants all but what a signal refuses), "refuse_all", "save" (grants `purposes`, refuses
            all others), "grant" (grants `purposes` but for what a signal refuses, leaves all others as they are) or
            "opt_out" (refuses every sale or sharing, leaves all others as they are).
        purposes: purpose id -> whether it was ticked, for the purposes that the answer names.
        policy: the version of the policy that was shown; "" if not given.
        next: the address to continue at; "" if not given.
        source: where the answer was given: "banner", "settings", "feature" or "api". Without it, a form counts as
            "settings", and JSON as "api".
        language: the language that was shown; "" if not given.
        service: the id of the service on whose page it was given; "" for none.
        surface: the kind of page or box that was shown; "" if not given.
        feature: the id of the feature that needed consent; "" if not given.
        card: what the form of a card says of it, see `InsertedHtml.read_card`; "" if not given.
        form_id: the id of the form; "" if not given.
        answered: the time of the answer that the form showed, in seconds since 1970; "0" for no answer, "" if not
            given.
        notice: the name of the message above the form; "" for none.
        first: "1" if the question was the first of a visit.
        asked: the ids of the purposes that the form asked for, separated by spaces. The first three choices leave all
            others as they are; "" for none.
    """

    choice: str
    purposes: Mapping[str, bool] = field(default_factory=dict)
    policy: str = ""
    next: str = ""
    source: str = ""
    language: str = ""
    service: str = ""
    surface: str = ""
    feature: str = ""
    card: str = ""
    form_id: str = ""
    answered: str = ""
    notice: str = ""
    first: str = ""
    asked: str = ""


def read_answer(content_type: str, body: bytes, policy: Policy) -> PostedAnswer:
    """Parse and validate the body of an answer.

    Args:
        content_type: the Content-Type field.
        body: the body.
        policy: the site's policy.

    Raises:
        Problem: 400, the body is no valid answer.
    """
    readers: dict[str, Callable[[bytes], PostedAnswer]] = {FORM: _read_form, JSON: _read_json}
    posted = _without_bad_marks(reader_for(content_type, readers)(body))
    # Messages cut what the client sent, because they are part of the response.
    if posted.choice not in _CHOICES:
        raise Problem(400, f"There is no choice {posted.choice[:40]!r}. Known: {', '.join(_CHOICES)}.")
    if posted.source not in _SOURCES:
        raise Problem(400, f"There is no source {posted.source[:40]!r}. Known: {', '.join(_SOURCES)}.")
    services = [service.id for service in policy.services]
    _check_names(posted, policy)
    if posted.service and posted.service not in services:
        raise Problem(
            400, f"There is no service {posted.service[:40]!r}. {did_you_mean(posted.service[:40], services)}"
        )
    _check_not_empty(posted, policy)
    return posted


def _without_bad_marks(posted: PostedAnswer) -> PostedAnswer:
    """Return an answer without marks of the form that cannot be read.

    They only help to recognise a double click, the text that was shown and what is counted. A bad one is no reason to
    refuse an answer.
    """
    return replace(
        posted,
        form_id=posted.form_id if _FORM_ID.fullmatch(posted.form_id) else "",
        answered=posted.answered if _ANSWERED.fullmatch(posted.answered) else "",
    )


def _check_names(posted: PostedAnswer, policy: Policy) -> None:
    """Check that the policy has what an answer names.

    Raises:
        Problem: 400, it lacks a purpose.
    """
    for purpose in sorted(posted.purposes.keys() - {NECESSARY, *policy.optional}):
        raise Problem(400, f"There is no purpose {purpose[:40]!r}. {did_you_mean(purpose[:40], policy.optional)}")


def _check_not_empty(posted: PostedAnswer, policy: Policy) -> None:
    """Check that a choice about some purposes is about at least one.

    Raises:
        Problem: 400, it is about none.
    """
    if posted.choice == "grant" and not any(posted.purposes.values()):
        raise Problem(400, "There is no purpose to grant.")
    if posted.choice == "opt_out" and not policy.sells:
        raise Problem(400, "Nothing is sold or shared here.")


def make_record(
    posted: PostedAnswer, before: Decision, shown: Policy, *, now: int, language: str, lifetime: timedelta
) -> ConsentRecord:
    """Return the consent record of an answer.

    Args:
        posted: the answer.
        before: the decision until now.
        shown: the policy that applies where the answer was given. What a service refuses is not asked there, and stays
            as it was.
        now: seconds since 1970.
        language: the language that was shown.
        lifetime: how long the answer is valid.

    Returns:
        The record without a consent id: the ledger decides whether it needs one.
    """
    facts = digests(before.policy)
    states = {purpose: _state(posted, before, shown, purpose) for purpose in before.policy.optional}
    return ConsentRecord(
        answers={purpose: Answer(state, facts[purpose]) for purpose, state in states.items()},
        policy=before.policy.version,
        decided_at=now,
        source=posted.source,
        language=language,
        signals=frozenset(before.signals),
        lifetime=lifetime.total_seconds(),
    )


def refusals_in(record: ConsentRecord, before: Decision) -> ConsentRecord | None:
    """Return what holds of an answer if its record cannot be stored: what it refuses. None if it refuses nothing.

    A refusal needs no proof. What the answer would newly allow stays as it was.

    Args:
        record: the answer.
        before: the decision until now.
    """
    states = {id_: answer.state for id_, answer in record.answers.items()}
    for id_ in record.in_state(State.GRANTED):
        states[id_] = _state_so_far(before, id_)
    answers = {id_: Answer(state, record.answers[id_].facts) for id_, state in states.items()}
    refusal = replace(record, answers=answers)
    refused_before = before.record.in_state(State.REFUSED) if before.record else []
    refuses_more = not set(refused_before).issuperset(refusal.in_state(State.REFUSED))
    return refusal if refuses_more or not record.in_state(State.GRANTED) else None


def _state(posted: PostedAnswer, before: Decision, shown: Policy, purpose: str) -> State:
    """Return the new state of a purpose."""
    if posted.choice == "opt_out" and purpose in before.policy.sells:
        return State.REFUSED
    allows = _allows(posted, before, purpose)
    if allows is None or shown.in_force[purpose].refused:
        return _state_so_far(before, purpose)
    if not allows:
        return State.REFUSED
    # A box that ran unasked and was left ticked is no consent (GDPR, recital 32), should the visitor move to where
    # consent is needed.
    is_left_ticked = posted.choice != "accept_all" and before.reasons[purpose] is Reason.UNREFUSED
    return State.UNANSWERED if is_left_ticked else State.GRANTED


def _allows(posted: PostedAnswer, before: Decision, purpose: str) -> bool | None:
    """Return whether an answer allows a purpose or refuses it; None if it leaves the purpose as it is."""
    by_signal = purpose in before.refused_by_signal
    ticked = posted.purposes.get(purpose, False)
    is_asked = not posted.asked or purpose in posted.asked.split()
    match posted.choice:
        case "accept_all":
            return True if is_asked and not by_signal else None
        case "refuse_all":
            return False if is_asked or by_signal else None
        case "save":
            return ticked if is_asked else None
        case "grant":
            return True if ticked and not by_signal else None
    return None


def _state_so_far(before: Decision, purpose: str) -> State:
    """Return the state of a purpose that the answer does not mention.

    A grant stays only if it still holds, with signals and policy changes applied. A signal against a sale or sharing
    counts as a refusal, and is not asked about again.
    """
    reason = before.reasons[purpose]
    if reason is Reason.GRANTED:
        return State.GRANTED
    was_refused = before.record is not None and purpose in before.record.in_state(State.REFUSED)
    is_opted_out = purpose in before.refused_by_signal and purpose in before.policy.sells
    return State.REFUSED if was_refused or is_opted_out else State.UNANSWERED


def _read_form(body: bytes) -> PostedAnswer:
    fields = form_fields(body)
    single = each_once((name, value) for name, value in fields if name != "purpose")
    return PostedAnswer(
        choice=single.get("choice", ""),
        purposes={value: True for name, value in fields if name == "purpose"},
        policy=single.get("policy", ""),
        next=single.get("next", ""),
        source=single.get("source", "settings"),
        **{attribute: single.get(name, "") for name, attribute in _OF_FORMS.items()},
    )


def _read_json(body: bytes) -> PostedAnswer:
    data = json_object(body)
    names = ("choice", "policy", "next", "source", *_OF_FORMS)
    texts = {name: data[name] for name in names if name in data}
    if not all(isinstance(text, str) for text in texts.values()):
        raise Problem(400, f"These have to be texts: {', '.join(texts)}.")
    attributes = {_OF_FORMS.get(name, name): text for name, text in texts.items()}
    return PostedAnswer(
        **{"choice": "", "source": "api", **attributes},
        purposes=_purposes_in(data),
    )


def _purposes_in(data: dict[str, Any]) -> dict[str, bool]:
    if "purposes" not in data and data.get("choice") not in ("save", "grant"):
        return {}
    purposes = data.get("purposes")
    if not isinstance(purposes, dict) or not all(isinstance(value, bool) for value in purposes.values()):
        raise Problem(400, '"purposes" has to be an object of true and false.')
    if purposes.get(NECESSARY) is False:
        raise Problem(400, "What is necessary cannot be refused.")
    return purposes
