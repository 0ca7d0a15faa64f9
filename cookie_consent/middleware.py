"""The ASGI middleware: reads each request, decides on it and acts on it. Start reading the program here.

Internal: what is public is in docs/reference/public-api.md.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from anyio import to_thread
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive, Scope, Send

from cookie_consent import current, gone
from cookie_consent.base.addresses import local_path
from cookie_consent.base.messages import check
from cookie_consent.base.startup import FailsAtStart, Lifespan, check_app, fails_at_start
from cookie_consent.current import CurrentRequest
from cookie_consent.decision.cookie_log import CookieLog
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import OwnCookies, choose_lifetime
from cookie_consent.decision.tokens import Signer
from cookie_consent.decision.visit import Visits, deletions, without_held
from cookie_consent.http import banner
from cookie_consent.http.csp import security_fields
from cookie_consent.http.foreign_hosts import advice_on_loading
from cookie_consent.http.head import plain_fields
from cookie_consent.http.left_out import Inject, leaves_out
from cookie_consent.http.lost_prefix import LostPrefix
from cookie_consent.http.nesting import Nesting
from cookie_consent.http.quick_response import QuickResponse
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.http.required import check_required
from cookie_consent.http.shared_pages import SharedPages, WholePages
from cookie_consent.http.site import Site, check_page_options
from cookie_consent.http.told_by_app import Country, app_language, law_by_country
from cookie_consent.logging import set_server_logs
from cookie_consent.pages.inserted import CARD_SALT
from cookie_consent.pages.pages import Pages, choose_intro
from cookie_consent.pages.rendering import Layout
from cookie_consent.policy.advice import advice_at_start
from cookie_consent.policy.policy import Policy, policy_in_use
from cookie_consent.texts.locales import load_locales

if TYPE_CHECKING:
    from cookie_consent.ledgers import Ledger
    from cookie_consent.sinks import Sink

ASGIApp = Callable[[Any, Any, Any], Awaitable[Any]]
"""An ASGI app. Each framework has types of its own for scope, receive and send, so these are not named."""

_log = logging.getLogger("cookie_consent")
_policy_log = logging.getLogger("cookie_consent.policy")
_WEBSOCKET_STARTS = ("websocket.accept", "websocket.http.response.start")


class ConsentMiddleware(FailsAtStart):
    """Asks visitors for their consent, stores the answer, and enforces it on every request.

    Add it last, so that it is the outermost middleware. It is pure ASGI, and passes scopes that are neither http nor
    websocket to the app. If the app has no lifespan, it answers the server's lifespan events itself.

    Args:
        app: the ASGI app.
        policy: a `Policy`, or the path of a TOML file.
        secret_keys: the keys that sign our cookies: a text of at least 32 characters, or a list of them, oldest first.
            The last one signs; all are accepted.
        prefix: the path of the endpoints.
        ledger: where consent records are kept as proof: a `Ledger`, or a URL such as "sqlite:///consent.db".
        access_log: where the access records of visitors who consented are written: a `Sink`, or the path or URL of one.
        inject: whether to insert the banner into HTML pages while a visitor should be asked, and what else belongs to
            it: the link to the settings page, and what vendors' tags are told. A list of paths, with * as wildcard,
            names the pages to leave out: ["/docs*", "/admin*"]. A function takes a request and returns whether its page
            gets the banner. Cookies are held back on pages that are left out too.
        layout: where the banner is: in a "corner" (on phones at the lower edge), as a "bar" at the lower edge, or as a
            "modal" dialog, which (with JavaScript) covers the page until it is answered or closed.
        settings_link: whether to insert a link to the settings page, which says what holds, at the end of HTML pages.
            Set it to False if your pages have one.
        language: how the app chooses its language: "path" for the first segment of the path (/ja/...), or a function
            that takes a request and returns a language tag or None. Without it, or if it returns None, the page's
            `<html lang>` counts, then Accept-Language.
        country: where the visitor is, if the policy names a law of opting out: the name of a header field that your
            proxy sets, such as "CF-IPCountry", or a function that takes a request and returns a code of ISO 3166 ("JP",
            "CA-QC") or None. The proxy must replace a field that the visitor sent. Access records say the country too.
        csp: with "enforce", every response gets a Content-Security-Policy of ours, beside those of the app, which stay
            as they are: `content_security_policy` of the policy file, or a default. It names the origins of recipients
            whose purposes are allowed, in the directives that the policy file declares. A `content_security_policy` in
            the policy file is sent without this option, too. Without either, browsers load what stands in a page before
            anybody answers.
        shared_pages: whether pages are the same for everybody, so that shared caches may keep them. The question is in
            the page, hidden, and a script shows it. It goes without `csp`.
        undeclared: what to do with cookies that the policy does not declare: "hold" holds them back, "allow" only
            reports them.
        history: earlier versions of the policy, as paths or policies. With them, visitors are not asked again for
            purposes that only became narrower.
        cookie_prefix: what the names of our cookies begin with: "shop-" makes `shop-consent` and `shop-visitor`. Over
            https "__Host-" comes before it, or "__Secure-" on hosts that share answers.
        consent_days: how long an answer is valid, for refusals and grants alike; at most 400 days. The default is 184,
            or 366 if a purpose has `sells = true`, since its refusal must be respected for 12 months.
        query_keys: the query parameters to keep in access records, as names or patterns with *.
        desk: a function that is called for each request and complaint with a dict of its `reference`, `kind` and
            `due_at`. It may be asynchronous. It runs after the response, so it may block.
        server_logs: what to do in the access logs of uvicorn, hypercorn, granian and gunicorn with the lines of
            visitors who did not consent to tracing: "mask" truncates the address and removes user agent and
            query, "drop" drops the lines, "keep" changes nothing. It applies to the whole process; the strictest of
            several middlewares wins.
        clock: for tests: returns seconds since 1970.

    Raises:
        PolicyError: the policy cannot be used.
        FileNotFoundError: there is no such policy file.
        ValueError: another argument is invalid. The message says what would be right.

    Frameworks construct the middleware when the server starts. An error then stops the server with its message.
    """

    @fails_at_start(gone.check_options)
    def __init__(  # noqa: PLR0913, PLR0915 (what a developer may set, in one place)
        self,
        app: ASGIApp,
        policy: Policy | str | PathLike[str],
        secret_keys: str | Sequence[str],
        *,
        prefix: str = "/privacy-choices",
        ledger: Ledger | str | None = None,
        access_log: Sink | str | PathLike[str] | None = None,
        inject: Inject = True,
        layout: Layout = "corner",
        settings_link: bool = True,
        language: str | Callable[[HTTPConnection], str | None] | None = None,
        country: Country | None = None,
        csp: Literal["enforce"] | None = None,
        shared_pages: bool = False,
        undeclared: Literal["hold", "allow"] = "hold",
        history: Iterable[Policy | str | PathLike[str]] = (),
        cookie_prefix: str = "",
        consent_days: float | None = None,
        query_keys: Iterable[str] = ("utm_*",),
        desk: Callable[[dict[str, Any]], Any] | None = None,
        server_logs: Literal["mask", "drop", "keep"] = "mask",
        clock: Callable[[], float] = time.time,
    ) -> None:
        # Here, so that a program that only imports the package starts sooner, and no request waits for a module.
        from cookie_consent.endpoints.endpoints import GPC_PATH, Endpoints, checked_prefix
        from cookie_consent.ledgers import ledger_of
        from cookie_consent.ledgers.retention import Retention
        from cookie_consent.ledgers.signal_records import SignalProofs
        from cookie_consent.ledgers.waiting import WaitingRecords
        from cookie_consent.tracing.access_log import AccessLog
        from cookie_consent.tracing.visitor_lag import VisitorLag

        # This comes first: a site may run on after an error below, and its logs must not identify visitors.
        set_server_logs(server_logs)
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
        gate = Gate(policy, own_cookies.check_names(policy), undeclared=undeclared)
        cookie_log = CookieLog()
        by_country = law_by_country(country, policy)
        country_of = by_country.read_country if by_country is not None else None
        visits = Visits(policy, own_cookies, gate, cookie_log, clock, by_country)
        # What visitors see.
        load_locales(policy.site.languages)
        prefix = checked_prefix(prefix)
        pages = Pages(
            layout=layout,
            make_id=partial(secrets.token_urlsafe, 16),
            prefix=prefix,
            signer=Signer(secret_keys, CARD_SALT),
            intro=choose_intro(csp, undeclared),
        )
        self._security = security = security_fields(policy, csp)
        left_out = leaves_out(inject)
        check_page_options(
            inject=inject is not False,
            settings_link=settings_link,
            shared_pages=shared_pages,
            limits_browsers=security is not None,
        )
        tells_language = app_language(language, policy.site.languages)
        # The type alone: the value may be an SMTP URL with a password.
        remedy = "Write a function that takes a dict. It can send a mail, as an SMTP URL did."
        check("desk", type(desk), is_valid=desk is None or callable(desk), remedy=remedy)
        remedy = 'Write one that keeps the requests for desk=, as in "sqlite:///consent.db".'
        check("ledger", ledger, is_valid=desk is None or ledger is not None, remedy=remedy)
        # Storage comes last, because it opens files and connections: a site that cannot start leaves none behind.
        log = AccessLog.open(access_log, policy, query_keys, clock, VisitorLag(secret_keys), country_of)
        ledger = ledger_of(ledger)
        # Join the parts.
        self._site = site = Site(
            app=app,
            policy=policy,
            prefix=prefix,
            own_cookies=own_cookies,
            gate=gate,
            cookie_log=cookie_log,
            visits=visits,
            pages=pages,
            ledger=ledger,
            retention=Retention(ledger, policy.requests) if ledger is not None else None,
            waiting=WaitingRecords(ledger, clock) if ledger is not None else None,
            signal_proofs=SignalProofs(ledger, clock) if ledger is not None else None,
            access_log=log,
            desk=desk,
            clock=clock,
            app_language=tells_language,
            security=security,
            inject=inject is not False,
            settings_link=settings_link,
            is_shared=shared_pages,
            leaves_out=left_out,
        )
        if shared_pages:
            site.shared_pages = SharedPages(site, settings_link=site.settings_link, may_ask=site.may_ask)
            site.app = WholePages(app)
        self.app, self._visits = app, visits
        self._retention, self._nesting = site.retention, Nesting(own_cookies)
        self._endpoints = Endpoints(site)
        self._own_paths = (prefix, GPC_PATH)
        self._lost_prefix = LostPrefix(site.foreign_hosts.pages, prefix)
        for sentence in (*advice_at_start(policy), *advice_on_loading(policy, security, shared_pages=shared_pages)):
            _policy_log.warning("%s", sentence)

    @property
    def prefix(self) -> str:
        """The path of the endpoints, inside of what the app is mounted at."""
        return self._site.prefix

    async def __call__(  # noqa: C901, PLR0915 (a call costs time)
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Serve one ASGI connection: read the request, decide on it, and run the app between our wrappers."""
        # Nearly all servers send header fields as tuples of bytes. A middleware adds other ones at either end, so that
        # looking at both ends finds them without a loop.
        if (
            (scope["type"] != "http" or self.refuses is not None)
            or type(fields := scope["headers"]) is not list
            or (fields and (type(fields[0][1]) is not bytes or type(fields[-1][1]) is not bytes))
        ):
            await self._serve_other(scope, receive, send)
            return
        if self._retention is not None:
            self._retention.run_if_due(self._site.clock(), again=True)
        if self._lost_prefix.is_open and self._lost_prefix.pages:
            self._lost_prefix.look(scope)
        request, path = current.begin(scope), local_path(scope) if scope.get("root_path") else scope["path"]
        if path.startswith(self._own_paths) and self._endpoints.serves(path):
            await self._answer(scope, receive, send, path, request)
            return
        visit = self._visits.read(scope, path)
        child = scope if visit.visible_cookies is None else without_held(scope, visit)
        site = self._site if self._site.leaves_out is None else self._site.at(child, path)
        asks = visit.should_ask and site.may_ask(child)
        child = banner.requesting_whole_page(child) if asks or site.fills_heads else child
        response = QuickResponse(site, child, receive, send, visit, request)
        response.asks = asks
        if request.outer_consent is not None:
            self._nesting.heed(request.outer_consent, child["state"]["consent"])
        if visit.needs_preparation:
            response.prepare()
        try:
            await site.app(child, receive, response.send)
            if response.is_unfinished:
                await response.finish()
        finally:
            request.is_running = False
            if visit.needs_preparation:
                (request if response.trace is None else response).end()

    async def _answer(self, scope: Scope, receive: Receive, send: Send, path: str, request: CurrentRequest) -> None:
        """Serve a request to one of our own endpoints."""
        if self._security is not None:
            send = self._security.around(send)
        try:
            await self._endpoints(scope, receive, send, path)
        finally:
            request.end()

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve other scopes, requests with unusual header fields, and a middleware that failed to start."""
        if self.refuses is not None:
            await self.refuses(scope, receive, send)
        elif scope["type"] == "http":
            await self({**scope, "headers": plain_fields(scope["headers"])}, receive, send)
        elif scope["type"] == "websocket":
            scope = {**scope, "headers": plain_fields(scope["headers"])}
            request = current.begin(scope)
            try:
                await self._serve_websocket(scope, receive, send, request)
            finally:
                request.end()
        elif scope["type"] == "lifespan":
            begin, end = partial(_run_if_due, self._site), partial(_close, self._site)
            await Lifespan(receive, send, at_startup=begin, at_shutdown=end).run(self.app, scope)
        else:
            await self.app(scope, receive, send)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send, request: CurrentRequest) -> None:
        visit = self._visits.read(scope, local_path(scope))
        gate = self._site.gate
        request.decide(traced=visit.traced)
        child = without_held(scope, visit)
        consent = RequestConsent(visit.decision, child, self._site.pages, self._site.app_language)
        child["state"] = {**(child.get("state") or {}), "consent": consent}
        if self._security is not None:
            send = self._security.around(send)

        async def gated(message: Message) -> None:
            if message["type"] in _WEBSOCKET_STARTS:
                fields = plain_fields(message.get("headers", ()))
                passed = self._site.block_cookies(fields, visit.decision.purposes)
                if visit.refused_cookies:
                    passed = [*passed, *deletions(gate, visit, scope)]
                message = {**message, "headers": passed}
            await send(message)

        await self.app(child, receive, gated)


def _run_if_due(site: Site) -> None:
    """Run overdue retention when the server has started."""
    if site.retention is not None:
        site.retention.run_if_due(site.clock())
    if site.access_log is not None:
        site.access_log.run_if_due()


async def _close(site: Site) -> None:
    """Flush and close what is kept when the server ends."""
    # The counts first: they go into the access log, which is closed next.
    if site.access_log is not None:
        site.access_log.counts.flush()
    for storage in (site.access_log, site.ledger):
        try:
            if storage is not None:
                await to_thread.run_sync(storage.close, abandon_on_cancel=True)
        except Exception:  # noqa: BLE001 (a failing sink or ledger must not stop the shutdown)
            _log.exception("The last records could not be brought to where they are kept.")
