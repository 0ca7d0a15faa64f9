"""The way back of one request: what is done to the response, each in a wrapper of `send`, only where it is needed."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from itertools import chain

from starlette.types import Message, Receive, Scope, Send

from cookie_consent.base import page_views
from cookie_consent.base.caching import OF_CACHES, ONLY_BYTES, Headers, depending_on, plain_fields
from cookie_consent.base.checks import check_booleans
from cookie_consent.base.html.injection import Injection, end_of_body, injectable
from cookie_consent.base.page_views import FIRST_ERROR, NOT_MODIFIED
from cookie_consent.base.paths import outer_path
from cookie_consent.base.user_agents import asks_robot
from cookie_consent.current import CurrentRequest
from cookie_consent.decision.decision import refused_by_signals
from cookie_consent.decision.visit import Visit, host_of, is_secure
from cookie_consent.enforcement import banner, content_security
from cookie_consent.enforcement.ordinary_pages import OrdinaryPages, ordinary_encoding
from cookie_consent.enforcement.request_consent import RequestConsent
from cookie_consent.ledgers.signal_records import SignalProofs
from cookie_consent.policy.links import linked_paths
from cookie_consent.policy.policy import Policy
from cookie_consent.tracing.counts import Funnel
from cookie_consent.tracing.tracer import Fields, Trace
from cookie_consent.visitors.installation import Installation
from cookie_consent.visitors.pages.question import Asking

_START, _BODY = "http.response.start", "http.response.body"
_LANGUAGE, _FRAMES = (b"Accept-Language",), (b"Sec-Fetch-Dest",)
_NO_PAGES = (b"text/plain", b"application/", b"image/", b"text/css", b"text/javascript", b"text/event-stream", b"font/")
"""How the types of what is no page begin, as nearly all apps write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """What is done to the app's pages.

    Args:
        inject: whether the banner is put into them.
        settings_link: whether a link to the settings page is.
        edit_csp: whether recipients' origins come and go in their Content-Security-Policy.

    Raises:
        ValueError: one is not True or False.
    """

    inject: bool
    settings_link: bool
    edit_csp: bool

    def __post_init__(self) -> None:
        check_booleans(inject=self.inject, settings_link=self.settings_link, edit_csp=self.edit_csp)

    def edits_csp(self, policy: Policy) -> bool:
        """Return whether a Content-Security-Policy is edited: only where the policy says in which directives."""
        return self.edit_csp and any(recipient.directives for recipient in policy.recipients)


class Effects:
    """What all exchanges of an installation have in common.

    Args:
        installed: the parts that the effects come from.
        options: what is done to pages.
        signal_proofs: keeps the proof of signals; None without a ledger.
    """

    def __init__(self, installed: Installation, options: PageOptions, signal_proofs: SignalProofs | None) -> None:
        self.installed = installed
        self.signal_proofs = signal_proofs
        self.app_language = installed.app_language
        self.inject = options.inject
        self.settings_link = options.inject and options.settings_link
        self.depends_on, self.recent_answers = _depends_on(installed.policy), installed.recent_answers
        self.gate, self.access_log, self.edit_csp = installed.gate, installed.access_log, installed.edit_csp
        self.pages, self.prefix = installed.pages, installed.prefix
        # What ordinary pages are.
        self.shortens = self.settings_link and not self.edit_csp
        self.of_traced = depending_on([], self.depends_on)
        self.of_pages = depending_on([], (*self.depends_on, *_LANGUAGE, *_FRAMES))
        self.of_asking = [banner.preload(self.prefix, ""), *self.of_pages]
        self.ordinary = OrdinaryPages(self.pages, self.prefix)
        self._to_be_read = linked_paths(installed.policy)

    def asks(self, scope: Scope) -> bool:
        """Return whether a page asks, if it is one and something is left to be asked."""
        if not self.inject or scope["method"] != "GET":
            return False
        path = outer_path(scope) if scope.get("root_path") else scope["path"]
        return path.rstrip("/") not in self._to_be_read


