"""The templates of pages and boxes, their variables, and the marks in cached HTML for what differs between visitors."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup, escape

from cookie_consent.base.bounds import Cache
from cookie_consent.decision.decision import Decision, Reason
from cookie_consent.pages.assets import assets
from cookie_consent.pages.wording import Wording, link
from cookie_consent.policy.parts import Feature
from cookie_consent.policy.policy import Card
from cookie_consent.texts.locales import direction, language_name

if TYPE_CHECKING:
    from jinja2 import Environment

IN_FIELD, IN_LINK = "\0field\0", "\0link\0"
"""Marks for the return path in cached HTML. No policy contains a NUL."""
FORM_ID = Markup("\0form_id\0")
"""Mark for the form id. It is unique to a page, so that a form sent twice is recognised."""
ANSWERED = Markup("\0answered\0")
"""Mark for the time of the answer that the question shows."""
FIRST = Markup("\0first\0")
"""Mark for whether the question is the first of a visit: "1" or nothing. The answer sends it back."""
ARRIVED = Markup("\0arrived\0")
"""Mark for the referrer, on the buttons that may allow tracing."""
REFERRER = "referrer"
"""The parameter with the origin that the visitor came from, in forms that may allow tracing."""
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


@dataclass(frozen=True, slots=True)
class QuestionOptions:
    """How a page asks the question.

    Args:
        reloads: whether the page has to be reloaded after a grant.
        again: whether the visitor opened the question, to see or change the answer.
        by_script: whether the script reported Global Privacy Control, possibly without a header field. The form then
            reports it too.
        shared: in a page that is the same for everybody, the name without prefix of the cookie that tells what holds;
            "" in other pages.
        asks_first: whether such a page may show the question only after the server was asked.
    """

    reloads: bool = False
    again: bool = False
    by_script: bool = False
    shared: str = ""
    asks_first: bool = False


DEFAULT_OPTIONS = QuestionOptions()
"""How most pages ask."""


def list_values(
    decision: Decision, base: str, next_path: str, *, form_id: str = "", first: bool = False, came_from: str = ""
) -> dict[bytes, bytes]:
    """Return the values for the marks in HTML.

    Args:
        decision: the decision.
        base: the path of the endpoints.
        next_path: the path to return to, in ASCII.
        form_id: the id of the form.
        first: whether it is the first question of a visit: the visitor came from elsewhere.
        came_from: the origin of the site that the visitor came from, or a campaign as "?utm_source=…"; "" for neither.
    """
    arrived = b""
    if came_from:  # a button adds it to the answer, in case the answer allows tracing
        attribute = Markup(' formaction="{}?{}={}"').format(base, REFERRER, quote(came_from, safe=""))
        arrived = attribute.encode("ascii", "xmlcharrefreplace")
    in_field, in_link = _written_paths.get(next_path, (b"", b""))
    if not in_field and next_path:
        written = (escape(next_path).encode("ascii", "xmlcharrefreplace"), quote(next_path).encode())
        in_field, in_link = _written_paths.keep(next_path, written, len(next_path))
    return {
        b"field": in_field,
        b"link": in_link,
        b"form_id": form_id.encode(),
        b"answered": b"%d" % answered_at(decision),
        b"first": b"1" if first else b"",
        b"arrived": arrived,
    }


_written_paths = Cache[str, tuple[bytes, bytes]](512)
"""Path -> the same for an attribute, and for the query of a link."""


def make_template(html: str, encoding: str = "ascii") -> bytes:
    """Return HTML in which `%` puts values in place of the marks; see `list_values`.

    Characters that the encoding lacks become character references.
    """
    return _MARK.sub(rb"%(\1)b", html.replace("%", "%%").encode(encoding, "xmlcharrefreplace"))


_MARK = re.compile(rb"\0(\w+)\0")


def answered_at(decision: Decision) -> int:
    """Return when the shown answer was given, in seconds since 1970; 0 without an answer."""
    return decision.record.decided_at if decision.record else 0


@cache
def load_templates() -> Environment:
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


def page_variables(decision: Decision, base: str, language: str, next_path: str) -> dict[str, Any]:
    """Return the variables that all templates use."""
    policy = decision.policy
    signals = {}
    for text, reason in _SIGNALS.items():
        # What a signal refuses and could be allowed here, in the order of the policy.
        signals[text] = [purpose for purpose in policy.asked if decision.reasons[purpose] is reason]
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
        "signals": {text: purposes for text, purposes in signals.items() if purposes},
        "assets": {name: f"{base}/assets/{asset.name}" for name, asset in assets().items()},
    }


def question_variables(decision: Decision, options: QuestionOptions) -> dict[str, Any]:
    """Return the further variables of the question, with marks; see `list_values`."""
    policy = decision.policy
    # Opened again, it is the settings in place.
    asked = policy.asked if options.again else decision.asked
    allowed = {*asked, *(id_ for id_, is_allowed in decision.purposes.items() if is_allowed)}
    return {
        "options": options,
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


def missing_variables(decision: Decision, missing: tuple[str, ...], feature: Feature | None) -> dict[str, Any]:
    """Return the variables about something that is off: its purposes, why, who would get data, if it can be on."""
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


def card_variables(decision: Decision, card: Card) -> dict[str, Any]:
    """Return the variables about a card: what is off and why, what "Always allow" grants, and to whom."""
    missing = tuple(id_ for id_ in card.purposes if not decision.purposes[id_])
    variables = missing_variables(decision, missing, card.feature)
    # The recipient that the card is about comes first.
    variables["recipients"].sort(key=lambda recipient: recipient.id != card.id)
    return {**variables, "card": card}


def has_changed(decision: Decision) -> bool:
    """Return whether something is asked that is new since the visitor's answer, or wider than what it accepted."""
    record = decision.record
    if record is None:
        return False
    return any(decision.reasons[id_] is Reason.CHANGED or id_ not in record.answers for id_ in decision.asked)
