"""What visitors read: the question, the settings page, and what stands in place of something that is off."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape

from cookie_consent.assets import assets
from cookie_consent.bounded import make_room
from cookie_consent.decision import CONSENT_LIFETIME, Decision
from cookie_consent.parts import Cookie, Feature, Service
from cookie_consent.record import State
from cookie_consent.texts import direction
from cookie_consent.wording import Wording, day, link

_IN_FIELD, _IN_LINK = "\0field\0", "\0link\0"
"""Where the path to come back to goes in a kept banner. No policy has a NUL."""
_MOST_BANNERS = 256


class Pages:
    """Makes what visitors read from a decision.

    Every method takes the address of the settings page as `base` (the prefix with any mount path), an offered
    language, and as `next_path` a path on this site to come back to, "" for none.

    Args:
        lifetime: how long an answer holds.
    """

    def __init__(self, *, lifetime: timedelta = CONSENT_LIFETIME) -> None:
        self._lifetime = lifetime
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals.update(day=day, link=link)
        self._banners: dict[tuple[object, ...], bytes] = {}

    def settings(
        self,
        decision: Decision,
        *,
        base: str,
        language: str,
        next_path: str = "",
        notice: str = "",
        own_cookies: tuple[Cookie, ...] = (),
    ) -> str:
        """Return the settings page.

        Args:
            decision: what holds, and what was answered.
            base: see the class.
            language: see the class.
            next_path: see the class.
            notice: the name of a text to show as a message; "" for none. One that begins with "error" interrupts.
            own_cookies: what is used beside the declared cookies: for the answer, for the visitor id.
        """
        policy, record = decision.policy, decision.record
        return self._render(
            "settings.html",
            _context(decision, base, language, next_path),
            notice=notice,
            error=notice.startswith("error"),
            expires=record and record.decided_at + self._lifetime.total_seconds(),
            cookies={
                purpose: [cookie for cookie in (*own_cookies, *policy.cookies) if cookie.purpose == purpose]
                for purpose in policy.in_force
            },
            service_refuses={service.id: _refused_in(service) for service in policy.services},
            changes=sorted(policy.changes, key=lambda change: change.date, reverse=True),
        )

    def banner(self, decision: Decision, *, base: str, language: str, next_path: str, encoding: str) -> bytes:
        """Return the question, to stand first in <body>. It is kept, so that a page costs no more than a look-up.

        Args:
            decision: what holds, and what was answered.
            base: see the class.
            language: see the class.
            next_path: see the class.
            encoding: the page's; what it lacks is written as character references.
        """
        policy = decision.policy
        key = (
            policy,
            base,
            language,
            encoding,
            decision.signals,
            decision.record is None,
            not next_path,
            tuple(decision.purposes.values()),
        )
        html = self._banners.get(key)
        if html is None:
            make_room(self._banners, _MOST_BANNERS)
            text = self._new_banner(decision, base, language, bool(next_path))
            html = self._banners[key] = text.encode(encoding, "xmlcharrefreplace")
        in_field, in_link = _written(next_path)
        return html.replace(_IN_LINK.encode(), in_link).replace(_IN_FIELD.encode(), in_field)

    def unavailable(
        self,
        decision: Decision,
        *,
        base: str,
        language: str,
        next_path: str,
        missing: tuple[str, ...],
        feature: Feature | None,
    ) -> str:
        """Return a page that says what is off and why, with a button that allows just that and comes back.

        Args:
            decision: what holds, and what was answered.
            base: see the class.
            language: see the class.
            next_path: see the class.
            missing: the ids of the purposes that are needed and not allowed.
            feature: what is off, if it has a name.
        """
        context = _context(decision, base, language, next_path) | _what_is_off(decision, missing, feature)
        return self._render("unavailable.html", context)

    def unavailable_box(self, decision: Decision, *, base: str, language: str, next_path: str, feature: Feature) -> str:
        """Return the same as a box to place in a page. It goes when a template with the same purposes is activated."""
        missing = tuple(purpose for purpose in feature.purposes if not decision.purposes[purpose])
        context = _context(decision, base, language, next_path) | _what_is_off(decision, missing, feature)
        return self._render("box.html", context)

    def message(
        self, decision: Decision, *, base: str, language: str, title: str, text: str, next_path: str = ""
    ) -> str:
        """Return a page that says one thing, and links to the settings page."""
        return self._render("message.html", _context(decision, base, language, next_path), title=title, text=text)

    def _render(self, template: str, context: Mapping[str, Any], **more: object) -> str:
        return self._templates.get_template(template).render(context, **more)

    def _new_banner(self, decision: Decision, base: str, language: str, comes_back: bool) -> str:
        policy = decision.policy
        asked = [purpose for purpose in policy.optional if not policy.in_force[purpose].refused]
        return self._render(
            "banner.html",
            _context(decision, base, language, _IN_FIELD if comes_back else ""),
            next_query=_IN_LINK,
            asked=asked,
            features=[feature for feature in policy.features if not set(asked).isdisjoint(feature.purposes)],
            state=json.dumps(dict(decision.purposes)),
        )


@lru_cache(maxsize=512)
def _written(next_path: str) -> tuple[bytes, bytes]:
    """Return a path (in ASCII, as addresses are) as it is written in an attribute, and in the query of a link."""
    return escape(next_path).encode("ascii", "xmlcharrefreplace"), quote(next_path).encode()


def _context(decision: Decision, base: str, language: str, next_path: str) -> dict[str, Any]:
    """Return what all templates use."""
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
        "changed": _has_changed(decision),
        "signals": {name: titled for name in decision.signals if (titled := _refused_by(decision, name))},
        "assets": {name: f"{base}/assets/{asset.name}" for name, asset in assets().items()},
    }


def _has_changed(decision: Decision) -> bool:
    """Return whether something is asked again because the policy has changed: it is new, or more than was accepted."""
    policy, record = decision.policy, decision.record
    if record is None or record.policy == policy.version or not decision.should_ask:
        return False
    answers = [record.answers.get(purpose) for purpose in policy.optional if not decision.purposes[purpose]]
    return any(answer is None or answer.state is State.GRANTED for answer in answers)


def _what_is_off(decision: Decision, missing: tuple[str, ...], feature: Feature | None) -> dict[str, Any]:
    in_force = decision.policy.in_force
    return {
        "feature": feature,
        "missing": missing,
        "why": {purpose: why_off(decision, purpose) for purpose in missing},
        "can_be_allowed": not any(in_force[purpose].refused for purpose in missing),
    }


def why_off(decision: Decision, purpose: str) -> str:
    """Return the name of the text that says why a purpose is not allowed."""
    answer = decision.record.answers.get(purpose) if decision.record else None
    if decision.policy.in_force[purpose].refused:
        return "refused_here"
    if answer and answer.state is State.REFUSED:
        return "why_refused"
    for signal in decision.signals:
        if purpose in _refused_by(decision, signal):
            return f"why_{signal}"
    return "why_changed" if answer and answer.state is State.GRANTED else "why_unanswered"


def _refused_by(decision: Decision, signal: str) -> list[str]:
    """Return the purposes that a signal refuses, in the order of the policy."""
    policy = decision.policy
    refused = policy.gpc_refuses if signal == "gpc" else policy.dnt_refuses
    return [purpose for purpose in policy.optional if purpose in refused]


def _refused_in(service: Service) -> list[str]:
    return [purpose for purpose, own in service.purposes.items() if own.refused]
