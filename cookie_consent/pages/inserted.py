"""Render what is put into the app's pages: the question, the link at their end, messages, boxes and cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup, escape

from cookie_consent.decision.decision import Decision
from cookie_consent.pages.context import (
    cached_variables,
    card_variables,
    missing_variables,
    page_variables,
    question_variables,
)
from cookie_consent.pages.question import (
    DEFAULT_OPTIONS,
    QuestionOptions,
    banner_values,
    escaped_path,
)
from cookie_consent.pages.rendering import HtmlTemplate, Rendering
from cookie_consent.pages.tags import link_styles, script_tag
from cookie_consent.policy.parts import Feature
from cookie_consent.policy.policy import Card

CARD_SALT = "cookie_consent.card"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardContent:
    """What a card stands for.

    Args:
        html: the content.
        title: its name; "" for the name of what the card is about.
        preview: the path of a picture of it; "" for none.
        place: the id of the card's element; "" for one that follows from the card.
    """

    html: Markup
    title: str = ""
    preview: str = ""
    place: str = ""


class ReadCard(NamedTuple):
    """What the form of a card says of it.

    Args:
        id: the id of what the card is about.
        reloads: whether the page is loaded again after a grant.
        title: the title that the app gave it; "" for none.
    """

    id: str
    reloads: bool
    title: Markup


NO_CONTENT = CardContent(html=Markup())
"""For the text of a card alone."""


class InsertedHtml(Rendering):
    """Renders what is put into the app's pages. The arguments of the methods are explained at `Pages`."""

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
            base: see `Pages`.
            language: see `Pages`.
            next_path: see `Pages`.
            encoding: the encoding of the page. Characters that it lacks become character references.
            options: how the page asks.
        """
        template = self._cached_banner(decision, base, language, next_path, encoding, options)
        form_id = options.form_id
        if form_id is None:
            form_id = self.make_id().encode()
        return template.fill(banner_values(decision, base, next_path, options, form_id))

    def _cached_banner(
        self, decision: Decision, base: str, language: str, next_path: str, encoding: str, options: QuestionOptions
    ) -> HtmlTemplate:
        # Whether the policy has changed depends on which purposes the answer named.
        answered = tuple(decision.record.answers) if decision.record else None
        held = (decision.outcome, decision.honours_gpc, tuple(decision.reasons.values()))
        state = (decision.signals, decision.status, answered, held)
        how = (options.reloads, options.again, options.by_script, options.shared)
        key = (decision.policy, base, language, encoding, bool(next_path), how, state)
        template = self._cache.get(key)
        if template is None:
            text = self._render_to_keep(
                "banner.html",
                cached_variables(decision, base, language, next_path) | question_variables(decision, options),
                layout=self._layout,
            )
            template = self._keep(key, text.encode(encoding, "xmlcharrefreplace"))
        return template

    def footer(  # noqa: PLR0913 (where the page is, and what it allows)
        self,
        decision: Decision,
        base: str,
        language: str,
        next_path: str,
        encoding: str,
        *,
        link: bool = True,
        wherever: bool = False,
    ) -> bytes:
        """Return what is inserted last in <body>; the arguments are those of `banner`.

        That is a link to the settings page (unless the site has its own), a line about a policy change, and a line
        saying that Global Privacy Control is honoured.

        Args:
            decision: see `banner`.
            base: see `Pages`.
            language: see `Pages`.
            next_path: see `Pages`.
            encoding: see `banner`.
            link: whether there is a link to the settings page.
            wherever: whether the page is the same wherever the visitor is, so that all laws of the site count.
        """
        in_field, in_link = escaped_path(next_path)
        says = (decision.news, decision.honours_gpc, decision.outcome, wherever)
        key = (decision.policy, base, language, encoding, bool(next_path), link, says)
        template = self._cache.get(key)
        if template is None:
            text = self._render_to_keep(
                "footer.html",
                cached_variables(decision, base, language, next_path),
                shows_link=link,
                laws=decision.policy.laws if wherever else filter(None, (decision.policy.law,)),
            )
            template = self._keep(key, text.encode(encoding, "xmlcharrefreplace"))
        return template.fill({b"field": in_field, b"link": in_link})

    def saved(self, decision: Decision, base: str, language: str, next_path: str, encoding: str) -> bytes:
        """Return the message that an answer is saved, to be inserted first in <body>; see `banner`."""
        key = (decision.policy, base, language, encoding, bool(next_path), "saved", decision.outcome)
        template = self._cache.get(key)
        if template is None:
            html = self._render_to_keep("saved.html", cached_variables(decision, base, language, next_path))
            template = self._keep(key, html.encode(encoding, "xmlcharrefreplace"))
        return template.fill({b"field": escaped_path(next_path)[0]})

    def unavailable_box(
        self,
        decision: Decision,
        *,
        base: str,
        language: str,
        next_path: str,
        feature: Feature,
        nonce: str = "",
    ) -> str:
        """Return a box that says what is off and why, to be placed in a page.

        After a grant, the script replaces the box with a `<template>` for the same purposes. Without such a template,
        the box offers to reload the page.

        Args:
            decision: the decision, with the visitor's answer.
            base: see `Pages`.
            language: see `Pages`.
            next_path: see `Pages`.
            feature: the feature that is off.
            nonce: the nonce of the page for our tags; "" for none.
        """
        missing = tuple(purpose for purpose in feature.purposes if not decision.purposes[purpose])
        context = page_variables(decision, base, language, next_path) | missing_variables(decision, missing, feature)
        return self._render(
            "box.html",
            context,
            scripts=script_tag(base, nonce),
            style=link_styles(base, nonce, ("choices.css",)),
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
        reloads: bool = False,
        nonce: str = "",
    ) -> str:
        """Return a card, to be placed in a page instead of content that sends data to somebody else.

        The content is beside it, in a `<template>`.

        Args:
            decision: the decision, with the visitor's answer.
            base: see `Pages`.
            language: see `Pages`.
            next_path: see `Pages`.
            card: what the card is about.
            content: what it stands for.
            reloads: whether the page has to be loaded again after a grant.
            nonce: the nonce of the page for our tags; "" for none.
        """
        context = page_variables(decision, base, language, next_path) | card_variables(decision, card)
        title = content.title or context["words"]("unavailable_title", feature=context["words"].translate(card.title))
        # The form carries it, so that the record of the answer can say what was read.
        mark = f"{card.id} {reloads:d} {escape(content.title)}".encode()
        return self._render(
            "card.html",
            context,
            mark=self._signer.sign(mark, 0).decode() if self._signer else "",
            title=title,
            place=content.place or f"pchoice-card-{card.id}",
            preview=content.preview,
            content=content.html,
            reloads=reloads,
            scripts=script_tag(base, nonce) + script_tag(base, nonce, "cards.js"),
            style=link_styles(base, nonce, ("choices.css", "cards.css")),
        )

    def read_card(self, mark: str) -> ReadCard | None:
        """Return what the form of a card says of it, by the value of its field; None if the form is not ours."""
        signed = self._signer.read(mark.encode(errors="replace")) if self._signer else None
        if signed is None:
            return None
        id_, reloads, title = signed[0].decode().split(" ", 2)
        return ReadCard(id_, reloads == "1", Markup(title))  # noqa: S704 (escaped when it was signed)
