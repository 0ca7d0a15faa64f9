"""Applies plans to the messages between the app and the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.base.addresses import outer_path
from cookie_consent.base.cookies import Headers
from cookie_consent.base.user_agents import read_agent
from cookie_consent.current import CurrentRequest
from cookie_consent.decision.cookie_log import note_response
from cookie_consent.decision.visit import Visit, hide_blocked_cookies
from cookie_consent.http.advice import defer_to_outer, log_advice
from cookie_consent.http.head import Head, depend_on, plain_fields, read_head
from cookie_consent.http.insert import NO_PIECES, Page, Pieces, Places
from cookie_consent.http.plan import STARTS, Plan, plan
from cookie_consent.http.render import render
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.tracing.breakdowns import Shown

if TYPE_CHECKING:
    from cookie_consent.http.site import Site
    from cookie_consent.tracing.tracer import Trace

_BODY = "http.response.body"
_TRAILERS = "http.response.trailers"
_UNSEEN = ("http.response.pathsend", "http.response.zerocopysend")
_OF_BYTES = frozenset(
    (
        *(b"content-length", b"etag", b"last-modified", b"accept-ranges"),
        *(b"content-md5", b"digest", b"content-digest", b"repr-digest"),
    )
)
"""Fields that describe the bytes that the app sent, so they are wrong for a changed page."""


def write_fields(head: Head, new: Plan, pieces: Pieces = NO_PIECES) -> Headers:
    """Return the header fields of a response after its plan.

    Args:
        head: what the app sends.
        new: the plan.
        pieces: what is inserted into the page.
    """
    fields = head.fields
    if new.cookies is not None:
        fields = [field for field in fields if field[0].lower() != b"set-cookie"]
        fields += new.cookies
    if pieces is not NO_PIECES and not _OF_BYTES.isdisjoint(head.found):
        fields = correct_fields(fields, pieces)
    fields = [*fields, *new.limits, *new.add, *new.expire]
    if new.cache == "no-store":
        fields = [field for field in fields if field[0].lower() != b"cache-control"]
        fields.append((b"cache-control", b"no-store"))
    return depend_on(fields, new.vary) if new.vary else fields


def correct_fields(fields: Headers, pieces: Pieces) -> Headers:
    """Return header fields that are right for the page with our markup.

    A page with a question has no validator, or a 304 would bring the question back after it was answered. One that only
    gets the link means the same with other bytes: a weak entity tag says so (RFC 9110, section 8.8.1).
    """
    keeps_validators = not (pieces.question or pieces.head)
    corrected: Headers = []
    lengths: Headers = []
    for name, value in fields:
        lowered = name.lower()
        if lowered not in _OF_BYTES:
            corrected.append((name, value))
        elif lowered == b"content-length":
            lengths.append((name, value))
        elif lowered == b"etag" and keeps_validators:
            corrected.append((name, value if value.startswith(b"W/") else b"W/" + value))
        elif lowered == b"last-modified" and keeps_validators:
            corrected.append((name, value))
    # A length that no client can read, or one of two, is no length.
    if len(lengths) == 1 and len(lengths[0][1]) < 19 and lengths[0][1].strip().isdigit():
        name, value = lengths[0]
        corrected.append((name, b"%d" % (int(value) + sum(map(len, pieces)))))
    return corrected


async def send_nothing() -> None:
    """Send nothing yet."""


async def send_nowhere(message: Message) -> None:
    """Drop a message of a response that is replaced."""


@dataclass(slots=True, eq=False)
class Sender:
    """Applies the plan of one response to its messages.

    Attributes:
        site: the site.
        scope: the ASGI scope of the request, as the app sees it.
        receive: the ASGI receive function.
        server_send: the ASGI send function.
        visit: what the request's cookies and signals say.
        consent: the decision as the app sees it.
        trace: the traced request, if there will be an access record.
        asks: whether a page may ask here.
        page: the page whose bytes pass, if it gets anything and is not at its end.
        held: the start of a response, until the first bytes tell whether it is a page.
        watch: looks through the page for other hosts; None if it is not due.
    """

    site: Site
    scope: Scope
    receive: Receive
    server_send: Send
    visit: Visit
    consent: RequestConsent
    trace: Trace | None = None
    asks: bool = False
    page: Page | None = None
    held: tuple[Message, Head, Plan] | None = None
    watch: Callable[[Message], None] | None = None

    async def run(self, app: ASGIApp) -> None:
        """Run an app that sends the response, and send what is held when it has returned."""
        try:
            await app(self.scope, self.receive, self.send)
            if self.page is not None:
                await self.finish(self.page)
        finally:
            if self.trace is not None:
                self.record(self.trace)

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the app's."""
        kind = message["type"]
        if kind in STARTS:
            return self._begin(message) if self.consent.replacement is None else self._replace()
        if self.watch is not None:
            self.watch(message)
        if self.page is not None:
            return self._send_page(self.page, message)
        if self.trace is not None and kind == _BODY and not message.get("more_body", False):
            return self._send_last(message, self.trace)
        if kind == _TRAILERS:
            message = self._block_cookies(message)
        return self.server_send(message)

    async def _replace(self) -> None:
        """Send the response that replaces the app's, whose messages then go nowhere."""
        assert self.consent.replacement is not None  # noqa: S101 (looked at by the caller)
        replacement = self.consent.replacement
        self.consent.replacement = None
        sender = copy(self)
        self.server_send = send_nowhere
        self.trace = None
        await sender.run(replacement)

    def _begin(self, message: Message) -> Awaitable[None]:
        """Send the start of a response after its plan, or hold it if the plan inserts something."""
        head = read_head(message, self.scope, self.trace, asks=self.asks)
        new = plan(self.visit, head, self.consent, self.site)
        if not vars(new) and head.fields is message.get("headers"):
            return self.server_send(message)
        self._note(head, new)
        if new.insert is None:
            return self.server_send({**message, "headers": write_fields(head, new)})
        self.held = (message, head, new)
        self.page = Page(partial(self._render, new))
        return send_nothing()

    def _note(self, head: Head, new: Plan) -> None:
        """Count, log and prepare what the plan says beside the response."""
        site = self.site
        if self.trace is not None:
            self.trace.status = head.status
            self.trace.is_view = new.record == "view"
        if new.count is not None and site.access_log is not None:
            for name, detail in new.count.names:
                site.access_log.counts.add(name, new.count.host, detail=detail)
        if new.findings:
            note_response(new.findings)
        if new.advice:
            log_advice(new.advice, self.scope)
        if new.is_read and site.foreign_hosts.is_due(outer_path(self.scope)):
            self.watch = site.foreign_hosts.watch(self.scope, self.visit.decision)

    def _render(self, new: Plan, places: Places) -> Pieces:
        assert new.insert is not None  # noqa: S101 (there is a page)
        site = self.site
        decision = self.visit.decision
        if site.is_shared:
            decision = site.decide_neutrally(decision.policy)
        pieces, language = render(new.insert, places, decision, self.consent, self.scope, site)
        if new.insert.asks and new.count is not None and site.access_log is not None and not site.is_shared:
            device = ""
            # The user agent of who has answered is not read: the answer may have been a no.
            if decision.record is None:
                device = read_agent(dict(self.scope["headers"]).get(b"user-agent", b"")).device
            shown = Shown(decision.policy, device, outer_path(self.scope), decision.asked)
            site.access_log.counts.add_asked(new.count.host, language, shown, first=new.insert.first)
        return pieces

    async def _send_page(self, page: Page, message: Message) -> None:
        """Send a message of a page, with our markup where its place is."""
        if message["type"] != _BODY:
            if self.held is not None or message["type"] in _UNSEEN:
                await self.finish(page, pads=True)
            await self.server_send(message)
            return
        body = message.get("body", b"")
        is_last = not message.get("more_body", False)
        ready = page.feed(bytes(body), is_last=is_last)
        if page.pieces is None:
            return
        await self._release_start(page.pieces)
        if ready or is_last:
            await self.server_send(message if ready == body else {**message, "body": ready})
        if is_last:
            self.page = None
            if self.trace is not None:
                self.record(self.trace)

    async def _release_start(self, pieces: Pieces = NO_PIECES) -> None:
        if self.held is not None:
            start, head, new = self.held
            self.held = None
            await self.server_send({**start, "headers": write_fields(head, new, pieces)})

    async def finish(self, page: Page, *, pads: bool = False) -> None:
        """Send what is held, because the app has returned, or the rest of the page cannot be seen.

        Args:
            page: the page that is at its end.
            pads: whether spaces take the place of our markup, so that the page has the length that was told.
        """
        self.page = None
        is_begun = self.held is None
        await self._release_start()
        rest = page.release(pads=pads and is_begun)
        if rest:
            await self.server_send({"type": _BODY, "body": rest, "more_body": True})

    async def _send_last(self, message: Message, trace: Trace) -> None:
        await self.server_send(message)
        self.record(trace)

    def record(self, trace: Trace) -> None:
        """Write the access record, once."""
        self.trace = None
        assert self.site.access_log is not None  # noqa: S101 (it made the trace)
        self.site.access_log.tracing.write(self.scope, trace)

    def _block_cookies(self, message: Message) -> Message:
        fields = self.site.block_cookies(plain_fields(message.get("headers", ())), self.visit.decision.purposes)
        return {**message, "headers": fields}


