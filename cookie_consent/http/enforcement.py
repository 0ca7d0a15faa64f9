"""What the responses of one installation share."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Scope

from cookie_consent.base import user_agents
from cookie_consent.base.addresses import outer_path
from cookie_consent.base.messages import check_booleans
from cookie_consent.http import banner
from cookie_consent.http.csp import SecurityFields
from cookie_consent.http.foreign_hosts import ForeignHosts
from cookie_consent.http.head import depending_on
from cookie_consent.http.left_out import LeavesOut
from cookie_consent.http.ordinary_pages import OrdinaryPages
from cookie_consent.http.page_advice import PageAdvice
from cookie_consent.http.shared_pages import SharedPages, WholePages
from cookie_consent.http.tags import NO_RULES
from cookie_consent.http.vendor_signals import vendor_signals

if TYPE_CHECKING:
    from cookie_consent.http.site import Site
    from cookie_consent.ledgers.signal_records import SignalProofs

_LANGUAGE, _FRAMES = (b"Accept-Language",), (b"Sec-Fetch-Dest",)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """The middleware's options for the app's pages.

    Args:
        inject: whether to insert the banner.
        settings_link: whether to insert a link to the settings page.
        shared_pages: whether pages are the same for everybody.
        leaves_out: says into which requests' pages nothing is inserted; None if all pages are treated alike.
        security: adds the header fields that limit browsers; None if there are none.

    Raises:
        ValueError: one is not a boolean, or shared pages could not ask or would differ between visitors.
    """

    inject: bool
    settings_link: bool
    shared_pages: bool = False
    leaves_out: LeavesOut | None = None
    security: SecurityFields | None = None

    def __post_init__(self) -> None:
        check_booleans(settings_link=self.settings_link, shared_pages=self.shared_pages)
        if self.shared_pages and not self.inject:
            raise ValueError("shared_pages: the question has to be in the pages. Leave inject out, or shared_pages.")
        if self.shared_pages and self.security is not None:
            raise ValueError(
                "shared_pages: csp and the table [security] make fields that differ between visitors. Leave them out, "
                "and send a Content-Security-Policy that is the same for everybody from the app."
            )


class Enforcement:
    """What the responses of one installation share. It is computed once, when the middleware is made.

    Args:
        installed: the parts of the installation.
        options: the options for pages.
        signal_proofs: records signals that override answers as proof; None without a ledger.
        app: the app.

    Attributes:
        app: the app as the middleware calls it for these responses.
        depends_on: names of the request fields that a decision depends on.
        traced_headers: header fields to add to a traced response that is no page.
        page_headers: header fields to add to an ordinary page.
        banner_page_headers: header fields to add to an ordinary page with the banner.
        ordinary: the plans of ordinary pages.
        vendor_signals: tells vendors' tags what holds; None if there is nobody to tell.
        fills_heads: whether the head of each visitor's pages says what holds.
        advice: logs once what the site should know of its pages.
        foreign_hosts: logs which hosts of others pages load from.
        is_left_out: whether it is for pages into which nothing is inserted.
        shared_pages: makes pages that are the same for everybody; None if each visitor has pages of their own.
        is_quick: whether responses may take the quick way.
        choose: takes a request's scope and its path inside the app, and returns this, or the like for pages into which
            nothing is inserted. None if no page is left out.
    """

    is_left_out = False

    def __init__(
        self,
        installed: Site,
        options: PageOptions,
        signal_proofs: SignalProofs | None,
        app: ASGIApp,
    ) -> None:
        self.app = WholePages(app) if options.shared_pages else app
        self.installed = installed
        self.signal_proofs = signal_proofs
        self.app_language = installed.app_language
        self.inject = options.inject
        self.settings_link = options.inject and options.settings_link
        self.depends_on = _depends_on(installed)
        self.gate, self.access_log, self.security = installed.gate, installed.access_log, options.security
        self.pages, self.prefix = installed.pages, installed.prefix
        self.vendor_signals = vendor_signals(installed.policy) if options.inject else None
        self.fills_heads = self.vendor_signals is not None and not options.shared_pages
        self.traced_headers = depending_on([], self.depends_on)
        self.page_headers = depending_on([], (*self.depends_on, *_LANGUAGE, *_FRAMES))
        rules = NO_RULES if options.security is None else options.security.tags
        preloads = [] if rules.inline_style else [banner.preload(self.prefix, "")]
        self.banner_page_headers = [*preloads, *self.page_headers]
        self.ordinary = OrdinaryPages(self.pages, self.prefix, rules)
        self.advice = PageAdvice()
        self.foreign_hosts = ForeignHosts(self.prefix, options.security, installed.clock)
        self._to_be_read = installed.policy.linked_paths
        self.shared_pages = (
            SharedPages(installed, settings_link=self.settings_link, may_ask=self.may_show_banner)
            if options.shared_pages
            else None
        )
        if options.inject or installed.access_log is not None:
            user_agents.parser()  # now, so that the first request need not wait for its tables
        self.is_quick = self.shared_pages is None
        self.choose = None if options.leaves_out is None else self._chooser(options.leaves_out, app)

    def may_show_banner(self, scope: Scope) -> bool:
        """Return whether a page at this path may have the banner. Pages that the banner links to may not."""
        if not self.inject or scope["method"] != "GET":
            return False
        path = outer_path(scope) if scope.get("root_path") else scope["path"]
        return path.rstrip("/") not in self._to_be_read

    def _chooser(self, leaves_out: LeavesOut, app: ASGIApp) -> Callable[[Scope, str], Enforcement]:
        left_out = copy(self)
        left_out.app, left_out.inject, left_out.vendor_signals = app, False, None
        left_out.is_left_out = True
        left_out.settings_link = left_out.fills_heads = False
        return lambda scope, path: left_out if leaves_out(scope, path) else self


def _depends_on(installed: Site) -> tuple[bytes, ...]:
    """Return the names of the request fields that a decision depends on."""
    policy, country = installed.policy, installed.visits.country_field.encode()
    gpc = (b"Sec-GPC",) if policy.gpc_refuses else ()
    dnt = (b"DNT",) if policy.dnt_refuses else ()
    return (b"Cookie", *gpc, *dnt, *((country,) if country else ()))
