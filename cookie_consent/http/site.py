"""The site: what the middleware, its responses and its endpoints share. It is made of the middleware's options.

This module is loaded with the first middleware, since it needs stores and babel. A program that only imports the
package, to define routes or a policy, starts sooner, and no request waits for a module.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any, NamedTuple

# They format what is written in pages.
import babel.dates
import babel.lists
import babel.numbers  # noqa: F401
from anyio import CapacityLimiter, to_thread

from cookie_consent.base import user_agents
from cookie_consent.base.bounds import Cache, RateLimit
from cookie_consent.base.clock import HOUR, Daily
from cookie_consent.base.messages import check
from cookie_consent.base.startup import check_app
from cookie_consent.current import CurrentRequest
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import HTTP, STATE, OwnCookies
from cookie_consent.decision.record import choose_lifetime
from cookie_consent.decision.tokens import Signer
from cookie_consent.decision.visit import Visit, Visits
from cookie_consent.http.csp import SecurityFields
from cookie_consent.http.foreign_hosts import ForeignHosts, advice_on_loading
from cookie_consent.http.options import (
    Country,
    Inject,
    Language,
    check_page_options,
    check_prefix,
    read_country,
    read_inject,
    read_language,
)
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.http.requires import check_required
from cookie_consent.ledgers import Ledger, ledger_of
from cookie_consent.ledgers.background import SignalProofs, WaitingRecords, remove_due
from cookie_consent.pages.pages import CARD_SALT, Layout, Pages, choose_intro
from cookie_consent.policy.advice import advice_at_start
from cookie_consent.policy.errors import raise_all
from cookie_consent.policy.policy import Policy, policy_in_use
from cookie_consent.sinks import Sink
from cookie_consent.texts.locales import load_locales
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.access_record import VisitorLag
from cookie_consent.tracing.tracer import Trace

_policy_log = logging.getLogger("cookie_consent.policy")
_log = logging.getLogger("cookie_consent")
_FEW = 4
"""How many access logs are searched at once. Further requests wait."""


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


class Proof(NamedTuple):
    """The ledger of consent records, and what is done with it beside reading.

    Attributes:
        ledger: the ledger.
        retention: removes expired records.
        waiting: keeps what the ledger did not take.
        signals: records signals that override answers.
    """

    ledger: Ledger
    retention: Daily
    waiting: WaitingRecords
    signals: SignalProofs


class Site:
    """What the middleware, its responses and its endpoints share. It is made of the middleware's options.

    Storage is opened last, because it opens files and connections: a site that cannot start leaves none behind.

    Attributes:
        policy: the policy of the site.
        prefix: the path of the endpoints, without a final slash.
        own_cookies: our own cookies.
        gate: says which cookies pass.
        visits: reads requests.
        pages: renders the pages.
        clock: returns seconds since 1970.
        proof: the ledger and what is done with it; None without a ledger.
        ledger: the ledger of consent records, or None.
        access_log: the access log, or None.
        desk: is called for each request to the help desk, or None.
        app_language: returns the app's language for a request; None if the app makes no choice.
        security: makes the header fields that limit browsers.
        inject: whether pages get anything.
        settings_link: whether pages get a link to the settings page.
        is_shared: whether pages are the same for everybody.
        leaves_out: says which requests' pages get nothing; None if all pages are treated alike.
        reloads: whether pages have to be loaded again after a grant, since their Content-Security-Policy differs.
        depends_on: the names of the request fields that a decision depends on.
        page_depends_on: those that a page with our markup depends on.
        tells_vendors: whether pages tell vendors' tags what is allowed.
        needs_pages: whether each page gets something, so that the app has to send it as a whole.
        shared_cookie: in pages for everybody, the name of the cookie that their script reads; else "".
        asks_first: whether such a page may show the question only after its script has asked the server.
        foreign_hosts: logs which hosts of others pages load from.
        pieces_kept: markup with marks; see `http/render.py:render`.
        limits: how often something may be done, in each process: what -> its limit.
        searches: limits how many access logs are searched at once. An export can take seconds, and must not occupy the
            threads of the app's endpoints.

    Raises:
        PolicyError: the policy cannot be used.
        FileNotFoundError: there is no such policy file.
        ValueError: another option is invalid.
    """

    def __init__(  # noqa: PLR0913, PLR0915 (the options of the middleware, which explains them)
        self,
        app: Any,
        policy: Policy | str | PathLike[str],
        secret_keys: str | Sequence[str],
        *,
        prefix: str,
        ledger: Ledger | str | None,
        access_log: Sink | str | PathLike[str] | None,
        inject: Inject,
        layout: Layout,
        settings_link: bool,
        language: Language | None,
        country: Country | None,
        csp: str | None,
        shared_pages: bool,
        undeclared: str,
        history: Iterable[Policy | str | PathLike[str]],
        cookie_prefix: str,
        consent_days: float | None,
        query_keys: Iterable[str],
        desk: Callable[[dict[str, Any]], Any] | None,
        clock: Callable[[], float],
    ) -> None:
        check_app(app)
        check("clock", clock, is_valid=callable(clock), remedy="It returns seconds since 1970.")
        self.clock = clock
        # The policy, and the cookies that store visitors' answers.
        policy = policy_in_use(policy, history)
        self.policy = policy
        check_required(app, policy)
        self.own_cookies = OwnCookies(
            secret_keys,
            prefix=cookie_prefix,
            lifetime=choose_lifetime(consent_days, policy),
            domain=policy.site.domain,
            hosts=policy.site.hosts,
            tells_state=shared_pages,
        )
        raise_all(self.own_cookies.find_taken_names(policy))
        self.gate = Gate(policy, self.own_cookies.find_readers(policy), undeclared=undeclared)
        by_country = read_country(country, policy)
        self.visits = Visits(policy, self.own_cookies, self.gate, clock, by_country)
        self.depends_on = list_depends_on(policy, self.visits.country_field)
        self.page_depends_on = (*self.depends_on, b"Accept-Language", b"Sec-Fetch-Dest")
        # What visitors see.
        load_locales(policy.site.languages)
        check_prefix(prefix)
        self.prefix = prefix
        self.pages = Pages(
            layout=layout,
            make_id=partial(secrets.token_urlsafe, 16),
            prefix=prefix,
            signer=Signer(secret_keys, CARD_SALT),
            intro=choose_intro(csp, undeclared),
        )
        self.security = SecurityFields(policy, csp)
        self.reloads = self.security.differs
        self.leaves_out = read_inject(inject)
        check_page_options(
            inject=inject,
            settings_link=settings_link,
            shared_pages=shared_pages,
            limits_browsers=self.security.is_used,
        )
        self.inject = inject is not False
        self.settings_link = self.inject and settings_link
        self.tells_vendors = self.inject and policy.tells_vendors
        self.is_shared = shared_pages
        self.needs_pages = self.tells_vendors or shared_pages
        self.shared_cookie = self.own_cookies.name(STATE, HTTP) if shared_pages else ""
        # Where the question may not be asked at all, the server has to be asked first.
        self.asks_first = shared_pages and policy.is_by_country
        self.app_language = read_language(language, policy.site.languages)
        self.foreign_hosts = ForeignHosts(prefix, self.security, clock)
        self.pieces_kept = Cache[tuple[object, ...], tuple[bytes, bytes, bytes]](most=512)
        self._make_first_page()
        check_desk(desk, ledger)
        self.desk = desk
        self.limits = make_limits()
        self.searches = CapacityLimiter(_FEW)
        country_of = None if by_country is None else by_country.read_country
        self.access_log = AccessLog.open(access_log, policy, query_keys, clock, VisitorLag(secret_keys), country_of)
        self.proof = open_proof(ledger, policy, clock)
        self.ledger = None if self.proof is None else self.proof.ledger
        if self.inject or self.access_log is not None:
            user_agents.load_parser()  # now, so that the first request need not wait for its tables
        advice = advice_on_loading(policy, self.security, shared_pages=shared_pages)
        for sentence in (*advice_at_start(policy), *advice):
            _policy_log.warning("%s", sentence)

    def _make_first_page(self) -> None:
        """Render what pages get, so that the first visitor does not wait for what a policy computes once."""
        if self.inject:
            where = (self.prefix, self.policy.site.prevailing_language, "/")
            decision = self.decide_neutrally(self.policy)
            self.pages.banner(decision, *where)
            self.pages.mark_footer(decision, *where, "utf-8")

    def decide_neutrally(self, policy: Policy) -> Decision:
        """Return the decision on a visitor of whom nothing is known, under the conditions of a service."""
        service = policy.service.id if policy.service else ""
        here = self.visits.find_service_policy(service, self.policy) or self.policy
        return decide(here, None, frozenset(), 0)

    def begin_visit(
        self,
        visit: Visit,
        scope: Mapping[str, Any],
        fields: Mapping[bytes, bytes],
        consent: RequestConsent,
        request: CurrentRequest,
    ) -> Trace | None:
        """Record signals, say whether the request is traced, and return its trace if there will be an access record."""
        if visit.depends_on_signals and self.proof is not None:
            self.proof.signals.note(visit.decision)
        consent.returned = bool(visit.saved)
        request.decide(traced=visit.traced)
        if self.access_log is None or not visit.traced or scope["type"] != "http":
            return None
        if self.is_shared:
            # A page for everybody sets no cookie. Our endpoints do.
            if visit.visitor is None:
                return None
            visit = visit._replace(visitor=visit.visitor._replace(referrer=None))
        return self.access_log.trace(scope, fields, visit, self.own_cookies)

    def run_if_due(self) -> None:
        """Run overdue retention when the server has started."""
        if self.proof is not None:
            self.proof.retention.run_if_due(self.clock())
        if self.access_log is not None:
            self.access_log.run_if_due()

    async def close(self) -> None:
        """Flush and close what is kept when the server ends."""
        # The counts first: they go into the access log, which is closed next.
        if self.access_log is not None:
            self.access_log.counts.flush()
        for storage in (self.access_log, self.ledger):
            try:
                if storage is not None:
                    await to_thread.run_sync(storage.close, abandon_on_cancel=True)
            except Exception:  # noqa: BLE001 (a failing sink or ledger must not stop the shutdown)
                _log.exception("The last records could not be brought to where they are kept.")


def list_depends_on(policy: Policy, country_field: str) -> tuple[bytes, ...]:
    """Return the names of the request fields that a decision depends on."""
    used = {b"Sec-GPC": policy.gpc_refuses, b"DNT": policy.dnt_refuses, country_field.encode(): country_field}
    return (b"Cookie", *[name for name, reason in used.items() if reason])


def open_proof(option: Ledger | str | None, policy: Policy, clock: Callable[[], float]) -> Proof | None:
    """Return the ledger of the option `ledger`, and what is done with it; None without a ledger."""
    ledger = ledger_of(option)
    if ledger is None:
        return None
    retention = Daily(partial(remove_due, ledger, policy.requests))
    return Proof(ledger, retention, WaitingRecords(ledger, clock), SignalProofs(ledger, clock))


def check_desk(desk: Any, ledger: Any) -> None:
    """Check the options of the help desk.

    Raises:
        ValueError: one is invalid.
    """
    # The type alone: the value may be an SMTP URL with a password.
    remedy = "Write a function that takes a dict. It can send a mail, as an SMTP URL did."
    check("desk", type(desk), is_valid=desk is None or callable(desk), remedy=remedy)
    remedy = 'Write one that keeps the requests for desk=, as in "sqlite:///consent.db".'
    check("ledger", ledger, is_valid=desk is None or ledger is not None, remedy=remedy)
