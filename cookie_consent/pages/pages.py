"""Renders what visitors read: our own pages, and what is put into the app's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from markupsafe import Markup, escape

from cookie_consent.base.bounds import Cache
from cookie_consent.base.messages import check
from cookie_consent.decision.decision import Decision, refused_in_storage
from cookie_consent.decision.tokens import Signer
from cookie_consent.pages.assets import link_styles, script_tag
from cookie_consent.pages.context import (
    ANSWERED,
    DEFAULT_OPTIONS,
    FORM_ID,
    IN_FIELD,
    IN_LINK,
    QuestionOptions,
    card_variables,
    list_values,
    load_templates,
    make_template,
    missing_variables,
    page_variables,
    question_variables,
)
from cookie_consent.pages.wording import Wording
from cookie_consent.policy.parts import Cookie, Feature
from cookie_consent.policy.policy import Card

Layout = Literal["corner", "bar", "modal"]
"""Where the question is shown: in a box in the corner (on phones at the bottom), in a bar at the bottom, or in a
dialog."""
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
CARD_SALT = "cookie_consent.card"
NOTICES: Mapping[str, tuple[str, ...]] = {
    "": (),
    "erased": ("erased",),
    "erased_not_proof": ("erased", "proof_stays"),
    "erased_still_traced": ("erased", "still_traced"),
    "erased_still_traced_not_proof": ("erased", "still_traced", "proof_stays"),
    "erased_nothing": ("erased_nothing",),
    "erased_nothing_not_proof": ("erased_nothing", "proof_stays"),
    "error_policy_changed": ("error_policy_changed",),
}
"""Name of a message on the settings page -> names of its texts."""


def choose_intro(csp: str | None, undeclared: str) -> str:
    """Return the name of the text on what happens before an answer: as much as the middleware's options hold."""
    if undeclared == "allow":
        return "settings_intro_opt_out"
    return "settings_intro_cookies" if csp is None else "settings_intro"


NOTHING_KEPT: Mapping[str, Any] = {
    "consent_id": "",  # connects the records of the visitor's answers
    "records": 0,  # how many these are
    "visitor_id": "",  # the pseudonym in the visitor's access records
    "withdrawn": (),  # those from before a withdrawal
    "takes_requests": True,  # whether there is a form for requests and complaints
    "refused_without_id": False,  # whether the record of a refusal cannot be found
}
"""What the settings page says of a visitor of whom nothing is stored."""


