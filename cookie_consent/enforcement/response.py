"""Applies the decision to a response, between the app and the server."""

from __future__ import annotations

from collections.abc import Awaitable
from itertools import chain

from starlette.types import Message

from cookie_consent.base.caching import ONLY_BYTES, Headers, depending_on, plain_fields
from cookie_consent.base.html.injection import injectable
from cookie_consent.enforcement.csp import SecurityFields, is_page
from cookie_consent.enforcement.page_response import PageResponse
from cookie_consent.enforcement.shared_pages import SharedPages

_START = "http.response.start"


class Response(PageResponse):
    """Applies the decision to one response: cookies, fragments in pages, header fields and the access record.

    This is the careful way, which is correct for every response. `QuickResponse` takes fewer steps for most.
    """

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
            passed = self._enforcement.gate.outgoing(fields, decision.purposes)
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
        passed, limits = enforcement.gate.outgoing(headers, decision.purposes), False
        if enforcement.security is not None:
            passed, limits = self._limited(enforcement.security, message["status"], passed)
        encoding = injectable(message["status"], passed) if enforcement.inject else None
        if encoding:
            passed = self._prepare_injection(encoding, passed)
        elif encoding is not None:
            self._note_compressed()
        if enforcement.access_log is not None:
            self._count(enforcement.access_log.counts, message["status"], passed)
        traced = self.trace is not None
        depends = self._consent.was_read or bool(encoding) or traced or limits or self._was_answered
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
        headers = enforcement.gate.outgoing(headers, decision.purposes)
        may_inject = enforcement.inject and self.scope["method"] == "GET"
        encoding = injectable(message["status"], headers) if may_inject else None
        if encoding == "":
            self._note_compressed()
        elif encoding is not None and not consent.asks_itself:
            self.injection = shared.injection(
                consent, decision.policy, self.scope, headers, encoding=encoding, out=self._out
            )
            self._out, self.is_unfinished = self.injection.send, True
        if enforcement.access_log is not None:
            self._count(enforcement.access_log.counts, message["status"], headers)
        if not consent.was_read and not self._was_answered:
            return {**message, "headers": shared.without_cookies(headers)}
        language = (b"Accept-Language",) if consent.chose_language else ()
        headers = depending_on([*headers, *self._deletion_fields()], (*enforcement.depends_on, *language))
        return {**message, "headers": headers}

    def _limited(self, security: SecurityFields, status: int, headers: Headers) -> tuple[Headers, bool]:
        """Return header fields with those that limit the browser, and whether they depend on the decision.

        They name the recipients that the visitor allows on pages, and where the app itself has read the decision. All
        other responses get those of a visitor who allowed nothing, so that caches may keep them for everybody.
        """
        accepts_pages = b"text/html" in self._fields_by_name().get(b"accept", b"")
        depends = self._consent.was_read or is_page(status, headers, accepts_pages=accepts_pages)
        if not (depends and security.differs):
            return security.add(headers, security.everybody), False
        self._limits = security.fields(self._visit.decision)
        return security.add(headers, self._limits), True


async def _send_nothing() -> None:
    """Send nothing, because another response has replaced the app's."""
