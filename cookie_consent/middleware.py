"""The one place where a request is read, decided on and acted on. Read this module and you know the program."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from os import PathLike

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent import banner
from cookie_consent.endpoints import GPC_PATH, Endpoints
from cookie_consent.exchange import Effects, Exchange
from cookie_consent.gate import Gate
from cookie_consent.installation import Installation
from cookie_consent.ledgers import Ledger
from cookie_consent.mounting import local_path
from cookie_consent.options import check_options, days, ledger_of, sink_of, wall_clock
from cookie_consent.own_cookies import CookieSettings, OwnCookies, new_id
from cookie_consent.pages import Pages
from cookie_consent.parts import LONGEST_COOKIE, NECESSARY
from cookie_consent.policy import Policy
from cookie_consent.policy_error import PolicyError
from cookie_consent.request_consent import RequestConsent
from cookie_consent.sinks import Sink
from cookie_consent.tracing import Trace, is_traceable, traced_fields
from cookie_consent.visitor import VISITOR_LIFETIME
from cookie_consent.visits import Visit, Visits, is_secure

_log = logging.getLogger("cookie_consent")
_WEBSOCKET_STARTS = ("websocket.accept", "websocket.http.response.start")


class ConsentMiddleware:
    """Asks visitors for their decision, keeps it, and enforces it on every request.

    Install it outermost. It is pure ASGI, and passes what is neither http nor websocket.

    Args:
        app: the ASGI app.
        policy: a `Policy`, or the path of a TOML file.
        secret_keys: signs our cookies; a text of at least 32 characters, or several, oldest first: the last one
            signs, all are accepted.
        prefix: the path of the endpoints.
        ledger: keeps consent records as proof: a `Ledger`, or a URL like "sqlite:///consent.db".
        access_log: keeps the access records of visitors who consented: a `Sink`, or the path of a JSON Lines file.
        inject: whether the banner is put into HTML pages while it should be asked.
        undeclared: what happens to cookies that the policy does not declare: "hold" holds them back, "allow" only
            reports them.
        history: earlier versions of the policy, as files or policies: then what only became narrower is not asked
            again.
        consent_cookie: the name of the consent cookie; over https "__Host-" stands before it.
        visitor_cookie: the name of the visitor cookie, likewise.
        consent_days: how long an answer holds, refusal and grant alike; at most 400.
        visitor_days: how long a visitor id is good for; at most 395, not renewed.
        query_keys: query parameters that access records keep; names, or patterns with *.
        clock: returns seconds since 1970.
        make_id: returns a random id of at least 128 bits, in cookie octets.

    Raises:
        PolicyError: the policy cannot be used.
        FileNotFoundError: there is no such policy file.
        ValueError: another argument cannot be used; says what would be right.
    """

    def __init__(  # noqa: PLR0913 (what a developer may set, in one place)
        self,
        app: ASGIApp,
        policy: Policy | str | PathLike[str],
        secret_keys: str | Sequence[str],
        *,
        prefix: str = "/privacy-choices",
        ledger: Ledger | str | None = None,
        access_log: Sink | str | PathLike[str] | None = None,
        inject: bool = True,
        undeclared: str = "hold",
        history: Iterable[Policy | str | PathLike[str]] = (),
        consent_cookie: str = "consent",
        visitor_cookie: str = "visitor",
        consent_days: float = 180,
        visitor_days: float = 395,
        query_keys: Iterable[str] = ("utm_*",),
        clock: Callable[[], float] = wall_clock,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        check_options(
            app=app,
            policy=policy,
            prefix=prefix,
            inject=inject,
            undeclared=undeclared,
            history=history,
            query_keys=query_keys,
            clock=clock,
            make_id=make_id,
        )
        policy = policy if isinstance(policy, Policy) else Policy.load(policy)
        policy = policy.with_history(history)
        settings = CookieSettings(
            secret_keys,
            consent_name=consent_cookie,
            visitor_name=visitor_cookie,
            consent_lifetime=days("consent_days", consent_days, most=LONGEST_COOKIE),
            visitor_lifetime=days("visitor_days", visitor_days, most=VISITOR_LIFETIME),
            new_id=make_id,
        )
        own = OwnCookies(settings)
        gate = Gate(policy, _readable(policy, own), hold_undeclared=undeclared == "hold", clock=clock)
        self._installed = Installation(
            policy=policy,
            prefix=prefix,
            own=own,
            gate=gate,
            visits=Visits(policy, own, gate, clock),
            pages=Pages(lifetime=own.lifetime),
            ledger=ledger_of(ledger),
            sink=sink_of(access_log),
            clock=clock,
        )
        self.app = app
        self._visits = self._installed.visits
        self._endpoints = Endpoints(self._installed)
        self._own_paths = (self._installed.prefix, GPC_PATH)
        self._effects = Effects(self._installed, inject=inject, query_keys=query_keys)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._serve_other(scope, receive, send)
            return
        path = local_path(scope)
        if path.startswith(self._own_paths) and self._endpoints.serves(path):
            await self._endpoints(scope, receive, send, path)
            return
        visit = self._visits.read(scope, path)
        consent = RequestConsent(visit.decision, scope, self._installed.prefix)
        asks = visit.decision.should_ask and self._effects.inject and scope["method"] == "GET"
        child = _for_the_app(scope, visit, consent)
        if asks:
            child = banner.wanting_a_whole_page(child)
        exchange = Exchange(self._effects, child, receive, send, visit, consent)
        if visit.traced:
            self._trace(exchange, visit)
        exchange.asks = asks
        try:
            await self.app(exchange.scope, receive, exchange.send)
            if exchange.injection is not None:
                await exchange.injection.finish()
        finally:
            if exchange.recording is not None:
                exchange.recording.finish()

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
        elif scope["type"] == "lifespan" and self._installed.sink is not None:
            await self.app(scope, receive, _closing(self._installed.sink, send))
        else:
            await self.app(scope, receive, send)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = self._visits.read(scope, local_path(scope))
        consent = RequestConsent(visit.decision, scope, self._installed.prefix)

        async def gated(message: Message) -> None:
            if message["type"] in _WEBSOCKET_STARTS:
                fields = self._installed.gate.outgoing(list(message.get("headers", ())), visit.decision.purposes)
                message = {**message, "headers": fields}
            await send(message)

        await self.app(_for_the_app(scope, visit, consent), receive, gated)

    def _trace(self, exchange: Exchange, visit: Visit) -> None:
        """Trace a request whose visitor has consented, if records are kept and it is somebody's visit."""
        tracing, record = self._effects.tracing, visit.decision.record
        if tracing is None or record is None:
            return
        fields = traced_fields(exchange.scope["headers"])
        if not is_traceable(fields):
            return
        now, visitor_id, new_visitor = self._installed.clock(), visit.visitor_id, None
        if visitor_id is None:
            secure = is_secure(exchange.scope)
            visitor_id, new_visitor = self._installed.own.set_visitor(now, secure=secure)
        exchange.record(tracing, Trace(fields, visitor_id, record.policy, now), new_visitor)