class Pages:
    """Renders a decision for visitors.

    Most methods take `base`, the address of the settings page (the prefix with any mount path), `language`, an offered
    language, and `next_path`, a path on this site to return to; "" for none.

    Args:
        layout: where the question is shown, one of `LAYOUTS`.
        make_id: returns a random id for the forms of a page.
        prefix: the path of the endpoints inside the app.
        signer: signs what a card says in words of the app; None if no answers come back.
        intro: the name of the text with which the settings page begins.

    Raises:
        ValueError: there is no such layout.
    """

    def __init__(
        self,
        *,
        layout: Layout = "corner",
        make_id: Callable[[], str] = lambda: "",
        prefix: str = "",
        signer: Signer | None = None,
        intro: str = "settings_intro_cookies",
    ) -> None:
        check("layout", layout, is_valid=layout in LAYOUTS, remedy=f"Write one of: {', '.join(LAYOUTS)}.")
        self.make_id = make_id
        self.prefix = prefix
        self._layout = layout
        self._signer = signer
        self._intro = intro
        self._templates = load_templates()
        # A settings page has a few tens of thousands of characters.
        self.evidence = Cache[tuple[object, ...], str](64, 64_000)
        """A cache of the texts that are stored with answers; see `evidence`."""

    def page(
        self, template: str, decision: Decision, *, base: str, language: str, next_path: str = "", **more: object
    ) -> str:
        """Return one of our own pages, or a part of the app's, made of a template and its further variables."""
        home = f"{base.removesuffix(self.prefix)}/"
        variables = page_variables(decision, base, language, next_path)
        html = self._templates.get_template(template).render(variables, home=home, **more)
        return html.replace(FORM_ID, self.make_id())

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
        kept: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the settings page.

        `notice` is the name of a message, one of `NOTICES`, or what our cookie `SAVED` says. A name that begins with
        "error" marks an error. `counts_on` are the hosts on which an answer counts; none for this host alone, which is
        not said. `kept` is what is stored about the visitor, with the keys of `NOTHING_KEPT`; without it, the page does
        not say.
        """
        policy = decision.policy
        words = Wording(policy, language)
        cookies = (*policy.cookies, *(cookie for cookie in own_cookies if cookie.purpose != "necessary"))
        return self.page(
            "settings.html",
            decision,
            base=base,
            language=language,
            next_path=next_path,
            intro="settings_intro_opt_out" if policy.is_opt_out else self._intro,
            notice=notice,
            message=words.paragraph(*map(words, NOTICES[notice])) if notice in NOTICES else words.saved(notice),
            error=notice.startswith("error"),
            counts_on=counts_on,
            clears={"vendors": [], "holds": {}, "stored": policy.stored, "refused": refused_in_storage(decision)},
            kept=kept,
            cookies={id_: [cookie for cookie in cookies if cookie.purpose == id_] for id_ in policy.in_force},
            own_cookies=[cookie for cookie in own_cookies if cookie.purpose == "necessary"],
            changes=sorted(policy.changes, key=lambda change: change.date, reverse=True),
        )

    def unavailable(
        self, decision: Decision, *, missing: tuple[str, ...], feature: Feature | None, **where: Any
    ) -> str:
        """Return a page that says what is off and why, with a button to allow just that and return.

        `missing` are the ids of the purposes that are needed and off; `feature` is None if what is off has no name.
        """
        return self.page("unavailable.html", decision, **where, **missing_variables(decision, missing, feature))

    def box(
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
        """
        missing = tuple(purpose for purpose in feature.purposes if not decision.purposes[purpose])
        return self.page(
            "box.html",
            decision,
            base=base,
            language=language,
            next_path=next_path,
            scripts=script_tag(base, nonce),
            style=link_styles(base, nonce, ("choices.css",)),
            **missing_variables(decision, missing, feature),
        )

    def card(  # noqa: PLR0913 (what it says, and about what)
        self,
        decision: Decision,
        *,
        base: str,
        language: str,
        next_path: str,
        card: Card,
        content: str = "",
        size: Mapping[str, str] = {},
        title: str = "",
        preview: str = "",
        place: str = "",
        reloads: bool = False,
        nonce: str = "",
    ) -> str:
        """Return a card, to be placed in a page instead of content that sends data to somebody else.

        The content is beside it, in a `<template>`; `size` is its height, and its width if known, in pixels. Without a
        `title`, the card has the name of what it is about; `preview` is the path of a picture; without a `place`, the
        id of its element follows from the card.
        """
        # The form carries it, so that the record of the answer can say what was read.
        mark = f"{card.id} {reloads:d} {escape(title)}".encode()
        words = Wording(decision.policy, language)
        return self.page(
            "card.html",
            decision,
            base=base,
            language=language,
            next_path=next_path,
            mark=self._signer.sign(mark, 0).decode() if self._signer else "",
            title=title or words("unavailable_title", feature=words.translate(card.title)),
            place=place or f"pchoice-card-{card.id}",
            preview=preview,
            content=content,
            size=size,
            reloads=reloads,
            scripts=script_tag(base, nonce) + script_tag(base, nonce, "cards.js"),
            style=link_styles(base, nonce, ("choices.css", "cards.css")),
            **card_variables(decision, card),
        )

    def read_card(self, mark: str) -> tuple[str, bool, Markup] | None:
        """Return the id of a card, whether the page is loaded again after a grant, and the title that the app gave.

        `mark` is the value of a field in the form of the card. None: the form is not ours.
        """
        signed = self._signer.read(mark.encode(errors="replace")) if self._signer else None
        if signed is None:
            return None
        id_, reloads, title = signed[0].decode().split(" ", 2)
        return id_, reloads == "1", Markup(title)  # noqa: S704 (escaped when it was signed)

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
        """Return the question, to be inserted first in <body>."""
        marked = self.mark_banner(decision, base, language, next_path, encoding, options=options)
        return marked % list_values(decision, base, next_path, form_id=self.make_id())

    def mark_banner(
        self,
        decision: Decision,
        base: str,
        language: str,
        next_path: str,
        encoding: str,
        *,
        options: QuestionOptions,
    ) -> bytes:
        """Return the question with marks; see `list_values`."""
        variables = question_variables(decision, options)
        where = (base, language, next_path, encoding)
        return self.mark("banner.html", decision, *where, **variables, layout=self._layout)

    def mark_footer(  # noqa: PLR0913 (where the page is, and what it allows)
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
        """Return what is inserted last in <body>, with marks.

        That is a link to the settings page (unless the site has its own), a line about a policy change, and a line
        saying that Global Privacy Control is honoured. `wherever` says that the page is the same wherever the visitor
        is, so that all laws of the site count.
        """
        policy = decision.policy
        laws = policy.laws if wherever else filter(None, (policy.law,))
        return self.mark(
            "footer.html", decision, base, language, next_path, encoding, shows_link=link, laws=tuple(laws)
        )

    def mark(
        self,
        template: str,
        decision: Decision,
        base: str,
        language: str,
        next_path: str,
        encoding: str,
        **more: object,
    ) -> bytes:
        """Return HTML with marks for what differs between visitors; see `make_template`."""
        variables = page_variables(decision, base, language, IN_FIELD if next_path else "")
        variables |= {"next_query": IN_LINK, "answered_at": ANSWERED}
        return make_template(self._templates.get_template(template).render(variables, **more), encoding)
