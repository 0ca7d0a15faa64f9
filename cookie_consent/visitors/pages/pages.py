"""What visitors read: the question, the settings page, and what stands in place of something that is off."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from cookie_consent.base.checks import check
from cookie_consent.base.html.template import HtmlTemplate
from cookie_consent.base.limits import LONGEST_KEPT, evict_if_full
from cookie_consent.base.text_cache import TextCache
from cookie_consent.decision.decision import CONSENT_LIFETIME, Decision, opted_out, switched_off
from cookie_consent.decision.visitor_cookie import Withdrawn
from cookie_consent.policy.parts import Cookie, Feature
from cookie_consent.texts.locales import direction, language_name
from cookie_consent.visitors.pages.assets import assets
from cookie_consent.visitors.pages.explanations import has_changed, refused_by, refused_in, status_text, what_is_off
from cookie_consent.visitors.pages.wording import Wording, link

_IN_FIELD, _IN_LINK = "\0field\0", "\0link\0"
"""Where the path to come back to goes in what is kept. No policy has a NUL."""
_FORM_ID = Markup("\0form_id\0")
"""Where goes what no other form has, so that a form that is sent twice is known to be the same."""
_ANSWERED = Markup("\0answered\0")
"""Where goes when the answer was given that the question shows."""
_ARRIVED = Markup("\0arrived\0")
"""Where goes how the visitor came to the page: on the buttons that may allow tracing, and on no other."""
_SCRIPT_NONCE, _STYLE_NONCE = Markup("\0script\0"), Markup("\0style\0")
_NOT_SWAPPED = Markup('data-hx-boost="false" data-turbo="false"')
"""Keeps htmx and Turbo from loading what our links and forms lead to into the page: that is a page of its own."""
_MOST_KEPT = 256
_LARGEST_EVIDENCE = 4_000_000
"""Characters. A settings page has some tens of thousands."""
REFERRER = "referrer"
"""The parameter by which a form that may allow tracing says from which origin the visitor came to its page."""
NOTICES: Mapping[str, tuple[str, ...]] = {
    "": (),
    "erased": ("erased",),
    "erased_not_proof": ("erased", "proof_stays"),
    "erased_nothing": ("erased_nothing",),
    "erased_nothing_not_proof": ("erased_nothing", "proof_stays"),
    "error_policy_changed": ("error_policy_changed",),
}
"""The name of a message over the settings page -> the names of its texts."""
LAYOUTS = ("corner", "bar", "modal")
"""Where the question stands: a box in the corner (on phones at the lower edge), a bar at the lower edge, a dialog."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How a page asks.

    Args:
        script_nonce: of the page's Content-Security-Policy, for our script; "" for none.
        style_nonce: the same for our stylesheet.
        reloads: whether a grant needs the page anew.
        again: whether the visitor called for the question, to see and change the answer.
        referrer: the origin of the site from which the visitor came to the page; "" for none.
        by_script: whether our script, and maybe no header field, has told of Global Privacy Control. Then so does the
            answer.
    """

    script_nonce: str = ""
    style_nonce: str = ""
    reloads: bool = False
    again: bool = False
    referrer: str = ""
    by_script: bool = False


PLAINLY = Asking()
"""How most pages ask."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept about a visitor, in short.

    Args:
        consent_id: what ties the records of the visitor's answers together; "" for none.
        records: how many of them are kept.
        visitor_id: the pseudonym of the visitor's access records; "" for none.
        takes_requests: whether there is a form for requests and complaints.
        refused_unnamed: whether the visitor has refused, and nothing says which record is that.
        withdrawn: the pseudonyms of before a withdrawal.
    """

    consent_id: str
    records: int
    visitor_id: str
    takes_requests: bool = False
    refused_unnamed: bool = False
    withdrawn: tuple[Withdrawn, ...] = ()


@cache
def _templates() -> Environment:
    """Return the templates, which are compiled once for all that use them."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.globals.update(
        link=link, language_name=language_name, direction_of=direction, not_swapped=_NOT_SWAPPED, form_id=_FORM_ID
    )
    return templates