def _for_the_app(scope: Scope, visit: Visit, consent: RequestConsent) -> Scope:
    """Return the scope as the app sees it: with the decision, without the cookies that are held back."""
    if visit.passed is not None:
        scope = dict(scope)
        scope["headers"] = [field for field in scope["headers"] if field[0] != b"cookie"]
        if visit.passed:
            scope["headers"].append((b"cookie", visit.passed))
    # A dict of its own for each request: some servers share theirs between the requests of a connection.
    scope["state"] = {**(scope.get("state") or {}), "consent": consent}
    return scope


def _closing(sink: Sink, send: Send) -> Send:
    """Bring the access records to where they are kept before the server is told that the app has shut down."""

    async def closing(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            try:
                await asyncio.to_thread(sink.close)
            except Exception:  # noqa: BLE001 (whatever a sink raises, the server shuts down)
                _log.exception("The last access records could not be brought to where they are kept.")
        await send(message)

    return closing


def _readable(policy: Policy, own: OwnCookies) -> dict[str, frozenset[str]]:
    """Return the names of our own cookies, and the purposes of which any lets the app read them."""
    purposes = {"consent": frozenset({NECESSARY}), "visitor": policy.traced}
    names = {name: purposes[kind] for kind in purposes for name in own.names(kind)}
    for cookie in policy.cookies:
        is_plainly_ours = cookie.name.removeprefix("__Host-") in purposes and cookie.purpose in names.get(
            cookie.name, ()
        )
        if cookie.name in names and not is_plainly_ours:
            raise PolicyError(
                "this is the name of one of our own cookies",
                "Rename ours with consent_cookie= or visitor_cookie=, or take it out of the policy.",
                table=f'[[cookies]] "{cookie.name}"',
            )
    return names
