"""Reasons that pages give: what is off, why, and what has changed."""

from __future__ import annotations

from typing import Any

from cookie_consent.decision.decision import Decision, purposes_switched_off
from cookie_consent.decision.record import State
from cookie_consent.policy.card import Card
from cookie_consent.policy.parts import Feature, Service


def has_changed(decision: Decision) -> bool:
    """Tell whether something is asked again because of a policy change.

    That is so if a purpose is new, or wider than what the visitor accepted.
    """
    policy, record = decision.policy, decision.record
    if record is None or record.policy == policy.version or not decision.should_ask:
        return False
    off = (purpose for purpose in policy.optional if not decision.purposes[purpose])
    answers = [record.answers.get(purpose) for purpose in off]
    return any(answer is None or answer.state is State.GRANTED for answer in answers)


def status_text(decision: Decision) -> str:
    """Return the name of the text that describes the visitor's answer."""
    record = decision.record
    # Nothing is granted, so "partly" would promise too much: all that was answered is an opt-out.
    if decision.status == "partial" and record is not None and not record.in_state(State.GRANTED):
        return "status_opted_out"
    if decision.status == "unknown" and decision.policy.is_opt_out:
        return "status_unknown_opt_out"
    return f"status_{decision.status}"


def what_is_off(decision: Decision, missing: tuple[str, ...], feature: Feature | None) -> dict[str, Any]:
    """Return template variables about something that is off: its purposes, why, who would get data, if it can be on."""
    policy = decision.policy
    in_force = policy.in_force
    return {
        "feature": feature,
        "missing": missing,
        "recipients": [recipient for recipient in policy.recipients if recipient.purpose in missing],
        "why": {purpose: why_off(decision, purpose) for purpose in missing},
        "can_be_allowed": not any(in_force[purpose].refused for purpose in missing),
    }


def what_card_needs(decision: Decision, card: Card) -> dict[str, Any]:
    """Return template variables about a card: what is off and why, what "Always allow" grants, and to whom."""
    missing = tuple(id_ for id_ in card.purposes if not decision.purposes[id_])
    return {
        "card": card,
        "missing": missing,
        "why": {id_: why_off(decision, id_) for id_ in missing},
        "recipients": [recipient for recipient in card.recipients if recipient.purpose in missing],
    }


def why_off(decision: Decision, purpose: str) -> str:
    """Return the name of the text that says why a purpose is off."""
    answer = decision.record.answers.get(purpose) if decision.record else None
    # The strongest reason first, as in `decide`.
    if decision.policy.in_force[purpose].refused:
        return "refused_here"
    if answer and answer.state is State.REFUSED:
        return "why_refused"
    for signal in decision.signals:
        if purpose in refused_by(decision, signal):
            return f"why_{signal}"
    if purpose in purposes_switched_off(decision):
        return "why_signal"
    return "why_changed" if answer and answer.state is State.GRANTED else "why_unanswered"


def refused_by(decision: Decision, signal: str) -> list[str]:
    """Return the purposes that a signal refuses, in the order of the policy."""
    policy = decision.policy
    refused = policy.gpc_refuses if signal == "gpc" else policy.dnt_refuses
    return [purpose for purpose in policy.optional if purpose in refused]


def refused_in(service: Service) -> list[str]:
    """Return the purposes that a service always refuses, whatever the visitor answered."""
    return [purpose for purpose, purpose_here in service.purposes.items() if purpose_here.refused]