class Pages:
    """Makes what visitors read from a decision.

    Every method takes the address of the settings page as `base` (the prefix with any mount path), an offered
    language, and as `next_path` a path on this site to come back to, "" for none.

    Args:
        lifetime: how long an answer holds.
        layout: where the question stands, one of `LAYOUTS`.
        make_id: returns a random id, one for the forms of each page.

    Raises:
        ValueError: there is no such layout.
    """

    def __init__(
        self,
        *,
        lifetime: timedelta = CONSENT_LIFETIME,
        layout: str = "corner",
        make_id: Callable[[], str] = lambda: "",
    ) -> None:
        check("layout", layout, fits=layout in LAYOUTS, remedy=f"Write one of: {', '.join(LAYOUTS)}.")
        self.lifetime, self._layout, self.make_id = lifetime, layout, make_id
        self._templates = _templates()
        self._kept: dict[tuple[object, ...], HtmlTemplate] = {}
        self.evidence = TextCache(_MOST_KEPT, _LARGEST_EVIDENCE)
        """What visitors were shown, as it is kept of their answers."""

    def settings(  # noqa: PLR0913 (all that the page shows)
        self,
        decision: Decision,
        *,
        base: str,
        language: str,
        next_path: str = "",
        notice: str = "",
        own_cookies: tuple[Cookie, ...] = (),
        kept: Kept | None = None,
    ) -> str:
        """Return the settings page.

        Args:
            decision: what holds, and what was answered.
            base: see the class.
            language: see the class.
            next_path: see the class.
            notice: the name of a message, of `NOTICES`. One that begins with "error" interrupts.
            own_cookies: what is used beside the declared cookies: for the answer, for the visitor id.
            kept: what is kept about the visitor; None where the page does not tell.
        """
        policy, record = decision.policy, decision.record
        context = _context(decision, base, language, next_path)
        words = context["words"]
        return self._render(
            "settings.html",
            context,
            notice=notice,
            message=words.together(*(words(text) for text in NOTICES[notice])),
            error=notice.startswith("error"),
            kept=kept,
            expires=record and record.decided_at + self.lifetime.total_seconds(),
            cookies={
                purpose: [cookie for cookie in (*own_cookies, *policy.cookies) if cookie.purpose == purpose]
                for purpose in policy.in_force
            },
            first_with_recipients=next((id_ for id_ in policy.in_force if policy.recipients_of(id_)), ""),
            service_refuses={service.id: refused_in(service) for service in policy.services},
            changes=sorted(policy.changes, key=lambda change: change.date, reverse=True),
        )

    def banner(
        self,
        decision: Decision,
        base: str,
        language: str,
        next_path: str,
        encoding: str = "utf-8",
        *,
        asking: Asking = PLAINLY,
    ) -> bytes:
        """Return the question, to stand first in <body>. It is kept, so that a page costs no more than a look-up.

        Args:
            decision: what holds, and what was answered.
            base: see the class.
            language: see the class.
            next_path: see the class.
            encoding: the page's; what it lacks is written as character references.
            asking: how the page asks.
        """
        kept = self._kept_banner(decision, base, language, next_path, encoding, asking)
        return kept.fill(_in_banner(decision, base, next_path, asking, self.make_id().encode()))

    def banner_in_pieces(
        self, decision: Decision, base: str, language: str, next_path: str, encoding: str
    ) -> list[bytes]:
        """Return the question as most pages ask it, split where the id of the form goes; see `banner`."""
        kept = self._kept_banner(decision, base, language, next_path, encoding, PLAINLY)
        return kept.fill(_in_banner(decision, base, next_path, PLAINLY, b"\0")).split(b"\0")

    def _kept_banner(
        self, decision: Decision, base: str, language: str, next_path: str, encoding: str, asking: Asking
    ) -> HtmlTemplate:
        record, off = decision.record, frozenset[str]()
        if record is not None and (decision.signals or record.overruled):
            off = switched_off(decision)
        status = decision.status if record is None else status_text(decision)
        state = (decision.signals, status, has_changed(decision), tuple(decision.purposes.values()), off)
        how = (asking.reloads, asking.again, asking.by_script)
        key = (decision.policy, base, language, encoding, bool(next_path), how, state)
        kept = self._kept.get(key)
        if kept is None:
            text = self._new_banner(decision, _context_to_keep(decision, base, language, next_path), asking)
            kept = self._keep(key, text.encode(encoding, "xmlcharrefreplace"))
        return kept

    def do_not_sell(self, decision: Decision, *, base: str, language: str, next_path: str = "") -> str:
        """Return the page on which a sale or sharing of personal information is refused (11 CCR 7026)."""
        context = _context(decision, base, language, next_path)
        return self._render("do_not_sell.html", context, done=opted_out(decision))

    def way_back(
        self, decision: Decision, base: str, language: str, next_path: str, encoding: str, *, link: bool = True
    ) -> bytes:
        """Return what stands last in <body>; see `banner` for what it takes.

        It is a link to the settings page, unless the site has its own, a line about a change of the policy, and that
        Global Privacy Control is honoured.
        """
        in_field, in_link = as_written(next_path)
        key = (decision.policy, base, language, encoding, bool(next_path), link, decision.news, decision.honours_gpc)
        kept = self._kept.get(key)
        if kept is None:
            text = self._render_to_keep(
                "way_back.html", _context_to_keep(decision, base, language, next_path), shows_link=link
            )
            kept = self._keep(key, text.encode(encoding, "xmlcharrefreplace"))
        return kept.fill({b"field": in_field, b"link": in_link})

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
        context = _context(decision, base, language, next_path) | what_is_off(decision, missing, feature)
        return self._render("unavailable.html", context)

    def unavailable_box(
        self,
        decision: Decision,
        *,
        base: str,
        language: str,
        next_path: str,
        feature: Feature,
        asking: Asking = PLAINLY,
    ) -> str:
        """Return the same as a box to place in a page.

        Once it is allowed, the box goes for a template with the same purposes; where none waits, it offers to reload.

        Args:
            decision: what holds, and what was answered.
            base: see the class.
            language: see the class.
            next_path: see the class.
            feature: what is off.
            asking: how the page asks.
        """
        missing = tuple(purpose for purpose in feature.purposes if not decision.purposes[purpose])
        context = _context(decision, base, language, next_path) | what_is_off(decision, missing, feature)
        return self._render(
            "box.html",
            context,
            asking=asking,
            script_nonce=nonce_attribute(asking.script_nonce),
            style_nonce=nonce_attribute(asking.style_nonce),
        )

    def message(
        self, decision: Decision, *, base: str, language: str, title: str, text: str, next_path: str = ""
    ) -> str:
        """Return a page that says one thing, and links to the settings page."""
        return self._render("message.html", _context(decision, base, language, next_path), title=title, text=text)

    def page(self, template: str, decision: Decision, *, base: str, language: str, **more: object) -> str:
        """Return a page about the visitor's own data.

        Args:
            template: the name of its template.
            decision: what holds, and what was answered.
            base: see the class.
            language: see the class.
            more: what else the template tells.
        """
        return self._render(template, _context(decision, base, language, ""), **more)

    def _render(self, template: str, context: dict[str, Any], **more: object) -> str:
        """Return a page, its forms told from those of any other."""
        return self._render_to_keep(template, context, **more).replace(_FORM_ID, self.make_id())

    def _render_to_keep(self, template: str, context: dict[str, Any], **more: object) -> str:
        return self._templates.get_template(template).render(context, **more)

    def _new_banner(self, decision: Decision, context: dict[str, Any], asking: Asking) -> str:
        policy = decision.policy
        offered = [purpose for purpose in policy.optional if not policy.in_force[purpose].refused]
        asked = [purpose for purpose in offered if purpose != policy.exempt]
        return self._render_to_keep(
            "banner.html",
            context,
            asking=asking,
            script_nonce=_SCRIPT_NONCE,
            style_nonce=_STYLE_NONCE,
            arrived=_ARRIVED if policy.traced else "",
            layout=self._layout,
            asked=asked,
            # Nothing is ticked before anybody did so: what runs without consent has a tick only where the visitor
            # called for the answers.
            ticks=offered if asking.again else asked,
            recipients=len({recipient.id for recipient in policy.recipients if recipient.purpose in asked}),
            features=[feature for feature in policy.features if not set(asked).isdisjoint(feature.purposes)],
            state=json.dumps(dict(decision.purposes)),
        )

    def _keep(self, key: tuple[object, ...], html: bytes) -> HtmlTemplate:
        """Keep what was made for all that are alike. Where an app is mounted, its path may come from the client."""
        made = HtmlTemplate(html)
        if len(str(key[1])) <= LONGEST_KEPT:
            evict_if_full(self._kept, _MOST_KEPT)
            self._kept[key] = made
        return made


