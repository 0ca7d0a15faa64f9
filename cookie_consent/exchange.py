"""The way back of one request: what is done to the response, each in a wrapper of `send`, only where it is needed."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from itertools import chain

from starlette.types import Message, Receive, Scope, Send

from cookie_consent import banner, content_security, views
from cookie_consent.current import CurrentRequest
from cookie_consent.decision import refused_by_signals
from cookie_consent.funnel import Funnel
from cookie_consent.headers import ONLY_BYTES, Headers, depending_on, plain_fields
from cookie_consent.injection import Injection, injectable
from cookie_consent.installation import Installation
from cookie_consent.mounting import outer_path
from cookie_consent.pages import Asking
from cookie_consent.policy import Policy
from cookie_consent.request_consent import RequestConsent
from cookie_consent.tracing import Trace, Tracing
from cookie_consent.views import FIRST_ERROR, NOT_MODIFIED
from cookie_consent.visitors.recent_answers import RecentAnswers
from cookie_consent.visits import Visit, host_of, is_secure


class Effects:
    """What all exchanges of an installation have in common.

    Args:
        installed: the parts that the effects come from.
        inject: whether the banner is put into pages.
        settings_link: whether a link to the settings page is.
    """

    def __init__(self, installed: Installation, *, inject: bool, settings_link: bool) -> None:
        self.installed, self.inject, self.settings_link = installed, inject, inject and settings_link
        self.depends_on, self.recent_answers = _depends_on(installed.policy), installed.recent_answers

    def asks(self, visit: Visit, scope: Scope) -> bool:
        """Return whether a page asks, if it is one."""
        may = visit.decision.should_ask and self.inject and scope["method"] == "GET"
        return may and not banner.is_to_be_read(self.installed.policy, outer_path(scope))


class Recording:
    """Writes the access record of a traced request when the response has come to its end, if it may be by then.

    Args:
        tracing: writes records.
        recent_answers: knows whether the visitor has withdrawn or erased since.
        scope: the request as the app sees it, and as routing leaves it.
        out: where messages go on to.
        visit: what was known when the request came.
        trace: likewise, of what is recorded.

    Attributes:
        is_view: whether the response is a page that a person sees.
        is_landing: whether it is the page on which tracing was allowed, once more.
        new_visitor: the Set-Cookie field of a visitor id that was just made, or is kept otherwise now; or None.
    """

    __slots__ = (
        *("_began", "_out", "_recent_answers", "_scope", "_status", "_trace", "_tracing", "_visit"),
        *("is_landing", "is_view", "new_visitor"),
    )

    def __init__(
        self, tracing: Tracing, recent_answers: RecentAnswers, scope: Scope, out: Send, visit: Visit, trace: Trace
    ) -> None:
        self._tracing, self._scope, self._out, self._status = tracing, scope, out, 500
        self._recent_answers, self._began, self._visit = recent_answers, recent_answers.sequence, visit
        self.new_visitor: bytes | None = None
        self.is_view, self.is_landing = False, trace.is_landing
        self._trace: Trace | None = trace

    @property
    def visitor_id(self) -> str | None:
        """The pseudonym that the browser has, or that the visit of a day has; None while it has none."""
        is_there = self.new_visitor is None or self._visit.visitor_id is not None
        return self._trace.visitor_id if self._trace and is_there else None

    def drop(self) -> None:
        """Write no record."""
        self._trace = self.new_visitor = None

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
        """Write the record, if that is not done yet and the visitor has neither withdrawn nor erased meanwhile."""
        trace, self._trace = self._trace, None
        if trace is not None and (self._recent_answers.sequence == self._began or self._is_still_allowed(trace)):
            self._tracing.write(self._scope, trace, self._status, is_view=self.is_view)

    def _is_still_allowed(self, trace: Trace) -> bool:
        now = self._recent_answers.look_again(self._visit, self._began, trace.visitor_id)
        return now.traced or bool(now.exempt)


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
        injection: puts what is asked into the page, and the link to the settings page, once it is known to be one.
        recording: writes the access record, where the request is traced.
        current: tells others whether the request is traced.
    """

    current: CurrentRequest
    asks = False
    injection: Injection | None = None
    recording: Recording | None = None
    _withholds_origins = False
    _differs_in_frames = False
    _seen_at: bytes | None = None
    """The Host field of the page, if somebody looks at it; also of an error, which may ask, too."""
    _replaced = False
    _was_answered = False
    """Whether the visitor has answered, or erased, since the request came."""

    def __init__(
        self, effects: Effects, scope: Scope, receive: Receive, send: Send, visit: Visit, consent: RequestConsent
    ) -> None:
        self._effects, self.scope, self._receive, self._out = effects, scope, receive, send
        self._visit, self._consent = visit, consent
        self._began = effects.recent_answers.sequence

    def record(self, tracing: Tracing, trace: Trace, new_visitor: bytes | None) -> None:
        """Write an access record when the response has come to its end."""
        recent_answers = self._effects.recent_answers
        self.recording = Recording(tracing, recent_answers, self.scope, self._out, self._visit, trace)
        self.recording.new_visitor = new_visitor
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
        elif message["type"] == "http.response.trailers":
            fields = plain_fields(message.get("headers", ()))
            passed = self._effects.installed.gate.outgoing(fields, self._visit.decision.purposes)
            message = {**message, "headers": passed}
        return self._out(message)

    def _pass(self, message: Message) -> Awaitable[None]:
        return self._out(self._start(message) if message["type"] == "http.response.start" else message)

    def _start(self, message: Message) -> Message:
        effects, given = self._effects, message.get("headers", ())
        is_plain = type(given) is list and ONLY_BYTES.issuperset(map(type, chain.from_iterable(given)))
        headers = given if is_plain else plain_fields(given)
        if effects.recent_answers.sequence != self._began:
            self._look_again()
        passed = effects.installed.gate.outgoing(headers, self._visit.decision.purposes)
        edits_csp = effects.installed.edit_csp and content_security.is_there(passed)
        if edits_csp:
            passed = self._with_recipients(passed)
        encoding = injectable(message["status"], passed) if effects.inject else None
        if encoding is not None and not self._consent.asks_itself:
            passed = self._put_in(encoding, passed)
        if effects.installed.access_log is not None:
            self._count(effects.installed.access_log.funnel, message["status"], passed)
        # What is recorded without consent leaves the page as it is for everybody.
        traced = self.recording is not None and not self._visit.exempt
        depends = self._consent.was_read or encoding is not None or traced or edits_csp or self._was_answered
        if self.recording is not None and self.recording.new_visitor is not None:
            passed = [*passed, (b"set-cookie", self.recording.new_visitor)]
        if self._visit.left_over:
            passed, depends = [*passed, *self._left_over()], True
        if depends:
            chooses_language = self._consent.chose_language or self.injection is not None
            language = (b"Accept-Language",) if chooses_language else ()
            frames = (b"Sec-Fetch-Dest",) if self._differs_in_frames else ()
            passed = depending_on(passed, (*effects.depends_on, *language, *frames))
        return message if passed is given else {**message, "headers": passed}

    def _left_over(self) -> Headers:
        """Return what deletes the cookies that the visitor has refused and that came all the same."""
        gate, secure = self._effects.installed.gate, is_secure(self.scope)
        return gate.expired(self._visit.left_over, host_of(self.scope), secure=secure)

    def _look_again(self) -> None:
        """Let hold what the visitor has answered since the request came."""
        effects, recording = self._effects, self.recording
        visitor_id = self._visit.visitor_id if recording is None else recording.visitor_id
        visit = effects.recent_answers.look_again(self._visit, self._began, visitor_id)
        if visit is self._visit:
            return
        self._visit, self._was_answered = visit, True
        self.asks = self.asks and visit.decision.should_ask
        self.current.decide(traced=visit.traced)
        if recording is not None and not visit.traced and not visit.exempt:
            recording.drop()
            self.recording = None

    def _with_recipients(self, headers: Headers) -> Headers:
        """Let the app's Content-Security-Policy name just the recipients that are allowed now."""
        decision = self._visit.decision
        sources = content_security.recipient_sources(decision.policy, decision.purposes)
        headers, self._withholds_origins = content_security.with_recipients(headers, sources)
        return headers

    def _put_in(self, encoding: str, headers: Headers) -> Headers:
        """Ask in the page that begins, if somebody is there who can answer; let it end with a link to the settings."""
        consent, effects, decision = self._consent, self._effects, self._visit.decision
        asks = self.asks and not banner.asks_robot(self.scope)
        says_something = effects.settings_link or decision.news is not None or decision.honours_gpc
        has_tail = says_something and self.scope["method"] == "GET"
        self._differs_in_frames = asks or has_tail
        # Of a page in a frame, the page around it asks.
        if not self._differs_in_frames or views.is_framed(self.scope):
            return headers
        asking = None
        if asks:
            script, style = content_security.nonces(headers)
            referrer = banner.referrer(self.scope)
            asking = Asking(
                script or consent.nonce, style or consent.nonce, reloads=self._withholds_origins, referrer=referrer
            )
            headers = [*headers, banner.preload(consent.base, asking.style_nonce)]
        pages = effects.installed.pages
        made = banner.Fragments(pages, decision, consent, self.scope, encoding=encoding, asking=asking)
        way_back = partial(made.way_back, link=effects.settings_link)
        question = made.question if asking is None else partial(self._asked, made)
        self.injection = Injection(self._out, question, way_back if has_tail else bytes)
        self._out = self.injection.send
        return headers

    def _asked(self, made: banner.Fragments, page_language: str | None) -> bytes:
        """Return the question, and count that it is asked."""
        question, access_log = made.question(page_language), self._effects.installed.access_log
        if access_log is not None and self._seen_at is not None:
            access_log.funnel.add("asked", self._seen_at, language=made.language)
        return question

    def _count(self, funnel: Funnel, status: int, headers: Headers) -> None:
        """Count the response if it is a page that a person sees, whatever that person answered; an error is no view."""
        is_page = views.is_page(self.scope["method"], status, headers)
        host = views.seen_at(self.scope, not_modified=status == NOT_MODIFIED) if is_page else None
        # Robots neither answer nor are they recorded. Of those who did answer nothing is looked at.
        may_be_robot = self._visit.decision.record is None and self.recording is None
        if host is None or (may_be_robot and banner.asks_robot(self.scope)):
            return
        self._seen_at = host
        if status >= FIRST_ERROR:
            return
        recording = self.recording
        if recording is None or not recording.is_landing:  # else it was counted before the answer
            funnel.add("views", host)
        if recording is not None:
            recording.is_view = True
            # Else the page has a record from before, without consent.
            if not (recording.is_landing and self._visit.decision.policy.exempt):
                funnel.add("views_recorded", host)
        if refused_by_signals(self._visit.decision):
            funnel.add("signal", host)
        for feature in self._consent.degraded:
            funnel.add("degraded", host, detail=feature)


def _depends_on(policy: Policy) -> tuple[bytes, ...]:
    """Return the request fields that a decision depends on."""
    gpc = (b"Sec-GPC",) if policy.gpc_refuses else ()
    dnt = (b"DNT",) if policy.dnt_refuses else ()
    return (b"Cookie", *gpc, *dnt)


def setting(field: bytes, send: Send) -> Send:
    """Return `send` with one more Set-Cookie field in the response."""

    async def with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"set-cookie", field)]}
        await send(message)

    return with_cookie


async def _nothing() -> None:
    """Nothing is sent: another answer has taken the place of the app's."""