def begin_response(  # noqa: PLR0913 (what a response depends on)
    site: Site, scope: Scope, path: str, receive: Receive, send: Send, visit: Visit, request: CurrentRequest
) -> Sender:
    """Return the sender of the response to a request, whose scope says to the app what is allowed.

    Args:
        site: the site.
        scope: the ASGI scope of the request.
        path: its path inside the app.
        receive: the ASGI receive function.
        send: the ASGI send function.
        visit: what the request's cookies and signals say.
        request: the current request.
    """
    if visit.visible_cookies is not None:
        scope = hide_blocked_cookies(scope, visit)
    asks = False
    if scope["type"] == "http":
        if site.leaves_out is not None:
            site = site.at(scope, path)
        asks = bool(visit.decision.asked) and site.may_ask(scope)
        if asks or site.needs_pages:
            scope = site.request_page(scope)
    consent = RequestConsent(visit.decision, scope, site.pages, site.app_language)
    # The state is copied, because some servers share one dict between the requests of a connection.
    scope["state"] = {**(scope.get("state") or {}), "consent": consent}
    if site.reloads:
        consent.reloads = True
    if request.outer_consent is not None:
        defer_to_outer(request.outer_consent, consent, site.own_cookies)
    trace = None
    if visit.traced or visit.depends_on_signals or visit.saved:
        trace = site.begin_visit(visit, scope, consent, request)
    return Sender(site, scope, receive, send, visit, consent, trace, asks)
