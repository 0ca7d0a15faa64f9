"""Pages that are the same for everybody, so that shared caches may keep them.

The question is in the page, hidden. A script asks the browser's own cookie or the server what holds, and shows it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.base.caching import Headers, is_shared
from cookie_consent.base.checks import check_booleans
from cookie_consent.base.html.injection import Injection
from cookie_consent.decision.decision import Decision, decide, without_optional
from cookie_consent.enforcement.banner import requesting_whole_page, rules_of_page
from cookie_consent.enforcement.request_consent import RequestConsent, own_path
from cookie_consent.enforcement.tags import TagRules, tag_rules
from cookie_consent.enforcement.vendor_signals import VendorSignals, vendor_signals
from cookie_consent.policy.policy import Policy
from cookie_consent.texts.negotiation import match_language
from cookie_consent.visitors.pages.question import QuestionOptions
from cookie_consent.visitors.pages.stylesheet import stylesheet_at_end

if TYPE_CHECKING:
    from cookie_consent.visitors.installation import Installation

_log = logging.getLogger("cookie_consent")


def checked_shared_pages(given: bool, *, limits: bool, chosen_layouts: bool) -> bool:
    """Return the middleware's option `shared_pages`, checked against what makes pages differ.

    Args:
        given: the option.
        limits: whether pages get a Content-Security-Policy or other fields that limit browsers.
        chosen_layouts: whether the app chooses the layout for each request.

    Raises:
        ValueError: pages would differ between visitors.
    """
    check_booleans(shared_pages=given)
    if given and limits:
        raise ValueError(
            "shared_pages: csp and the table [security] make fields that differ between visitors. Leave them out, and "
            "send a Content-Security-Policy that is the same for everybody from the app."
        )
    if given and chosen_layouts:
        raise ValueError("layout: shared_pages are the same for everybody. Write a layout or a list, or leave it out.")
    return given


class SharedPages:
    """Makes what is inserted into pages that are the same for everybody.

    Args:
        installed: the parts of the installation.
        settings_link: whether pages end with a link to the settings page.
        rules: what is ours to say of our tags: whether the question may bring its stylesheet inline.
        may_ask: returns whether a page may have the question, for an ASGI scope.
    """

    def __init__(
        self,
        installed: Installation,
        *,
        settings_link: bool,
        rules: TagRules,
        may_ask: Callable[[Scope], bool],
    ) -> None:
        self._policy, self._visits, self._pages = installed.policy, installed.visits, installed.pages
        self._settings_link, self._rules, self._may_ask = settings_link, rules, may_ask
        self._layouts = installed.layouts
        self._vendors = vendor_signals(installed.policy)
        self._cookie = installed.own_cookies.plain_name("state")
        # Where the question may not be asked at all, the server has to be asked first.
        self._asks_first = installed.policy.is_by_country
        self._neutral: dict[str, Decision] = {}
        self._warned = False

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
        fragments = _Fragments(self, consent, self._decision(policy), scope, headers, encoding)
        question = fragments.question if self._may_ask(scope) else fragments.no_question
        head = bytes if self._vendors is None else partial(fragments.head, self._vendors)
        return Injection(out, question, partial(fragments.end, link=self._settings_link), head)

    def without_cookies(self, headers: Headers) -> Headers:
        """Return the header fields of a response without cookies, if it says that shared caches may keep it.

        A cache would hand them to everybody (RFC 9111, section 7.3).
        """
        if not is_shared(headers) or not any(name.lower() == b"set-cookie" for name, _ in headers):
            return headers
        if not self._warned:
            self._warned = True
            _log.warning(
                "A public response sets a cookie. It is sent without, since a cache would give it to everybody."
            )
        return [field for field in headers if field[0].lower() != b"set-cookie"]

    def _decision(self, policy: Policy) -> Decision:
        """Return the decision on a visitor of whom nothing is known, under the conditions of a service."""
        service = policy.service.id if policy.service else ""
        decision = self._neutral.get(service)
        if decision is None:
            here = self._visits.policy_in(service, self._policy) or self._policy
            decision = self._neutral[service] = decide(here, None, frozenset(), 0)
        return decision


class _Fragments:
    """What is inserted into one page, in the app's language or else the page's, whatever the browser accepts."""

    def __init__(
        self,
        shared: SharedPages,
        consent: RequestConsent,
        decision: Decision,
        scope: Mapping[str, Any],
        headers: Headers,
        encoding: str,
    ) -> None:
        self._shared, self._consent, self._decision = shared, consent, decision
        # Caches may leave out parts of the query. The script knows it.
        path = own_path({**scope, "query_string": b""})
        rules = tag_rules(headers)
        self._rules = rules if shared._rules.inline_style else rules.only_files()
        self._where: dict[str, Any] = {"base": consent.base, "next_path": path, "encoding": encoding}
        self._asks, self._layout = False, shared._layouts.of(scope)

    def head(self, vendors: VendorSignals) -> bytes:
        """Return what vendors are told: that nothing is allowed. The script tells them more, once it knows."""
        return vendors.tag(self._consent.base, without_optional(self._decision), self._rules, is_shared=True)

    def question(self, page_language: str | None, received: bytes) -> bytes:
        """Return the question, hidden. This chooses the language."""
        self.no_question(page_language, received)
        self._asks = True
        options = QuestionOptions(
            self._rules.script_nonce,
            self._rules.style_nonce,
            style="inline" if self._rules.inline_style else "deferred",
            shared=self._shared._cookie,
            asks_first=self._shared._asks_first,
            layout=self._layout,
        )
        return b"".join(self._shared._pages.banner_parts(self._decision, options=options, **self._where))

    def no_question(self, page_language: str | None, received: bytes) -> bytes:
        """Return nothing. This chooses the language."""
        site = self._decision.policy.site
        language = self._consent.app_language
        if not language and page_language:
            language = match_language(page_language, site.languages)
        self._where["language"] = language or site.prevailing_language
        self._rules = rules_of_page(self._rules, received)
        return b""

    def end(self, *, link: bool) -> bytes:
        """Return what is inserted at the end of the page: the stylesheet if it is a file, and the link."""
        rules, parts = self._rules, list[bytes]()
        if self._asks and not rules.inline_style:
            at_end = stylesheet_at_end(self._consent.base, rules.style_nonce, has_script=rules.own_script)
            parts.append(at_end.encode())
        if link:
            nonce = rules.style_nonce if rules.inline_style else None
            parts.append(self._shared._pages.footer(self._decision, style_nonce=nonce, wherever=True, **self._where))
        return b"".join(parts)


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
