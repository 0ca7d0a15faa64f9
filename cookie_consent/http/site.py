"""The site: what the middleware, its responses and its endpoints share. It is made of the middleware's options.

This module is loaded with the first middleware, since it needs stores and babel. A program that only imports the
package, to define routes or a policy, starts sooner, and no request waits for a module.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any, NamedTuple

# They format what is written in pages.
import babel.dates
import babel.lists
import babel.numbers  # noqa: F401
from anyio import CapacityLimiter, to_thread
from starlette.types import Scope

from cookie_consent.base import user_agents
from cookie_consent.base.addresses import outer_path
from cookie_consent.base.bounds import Cache, RateLimit
from cookie_consent.base.clock import HOUR
from cookie_consent.base.cookies import Headers
from cookie_consent.base.messages import check
from cookie_consent.base.startup import check_app
from cookie_consent.current import CurrentRequest
from cookie_consent.decision.cookie_log import note_response
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import HTTP, STATE, OwnCookies
from cookie_consent.decision.record import choose_lifetime
from cookie_consent.decision.tokens import Signer
from cookie_consent.decision.visit import Visit, Visits
from cookie_consent.http.csp import SecurityFields, security_fields
from cookie_consent.http.foreign_hosts import ForeignHosts, advice_on_loading
from cookie_consent.http.options import (
    AppLanguage,
    Country,
    Inject,
    Language,
    LeavesOut,
    check_page_options,
    check_prefix,
    read_country,
    read_inject,
    read_language,
)
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.http.requires import check_required
from cookie_consent.ledgers import Ledger, ledger_of
from cookie_consent.ledgers.retention import Retention
from cookie_consent.ledgers.signal_records import SignalProofs
from cookie_consent.ledgers.waiting import WaitingRecords
from cookie_consent.pages.pages import CARD_SALT, Layout, Pages, choose_intro
from cookie_consent.policy.advice import advice_at_start
from cookie_consent.policy.errors import raise_all
from cookie_consent.policy.policy import Policy, policy_in_use
from cookie_consent.sinks import Sink
from cookie_consent.texts.locales import load_locales
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.tracer import Trace
from cookie_consent.tracing.visitor_lag import VisitorLag

_policy_log = logging.getLogger("cookie_consent.policy")
_PATHSEND = "http.response.pathsend"
_UNHELPFUL = frozenset((b"accept-encoding", b"if-none-match", b"if-modified-since"))
_log = logging.getLogger("cookie_consent")
GPC_PATH = "/.well-known/gpc.json"
"""The only one of our paths that is not below the prefix."""
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
    retention: Retention
    waiting: WaitingRecords
    signals: SignalProofs


@dataclass(eq=False, kw_only=True)
class Site:
    """What the middleware, its responses and its endpoints share.

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
        security: adds the header fields that limit browsers; None if there are none.
        inject: whether pages get anything.
        settings_link: whether pages get a link to the settings page.
        is_shared: whether pages are the same for everybody.
        leaves_out: says which requests' pages get nothing; None if all pages are treated alike.
        is_left_out: whether this is the site as it is for pages that get nothing.
        reloads: whether pages have to be loaded again after a grant, since their Content-Security-Policy differs.
        depends_on: the names of the request fields that a decision depends on.
        page_depends_on: those that a page with our markup depends on.
        tells_vendors: whether pages tell vendors' tags what is allowed.
        needs_pages: whether each page gets something, so that the app has to send it as a whole.
        shared_cookie: in pages for everybody, the name of the cookie that their script reads; else "".
        asks_first: whether such a page may show the question only after its script has asked the server.
        foreign_hosts: logs which hosts of others pages load from.
        pieces_kept: rendered markup; see `http/render.py:render`.
        limits: how often something may be done, in each process: what -> its limit.
        searches: limits how many access logs are searched at once. An export can take seconds, and must not occupy the
            threads of the app's endpoints.
    """

    policy: Policy
    prefix: str
    own_cookies: OwnCookies
    gate: Gate
    visits: Visits
    pages: Pages
    clock: Callable[[], float]
    proof: Proof | None = None
    access_log: AccessLog | None = None
    desk: Callable[[dict[str, Any]], Any] | None = None
    app_language: AppLanguage | None = None
    security: SecurityFields | None = None
    inject: bool = True
    settings_link: bool = True
    is_shared: bool = False
    leaves_out: LeavesOut | None = None

    def __post_init__(self) -> None:
        policy = self.policy
        self.ledger = None if self.proof is None else self.proof.ledger
        self.is_left_out = False
        self.reloads = self.security is not None and self.security.differs
        self.depends_on = list_depends_on(policy, self.visits.country_field)
        self.page_depends_on = (*self.depends_on, b"Accept-Language", b"Sec-Fetch-Dest")
        self.settings_link = self.inject and self.settings_link
        self.tells_vendors = self.inject and policy.tells_vendors
        self.needs_pages = self.tells_vendors or self.is_shared
        self.shared_cookie = self.own_cookies.name(STATE, HTTP) if self.is_shared else ""
        # Where the question may not be asked at all, the server has to be asked first.
        self.asks_first = self.is_shared and policy.is_by_country
        self.foreign_hosts = ForeignHosts(self.prefix, self.security, self.clock)
        self.pieces_kept = Cache[tuple[Any, ...], Any](most=512)
        self.limits = make_limits()
        self.searches = CapacityLimiter(_FEW)
        self._neutral: dict[str, Decision] = {}
        self._without_pages = leave_out_pages(self)
        if self.inject or self.access_log is not None:
            user_agents.load_parser()  # now, so that the first request need not wait for its tables
        if self.inject:
            # The first visitor does not wait for what a policy computes once.
            where = (self.prefix, policy.site.prevailing_language, "/")
            decision = decide(policy, None, frozenset(), 0)
            self.pages.banner(decision, *where)
            self.pages.footer(decision, *where, "utf-8", link=self.settings_link, wherever=self.is_shared)

    def at(self, scope: Scope, path: str) -> Site:
        """Return the site as it is for a request: the same, or one whose pages get nothing."""
        if self.leaves_out is not None and self.leaves_out(scope, path):
            return self._without_pages
        return self

    def is_own(self, path: str) -> bool:
        """Return whether a path inside the app is one of our endpoints."""
        if path.startswith(self.prefix):
            return path == self.prefix or path[len(self.prefix)] == "/"
        return path == GPC_PATH

    def may_ask(self, scope: Mapping[str, Any]) -> bool:
        """Return whether a page at this path may have the question. Pages that the question links to may not."""
        if not self.inject or scope.get("method") != "GET":
            return False
        path: str = outer_path(scope) if scope.get("root_path") else scope["path"]
        return path.rstrip("/") not in self.policy.linked_paths

    def request_page(self, scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Return the scope of a request, changed to ask for a complete, uncompressed page if it may be for a page.

        Nothing can be inserted into a compressed page, or into a file that the server sends by itself. A "not modified"
        response would show a page from before the question.
        """
        for name, value in scope["headers"]:
            if name == b"accept" and b"text/html" in value:
                break
        else:
            if not self.is_shared or not is_of_tool(dict(scope["headers"])):
                return scope
        headers = [field for field in scope["headers"] if field[0] not in _UNHELPFUL]
        whole = {**scope, "headers": headers}
        if _PATHSEND in (scope.get("extensions") or ()):
            whole["extensions"] = {name: value for name, value in scope["extensions"].items() if name != _PATHSEND}
        return whole

    def begin_visit(
        self, visit: Visit, scope: Mapping[str, Any], consent: RequestConsent, request: CurrentRequest
    ) -> Trace | None:
        """Record signals, say whether the request is traced, and return its trace if there will be an access record."""
        if visit.depends_on_signals and self.proof is not None:
            self.proof.signals.note(visit.decision)
        if visit.saved:
            consent.returned = True
        request.decide(traced=visit.traced)
        if self.access_log is None or not visit.traced or scope["type"] != "http":
            return None
        if self.is_shared:
            # A page for everybody sets no cookie. Our endpoints do.
            if visit.visitor_id is None:
                return None
            visit = visit._replace(arrival=None)
        return self.access_log.trace(scope, visit, self.own_cookies)

    def block_cookies(self, fields: Headers, purposes: Mapping[str, bool]) -> Headers:
        """Return the header fields of a response without the blocked cookies, which are counted and logged."""
        passed, findings = self.gate.filter_response(fields, purposes, self.clock())
        if findings:
            note_response(findings)
        return passed

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

    def decide_neutrally(self, policy: Policy) -> Decision:
        """Return the decision on a visitor of whom nothing is known, under the conditions of a service."""
        service = policy.service.id if policy.service else ""
        decision = self._neutral.get(service)
        if decision is None:
            here = self.visits.find_service_policy(service, self.policy) or self.policy
            decision = self._neutral[service] = decide(here, None, frozenset(), 0)
        return decision