class Exchange:
    """What is done to a response, on its way from the app: the gate, what is put into pages, what caches are told.

    Args:
        effects: what all exchanges have in common.
        scope: the request as the app sees it.
        receive: where the request comes from.
        send: where messages go on to.
        visit: what is known of the request.
        request: tells others whether the request is traced.

    Attributes:
        asks: whether the page should be asked in, if it is one.
        is_unfinished: whether something may be held that goes out when the app has returned.
        injection: puts what is asked into the page, and the link to the settings page, once it is known to be one.
        trace: what the access record is made of, where there will be one.
    """

    asks = False
    is_unfinished = False
    injection: Injection | None = None
    trace: Trace | None = None
    _held: Message | None = None
    """The start of what may be an ordinary page."""
    _fields: Fields | None = None
    _encoding = ""
    _length_at = -1
    _withholds_origins = False
    _differs_in_frames = False
    _seen_at: bytes | None = None
    """The Host field of the page, if somebody looks at it; also of an error, which may ask, too."""
    _replaced = False
    _was_answered = False
    """Whether the visitor has answered, or erased, since the request came."""

    def __init__(
        self, effects: Effects, scope: Scope, receive: Receive, send: Send, visit: Visit, request: CurrentRequest
    ) -> None:
        self._effects, self.scope, self._receive, self._out = effects, scope, receive, send
        self._visit, self._request = visit, request
        self._consent = consent = RequestConsent(visit.decision, scope, effects.prefix, effects.app_language)
        # A dict of its own for each request: some servers share theirs between the requests of a connection.
        state = scope.get("state")
        scope["state"] = {**state, "consent": consent} if state else {"consent": consent}
        self._began = effects.recent_answers.sequence
        self._is_quick = visit.is_quick and not effects.edit_csp

    async def finish(self) -> None:
        """Let go what is still held when the app has returned."""
        if self._held is not None:
            held, self._held = self._held, None
            await self._send_carefully(held)
        if self.injection is not None:
            await self.injection.finish()

    def prepare(self) -> None:
        """Do what some visits need before the app is called: the proof and the memory of signals, tracing."""
        effects, visit, log = self._effects, self._visit, self._effects.access_log
        if visit.heeds_signals and effects.signal_proofs is not None:
            effects.signal_proofs.note(visit.decision)
        if visit.remembers is not None:
            self._out, self._consent.was_read = setting(visit.remembers, self._out), True
        if visit.traced and self._request.outer is None:
            self._request.is_traced = True
        else:
            self._request.decide(traced=visit.traced)
        if log is not None and (visit.traced or visit.exempt):
            self.trace = log.trace(self.scope, visit, effects.installed.own)
            if self.trace is not None:
                self._plain_out, self._out = self._out, self._recorded

    def end(self) -> None:
        """Note that the app has returned or raised before its response was whole."""
        self._request.end()
        self._record()

    async def _recorded(self, message: Message) -> None:
        """Send a message on; the last one is followed by the access record."""
        if message["type"] == _START and self.trace is not None:
            self.trace.status = message["status"]
        await self._plain_out(message)
        if message["type"] == _BODY and not message.get("more_body", False):
            self._record()

    def _record(self) -> None:
        """Write the access record, if the visitor has neither withdrawn nor erased since the request came."""
        effects, trace, self.trace = self._effects, self.trace, None
        if self._out == self._recorded:
            self._out = self._plain_out  # else the exchange would hold itself, and wait for the garbage collector
        if trace is None or effects.access_log is None:
            return
        if effects.recent_answers.sequence != self._began:
            now = effects.recent_answers.look_again(self._visit, self._began, trace.visitor_id)
            if not now.traced and not now.exempt:
                return
        effects.access_log.tracing.write(self.scope, trace)

    # Most responses set no cookie and are no page. They go out as they come, or nearly so. Next come ordinary pages.
    # All others are looked at with care. What the careful way looks at and the quick one does not, it must rule out.

    def send(self, message: Message) -> Awaitable[None]:
        """Take a message of the app's and send it on, or the answer that takes its place."""
        kind = message["type"]
        if not self._is_quick or self._consent.instead is not None:
            return self._send_carefully(message)
        if kind == _BODY:
            return self._out(message) if self._held is None else self._send_held(self._held, message)
        headers = message.get("headers")
        is_first = kind == _START and self._held is None
        if is_first and type(headers) is list and self._effects.recent_answers.sequence == self._began:
            for name, value in headers:
                # Its length tells a name from nearly all others, at less than the price of small letters.
                size = len(name)
                if size == 12 and (type(value) is not bytes or not value.startswith(_NO_PAGES)):
                    return self._begin_page(message)
                if size == 10 and (type(name) is not bytes or name.lower() == b"set-cookie"):
                    break
            else:
                if message["status"] != NOT_MODIFIED and not self._consent.was_read:
                    return self._out(message) if self.trace is None else self._send_traced(self.trace, message)
        return self._send_carefully(message)

    def _send_traced(self, trace: Trace, start: Message) -> Awaitable[None]:
        """Send the start of a response that is no page: what is to be said of it is on what it depends."""
        trace.status, headers = start["status"], start["headers"]
        if trace.new_visitor is not None:
            headers = [*headers, (b"set-cookie", trace.new_visitor)]
        for name, _ in headers:
            if type(name) is not bytes or name.lower().endswith(OF_CACHES):
                headers = depending_on(plain_fields(headers), self._effects.depends_on)
                break
        else:
            headers = headers + self._effects.of_traced
        return self._plain_out({**start, "headers": headers})

    async def _begin_page(self, start: Message) -> None:
        """Wait for the body of what may be an ordinary page."""
        consent, decision = self._consent, self._visit.decision
        has_more = consent.asks_itself or consent.nonce or decision.news is not None or decision.honours_gpc
        if start["status"] == 200 and self._effects.shortens and not has_more and self.scope["method"] == "GET":
            self._encoding, self._length_at = ordinary_encoding(start["headers"])
            if self._encoding and (self.trace is None or self.trace.new_visitor is None):
                self._held, self.is_unfinished = start, True
                return
        await self._send_carefully(start)

    async def _send_held(self, start: Message, message: Message) -> None:
        """Send an ordinary page, or what turns out to be none."""
        self._held, self.is_unfinished = None, False
        body, scope, effects, made = message.get("body", b""), self.scope, self._effects, None
        is_whole = type(body) is bytes and not message.get("more_body", False)
        if is_whole and not scope.get("root_path") and effects.recent_answers.sequence == self._began:
            self._fields = fields = dict(scope["headers"]) if self.trace is None else self.trace.fields
            if fields.get(b"sec-fetch-dest") not in page_views.FRAMES:
                made = self._ordinary(fields, start["headers"], body)
        if made is None:
            await self._send_behind(start, message)
        else:
            await self._out({**start, "headers": made[0]})
            await self._out({**message, "body": made[1]})

    async def _send_behind(self, start: Message, message: Message) -> None:
        """Send the start that is held, then what no ordinary page has: a file to send, early hints, trailers."""
        self._held = None
        await self._send_carefully(start)
        await self._send_carefully(message)

    def _ordinary(self, fields: Fields, headers: Headers, body: bytes) -> tuple[Headers, bytes] | None:
        """Return the fields and the body of an ordinary page as they go out; None for what is none.

        Args:
            fields: the request's header fields by their names.
            headers: the fields of the response.
            body: its body.
        """
        effects, decision, scope = self._effects, self._visit.decision, self.scope
        key = (decision.policy, scope["path"], scope.get("query_string", b""), self._encoding)
        plan = effects.ordinary.plans.get(key)
        if plan is None or not body.startswith(plan.begun):
            plan = effects.ordinary.new_plan(key, body)
            if plan is None:
                return None
        language = (self._consent.follows_page and plan.language) or self._consent.language_of_page(plan.tag)
        # Robots are not asked. Of those who did answer nothing else is looked at.
        is_robot = (self.asks or decision.record is None) and asks_robot(fields)
        asks = self.asks and not is_robot
        at, question = effects.ordinary.question(plan, decision, language, body, fields) if asks else (0, b"")
        if at < 0:
            return None
        link = plan.links.get(language) or effects.ordinary.keep_link(plan, decision, language)
        passed, end = headers + (effects.of_asking if asks else effects.of_pages), end_of_body(body)
        if self._length_at >= 0:
            name, length = passed[self._length_at]
            passed[self._length_at] = (name, b"%d" % (int(length) + len(question) + len(link)))
        self._differs_in_frames = True
        if effects.access_log is not None and not (is_robot and decision.record is None):
            self._count_seen(effects.access_log.funnel, fields, 200, asked_in=language if asks else "")
        return passed, b"".join((body[:at], question, body[at:end], link, body[end:]))

    def _fields_by_name(self) -> Fields:
        """Return the request's header fields by their names in small letters, made when they are first needed."""
        if self._fields is None:
            self._fields = dict(self.scope["headers"]) if self.trace is None else self.trace.fields
        return self._fields

    def _send_carefully(self, message: Message) -> Awaitable[None]:
        self._is_quick = False
        if self._held is not None:
            return self._send_behind(self._held, message)
        if self._replaced:
            return _nothing()
        if message["type"] == _START:
            if self._consent.instead is not None:
                self._replaced = True
                return self._consent.instead(self.scope, self._receive, self._pass)
            message = self._start(message)
        elif message["type"] == "http.response.trailers":
            self._look_again()
            fields = plain_fields(message.get("headers", ()))
            passed = self._effects.gate.outgoing(fields, self._visit.decision.purposes)
            message = {**message, "headers": passed}
        return self._out(message)

    def _pass(self, message: Message) -> Awaitable[None]:
        return self._out(self._start(message) if message["type"] == "http.response.start" else message)

    def _start(self, message: Message) -> Message:
        effects, given = self._effects, message.get("headers", ())
        is_plain = type(given) is list and ONLY_BYTES.issuperset(map(type, chain.from_iterable(given)))
        headers = given if is_plain else plain_fields(given)
        self._look_again()
        passed = effects.gate.outgoing(headers, self._visit.decision.purposes)
        edits_csp = effects.edit_csp and content_security.is_there(passed)
        if edits_csp:
            passed = self._with_recipients(passed)
        encoding = injectable(message["status"], passed) if effects.inject else None
        if encoding is not None and not self._consent.asks_itself:
            passed = self._put_in(encoding, passed)
        if effects.access_log is not None:
            self._count(effects.access_log.funnel, message["status"], passed)
        # What is recorded without consent leaves the page as it is for everybody.
        traced = self.trace is not None and not self._visit.exempt
        depends = self._consent.was_read or encoding is not None or traced or edits_csp or self._was_answered
        if self.trace is not None and self.trace.new_visitor is not None:
            passed = [*passed, (b"set-cookie", self.trace.new_visitor)]
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
        gate, secure = self._effects.gate, is_secure(self.scope)
        return gate.expired(self._visit.left_over, host_of(self.scope), secure=secure)

    def _look_again(self) -> None:
        """Let hold what the visitor has answered since the request came, or since this was looked at last."""
        recent_answers, began = self._effects.recent_answers, self._began
        if recent_answers.sequence == began:
            return
        self._began, trace, visitor_id = recent_answers.sequence, self.trace, self._visit.visitor_id
        if visitor_id is None and trace is not None and trace.new_visitor is None:
            visitor_id = trace.visitor_id  # the pseudonym of a day
        visit = recent_answers.look_again(self._visit, began, visitor_id)
        if visit is self._visit:
            return
        self._visit, self._was_answered = visit, True
        self.asks = self.asks and visit.decision.should_ask
        self._request.decide(traced=visit.traced)
        if not visit.traced and not visit.exempt:
            self.trace = None

    def _with_recipients(self, headers: Headers) -> Headers:
        """Let the app's Content-Security-Policy name just the recipients that are allowed now."""
        decision = self._visit.decision
        sources = content_security.recipient_sources(decision.policy, decision.purposes)
        headers, self._withholds_origins = content_security.with_recipients(headers, sources)
        return headers

    def _put_in(self, encoding: str, headers: Headers) -> Headers:
        """Ask in the page that begins, if somebody is there who can answer; let it end with a link to the settings."""
        consent, effects, decision = self._consent, self._effects, self._visit.decision
        asks = self.asks and not asks_robot(self._fields_by_name())
        says_something = effects.settings_link or decision.news is not None or decision.honours_gpc
        has_tail = says_something and self.scope["method"] == "GET"
        self._differs_in_frames = asks or has_tail
        # Of a page in a frame, the page around it asks.
        if not self._differs_in_frames or self._fields_by_name().get(b"sec-fetch-dest") in page_views.FRAMES:
            return headers
        asking = None
        if asks:
            script, style = content_security.nonces(headers)
            referrer = banner.referrer(self._fields_by_name())
            asking = Asking(
                script or consent.nonce, style or consent.nonce, reloads=self._withholds_origins, referrer=referrer
            )
            headers = [*headers, banner.preload(consent.base, asking.style_nonce)]
        made = banner.Fragments(effects.pages, decision, consent, self.scope, encoding=encoding, asking=asking)
        way_back = partial(made.way_back, link=effects.settings_link)
        question = made.question if asking is None else partial(self._asked, made)
        released = partial(self._released, self._out, self._visit)
        self.injection = Injection(released, question, way_back if has_tail else bytes)
        self._out, self.is_unfinished = self.injection.send, True
        return headers

    def _released(self, out: Send, visit: Visit, message: Message) -> Awaitable[None]:
        """Send a message on that was held until it was known what the page is: the visitor may have answered meanwhile.

        Args:
            out: where it goes.
            visit: what was known when the app began the response.
            message: the message.
        """
        if message["type"] == _START:
            before = self.trace
            self._look_again()
            if self._visit is not visit:
                message = {**message, "headers": self._narrowed(message["headers"], before)}
        return out(message)

    def _narrowed(self, headers: Headers, before: Trace | None) -> Headers:
        """Return the fields of a page that is private already without what the visitor has refused meanwhile."""
        effects, new_visitor = self._effects, None if before is None else before.new_visitor
        passed = [field for field in headers if field[1] is not new_visitor]
        passed = effects.gate.outgoing(passed, self._visit.decision.purposes)
        if effects.edit_csp and content_security.is_there(passed):
            passed = self._with_recipients(passed)
        if self.trace is not None and new_visitor is not None:
            passed = [*passed, (b"set-cookie", new_visitor)]
        return [*passed, *(field for field in self._left_over() if field not in passed)]

    def _asked(self, made: banner.Fragments, page_language: str | None) -> bytes:
        """Return the question, and count that it is asked; nothing where it was answered meanwhile."""
        question, access_log = made.question(page_language), self._effects.access_log
        self._look_again()
        if not self.asks:
            return b""
        if access_log is not None and self._seen_at is not None:
            access_log.funnel.add("asked", self._seen_at, language=made.language)
        return question

    def _count(self, funnel: Funnel, status: int, headers: Headers) -> None:
        """Count the response if it is a page that a person sees, whatever that person answered; an error is no view."""
        if not page_views.is_page(self.scope["method"], status, headers):
            return
        fields = self._fields_by_name()
        # Robots neither answer nor are they recorded. Of those who did answer nothing is looked at.
        may_be_robot = self._visit.decision.record is None and self.trace is None
        if not (may_be_robot and asks_robot(fields)):
            self._count_seen(funnel, fields, status)

    def _count_seen(self, funnel: Funnel, fields: Fields, status: int, *, asked_in: str = "") -> None:
        """Count a page, unless nobody looks at it, and the question in it by its language."""
        host = page_views.seen_by(fields, not_modified=status == NOT_MODIFIED)
        self._seen_at = host
        if host is None or status >= FIRST_ERROR:
            return
        trace = self.trace
        if trace is None or not trace.is_landing:  # else it was counted before the answer
            funnel.add("views", host)
        if trace is not None:
            trace.is_view = True
            # Else the page has a record from before, without consent.
            if not (trace.is_landing and self._visit.decision.policy.exempt):
                funnel.add("views_recorded", host)
        if self._visit.decision.signals and refused_by_signals(self._visit.decision):
            funnel.add("signal", host)
        for feature in self._consent.degraded:
            funnel.add("degraded", host, detail=feature)
        if asked_in:
            funnel.add("asked", host, language=asked_in)


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
