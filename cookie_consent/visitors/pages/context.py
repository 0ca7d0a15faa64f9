"""The variables that all templates use."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from cookie_consent.decision.decision import Decision, switched_off
from cookie_consent.texts.locales import direction
from cookie_consent.visitors.pages.assets import assets
from cookie_consent.visitors.pages.explanations import has_changed, refused_by, status_text
from cookie_consent.visitors.pages.question import ANSWERED, IN_FIELD, IN_LINK, answered_at
from cookie_consent.visitors.pages.wording import Wording


def context_of(decision: Decision, base: str, language: str, next_path: str) -> dict[str, Any]:
    """Return the variables that all templates use."""
    policy = decision.policy
    return {
        "decision": decision,
        "policy": policy,
        "site": policy.site,
        "base": base,
        "language": language,
        "direction": direction(language),
        "words": Wording(policy, language),
        "next_path": next_path,
        "next_query": quote(next_path),
        "answered_at": answered_at(decision),
        "changed": has_changed(decision),
        # A purpose that runs without consent unless the visitor objects.
        "unasked": policy.exempt if policy.exempt and not policy.in_force[policy.exempt].refused else "",
        "switched_off": [purpose for purpose in policy.optional if purpose in switched_off(decision)],
        "status": status_text(decision),
        "signals": {name: titled for name in decision.signals if (titled := refused_by(decision, name))},
        "assets": {name: f"{base}/assets/{asset.name}" for name, asset in assets().items()},
    }


def cacheable_context(decision: Decision, base: str, language: str, next_path: str) -> dict[str, Any]:
    """Return `context_of` for cached HTML, with marks in place of what differs between visitors."""
    marks = {"next_query": IN_LINK, "answered_at": ANSWERED}
    return context_of(decision, base, language, IN_FIELD if next_path else "") | marks