def nonce_attribute(nonce: str) -> Markup:
    """Return the attribute of a tag that carries a nonce; nothing for none."""
    return Markup(' nonce="{}"').format(nonce) if nonce else Markup()


def _in_banner(decision: Decision, base: str, next_path: str, asking: Asking, form_id: bytes) -> dict[bytes, bytes]:
    """Return what goes into the holes of a question."""
    in_field, in_link = as_written(next_path)
    script, style = asking.script_nonce, asking.style_nonce
    return {
        b"field": in_field,
        b"link": in_link,
        b"form_id": form_id,
        b"answered": b"%d" % _answered_at(decision),
        b"arrived": _from(base, asking.referrer) if asking.referrer else b"",
        b"script": nonce_attribute(script).encode() if script else b"",
        b"style": nonce_attribute(style).encode() if style else b"",
    }


def _from(base: str, referrer: str) -> bytes:
    """Return the attribute of a button whose answer says from where the visitor came, should it allow tracing."""
    attribute = Markup(' formaction="{}?{}={}"').format(base, REFERRER, quote(referrer, safe=""))
    return attribute.encode("ascii", "xmlcharrefreplace")


def as_written(next_path: str) -> tuple[bytes, bytes]:
    """Return a path (in ASCII, as addresses are) as it is written in an attribute, and in the query of a link."""
    return _written(next_path) if len(next_path) <= LONGEST_KEPT else _written.__wrapped__(next_path)


@lru_cache(maxsize=512)
def _written(next_path: str) -> tuple[bytes, bytes]:
    return escape(next_path).encode("ascii", "xmlcharrefreplace"), quote(next_path).encode()


def _answered_at(decision: Decision) -> int:
    """Return when the answer was given that a page shows, in seconds since 1970; 0 where there is none."""
    return decision.record.decided_at if decision.record else 0


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
        "answered_at": _answered_at(decision),
        "changed": has_changed(decision),
        # What runs here without consent, as long as nobody objects.
        "unasked": policy.exempt if policy.exempt and not policy.in_force[policy.exempt].refused else "",
        "switched_off": [purpose for purpose in policy.optional if purpose in switched_off(decision)],
        "status": status_text(decision),
        "signals": {name: titled for name in decision.signals if (titled := refused_by(decision, name))},
        "assets": {name: f"{base}/assets/{asset.name}" for name, asset in assets().items()},
    }


def _context_to_keep(decision: Decision, base: str, language: str, next_path: str) -> dict[str, Any]:
    """Return the same for what is kept: marks stand for what differs between visitors who see the same."""
    marks = {"next_query": _IN_LINK, "answered_at": _ANSWERED}
    return _context(decision, base, language, _IN_FIELD if next_path else "") | marks
