"""The way back of one request: what is done to the response, each in a wrapper of `send`, only where it is needed."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from starlette.types import Message, Receive, Scope, Send

from cookie_consent import banner
from cookie_consent.headers import depending_on
from cookie_consent.injection import Injection, injectable
from cookie_consent.installation import Installation
from cookie_consent.policy import Policy
from cookie_consent.request_consent import RequestConsent
from cookie_consent.tracing import Trace, Tracing
from cookie_consent.visits import Visit


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


class Recording:
    """Writes the access record of a traced request when the response has come to its end.

    Args:
        tracing: writes records.
        scope: the request as the app sees it, and as routing leaves it.
        out: where messages go on to.
        trace: what was known when the request came.
        new_visitor: the Set-Cookie field of a visitor id that was just made, or None.
    """

    __slots__ = ("_out", "_scope", "_status", "_trace", "_tracing", "new_visitor")

    def __init__(self, tracing: Tracing, scope: Scope, out: Send, trace: Trace, new_visitor: bytes | None) -> None:
        self._tracing, self._scope, self._out, self._status = tracing, scope, out, 500
        self.new_visitor = new_visitor
        self._trace: Trace | None = trace

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message and send it on; the last one is followed by the record."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            return self._send_last(message)
        return self._out(message)

    async def _send_last(self, message: Message) -> None:
        await self._out(message)
        self.finish()

    def finish(self) -> None:
        """Write the record, if that is not done yet."""
        trace, self._trace = self._trace, None
        if trace is not None:
            self._tracing.write(self._scope, trace, self._status)


class Exchange:
    """What is done to every response, on its way from the app: the gate, and what caches are told.

    Args:
        effects: what all exchanges have in common.
        scope: the request as the app sees it.
        receive: where the request comes from.
        send: where messages go on to.
        visit: what is known of the request.
        consent: the decision as the app sees it.

    Attributes:
        asks: whether the page should be asked in, if it is one.
        injection: puts the banner into the page, once it is known to be one.
        recording: writes the access record, where the request is traced.
    """

    asks = False
    injection: Injection | None = None
    recording: Recording | None = None
    _replaced = False

    def __init__(
        self, effects: Effects, scope: Scope, receive: Receive, send: Send, visit: Visit, consent: RequestConsent
    ) -> None:
        self._effects, self.scope, self._receive, self._out = effects, scope, receive, send
        self._visit, self._consent = visit, consent

    def record(self, tracing: Tracing, trace: Trace, new_visitor: bytes | None) -> None:
        """Write an access record when the response has come to its end."""
        self.recording = Recording(tracing, self.scope, self._out, trace, new_visitor)
        self._out = self.recording.send

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message of the app's and send it on, or the answer that takes its place."""
        if self._replaced:
            return _nothing()
        if message["type"] == "http.response.start":
            if self._consent.instead is not None:
                self._replaced = True
                return self._consent.instead(self.scope, self._receive, self._pass)
            message = self._start(message)
        return self._out(message)

    def _pass(self, message: Message) -> Awaitable[None]:
        return self._out(self._start(message) if message["type"] == "http.response.start" else message)

    def _start(self, message: Message) -> Message:
        effects, given = self._effects, message.get("headers", ())
        headers = given if isinstance(given, list) else list(given)
        passed = effects.installed.gate.outgoing(headers, self._visit.decision.purposes)
        encoding = injectable(message["status"], passed) if effects.inject else None
        if encoding is not None and self.asks:
            self._ask(encoding)
        depends = self._consent.was_read or encoding is not None or self.recording is not None
        if self.recording is not None and self.recording.new_visitor is not None:
            passed = [*passed, (b"set-cookie", self.recording.new_visitor)]
        if depends:
            chooses_language = self._consent.chose_language or self.injection is not None
            language = (b"Accept-Language",) if chooses_language else ()
            passed = depending_on(passed, (*effects.depends_on, *language))
        return message if passed is given else {**message, "headers": passed}

    def _ask(self, encoding: str) -> None:
        """Ask in the page that begins, if somebody is there who can answer and it does not ask by itself."""
        consent, visit = self._consent, self._visit
        if not consent.asks_itself and not banner.asks_robot(self.scope):
            pages = self._effects.installed.pages
            fragment = banner.fragment(pages, visit.decision, consent, self.scope, encoding)
            self.injection = Injection(self._out, fragment)
            self._out = self.injection.send


def _depends_on(policy: Policy) -> tuple[bytes, ...]:
    """Return the request fields that a decision depends on."""
    gpc = (b"Sec-GPC",) if policy.gpc_refuses else ()
    dnt = (b"DNT",) if policy.dnt_refuses else ()
    return (b"Cookie", *gpc, *dnt)


async def _nothing() -> None:
    """Nothing is sent: another answer has taken the place of the app's."""
