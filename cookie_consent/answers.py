"""Reads an answer as it is posted, and makes the consent record of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from cookie_consent.decision import Decision
from cookie_consent.material import digests
from cookie_consent.parts import NECESSARY
from cookie_consent.policy import Policy
from cookie_consent.policy_error import did_you_mean
from cookie_consent.problem import Problem
from cookie_consent.record import Answer, ConsentRecord, State

_CHOICES = ("accept_all", "refuse_all", "save", "grant")
_SOURCES = ("banner", "settings", "feature", "api")
_MOST_FIELDS = 200
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """An answer as a visitor gave it.

    Args:
        choice: "accept_all", "refuse_all", "save" (grants `purposes`, refuses the others) or "grant" (grants
            `purposes`, leaves the others as they are).
        purposes: purpose id -> whether it was ticked, for those that the answer names.
        policy: the version of the policy that was shown; "" where the answer does not say.
        next: where to go on; "" where the answer does not say.
        source: where the answer was given.
        language: the language that was shown; "" where the answer does not say.
        service: the id of the service on whose page it was given; "" elsewhere.
    """

    choice: str
    purposes: Mapping[str, bool] = field(default_factory=dict)
    policy: str = ""
    next: str = ""
    source: str = ""
    language: str = ""
    service: str = ""


def is_form(content_type: str) -> bool:
    """Return whether a body of this type comes from an HTML form."""
    return _media_type(content_type) in (_FORM, "multipart/form-data", "text/plain")


def read_answer(content_type: str, body: bytes, policy: Policy) -> Posted:
    """Read the body of an answer.

    Raises:
        Problem: 400, the body is no answer.
    """
    readers: dict[str, Callable[[bytes], Posted]] = {_FORM: _read_form, _JSON: _read_json}
    reader = readers.get(_media_type(content_type))
    if reader is None:
        raise Problem(400, f"The body has to be {_FORM} or {_JSON}.")
    posted = reader(body)
    if posted.choice not in _CHOICES:
        raise Problem(400, f"There is no choice {posted.choice[:40]!r}. Known: {', '.join(_CHOICES)}.")
    if posted.source not in _SOURCES:
        raise Problem(400, f"There is no source {posted.source[:40]!r}. Known: {', '.join(_SOURCES)}.")
    for purpose in sorted(posted.purposes.keys() - {NECESSARY, *policy.optional}):
        raise Problem(400, f"There is no purpose {purpose[:40]!r}. {did_you_mean(purpose[:40], policy.optional)}")
    services = [service.id for service in policy.services]
    if posted.service and posted.service not in services:
        raise Problem(
            400, f"There is no service {posted.service[:40]!r}. {did_you_mean(posted.service[:40], services)}"
        )
    if posted.choice == "grant" and not any(posted.purposes.values()):
        raise Problem(400, "There is no purpose to grant.")
    return posted


def make_record(
    posted: Posted, before: Decision, shown: Policy, *, now: int, language: str, consent_id: str
) -> ConsentRecord:
    """Return the consent record of an answer.

    Args:
        posted: the answer.
        before: what held until now.
        shown: the policy as it holds where the answer was given. What a service refuses is not asked for there, and
            stays as it was.
        now: seconds since 1970.
        language: the language that was shown.
        consent_id: ties the record to the ledger; "" without one.
    """
    facts = digests(before.policy)
    return ConsentRecord(
        answers={
            purpose: Answer(_state(posted, before, shown, purpose), facts[purpose])
            for purpose in before.policy.optional
        },
        policy=before.policy.version,
        decided_at=now,
        source=posted.source,
        language=language,
        signals=frozenset(before.signals),
        consent_id=consent_id,
    )


def _state(posted: Posted, before: Decision, shown: Policy, purpose: str) -> State:
    if shown.in_force[purpose].refused:
        return _state_so_far(before, purpose)
    if posted.choice == "accept_all" or (posted.choice != "refuse_all" and posted.purposes.get(purpose)):
        return State.GRANTED
    if posted.choice != "grant":
        return State.REFUSED
    return _state_so_far(before, purpose)


def _state_so_far(before: Decision, purpose: str) -> State:
    """What a purpose keeps that the answer is silent on: a grant only if it holds now, signals and changes applied."""
    if before.purposes[purpose]:
        return State.GRANTED
    answer = before.record.answers.get(purpose) if before.record else None
    return State.REFUSED if answer and answer.state is State.REFUSED else State.UNANSWERED


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _read_form(body: bytes) -> Posted:
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise Problem(400, "The form cannot be read.") from None
    single = {name: value for name, value in fields if name != "purpose"}
    if len(single) < sum(1 for name, _ in fields if name != "purpose"):
        raise Problem(400, "A field that may be there once is there several times.")
    return Posted(
        choice=single.get("choice", ""),
        purposes={value: True for name, value in fields if name == "purpose"},
        policy=single.get("policy", ""),
        next=single.get("next", ""),
        source=single.get("source", "settings"),
        language=single.get("language", ""),
        service=single.get("service", ""),
    )


def _read_json(body: bytes) -> Posted:
    try:
        data = json.loads(body.decode(), object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError):
        raise Problem(400, "The body is no JSON text in UTF-8 with each key once.") from None
    if not isinstance(data, dict):
        raise Problem(400, "The body has to be a JSON object.")
    names = ("choice", "policy", "next", "source", "language", "service")
    texts = {name: data[name] for name in names if name in data}
    if not all(isinstance(text, str) for text in texts.values()):
        raise Problem(400, f"These have to be texts: {', '.join(texts)}.")
    return Posted(**{"choice": "", "source": "api", **texts}, purposes=_named(data))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _constant(name: str) -> None:
    raise ValueError(f"{name} is Python's, not JSON's")


def _named(data: dict[str, Any]) -> dict[str, bool]:
    if "purposes" not in data and data.get("choice") not in ("save", "grant"):
        return {}
    purposes = data.get("purposes")
    if not isinstance(purposes, dict) or not all(isinstance(value, bool) for value in purposes.values()):
        raise Problem(400, '"purposes" has to be an object of true and false.')
    if purposes.get(NECESSARY) is False:
        raise Problem(400, "What is necessary cannot be refused.")
    return purposes
