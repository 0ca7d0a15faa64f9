"""Render the question, the settings page, and the boxes and pages that replace what is off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from cookie_consent.base.checks import check
from cookie_consent.base.html.template import HtmlTemplate
from cookie_consent.base.limits import LONGEST_KEPT, evict_if_full
from cookie_consent.base.text_cache import TextCache
from cookie_consent.decision.decision import CONSENT_LIFETIME, Decision, has_opted_out, purposes_switched_off
from cookie_consent.decision.visitor_cookie import WithdrawnVisitor
from cookie_consent.policy.card import Card
from cookie_consent.policy.parts import Cookie, Feature
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.pages.context import banner_variables, cacheable_context, context_of, templates
from cookie_consent.visitors.pages.explanations import (
    has_changed,
    refused_in,
    status_text,
    what_card_needs,
    what_is_off,
)
from cookie_consent.visitors.pages.question import (
    DEFAULT_OPTIONS,
    FORM_ID,
    STYLE,
    QuestionOptions,
    banner_values,
    escaped_path,
)
from cookie_consent.visitors.pages.stylesheet import deferred_stylesheet, inline_style, nonce_attribute

_MAX_KEPT = 256
_LARGEST_EVIDENCE = 4_000_000
"""In characters. A settings page has a few tens of thousands."""
NOTICES: Mapping[str, tuple[str, ...]] = {
    "": (),
    "saved": ("kept",),
    "erased": ("erased",),
    "erased_not_proof": ("erased", "proof_stays"),
    "erased_nothing": ("erased_nothing",),
    "erased_nothing_not_proof": ("erased_nothing", "proof_stays"),
    "error_policy_changed": ("error_policy_changed",),
}
"""Name of a message on the settings page -> names of its texts."""
LAYOUTS = ("corner", "bar", "modal")
"""Where the question is shown: in a box in the corner (on phones at the bottom), in a bar at the bottom, or in a
dialog."""
LATER_OPTIONS = ("ask", "refuse")
"""What "Decide later" does: the question comes back another time, or everything is refused."""


def checked_later(later: str, policy: Policy) -> str:
    """Return the middleware's option, checked against the laws that the policy names.

    Raises:
        ValueError: the law of a regime takes closing the question for a refusal, and it is none.
    """
    for regime in policy.regimes:
        if regime.closing_refuses and later == "ask":
            raise ValueError(
                f'later: "ask" is not valid. Who closes the question has refused, by the law of {regime.name} '
                f'({regime.law}): write later="refuse".'
            )
    return later


@dataclass(frozen=True, slots=True)
class KeptSummary:
    """A summary of what the site stores about a visitor.

    Args:
        consent_id: the id that connects the records of the visitor's answers; "" for none.
        records: the number of these records.
        visitor_id: the pseudonym in the visitor's access records; "" for none.
        takes_requests: whether there is a form for requests and complaints.
        refused_without_id: whether the visitor refused without a consent id, so that the record cannot be found.
        withdrawn: pseudonyms from before a withdrawal.
    """

    consent_id: str
    records: int
    visitor_id: str
    takes_requests: bool = False
    refused_without_id: bool = False
    withdrawn: tuple[WithdrawnVisitor, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CardContent:
    """What a card stands for.

    Args:
        html: the content.
        title: its name; "" for the name of what the card is about.
        preview: the path of a picture of it; "" for none.
        place: the id of the card's element; "" for one that follows from the card.
        can_be_shown: whether "Show once" is offered.
    """

    html: Markup
    title: str = ""
    preview: str = ""
    place: str = ""
    can_be_shown: bool = True


NO_CONTENT = CardContent(html=Markup())
"""For the text of a card alone."""


class Pages:
    """Renders a decision for visitors.

    All methods take `base`, the address of the settings page (the prefix with any mount path), and `language`, an
    offered language. Most take `next_path`, a path on this site to return to; "" for none.

    Args:
        lifetime: how long an answer is valid.
        layout: where the question is shown, one of `LAYOUTS`.
        make_id: returns a random id for the forms of a page.
        later: what "Decide later" does, one of `LATER_OPTIONS`.

    Attributes:
        later_refuses: whether it refuses. The button then says so.

    Raises:
        ValueError: there is no such layout, or no such `later`.
    """

    def __init__(
        self,
        *,
        lifetime: timedelta = CONSENT_LIFETIME,
        layout: str = "corner",
        make_id: Callable[[], str] = lambda: "",
        later: str = "ask",
    ) -> None:
        check("layout", layout, is_valid=layout in LAYOUTS, remedy=f"Write one of: {', '.join(LAYOUTS)}.")
        check("later", later, is_valid=later in LATER_OPTIONS, remedy='Write "ask" or "refuse".')
        self.later_refuses = later == "refuse"
        self.lifetime, self._layout, self.make_id = lifetime, layout, make_id
        self._templates = templates()
        self._cache: dict[tuple[object, ...], HtmlTemplate] = {}
        self.evidence = TextCache(_MAX_KEPT, _LARGEST_EVIDENCE)
        """A cache of the texts that are stored with answers; see `evidence`."""

    def settings(  # noqa: PLR0913 (all that the page shows)
        self,
        decision: Decision,
        *,
        base: str,
        language: str,
        next_path: str = "",
        notice: str = "",
        own_cookies: tuple[Cookie, ...] = (),
        counts_on: tuple[str, ...] = (),
        kept: KeptSummary | None = None,
        account: bool = False,
    ) -> str:
        """Return the settings page.

        Args:
            decision: the decision, with the visitor's answer.
            base: see the class.
            language: see the class.
            next_path: see the class.
            notice: the name of a message, one of `NOTICES`. A name that begins with "error" marks an error.
            own_cookies: the middleware's own cookies for the answer and the visitor id, listed with the declared ones.
            counts_on: the hosts on which an answer counts; none for this host alone, which is not said.
            kept: what is stored about the visitor; None to leave that out.
            account: whether the answer is kept with the visitor's account too.
        """
        policy, record = decision.policy, decision.record
        context = context_of(decision, base, language, next_path)
        words = context["words"]
        return self._render(
            "settings.html",
            context,
            notice=notice,
            message=words.paragraph(*(words(text) for text in NOTICES[notice])),
            error=notice.startswith("error"),
            counts_on=counts_on,
            kept=kept,
            account=account,
            expires=record and record.decided_at + self.lifetime.total_seconds(),
            cookies={
                purpose: [cookie for cookie in (*own_cookies, *policy.cookies) if cookie.purpose == purpose]
                for purpose in policy.in_force
            },
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
        options: QuestionOptions = DEFAULT_OPTIONS,
    ) -> bytes:
        """Return the question, to be inserted first in <body>. It is cached, so a page costs a look-up.

        Args:
            decision: the decision, with the visitor's answer.
            base: see the class.
            language: see the class.
            next_path: see the class.
            encoding: the encoding of the page. Characters that it lacks become character references.
            options: how the page asks.
        """
        template = self._cached_banner(decision, base, language, next_path, encoding, options)
        return template.fill(banner_values(decision, base, next_path, options, self.make_id().encode()))

    def banner_parts(
        self, decision: Decision, base: str, language: str, next_path: str, encoding: str, options: QuestionOptions
    ) -> list[bytes]:
        """Return the question, split where the form id goes; see `banner`."""
        template = self._cached_banner(decision, base, language, next_path, encoding, options)
        return template.fill(banner_values(decision, base, next_path, options, b"\0")).split(b"\0")

    def _cached_banner(
        self, decision: Decision, base: str, language: str, next_path: str, encoding: str, options: QuestionOptions
    ) -> HtmlTemplate:
        record, off = decision.record, frozenset[str]()
        # Only a signal switches something off, and most requests send none.
        if record is not None and (decision.signals or record.overridden_by):
            off = purposes_switched_off(decision)
        status = decision.status if record is None else status_text(decision)
        state = (decision.signals, status, has_changed(decision), tuple(decision.purposes.values()), off)
        style = (options.style == "deferred", options.shared)
        how = (options.reloads, options.again, options.by_script, options.account, *style)
        key = (decision.policy, base, language, encoding, bool(next_path), how, state)
        template = self._cache.get(key)
        if template is None:
            text = self._render_to_keep(
                "banner.html",
                cacheable_context(decision, base, language, next_path) | banner_variables(decision, options),
                layout=self._layout,
                later="later_refuses" if self.later_refuses else "later",
            )
            template = self._keep(key, text.encode(encoding, "xmlcharrefreplace"))
        return template

    def do_not_sell(self, decision: Decision, *, base: str, language: str, next_path: str = "") -> str:
        """Return the page for refusing the sale or sharing of personal information (11 CCR 7026)."""
        context = context_of(decision, base, language, next_path)
        return self._render("do_not_sell.html", context, done=has_opted_out(decision))

    def transmission(self, decision: Decision, *, base: str, language: str, next_path: str = "") -> str:
        """Return the page that tells what is sent to whom (Telecommunications Business Act of Japan, Article 27-12)."""
        return self._render("transmission.html", context_of(decision, base, language, next_path))

    def footer(  # noqa: PLR0913 (where the page is, and what it allows)
        self,
        decision: Decision,
        base: str,
        language: str,
        next_path: str,
        encoding: str,
        *,
        link: bool = True,
        style_nonce: str | None = "",
        wherever: bool = False,
    ) -> bytes:
        """Return what is inserted last in <body>; the arguments are those of `banner`.

        That is a link to the settings page (unless the site has its own), a line about a policy change, and a line
        saying that Global Privacy Control is honoured.

        Args:
            decision: see `banner`.
            base: see the class.
            language: see the class.
            next_path: see the class.
            encoding: see `banner`.
            link: whether there is a link to the settings page.
            style_nonce: the nonce for an inline style; "" for none, None if the page must not have such a style.
            wherever: whether the page is the same wherever the visitor is, so that all regimes of the site count.
        """
        in_field, in_link = escaped_path(next_path)
        says = (decision.news, decision.honours_gpc, decision.outcome, wherever)
        key = (decision.policy, base, language, encoding, bool(next_path), link, says, style_nonce is None)
        template = self._cache.get(key)
        if template is None:
            text = self._render_to_keep(
                "footer.html",
                cacheable_context(decision, base, language, next_path),
                shows_link=link,
                regimes=decision.policy.regimes if wherever else filter(None, (decision.policy.regime,)),
                inline_style="" if style_nonce is None else inline_style("link.css"),
                style_nonce=STYLE,
            )
            template = self._keep(key, text.encode(encoding, "xmlcharrefreplace"))
        style = nonce_attribute(style_nonce).encode() if style_nonce else b""
        return template.fill({b"field": in_field, b"link": in_link, b"style": style})

    def saved(  # noqa: PLR0913 (where the page is, and what it says)
        self,
        decision: Decision,
        base: str,
        language: str,
        next_path: str,
        encoding: str,
        *,
        options: QuestionOptions,
        text: str = "kept",
    ) -> bytes:
        """Return a message about an answer, to be inserted first in <body>; the arguments are those of `banner`.

        Args:
            decision: see `banner`.
            base: see the class.
            language: see the class.
            next_path: see the class.
            encoding: see `banner`.
            options: see `banner`.
            text: the name of what it says: that the answer is saved, or that one of the account applies.
        """
        key = (decision.policy, base, language, encoding, bool(next_path), text, status_text(decision))
        template = self._cache.get(key)
        if template is None:
            marked = cacheable_context(decision, base, language, next_path) | {"style": STYLE, "message": text}
            html = self._render_to_keep("saved.html", marked)
            template = self._keep(key, html.encode(encoding, "xmlcharrefreplace"))
        return template.fill(banner_values(decision, base, next_path, options, b""))

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
        """Return a page that says what is off and why, with a button to allow just that and return.

        Args:
            decision: the decision, with the visitor's answer.
            base: see the class.
            language: see the class.
            next_path: see the class.
            missing: the ids of the purposes that are needed and off.
            feature: the feature that is off; None if it has no name.
        """
        context = context_of(decision, base, language, next_path) | what_is_off(decision, missing, feature)
        return self._render("unavailable.html", context)

    def unavailable_box(
        self,
        decision: Decision,
        *,
        base: str,
        language: str,
        next_path: str,
        feature: Feature,
        options: QuestionOptions = DEFAULT_OPTIONS,
    ) -> str:
        """Return a box that says what is off and why, to be placed in a page.

        After a grant, the script replaces the box with a `<template>` for the same purposes. Without such a template,
        the box offers to reload the page.

        Args:
            decision: the decision, with the visitor's answer.
            base: see the class.
            language: see the class.
            next_path: see the class.
            feature: the feature that is off.
            options: how the page asks.
        """
        missing = tuple(purpose for purpose in feature.purposes if not decision.purposes[purpose])
        context = context_of(decision, base, language, next_path) | what_is_off(decision, missing, feature)
        return self._render(
            "box.html",
            context,
            options=options,
            script_nonce=nonce_attribute(options.script_nonce),
            style=deferred_stylesheet(base, options.style_nonce),
        )

    def card(  # noqa: PLR0913 (what it says, and about what)
        self,
        decision: Decision,
        *,
        base: str,
        language: str,
        next_path: str,
        card: Card,
        content: CardContent = NO_CONTENT,
        options: QuestionOptions = DEFAULT_OPTIONS,
    ) -> str:
        """Return a card, to be placed in a page instead of content that sends data to somebody else.

        The content is beside it, in a `<template>`.

        Args:
            decision: the decision, with the visitor's answer.
            base: see the class.
            language: see the class.
            next_path: see the class.
            card: what the card is about.
            content: what it stands for.
            options: how the page asks.
        """
        context = context_of(decision, base, language, next_path) | what_card_needs(decision, card)
        title = content.title or context["words"]("unavailable_title", feature=context["words"].of(card.title))
        return self._render(
            "card.html",
            context,
            title=title,
            place=content.place or f"pchoice-card-{card.id}",
            preview=content.preview,
            content=content.html,
            can_be_shown=content.can_be_shown,
            reloads=options.reloads,
            script_nonce=nonce_attribute(options.script_nonce),
            style=deferred_stylesheet(base, options.style_nonce, "choices.css", "cards.css"),
        )

    def message(
        self, decision: Decision, *, base: str, language: str, title: str, text: str, next_path: str = ""
    ) -> str:
        """Return a page with a short message and a link to the settings page."""
        return self._render("message.html", context_of(decision, base, language, next_path), title=title, text=text)

    def page(self, template: str, decision: Decision, *, base: str, language: str, **more: object) -> str:
        """Return a page about the visitor's own data.

        Args:
            template: the name of its template.
            decision: the decision, with the visitor's answer.
            base: see the class.
            language: see the class.
            more: further variables of the template.
        """
        return self._render(template, context_of(decision, base, language, ""), **more)

    def _render(self, template: str, context: dict[str, Any], **more: object) -> str:
        """Render a page, with an id for its forms."""
        return self._render_to_keep(template, context, **more).replace(FORM_ID, self.make_id())

    def _render_to_keep(self, template: str, context: dict[str, Any], **more: object) -> str:
        return self._templates.get_template(template).render(context, **more)

    def _keep(self, key: tuple[object, ...], html: bytes) -> HtmlTemplate:
        """Cache HTML for all visitors who see the same.

        A long `base` is not cached: a mount path can come from the client.
        """
        template = HtmlTemplate(html)
        if len(str(key[1])) <= LONGEST_KEPT:
            evict_if_full(self._cache, _MAX_KEPT)
            self._cache[key] = template
        return template
