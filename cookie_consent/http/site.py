"""The site: what the middleware, its responses and its endpoints share. The middleware makes one when it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter
from starlette.types import ASGIApp, Scope

from cookie_consent.base import user_agents
from cookie_consent.base.addresses import outer_path
from cookie_consent.base.bounds import RateLimit
from cookie_consent.base.clock import HOUR
from cookie_consent.base.messages import check_booleans
from cookie_consent.base.request_fields import Headers
from cookie_consent.decision.cookie_log import CookieLog
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.place import Place
from cookie_consent.decision.visit import Visits
from cookie_consent.http import banner
from cookie_consent.http.csp import SecurityFields
from cookie_consent.http.foreign_hosts import ForeignHosts
from cookie_consent.http.head import depending_on
from cookie_consent.http.left_out import LeavesOut
from cookie_consent.http.ordinary_pages import OrdinaryPages
from cookie_consent.http.page_advice import PageAdvice
from cookie_consent.http.tags import NO_RULES
from cookie_consent.http.told_by_app import AppLanguage
from cookie_consent.http.vendor_signals import vendor_signals
from cookie_consent.pages.pages import Pages
from cookie_consent.policy.parts import Cookie
from cookie_consent.policy.policy import Policy

if TYPE_CHECKING:
    from cookie_consent.ledgers import Ledger
    from cookie_consent.ledgers.retention import Retention
    from cookie_consent.ledgers.signal_records import SignalProofs
    from cookie_consent.ledgers.waiting import WaitingRecords
    from cookie_consent.tracing.access_log import AccessLog

_FEW = 4
"""How many access logs are searched at once. Further requests wait."""
_LANGUAGE, _FRAMES = (b"Accept-Language",), (b"Sec-Fetch-Dest",)


def make_limits() -> Mapping[str, RateLimit]:
    """Return how often something may be done, in each process: what -> its limit."""
    return {
        "answers": RateLimit(60, HOUR),
        "first answers from one public network": RateLimit(600, HOUR),
        "first answers from addresses that are not public": RateLimit(100_000, HOUR),
        "events": RateLimit(120, 60),
        "own data": RateLimit(60, 600),
        "help desk": RateLimit(100, HOUR),
    }


@dataclass(eq=False, kw_only=True)
class Site:
    """What the middleware, its responses and its endpoints share.

    Attributes:
        app: the app.
        policy: the policy of the site.
        prefix: the path of the endpoints, without a final slash.
        own_cookies: our own cookies.
        gate: says which cookies pass.
        cookie_log: counts blocked cookies, and warns of them.
        visits: reads requests.
        pages: renders the pages.
        clock: returns seconds since 1970.
        ledger: the ledger of consent records, or None.
        retention: removes expired records from the ledger, or None.
        waiting: keeps what the ledger did not take; None without a ledger.
        signal_proofs: records signals that override answers; None without a ledger.
        access_log: the access log, or None.
        desk: is called for each request to the help desk, or None.
        app_language: returns the app's language for a request; None if the app makes no choice.
        security: adds the header fields that limit browsers; None if there are none.
        inject: whether pages get anything.
        settings_link: whether pages get a link to the settings page.
        is_shared: whether pages are the same for everybody.
        leaves_out: says which requests' pages get nothing; None if all pages are treated alike.
        reloads: whether pages have to be loaded again after a grant, since their Content-Security-Policy differs.
        depends_on: the names of the request fields that a decision depends on.
        vendor_signals: tells vendors' tags what is allowed; None if there is no vendor to tell.
        fills_heads: whether the head of each visitor's pages says what is allowed.
        advice: logs once what the site should know of its pages.
        foreign_hosts: logs which hosts of others pages load from.
        limits: how often something may be done.
        searches: limits how many access logs are searched at once. An export can take seconds, and must not occupy the
            threads of the app's endpoints.
        cookie_lists: our own cookies as settings pages list them, by policy, address of the endpoints and place.
        is_left_out: whether this is the site as it is for pages that are left out.
    """

    app: ASGIApp
    policy: Policy
    prefix: str
    own_cookies: OwnCookies
    gate: Gate
    cookie_log: CookieLog
    visits: Visits
    pages: Pages
    clock: Callable[[], float]
    ledger: Ledger | None = None
    retention: Retention | None = None
    waiting: WaitingRecords | None = None
    signal_proofs: SignalProofs | None = None
    access_log: AccessLog | None = None
    desk: Callable[[dict[str, Any]], Any] | None = None
    app_language: AppLanguage | None = None
    security: SecurityFields | None = None
    inject: bool = True
    settings_link: bool = True
    is_shared: bool = False
    leaves_out: LeavesOut | None = None
    is_left_out: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        policy = self.policy
        self.reloads = self.security is not None and self.security.differs
        self.depends_on = list_depends_on(policy, self.visits.country_field)
        self.settings_link = self.inject and self.settings_link
        self.vendor_signals = vendor_signals(policy) if self.inject else None
        self.fills_heads = self.vendor_signals is not None and not self.is_shared
        self.limits = make_limits()
        self.searches = CapacityLimiter(_FEW)
        self.cookie_lists: dict[tuple[Policy, str, Place], tuple[Cookie, ...]] = {}
        self.advice = PageAdvice()
        self.foreign_hosts = ForeignHosts(self.prefix, self.security, self.clock)
        if self.inject or self.access_log is not None:
            user_agents.parser()  # now, so that the first request need not wait for its tables
        self.traced_headers = depending_on([], self.depends_on)
        self.page_headers = depending_on([], (*self.depends_on, *_LANGUAGE, *_FRAMES))
        rules = NO_RULES if self.security is None else self.security.tags
        preloads = [] if rules.inline_style else [banner.preload(self.prefix, "")]
        self.banner_page_headers = [*preloads, *self.page_headers]
        self.ordinary = OrdinaryPages(self.pages, self.prefix, rules)
        self.is_quick = not self.is_shared
        self.shared_pages: Any = None
        self._without_pages = self.leave_out_pages()

    def at(self, scope: Scope, path: str) -> Site:
        """Return the site as it is for a request: the same, or one whose pages get nothing."""
        if self.leaves_out is not None and self.leaves_out(scope, path):
            return self._without_pages
        return self

    def leave_out_pages(self) -> Site:
        """Return the site as it is for pages that are left out."""
        site = copy(self)
        site.inject = False
        site.settings_link = False
        site.vendor_signals = None
        site.fills_heads = False
        site.is_left_out = True
        return site

    def block_cookies(self, fields: Headers, purposes: Mapping[str, bool]) -> Headers:
        """Return the header fields of a response without the blocked cookies, which are counted and logged."""
        passed, findings = self.gate.filter_response(fields, purposes, self.clock())
        if findings:
            self.cookie_log.note_response(findings)
        return passed

    def may_ask(self, scope: Scope) -> bool:
        """Return whether a page at this path may have the question. Pages that the question links to may not."""
        if not self.inject or scope["method"] != "GET":
            return False
        path = outer_path(scope) if scope.get("root_path") else scope["path"]
        return path.rstrip("/") not in self.policy.linked_paths


def check_page_options(*, inject: bool, settings_link: Any, shared_pages: Any, limits_browsers: bool) -> None:
    """Check the options for the app's pages.

    Raises:
        ValueError: one is not a boolean, or shared pages could not ask or would differ between visitors.
    """
    check_booleans(settings_link=settings_link, shared_pages=shared_pages)
    if shared_pages and not inject:
        raise ValueError("shared_pages: the question has to be in the pages. Leave inject out, or shared_pages.")
    if shared_pages and limits_browsers:
        raise ValueError(
            "shared_pages: csp and the table [security] make fields that differ between visitors. Leave them out, "
            "and send a Content-Security-Policy that is the same for everybody from the app."
        )


def list_depends_on(policy: Policy, country_field: str) -> tuple[bytes, ...]:
    """Return the names of the request fields that a decision depends on."""
    names = [b"Cookie"]
    if policy.gpc_refuses:
        names.append(b"Sec-GPC")
    if policy.dnt_refuses:
        names.append(b"DNT")
    if country_field:
        names.append(country_field.encode())
    return tuple(names)
