"""One request's way back: what is done to the response."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from starlette.types import Message, Receive, Scope, Send

from cookie_consent import banner
from cookie_consent.headers import keep_private, vary_on
from cookie_consent.injection import Injection, injectable
from cookie_consent.installation import Installation
from cookie_consent.policy import Policy
from cookie_consent.request_consent import RequestConsent
from cookie_consent.tracing import Trace, Tracing, is_traceable
from cookie_consent.visits import SECURE, Visit


class Effects:
    """What all exchanges of an installation have in common.

    Args:
        installed: the parts that the effects come from.
        inject: whether the banner is put into pages.
        query_keys: query parameters that access records keep.
    """

    def __init__(self, installed: Installation, *, inject: bool, query_keys: Iterable[str]) -> None:
        self.installed, self.inject = installed, inject
        self.depends_on = _depends_on(installed.policy)
        self.tracing = None if installed.sink is None else Tracing(installed.sink, query_keys)


class Exchange:
    """One request on its way back. The app sends to `send`; the effects follow each other there.

    Another answer in place of the app's, the gate, a new visitor id, the banner, what caches are told, the record.
    """

    __slots__ = (
        "_asks", "_consent", "_effects", "_injection", "_out", "_receive", "_replaced", "_scope", "_status", "_trace",
        "_visit",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 (made once for each request, from what is at hand)
        self,
        effects: Effects,
        scope: Scope,
        receive: Receive,
        send: Send,
        visit: Visit,
        consent: RequestConsent,
        *,
        asks: bool,
    ) -> None:
        self._effects, self._scope, self._receive, self._out = effects, scope, receive, send
        self._visit, self._consent, self._asks = visit, consent, asks
        self._injection: Injection | None = None
        self._replaced = False
        self._status = 500
        self._trace = _begin(effects, scope, visit) if visit.traced and effects.tracing else None

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message of the app's and send it on."""
        if self._replaced:
            return _nothing()
        if message["type"] == "http.response.start" and self._consent.instead is not None:
            self._replaced = True
            return self._consent.instead(self._scope, self._receive, self._pass)
        return self._pass(message)

    async def finish(self) -> None:
        """Let go what is still held, and write the record if the response did not come to its end."""
        if self._injection is not None:
            await self._injection.finish()
        self.record(self._status)

    def record(self, status: int) -> None:
        """Write the access record, once, if the request is traced."""
        trace, self._trace = self._trace, None
        if trace is not None and self._effects.tracing is not None:
            self._effects.tracing.write(self._scope, trace, status)

    def _pass(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message = self._start(message)
        elif self._trace is not None and not message.get("more_body", False):
            return self._send_last(message)
        return self._out(message)

    async def _send_last(self, message: Message) -> None:
        await self._out(message)
        self.record(self._status)

    def _start(self, message: Message) -> Message:
        self._status = message["status"]
        headers = list(message.get("headers", ()))
        passed = self._effects.installed.gate.outgoing(headers, self._visit.decision.purposes)
        depends = self._consent.was_read
        if self._trace is not None and self._trace.set_cookie is not None:
            passed = [*passed, (b"set-cookie", self._trace.set_cookie)]
            depends = True
        encoding = injectable(self._status, passed) if self._effects.inject else None
        if encoding is not None:
            depends = True
            self._ask(encoding)
        if depends:
            language = (b"Accept-Language",) if self._consent.chose_language else ()
            passed = keep_private(vary_on(passed, (*self._effects.depends_on, *language)))
        return message if passed is headers else {**message, "headers": passed}

    def _ask(self, encoding: str) -> None:
        """Put the banner into the page, if it should be asked and somebody is there who can answer."""
        if self._asks and not banner.asks_robot(self._scope):
            fragment = banner.fragment(self._effects.installed.pages, self._consent, self._scope)
            self._injection = Injection(self._out, fragment, encoding)
            self._out = self._injection.send


def _depends_on(policy: Policy) -> tuple[bytes, ...]:
    """Return the request fields that a decision depends on."""
    gpc = (b"Sec-GPC",) if policy.gpc_refuses else ()
    dnt = (b"DNT",) if policy.dnt_refuses else ()
    return (b"Cookie", *gpc, *dnt)


def _begin(effects: Effects, scope: Scope, visit: Visit) -> Trace | None:
    fields = dict(scope["headers"])
    record = visit.decision.record
    if record is None or not is_traceable(fields):
        return None
    visitor_id, set_cookie, now = visit.visitor_id, None, effects.installed.clock()
    if visitor_id is None:
        visitor_id, set_cookie = effects.installed.own.set_visitor(now, secure=scope["scheme"] in SECURE)
    return Trace(fields, visitor_id, record.policy, set_cookie, now)


async def _nothing() -> None:
    """Nothing is sent: another answer has taken the place of the app's."""