def is_of_tool(fields: Mapping[bytes, bytes]) -> bool:
    """Return whether a request may be for a page of a robot or a tool. They accept anything; browsers say what for."""
    return b"*/*" in fields.get(b"accept", b"*/*") and b"sec-fetch-dest" not in fields


def leave_out_pages(site: Site) -> Site:
    """Return the site as it is for pages that get nothing."""
    other = copy(site)
    other.inject = False
    other.settings_link = False
    other.tells_vendors = False
    other.needs_pages = False
    other.is_left_out = True
    return other


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


def open_site(  # noqa: PLR0913 (the options of the middleware, which explains them)
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
) -> Site:
    """Return the site of a middleware, and log advice on its policy.

    Raises:
        PolicyError: the policy cannot be used.
        FileNotFoundError: there is no such policy file.
        ValueError: another option is invalid.
    """
    check_app(app)
    check("clock", clock, is_valid=callable(clock), remedy="It returns seconds since 1970.")
    # The policy, and the cookies that store visitors' answers.
    policy = policy_in_use(policy, history)
    check_required(app, policy)
    own_cookies = OwnCookies(
        secret_keys,
        prefix=cookie_prefix,
        lifetime=choose_lifetime(consent_days, policy),
        domain=policy.site.domain,
        hosts=policy.site.hosts,
        tells_state=shared_pages,
    )
    raise_all(own_cookies.find_taken_names(policy))
    gate = Gate(policy, own_cookies.find_readers(policy), undeclared=undeclared)
    by_country = read_country(country, policy)
    country_of = None if by_country is None else by_country.read_country
    visits = Visits(policy, own_cookies, gate, clock, by_country)
    # What visitors see.
    load_locales(policy.site.languages)
    check_prefix(prefix)
    pages = Pages(
        layout=layout,
        make_id=partial(secrets.token_urlsafe, 16),
        prefix=prefix,
        signer=Signer(secret_keys, CARD_SALT),
        intro=choose_intro(csp, undeclared),
    )
    security = security_fields(policy, csp)
    leaves_out = read_inject(inject)
    limits_browsers = security is not None
    check_page_options(
        inject=inject, settings_link=settings_link, shared_pages=shared_pages, limits_browsers=limits_browsers
    )
    app_language = read_language(language, policy.site.languages)
    check_desk(desk, ledger)
    # Storage comes last, because it opens files and connections: a site that cannot start leaves none behind.
    log = AccessLog.open(access_log, policy, query_keys, clock, VisitorLag(secret_keys), country_of)
    proof = open_proof(ledger, policy, clock)
    log_advice_at_start(policy, security, shared_pages=shared_pages)
    return Site(
        policy=policy,
        prefix=prefix,
        own_cookies=own_cookies,
        gate=gate,
        visits=visits,
        pages=pages,
        clock=clock,
        proof=proof,
        access_log=log,
        desk=desk,
        app_language=app_language,
        security=security,
        inject=inject is not False,
        settings_link=settings_link,
        is_shared=shared_pages,
        leaves_out=leaves_out,
    )


def open_proof(option: Ledger | str | None, policy: Policy, clock: Callable[[], float]) -> Proof | None:
    """Return the ledger of the option `ledger`, and what is done with it; None without a ledger."""
    ledger = ledger_of(option)
    if ledger is None:
        return None
    retention = Retention(ledger, policy.requests)
    return Proof(ledger, retention, WaitingRecords(ledger, clock), SignalProofs(ledger, clock))


def log_advice_at_start(policy: Policy, security: SecurityFields | None, *, shared_pages: bool) -> None:
    """Log what the site should know of its policy."""
    for sentence in (*advice_at_start(policy), *advice_on_loading(policy, security, shared_pages=shared_pages)):
        _policy_log.warning("%s", sentence)


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
