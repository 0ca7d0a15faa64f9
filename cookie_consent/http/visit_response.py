"""What a response is to its visitor: the decision that holds now, the access record, and what is counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.types import Message, Receive, Scope, Send

from cookie_consent.base.addresses import outer_path
from cookie_consent.base.html.injection import Injection
from cookie_consent.base.request_fields import Headers, page_view_host_in
from cookie_consent.base.user_agents import is_from_robot, read_agent
from cookie_consent.current import CurrentRequest
from cookie_consent.decision.reasons import BY_SIGNAL
from cookie_consent.decision.visit import Visit, deletions
from cookie_consent.http.head import FIRST_ERROR, NOT_MODIFIED, is_page
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.http.site import Site
from cookie_consent.tracing.breakdowns import Shown

if TYPE_CHECKING:
    from cookie_consent.tracing.counts import Counts
    from cookie_consent.tracing.tracer import Fields, Trace

Asked = tuple[str, bool]
"""A question: its language, and whether it is the first of a visit."""
_START, _BODY = "http.response.start", "http.response.body"


class VisitResponse:
    """A response to one visit: keeps the decision that holds now, writes the access record and counts.

    Args:
        site: what all responses share.
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

    def __init__(
        self,
        site: Site,
        scope: Scope,
        receive: Receive,
        send: Send,
        visit: Visit,
        request: CurrentRequest,
    ) -> None:
        self._site, self.scope, self._receive, self._out = site, scope, receive, send
        self._visit, self._request, self._plain_out = visit, request, send
        self._consent = consent = RequestConsent(visit.decision, scope, site.pages, site.app_language)
        # Copy the state, because some servers share one dict between the requests of a connection.
        state = scope.get("state")
        scope["state"] = {**state, "consent": consent} if state else {"consent": consent}
        if site.security is not None:
            consent.reloads = site.security.differs
        self.asks = self.is_unfinished = False
        self.injection: Injection | None = None
        self.trace: Trace | None = None
        self._fields: Fields | None = None
        self._differs_in_frames = self._replaced = False
        self._page_view_host: bytes | None = None
        """The Host field of a page view, or of an error page, which may ask too."""
        # For `QuickResponse`, to save it an `__init__`.
        self._is_quick = visit.is_quick and site.is_quick
        self._held: Message | None = None
        """The held start of a response that may be an ordinary page, until its body comes."""

    def prepare(self) -> None:
        """Do what some visits need before the app is called: record and store signals, and start the trace."""
        site, visit, log = self._site, self._visit, self._site.access_log
        if site.shared_pages is not None:
            # A page for everybody sets no cookie. Our endpoints do.
            visit = replace(visit, signal_cookie=None, arrival=None)
            log = log if visit.visitor_id is not None else None
        if visit.depends_on_signals and site.signal_proofs is not None:
            site.signal_proofs.note(visit.decision)
        if visit.signal_cookie is not None:
            self._consent.was_read = True
            self._out = _setting(visit.signal_cookie, self._out)
        if visit.saved:
            self._consent.returned = True
        if visit.traced and self._request.outer is None:
            self._request.is_traced = True
        else:
            self._request.decide(traced=visit.traced)
        if log is not None and visit.traced:
            self.trace = log.trace(self.scope, visit, site.own_cookies)
            if self.trace is not None:
                self._plain_out, self._out = self._out, self._send_and_record

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
        """Write the access record."""
        trace = self.trace
        access_log = self._site.access_log
        if trace is None or access_log is None:
            return
        self.trace = None
        self._out = self._plain_out  # break the reference cycle
        access_log.tracing.write(self.scope, trace)

    def _fields_by_name(self) -> Fields:
        """Return the request's header fields by name, in lowercase, computed on first use."""
        if self._fields is None:
            self._fields = dict(self.scope["headers"]) if self.trace is None else self.trace.fields
        return self._fields

    def _deletion_fields(self) -> Headers:
        """Return the fields that delete refused cookies which the browser still sends."""
        return deletions(self._site.gate, self._visit, self.scope)

    def _count(self, counts: Counts, status: int, headers: Headers) -> None:
        """Count the response if it is a page that a person sees, whatever that person answered."""
        if not is_page(self.scope["method"], status, headers):
            return
        fields = self._fields_by_name()
        # Bots neither answer nor are they traced, so the user agent of an answered or traced visit is not read.
        may_be_robot = self._visit.decision.record is None and self.trace is None
        if not (may_be_robot and is_from_robot(fields)):
            self._count_seen(counts, fields, status)

    def _count_seen(self, counts: Counts, fields: Fields, status: int, asked: Asked | None = None) -> None:
        """Count a page view, and the question in the page, if it has one. Error pages are no page views."""
        host = page_view_host_in(fields, not_modified=status == NOT_MODIFIED)
        self._page_view_host = host
        if host is None or status >= FIRST_ERROR:
            return
        trace = self.trace
        if trace is None or not trace.is_landing:  # a reload after the answer was counted before it
            counts.add("views", host)
        if trace is not None:
            trace.is_view = True
            counts.add("views_recorded", host)
        if not BY_SIGNAL.isdisjoint(self._visit.decision.reasons.values()):
            counts.add("signal", host)
        for feature in self._consent.degraded:
            counts.add("degraded", host, detail=feature)
        if asked is not None:
            self._count_asked(counts, fields, host, asked)

    def _count_asked(self, counts: Counts, fields: Fields, host: bytes, asked: Asked) -> None:
        """Count the question in the page."""
        (language, first), scope = asked, self.scope
        path = outer_path(scope) if scope.get("root_path") else scope["path"]
        decision = self._visit.decision
        # The user agent of who has answered is not read: the answer may have been a no.
        device = read_agent(fields.get(b"user-agent", b"")).device if decision.record is None else ""
        counts.add_asked(host, language, Shown(decision.policy, device, path, decision.asked), first=first)


def _setting(field: bytes, send: Send) -> Send:
    """Return `send` with one more Set-Cookie field in the response."""

    async def with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"set-cookie", field)]}
        await send(message)

    return with_cookie
