"""Render our own pages: the settings page, the pages that replace what is off, and those about visitors' own data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cookie_consent.decision.decision import Decision, refused_in_storage
from cookie_consent.decision.tokens import WithdrawnVisitor
from cookie_consent.pages.context import missing_variables, page_variables, refused_in
from cookie_consent.pages.inserted import InsertedHtml
from cookie_consent.pages.wording import Wording
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

    def page(
        self, template: str, decision: Decision, *, base: str, language: str, next_path: str = "", **more: object
    ) -> str:
        """Return one of our own pages, made of a template and its further variables."""
        return self._render(template, page_variables(decision, base, language, next_path), **more)

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

        `notice` is the name of a message, one of `NOTICES`; a name that begins with "error" marks an error. `counts_on`
        are the hosts on which an answer counts; none for this host alone, which is not said. Without `kept`, the page
        leaves out what is stored about the visitor.
        """
        policy = decision.policy
        words = Wording(policy, language)
        cookies = (*own_cookies, *policy.cookies)
        return self.page(
            "settings.html",
            decision,
            base=base,
            language=language,
            next_path=next_path,
            intro="settings_intro_opt_out" if policy.is_opt_out else self._intro,
            notice=notice,
            message=words.paragraph(*map(words, NOTICES[notice])),
            error=notice.startswith("error"),
            counts_on=counts_on,
            clears={"vendors": [], "holds": {}, "stored": policy.stored, "refused": refused_in_storage(decision)},
            kept=kept,
            cookies={id_: [cookie for cookie in cookies if cookie.purpose == id_] for id_ in policy.in_force},
            service_refuses={service.id: refused_in(service) for service in policy.services},
            changes=sorted(policy.changes, key=lambda change: change.date, reverse=True),
        )

    def unavailable(
        self, decision: Decision, *, missing: tuple[str, ...], feature: Feature | None, **where: Any
    ) -> str:
        """Return a page that says what is off and why, with a button to allow just that and return.

        `missing` are the ids of the purposes that are needed and off; `feature` is None if what is off has no name.
        """
        return self.page("unavailable.html", decision, **where, **missing_variables(decision, missing, feature))
