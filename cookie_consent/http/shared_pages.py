"""Pages that are the same for everybody, so that shared caches may keep them.

The question is in the page, hidden. A script asks the browser's own cookie or the server what holds, and shows it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.base.html.injection import Injection
from cookie_consent.base.messages import warn_once
from cookie_consent.base.request_fields import Headers
from cookie_consent.decision.decision import Decision, decide, without_optional
from cookie_consent.decision.own_cookies import STATE
from cookie_consent.decision.place import HTTP
from cookie_consent.http.banner import Fragments, requesting_whole_page
from cookie_consent.http.head import is_shared
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.http.tags import tag_rules
from cookie_consent.http.vendor_signals import vendor_signals
from cookie_consent.pages.question import QuestionOptions
from cookie_consent.policy.policy import Policy

if TYPE_CHECKING:
    from cookie_consent.http.site import Site


class SharedPages:
    """Makes what is inserted into pages that are the same for everybody.

    Args:
        site: the site.
        settings_link: whether pages end with a link to the settings page.
        may_ask: returns whether a page may have the question, for an ASGI scope.
    """

    def __init__(
        self,
        site: Site,
        *,
        settings_link: bool,
        may_ask: Callable[[Scope], bool],
    ) -> None:
        self._policy, self._visits, self._pages = site.policy, site.visits, site.pages
        self._settings_link, self._may_ask = settings_link, may_ask
        self._vendors = vendor_signals(site.policy)
        self._cookie = site.own_cookies.name(STATE, HTTP)
        # Where the question may not be asked at all, the server has to be asked first.
        self._asks_first = site.policy.is_by_country
        self._neutral: dict[str, Decision] = {}

    def injection(
        self, consent: RequestConsent, policy: Policy, scope: Scope, headers: Headers, *, encoding: str, out: Send
    ) -> Injection:
        """Return what inserts the question and the link into a page.

        Args:
            consent: the decision as the app sees it.
            policy: the policy on the page, under the conditions of its service.
            scope: the request's ASGI scope.
            headers: the header fields of the response.
            encoding: the page's encoding for fragments.
            out: the send function.
        """
        decision, rules, vendors, options = self._decision(policy), tag_rules(headers), self._vendors, None
        # Vendors are told that nothing is allowed. The script tells them more, once it knows.
        nothing = without_optional(decision)
        head = bytes if vendors is None else partial(vendors.tag, consent.base, nothing, rules, is_shared=True)
        if self._may_ask(scope):
            options = QuestionOptions(
                rules.script_nonce, rules.style_nonce, shared=self._cookie, asks_first=self._asks_first
            )
        fragments = Fragments(
            self._pages, decision, consent, scope, encoding=encoding, options=options, rules=rules, is_shared=True
        )
        return Injection(out, fragments.question, partial(fragments.end, footer=self._settings_link, link=True), head)

    def without_cookies(self, headers: Headers) -> Headers:
        """Return the header fields of a response without cookies, if it says that shared caches may keep it.

        A cache would hand them to everybody (RFC 9111, section 7.3).
        """
        if not is_shared(headers) or not any(name.lower() == b"set-cookie" for name, _ in headers):
            return headers
        text = "A public response sets a cookie. It is sent without, since a cache would give it to everybody."
        warn_once("public responses", "", text)
        return [field for field in headers if field[0].lower() != b"set-cookie"]

    def _decision(self, policy: Policy) -> Decision:
        """Return the decision on a visitor of whom nothing is known, under the conditions of a service."""
        service = policy.service.id if policy.service else ""
        decision = self._neutral.get(service)
        if decision is None:
            here = self._visits.policy_in(service, self._policy) or self._policy
            decision = self._neutral[service] = decide(here, None, frozenset(), 0)
        return decision


class WholePages:
    """Asks the app for complete, uncompressed pages, whoever asks for them.

    Args:
        app: the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Run the app. The scope is changed in place, since the router writes into it what access records name."""
        if scope["type"] == "http" and _may_be_page(scope):
            scope.update(requesting_whole_page(scope, is_page=True))
        return self.app(scope, receive, send)


def _may_be_page(scope: Scope) -> bool:
    """Return whether a request may be for a page. Robots and tools accept anything, and browsers say what they want."""
    fields = dict(scope["headers"])
    accept = fields.get(b"accept", b"*/*")
    return b"text/html" in accept or (b"*/*" in accept and b"sec-fetch-dest" not in fields)
