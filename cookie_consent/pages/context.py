"""The templates of pages and boxes, and their variables."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup

from cookie_consent.decision.decision import Decision
from cookie_consent.decision.reasons import Reason
from cookie_consent.pages.assets import assets
from cookie_consent.pages.explanations import has_changed, refused_by
from cookie_consent.pages.question import (
    ANSWERED,
    ARRIVED,
    FIRST,
    FORM_ID,
    IN_FIELD,
    IN_LINK,
    SCRIPT,
    STYLE,
    QuestionOptions,
    answered_at,
)
from cookie_consent.pages.wording import Wording, link
from cookie_consent.texts.locales import direction, language_name

if TYPE_CHECKING:
    from jinja2 import Environment

_NOT_SWAPPED = Markup('data-hx-boost="false" data-turbo="false"')
"""Keeps htmx and Turbo from loading the targets of links and forms into the page: they are pages of their own."""
_LINKS = {
    "granted": "link_granted",
    "partial": "link_partial",
    "refused": "link_refused",
    "necessary": "link_refused",
}
"""What holds on the whole -> the name of the link's text."""
_SIGNALS = {"signal_gpc": Reason.GPC, "signal_dnt": Reason.DNT, "signal_stays": Reason.SIGNAL}
"""The name of the text about a signal -> the reason of the purposes that it names."""


@cache
def templates() -> Environment:
    """Return the templates, all compiled: the first of them is asked for at the start, and no visitor waits for one."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        # A misspelt variable fails a test, and leaves no gap in a text that people answer.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(link=link, language_name=language_name, not_swapped=_NOT_SWAPPED, form_id=FORM_ID)
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


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
        # Where all is off until the visitor is asked again, that is what there is to say.
        "status": f"status_{decision.outcome or 'necessary'}",
        # No answer to all allows what a signal refuses.
        "answers_all": not set(policy.asked).issubset(decision.refused_by_signal),
        "links": _LINKS,
        "signals": {text: refused for text, reason in _SIGNALS.items() if (refused := refused_by(decision, reason))},
        "assets": {name: f"{base}/assets/{asset.name}" for name, asset in assets().items()},
    }


def cacheable_context(decision: Decision, base: str, language: str, next_path: str) -> dict[str, Any]:
    """Return `context_of` for cached HTML, with marks in place of what differs between visitors."""
    marks = {"next_query": IN_LINK, "answered_at": ANSWERED}
    return context_of(decision, base, language, IN_FIELD if next_path else "") | marks


def banner_variables(decision: Decision, options: QuestionOptions) -> dict[str, Any]:
    """Return the further variables of the question, with marks like those of `cacheable_context`."""
    policy = decision.policy
    # Opened again, it is the settings in place.
    asked = policy.asked if options.again else decision.asked
    allowed = {*asked, *(id_ for id_, holds in decision.purposes.items() if holds)}
    return {
        "options": options,
        "script": SCRIPT,
        "style": STYLE,
        "first": FIRST,
        "arrived": ARRIVED if policy.traced else "",
        "asked": asked,
        "refused_here": " ".join(purpose for purpose in policy.optional if purpose not in policy.asked),
        "recipients": [*dict.fromkeys(recipient.name for recipient in policy.recipients if recipient.purpose in asked)],
        "features": [
            feature
            for feature in policy.features
            if not set(asked).isdisjoint(feature.purposes) and allowed.issuperset(feature.purposes)
        ],
        "state": json.dumps(dict(decision.purposes)),
    }
