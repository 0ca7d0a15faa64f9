"""Reasons that pages give: what is off, why, and what has changed."""

from __future__ import annotations

from typing import Any

from cookie_consent.decision.decision import Decision
from cookie_consent.decision.reasons import Reason
from cookie_consent.policy.parts import Feature, Service
from cookie_consent.policy.policy import Card


def intro_of(csp: str | None, undeclared: str) -> str:
    """Return the name of the text on what happens before an answer: as much as the middleware's options hold."""
    if undeclared == "allow":
        return "settings_intro_opt_out"
    return "settings_intro_cookies" if csp is None else "settings_intro"


def has_changed(decision: Decision) -> bool:
    """Tell whether something is asked that is new since the visitor's answer, or wider than what it accepted."""
    record, reasons = decision.record, decision.reasons
    if record is None:
        return False
    return any(reasons[id_] is Reason.CHANGED or id_ not in record.answers for id_ in decision.asked)


def what_is_off(decision: Decision, missing: tuple[str, ...], feature: Feature | None) -> dict[str, Any]:
    """Return template variables about something that is off: its purposes, why, who would get data, if it can be on."""
    policy = decision.policy
    refused_here = any(policy.in_force[id_].refused for id_ in missing)
    return {
        "feature": feature,
        "missing": missing,
        "recipients": [recipient for recipient in policy.recipients if recipient.purpose in missing],
        "why": {id_: decision.reasons[id_] for id_ in missing},
        "refused_here": refused_here,
        # What a signal refuses is allowed in the settings alone.
        "can_be_allowed": not refused_here and decision.refused_by_signal.isdisjoint(missing),
    }


def what_card_needs(decision: Decision, card: Card) -> dict[str, Any]:
    """Return template variables about a card: what is off and why, what "Always allow" grants, and to whom."""
    missing = tuple(id_ for id_ in card.purposes if not decision.purposes[id_])
    needs = what_is_off(decision, missing, card.feature)
    # The recipient that the card is about comes first.
    recipients = sorted(needs["recipients"], key=lambda recipient: recipient.id != card.id)
    return needs | {"card": card, "recipients": recipients}


def refused_by(decision: Decision, reason: Reason) -> list[str]:
    """Return the purposes that a signal refuses and that could be allowed here, in the order of the policy."""
    return [purpose for purpose in decision.policy.asked if decision.reasons[purpose] is reason]


def refused_in(service: Service) -> list[str]:
    """Return the purposes that a service always refuses, whatever the visitor answered."""
    return [purpose for purpose, purpose_here in service.purposes.items() if purpose_here.refused]
