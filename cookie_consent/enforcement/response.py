"""Applies the decision to a response, between the app and the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from itertools import chain

from starlette.types import Message, Receive, Scope, Send

from cookie_consent.base import page_views
from cookie_consent.base.caching import ONLY_BYTES, Headers, depending_on, plain_fields
from cookie_consent.base.html.injection import Injection, injectable
from cookie_consent.base.page_views import FIRST_ERROR, NOT_MODIFIED
from cookie_consent.base.paths import outer_path
from cookie_consent.base.user_agents import is_from_robot
from cookie_consent.current import CurrentRequest
from cookie_consent.decision.decision import signal_refuses_more
from cookie_consent.decision.visit import Visit, cookies_of, host_of, is_secure
from cookie_consent.enforcement import banner
from cookie_consent.enforcement.csp.parsing import header_policies
from cookie_consent.enforcement.csp.secured import Asked
from cookie_consent.enforcement.csp.security_fields import SecurityFields
from cookie_consent.enforcement.csp.tags import nonces
from cookie_consent.enforcement.enforcement import Enforcement
from cookie_consent.enforcement.request_consent import RequestConsent
from cookie_consent.enforcement.shared_pages import SharedPages
from cookie_consent.enforcement.vendor_signals import VendorSignals
from cookie_consent.policy.card import recipients_shown_once
from cookie_consent.tracing.counts import Counts
from cookie_consent.tracing.tracer import Fields, Trace
from cookie_consent.visitors.pages.question import QuestionOptions

_START, _BODY = "http.response.start", "http.response.body"


def _nothing(_language: str | None, _received: bytes) -> bytes:
    """Return what a page gets that does not ask: nothing."""
    return b""


class Response:
    """Applies the decision to one response: cookies, fragments in pages, header fields and the access record.

    This is the careful way, which is correct for every response. `QuickResponse` takes fewer steps for most.

    Args:
        enforcement: what all responses share.
        scope: the request's ASGI scope as the app sees it.
        receive: the ASGI receive function.
        send: the ASGI send function.
        visit: the decision on the request, and what else its cookies tell.
        request: the current request, which is told whether it is traced.

    Attributes:
        asks: whether the response gets the banner if it is a page.
        is_unfinished: whether messages may be held that must be sent when the app has returned.
        injection: inserts the banner and the link to the settings page, once the response may be a page.
        trace: the traced request, if there will be an access record.
    """

    _stored: list[bytes]
    """Set-Cookie fields of ours that `prepare` adds to the response, if there are any."""

    def __init__(
        self,
        enforcement: Enforcement,
        scope: Scope,
        receive: Receive,
        send: Send,
        visit: Visit,
        request: CurrentRequest,
    ) -> None:
        self._enforcement, self.scope, self._receive, self._out = enforcement, scope, receive, send
        self._visit, self._request, self._plain_out = visit, request, send
        self._consent = consent = RequestConsent(visit.decision, scope, enforcement.prefix, enforcement.app_language)
        # Copy the state, because some servers share one dict between the requests of a connection.
        state = scope.get("state")
        scope["state"] = {**state, "consent": consent} if state else {"consent": consent}
        security = enforcement.security
        if security is not None:
            consent.new_nonce, consent.tags_need_nonce, consent.edits_csp = security.told_to_apps
        self._began = enforcement.recent_answers.sequence
        self.asks = self.is_unfinished = False
        self.injection: Injection | None = None
        self.trace: Trace | None = None
        self._fields: Fields | None = None
        self._withholds_origins = self._differs_in_frames = self._replaced = False
        self._page_view_host: bytes | None = None
        """The Host field of a page view, or of an error page, which may ask too."""
        self._shown_recipients = frozenset[str]()
        """The ids of the recipients whose content the page shows once."""
        self._was_answered = False
        """Whether the visitor has answered or erased since the request arrived."""
        # For `QuickResponse`, to save it an `__init__`.
        self._is_quick = visit.is_quick and enforcement.is_quick
        self._is_secured = visit.is_quick and enforcement.is_secured
        self._held: Message | None = None
        """The held start of a response that may be an ordinary page, until its body comes."""

    async def finish(self) -> None:
        """Send what is still held when the app has returned."""
        if self.injection is not None:
            await self.injection.finish()

    def prepare(self) -> None:
        """Do what some visits need before the app is called: record and store signals, and start the trace."""
        enforcement, visit, log = self._enforcement, self._visit, self._enforcement.access_log
        if enforcement.shared_pages is not None:
            # A page for everybody sets no cookie. Our endpoints do.
            visit = replace(visit, signal_cookie=None, arrival=None, announcement=None, set_cookies=())
            log = log if visit.visitor_id is not None or visit.exempt else None
        if visit.depends_on_signals and enforcement.signal_proofs is not None:
            enforcement.signal_proofs.note(visit.decision)
        told = visit.announcement
        stored = [*visit.set_cookies, *filter(None, (visit.signal_cookie, told and told.unsaid))]
        if stored or told is not None:
            self._stored, self._consent.was_read = stored, True
            self._out = setting(stored, self._out)
        if visit.saved or visit.once:
            self._note_return()
        if visit.traced and self._request.outer is None:
            self._request.is_traced = True
        else:
            self._request.decide(traced=visit.traced)
        if log is not None and (visit.traced or visit.exempt):
            self.trace = log.trace(self.scope, visit, enforcement.installed.own_cookies)
            if self.trace is not None:
                self._plain_out, self._out = self._out, self._send_and_record

    def _note_return(self) -> None:
        """Note that the visitor comes back from one of our forms, and what this page is to show once."""
        enforcement, scope, decision = self._enforcement, self.scope, self._visit.decision
        self._consent.returned = True
        if self._visit.once and scope["method"] == "GET":
            once, now = enforcement.installed.own_cookies.once, enforcement.installed.clock()
            shown = once.read(cookies_of(scope), outer_path(scope), now, secure=is_secure(scope))
            self._shown_recipients = recipients_shown_once(decision.policy, shown)
            self._consent.shown_once = shown

    def end(self) -> None:
        """End the request when the app has returned or raised, and write a record that is still due."""
        self._request.end()
        self._record()

    async def _send_and_record(self, message: Message) -> None:
        """Send a message, and write the access record after the last one."""
        if message["type"] == _START and self.trace is not None:
            self.trace.status = message["status"]
        await self._plain_out(message)
        if message["type"] == _BODY and not message.get("more_body", False):
            self._record()

    def _record(self) -> None:
        """Write the access record, if the visitor has neither withdrawn nor erased since the request came."""
        enforcement, trace, self.trace = self._enforcement, self.trace, None
        if self._out == self._send_and_record:
            self._out = self._plain_out  # break the reference cycle
        if trace is None or enforcement.access_log is None:
            return
        if enforcement.recent_answers.sequence != self._began:
            now = enforcement.recent_answers.apply_to(self._visit, self._began, trace.visitor_id)
            if not now.traced and not now.exempt:
                return
        enforcement.access_log.tracing.write(self.scope, trace)

    def _fields_by_name(self) -> Fields:
        """Return the request's header fields by name, in lowercase, computed on first use."""
        if self._fields is None:
            self._fields = dict(self.scope["headers"]) if self.trace is None else self.trace.fields
        return self._fields

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the app's, or the response that replaces it."""
        if self._replaced:
            return _send_nothing()
        if message["type"] == _START:
            if self._consent.replacement is not None:
                self._replaced = True
                return self._consent.replacement(self.scope, self._receive, self._pass)
            message = self._start(message)
        elif message["type"] == "http.response.trailers":
            self._apply_recent_answers()
            fields = plain_fields(message.get("headers", ()))
            decision = self._visit.decision
            passed = self._enforcement.gate.outgoing(fields, decision.purposes, decision.refused_recipients)
            message = {**message, "headers": passed}
        return self._out(message)

    def _pass(self, message: Message) -> Awaitable[None]:
        if message["type"] == _START:
            message = self._start(message)  # this may change the way out, also for this message
        return self._out(message)

    def _start(self, message: Message) -> Message:  # noqa: C901, PLR0915 (a call costs time)
        enforcement, given = self._enforcement, message.get("headers", ())
        if enforcement.shared_pages is not None:
            return self._start_shared(enforcement.shared_pages, message)
        is_plain = type(given) is list and ONLY_BYTES.issuperset(map(type, chain.from_iterable(given)))
        headers = given if is_plain else plain_fields(given)
        self._apply_recent_answers()
        decision = self._visit.decision
        passed, limits = enforcement.gate.outgoing(headers, decision.purposes, decision.refused_recipients), False
        if enforcement.security is not None:
            passed, limits = self._secured(enforcement.security, message["status"], passed)
        if self._consent.shown_once or self._consent.shows_card:
            passed = self._with_cards(passed)
        encoding = injectable(message["status"], passed) if enforcement.inject else None
        if encoding is not None:
            passed = self._prepare_injection(encoding, passed)
        if enforcement.access_log is not None:
            self._count(enforcement.access_log.counts, message["status"], passed)
        # Tracing under an exemption does not change the page, so the response does not depend on it.
        traced = self.trace is not None and not self._visit.exempt
        depends = self._consent.was_read or encoding is not None or traced or limits or self._was_answered
        if self.trace is not None and self.trace.new_visitor is not None:
            passed = [*passed, (b"set-cookie", self.trace.new_visitor)]
        if self._visit.refused_cookies:
            passed, depends = [*passed, *self._deletion_fields()], True
        if depends:
            language = (b"Accept-Language",) if self._consent.chose_language or self.injection is not None else ()
            frames = (b"Sec-Fetch-Dest",) if self._differs_in_frames else ()
            passed = depending_on(passed, (*enforcement.depends_on, *language, *frames))
        return message if passed is given else {**message, "headers": passed}

    def _start_shared(self, shared: SharedPages, message: Message) -> Message:
        """Begin a response that is the same for everybody, unless the app itself read the decision."""
        enforcement, headers = self._enforcement, plain_fields(message.get("headers", ()))
        self._apply_recent_answers()
        decision, consent = self._visit.decision, self._consent
        headers = enforcement.gate.outgoing(headers, decision.purposes, decision.refused_recipients)
        encoding = injectable(message["status"], headers) if self.scope["method"] == "GET" else None
        if encoding is not None and not consent.asks_itself:
            self.injection = shared.injection(
                consent, decision.policy, self.scope, headers, encoding=encoding, out=self._out
            )
            self._out, self.is_unfinished = self.injection.send, True
        if enforcement.access_log is not None:
            self._count(enforcement.access_log.counts, message["status"], headers)
        if not consent.was_read and not self._was_answered:
            return {**message, "headers": shared.without_cookies(headers)}
        if consent.shown_once or consent.shows_card:
            headers = self._with_cards(headers)
        language = (b"Accept-Language",) if consent.chose_language else ()
        headers = depending_on([*headers, *self._deletion_fields()], (*enforcement.depends_on, *language))
        return {**message, "headers": headers}

    def _deletion_fields(self) -> Headers:
        """Return the fields that delete refused cookies which the browser still sends."""
        gate, secure = self._enforcement.gate, is_secure(self.scope)
        return gate.deletions(self._visit.refused_cookies, host_of(self.scope), secure=secure)

    def _apply_recent_answers(self) -> None:
        """Apply an answer that the visitor has given since the request arrived or since the last call."""
        recent_answers, began = self._enforcement.recent_answers, self._began
        if recent_answers.sequence == began:
            return
        self._began, trace, visitor_id = recent_answers.sequence, self.trace, self._visit.visitor_id
        if visitor_id is None and trace is not None and trace.new_visitor is None:
            visitor_id = trace.visitor_id  # the day's pseudonym
        visit = recent_answers.apply_to(self._visit, began, visitor_id)
        if visit is self._visit:
            return
        if visit.set_cookies or visit.announcement is not None:
            # The answer from elsewhere is older: it must not replace the one that was given here.
            self._stored.clear()
            visit = replace(visit, set_cookies=(), announcement=None)
        self._visit, self._was_answered = visit, True
        self.asks = self.asks and visit.decision.should_ask
        self._request.decide(traced=visit.traced)
        if not visit.traced and not visit.exempt:
            self.trace = None

    def _secured(self, security: SecurityFields, status: int, headers: Headers) -> tuple[Headers, bool]:
        """Return header fields with those that limit the browser, and whether they depend on the decision."""
        consent, scope = self._consent, self.scope
        accepts_pages = b"text/html" in self._fields_by_name().get(b"accept", b"")
        consent.new_nonce = None
        asked = Asked(
            consent.base,
            is_secure(scope),
            accepts_pages,
            self.asks or self._enforcement.fills_heads,
            consent.made_nonce,
            self._shown_recipients,
        )
        secured = security.secure(headers, status, self._visit.decision, asked)
        self._withholds_origins = secured.withholds
        return secured.headers, secured.depends

    def _prepare_injection(self, encoding: str, headers: Headers) -> Headers:
        """Prepare to insert the banner, unless a bot asks for the page, and the link to the settings page."""
        consent, enforcement, decision = self._consent, self._enforcement, self._visit.decision
        asks = self.asks and not is_from_robot(self._fields_by_name())
        says_something = enforcement.settings_link or decision.news is not None or decision.honours_gpc
        is_get = self.scope["method"] == "GET" and not consent.asks_itself
        asks, has_tail = asks and not consent.asks_itself, says_something and is_get
        message = self._message() if is_get else ""
        self._differs_in_frames = asks or has_tail or bool(message)
        head = self._make_head(headers)
        # For a page in a frame, the page around it asks.
        if not self._differs_in_frames or self._fields_by_name().get(b"sec-fetch-dest") in page_views.FRAMES:
            if head is not bytes:
                self._inject(head)
            return headers
        (script, style_nonce), options = nonces(headers), None
        style = self._page_style(headers, style_nonce or consent.nonce_so_far)
        if asks:
            options = QuestionOptions(
                script or consent.nonce_so_far,
                style.nonce,
                reloads=self._withholds_origins,
                referrer=banner.referrer(self._fields_by_name()),
                account=self._visit.signed_in,
            )
            if not style.is_inline:
                headers = [*headers, banner.preload(consent.base, style.nonce)]
        if message:
            headers = self._said_once(headers)
        fragments = banner.Fragments(
            enforcement.pages,
            decision,
            consent,
            self.scope,
            encoding=encoding,
            options=options,
            style=style,
            message=message,
        )
        end = partial(fragments.end, footer=has_tail, link=enforcement.settings_link)
        question = fragments.question if options is None else partial(self._counted_question, fragments)
        self._inject(head, question, end)
        return headers

    def _inject(
        self,
        head: Callable[[], bytes],
        question: Callable[[str | None, bytes], bytes] = _nothing,
        end: Callable[[], bytes] = bytes,
    ) -> None:
        send_released = partial(self._send_released, self._out, self._visit)
        self.injection = Injection(send_released, question, end, head)
        self._out, self.is_unfinished = self.injection.send, True

    def _make_head(self, headers: Headers) -> Callable[[], bytes]:
        """Return what makes the beginning of a page's head: what vendors are told; `bytes` if nothing."""
        if self._enforcement.vendor_signals is None or self.scope["method"] == "HEAD":
            return bytes
        nonce = nonces(headers)[0] or self._consent.nonce_so_far
        return partial(self._told_vendors, self._enforcement.vendor_signals, headers, nonce)

    def _told_vendors(self, signals: VendorSignals, headers: Headers, nonce: str) -> bytes:
        self._apply_recent_answers()
        policies, may_inline = header_policies(headers), self._may_inline(nonce)
        return signals.tag(self._consent.base, self._visit.decision, policies, nonce, may_inline=may_inline)

    def _page_style(self, headers: Headers, nonce: str) -> banner.PageStyle:
        """Return whether stylesheets are inline in a page, by its header fields and its nonce for them."""
        return banner.PageStyle(header_policies(headers), nonce, is_inline=self._may_inline(nonce))

    def _may_inline(self, nonce: str) -> bool:
        """Return whether what is ours may be inline in a page, but for its policies."""
        # A page that a script puts into another one is under the policy of that one, which has another nonce.
        is_swapped = self._fields_by_name().get(b"sec-fetch-dest", b"document") != b"document"
        return self._enforcement.inline_style and not (is_swapped and nonce)

    def _with_cards(self, headers: Headers) -> Headers:
        """Return the header fields of a page with cards, or with content that is shown once."""
        if self._consent.shown_once:
            once = self._enforcement.installed.own_cookies.once
            return _once_only(headers, once.forget(secure=is_secure(self.scope)))
        if any(b"no-store" in value.lower() for name, value in headers if name.lower() == b"cache-control"):
            return headers
        # "Show once" leads to the same address. A browser that kept the page for a while would show the card again.
        kept = [field for field in headers if field[0].lower() not in (b"cache-control", b"expires")]
        return [*kept, (b"cache-control", b"no-cache")]

    def _message(self) -> str:
        """Return the name of the text that the page says once about the answer; "" for none."""
        visit = self._visit
        if visit.decision.record is None or not (visit.saved or visit.announcement):
            return ""
        return "kept" if visit.announcement is None else visit.announcement.text

    def _said_once(self, headers: Headers) -> Headers:
        """Return the header fields of a page that says something of an answer once."""
        told, saved = self._visit.announcement, self._enforcement.installed.own_cookies.saved
        if told is not None:
            self._stored[:] = [*(field for field in self._stored if field != told.unsaid), told.said]
        forget = (saved.forget(secure=is_secure(self.scope)),) if self._visit.saved else ()
        return _once_only(headers, *forget)

    def _send_released(self, out: Send, visit: Visit, message: Message) -> Awaitable[None]:
        """Send a message that the injection held. If the visitor answered in the meantime, that answer applies.

        Args:
            out: the send function.
            visit: the visit when the app began the response.
            message: the message.
        """
        if message["type"] == _START:
            before = self.trace
            self._apply_recent_answers()
            if self._visit is not visit:
                message = {**message, "headers": self._without_newly_refused(message["headers"], before)}
        return out(message)

    def _without_newly_refused(self, headers: Headers, before: Trace | None) -> Headers:
        """Return the header fields of a page without what the visitor has refused in the meantime."""
        enforcement, new_visitor = self._enforcement, None if before is None else before.new_visitor
        passed = [field for field in headers if field[1] is not new_visitor]
        decision = self._visit.decision
        passed = enforcement.gate.outgoing(passed, decision.purposes, decision.refused_recipients)
        if enforcement.security is not None:
            passed, self._withholds_origins = enforcement.security.edited(passed, decision, self._shown_recipients)
        if self.trace is not None and new_visitor is not None:
            passed = [*passed, (b"set-cookie", new_visitor)]
        return [*passed, *(field for field in self._deletion_fields() if field not in passed)]

    def _counted_question(self, fragments: banner.Fragments, page_language: str | None, received: bytes) -> bytes:
        """Return the banner and count it; return nothing if the visitor has answered in the meantime."""
        question, access_log = fragments.question(page_language, received), self._enforcement.access_log
        self._apply_recent_answers()
        if not self.asks:
            return b""
        if access_log is not None and self._page_view_host is not None:
            access_log.counts.add("asked", self._page_view_host, language=fragments.language)
        return question

    def _count(self, counts: Counts, status: int, headers: Headers) -> None:
        """Count the response if it is a page that a person sees, whatever that person answered."""
        if not page_views.is_page(self.scope["method"], status, headers):
            return
        fields = self._fields_by_name()
        # Bots neither answer nor are they traced, so the user agent of an answered or traced visit is not read.
        may_be_robot = self._visit.decision.record is None and self.trace is None
        if not (may_be_robot and is_from_robot(fields)):
            self._count_seen(counts, fields, status)

    def _count_seen(self, counts: Counts, fields: Fields, status: int, *, asked_in: str = "") -> None:
        """Count a page view, and the banner in the page by its language. Error pages are no page views."""
        host = page_views.page_view_host_in(fields, not_modified=status == NOT_MODIFIED)
        self._page_view_host = host
        if host is None or status >= FIRST_ERROR:
            return
        trace = self.trace
        if trace is None or not trace.is_landing:  # a reload after the answer was counted before it
            counts.add("views", host)
        if trace is not None:
            trace.is_view = True
            # Under an exemption the page was recorded already, before the answer.
            if not (trace.is_landing and self._visit.decision.policy.exempt):
                counts.add("views_recorded", host)
        if self._visit.decision.signals and signal_refuses_more(self._visit.decision):
            counts.add("signal", host)
        for feature in self._consent.degraded:
            counts.add("degraded", host, detail=feature)
        if asked_in:
            counts.add("asked", host, language=asked_in)


def setting(fields: list[bytes], send: Send) -> Send:
    """Return `send` with more Set-Cookie fields in the response, those in the list when the response starts."""

    async def with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(b"set-cookie", field) for field in fields]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return with_cookie


def _once_only(headers: Headers, *forget: bytes) -> Headers:
    """Return the header fields of a page that neither a reload nor a cache repeats.

    Args:
        headers: the header fields.
        forget: the Set-Cookie fields that delete what had the page say or show something.
    """
    passed = [field for field in headers if field[0].lower() != b"cache-control"]
    return [*passed, (b"cache-control", b"no-store"), *((b"set-cookie", field) for field in forget)]


async def _send_nothing() -> None:
    """Send nothing, because another response has replaced the app's."""
