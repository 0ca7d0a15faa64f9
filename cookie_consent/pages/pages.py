"""Render our own pages: the settings page, the pages that replace what is off, and those about visitors' own data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cookie_consent.decision.decision import Decision, refused_in_storage
from cookie_consent.decision.tokens import WithdrawnVisitor
from cookie_consent.pages.context import missing_variables, page_variables, refused_in
from cookie_consent.pages.inserted import InsertedHtml
from cookie_consent.policy.parts import Cookie, Feature

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


def choose_intro(csp: str | None, undeclared: str) -> str:
    """Return the name of the text on what happens before an answer: as much as the middleware's options hold."""
    if undeclared == "allow":
        return "settings_intro_opt_out"
    return "settings_intro_cookies" if csp is None else "settings_intro"


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


class Pages(InsertedHtml):
    """Renders a decision for visitors: our own pages, and what is put into the app's.

    All methods take `base`, the address of the settings page (the prefix with any mount path), and `language`, an
    offered language. Most take `next_path`, a path on this site to return to; "" for none.
    """

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
        """
        policy = decision.policy
        context = page_variables(decision, base, language, next_path)
        words = context["words"]
        return self._render(
            "settings.html",
            context,
            intro="settings_intro_opt_out" if policy.is_opt_out else self._intro,
            notice=notice,
            message=words.paragraph(*(words(text) for text in NOTICES[notice])),
            error=notice.startswith("error"),
            counts_on=counts_on,
            clears={"vendors": [], "holds": {}, "stored": policy.stored, "refused": refused_in_storage(decision)},
            kept=kept,
            expires=self._expires(decision),
            cookies={
                purpose: [cookie for cookie in (*own_cookies, *policy.cookies) if cookie.purpose == purpose]
                for purpose in policy.in_force
            },
            service_refuses={service.id: refused_in(service) for service in policy.services},
            changes=sorted(policy.changes, key=lambda change: change.date, reverse=True),
        )

    def do_not_sell(self, decision: Decision, *, base: str, language: str, next_path: str = "") -> str:
        """Return the page for refusing the sale or sharing of personal information (11 CCR 7026)."""
        context = page_variables(decision, base, language, next_path)
        return self._render("do_not_sell.html", context, expires=self._expires(decision))

    def transmission(self, decision: Decision, *, base: str, language: str, next_path: str = "") -> str:
        """Return the page that tells what is sent to whom (Telecommunications Business Act of Japan, Article 27-12)."""
        return self._render("transmission.html", page_variables(decision, base, language, next_path))

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
        context = page_variables(decision, base, language, next_path) | missing_variables(decision, missing, feature)
        return self._render("unavailable.html", context)

    def message(
        self, decision: Decision, *, base: str, language: str, title: str, text: str, next_path: str = ""
    ) -> str:
        """Return a page with a short message and a link to the settings page."""
        return self._render("message.html", page_variables(decision, base, language, next_path), title=title, text=text)

    def page(self, template: str, decision: Decision, *, base: str, language: str, **more: object) -> str:
        """Return a page about the visitor's own data.

        Args:
            template: the name of its template.
            decision: the decision, with the visitor's answer.
            base: see the class.
            language: see the class.
            more: further variables of the template.
        """
        return self._render(template, page_variables(decision, base, language, ""), **more)
