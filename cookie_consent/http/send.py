"""Applies plans to the messages between the app and the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.base.addresses import outer_path
from cookie_consent.base.cookies import Headers
from cookie_consent.base.user_agents import read_agent
from cookie_consent.decision.cookie_log import note_response
from cookie_consent.decision.visit import Visit
from cookie_consent.http.advice import log_advice
from cookie_consent.http.insert import NO_PIECES, Page, Pieces, Places
from cookie_consent.http.plan import STARTS, Head, Insert, Plan, is_for_shared, plain_fields, plan, split_list
from cookie_consent.http.render import render
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.tracing.counts import Shown

if TYPE_CHECKING:
    from cookie_consent.http.site import Site
    from cookie_consent.tracing.tracer import Trace

_BODY = "http.response.body"
_TRAILERS = "http.response.trailers"
_PATHSEND = "http.response.pathsend"
_UNHELPFUL = frozenset((b"accept-encoding", b"if-none-match", b"if-modified-since"))
_UNSEEN = (_PATHSEND, "http.response.zerocopysend")
_OF_BYTES = frozenset(
    (
        *(b"content-length", b"etag", b"last-modified", b"accept-ranges"),
        *(b"content-md5", b"digest", b"content-digest", b"repr-digest"),
    )
)
"""Fields that describe the bytes that the app sent, so they are wrong for a changed page."""
_LONGEST_LENGTH = 19
"""Digits of a number that some client cannot read."""


_FOR_CACHES = (b"cache-control", b"x-accel-expires", b"surrogate-control", b"edge-control")
"""Ends of the names of Cache-Control and of what some caches prefer to it: targeted ones such as CDN-Cache-Control (RFC
9213), nginx's, those of the Edge Architecture Specification, and Akamai's."""


def write_fields(head: Head, new: Plan, pieces: Pieces = NO_PIECES) -> Headers:
    """Return the header fields of a response after its plan.

    Args:
        head: what the app sends.
        new: the plan.
        pieces: what is inserted into the page.
    """
    fields = head.fields
    if new.cookies is not None:
        fields = [*(field for field in fields if field[0] != b"set-cookie"), *new.cookies]
    if pieces is not NO_PIECES:
        fields = correct_fields(fields, head.found, pieces)
    fields = [*fields, *new.limits, *new.add, *new.expire]
    if new.cache == "no-store":
        fields = [field for field in fields if field[0] != b"cache-control"]
        fields.append((b"cache-control", b"no-store"))
    return depend_on(fields, new.vary) if new.vary else fields


def correct_fields(fields: Headers, found: Mapping[bytes, bytes], pieces: Pieces) -> Headers:
    """Return header fields that are right for the page with our markup.

    A page with a question has no validator, or a 304 would bring the question back after it was answered. One that only
    gets the link means the same with other bytes: a weak entity tag says so (RFC 9110, section 8.8.1).
    """
    corrected = [field for field in fields if field[0] not in _OF_BYTES]
    length = found.get(b"content-length", b"").strip()
    if length.isdigit() and len(length) < _LONGEST_LENGTH:
        corrected.append((b"content-length", b"%d" % (int(length) + sum(map(len, pieces)))))
    if pieces.question or pieces.head:
        return corrected
    if b"etag" in found:
        corrected.append((b"etag", b"W/" + found[b"etag"].removeprefix(b"W/")))
    if b"last-modified" in found:
        corrected.append((b"last-modified", found[b"last-modified"]))
    return corrected


def depend_on(fields: Headers, names: tuple[bytes, ...]) -> Headers:
    """Return the header fields of a private response that depends on fields of the request.

    One Vary and one Cache-Control have what the app's say. The fields that single caches prefer to it are left out.
    """
    others = [field for field in fields if field[0] != b"vary" and not field[0].endswith(_FOR_CACHES)]
    vary = b""
    control = b""
    if len(others) < len(fields):
        vary = b",".join([value for name, value in fields if name == b"vary"])
        control = b",".join([value for name, value in fields if name == b"cache-control"])
    return others + _make_private(vary, control, names)


@lru_cache(maxsize=256)
def _make_private(vary: bytes, control: bytes, names: tuple[bytes, ...]) -> Headers:
    """Return Vary and Cache-Control. There are as many as the app has kinds of pages."""
    varying = split_list(vary)
    present = {word.lower() for word in varying}
    if b"*" not in present:
        varying.extend(name for name in names if name.lower() not in present)
    directives = [word for word in split_list(control) if not is_for_shared(word)]
    if not any(word.lower() in (b"private", b"no-store") for word in directives):
        directives.append(b"private")
    return [(b"vary", b", ".join(varying)), (b"cache-control", b", ".join(directives))]


async def send_nothing(message: Message) -> None:
    """Send nothing: the message waits, or is of a response that is replaced."""


class Sender:
    """Applies the plan of one response to its messages.

    Args:
        site: the site.
        scope: the ASGI scope of the request, as the app sees it.
        request: its header fields by name.
        path: its path inside the app.
        receive: the ASGI receive function.
        send: the ASGI send function.
        visit: what the request's cookies and signals say.
        consent: the decision as the app sees it.
        trace: the traced request, if there will be an access record.

    Attributes:
        may_ask: whether the page may have the question.
        is_left_out: whether the option `inject` leaves out this page.
        page: the page whose bytes pass, if it gets anything and is not at its end.
        held: the start of a response, until the first bytes tell whether it is a page.
        watch: looks through the page for other hosts; None if it is not due.
    """

    def __init__(  # noqa: PLR0913 (what a response depends on)
        self,
        site: Site,
        scope: Scope,
        request: Mapping[bytes, bytes],
        path: str,
        receive: Receive,
        send: Send,
        visit: Visit,
        consent: RequestConsent,
        trace: Trace | None,
    ) -> None:
        self.site = site
        self.scope = scope
        self.request = request
        self.receive = receive
        self.server_send = send
        self.visit = visit
        self.consent = consent
        self.trace = trace
        self.is_left_out = False
        self.page: Page | None = None
        self.held: tuple[Message, Head, Plan] | None = None
        self.watch: Callable[[Message], None] | None = None
        self.may_ask = False
        if scope["type"] == "http" and site.inject:
            self.is_left_out = site.leaves_out is not None and site.leaves_out(scope, path)
            self.may_ask = may_ask(site, visit, scope)
            if (self.may_ask or site.needs_pages) and not self.is_left_out:
                self.scope = ask_for_page(scope, request, is_for_all=site.is_shared)

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
            return self._begin(message) if self.consent.replacement is None else self._replace(self.consent.replacement)
        if self.watch is not None:
            self.watch(message)
        if self.page is not None:
            return self._send_page(self.page, message)
        if self.trace is not None and kind == _BODY and not message.get("more_body", False):
            return self._send_last(message, self.trace)
        if kind == _TRAILERS:
            message = self._block_cookies(message)
        return self.server_send(message)

    async def _replace(self, replacement: ASGIApp) -> None:
        """Send the response that replaces the app's, whose messages then go nowhere."""
        self.consent.replacement = None
        sender = copy(self)
        self.server_send = send_nothing
        self.trace = None
        await sender.run(replacement)

    def _begin(self, message: Message) -> Awaitable[None]:
        """Send the start of a response after its plan, or hold it if the plan inserts something."""
        head = Head(
            message,
            self.scope,
            self.request,
            self.trace,
            may_ask=self.may_ask,
            is_left_out=self.is_left_out,
        )
        new = plan(self.visit, head, self.consent, self.site)
        if not vars(new) and head.is_plain:
            return self.server_send(message)
        self._note(head, new)
        if new.insert is None:
            return self.server_send({**message, "headers": write_fields(head, new)})
        self.held = (message, head, new)
        self.page = Page(partial(self._render, head, new, new.insert))
        return send_nothing(message)

    def _note(self, head: Head, new: Plan) -> None:
        """Count, log and prepare what the plan says beside the response."""
        site = self.site
        if self.trace is not None:
            self.trace.status = head.status
            self.trace.is_view = new.record == "view"
        if new.host is not None and site.access_log is not None:
            for name, detail in new.counts:
                site.access_log.counts.add(name, new.host, detail=detail)
        if new.findings:
            note_response(new.findings)
        if new.advice:
            log_advice(new.advice, self.scope)
        if new.is_read:
            self.watch = site.foreign_hosts.watch(self.scope, self.visit.decision)

    def _render(self, head: Head, new: Plan, insert: Insert, places: Places) -> Pieces:
        site = self.site
        decision = self.visit.decision
        if site.is_shared:
            decision = site.decide_neutrally(decision.policy)
        pieces, language = render(insert, places, decision, self.consent, self.scope, site)
        if insert.asks and new.host is not None and site.access_log is not None and not site.is_shared:
            device = ""
            # The user agent of who has answered is not read: the answer may have been a no.
            if decision.record is None:
                device = read_agent(head.request.get(b"user-agent", b"")).device
            shown = Shown(decision.policy, device, outer_path(self.scope))
            names = ("asked", "asked_first") if insert.first else ("asked",)
            purposes = [("asked", id_) for id_ in decision.asked]
            site.access_log.counts.add_with_details(names, new.host, language, shown, purposes)
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
        if self.held is not None:
            await self._release_start(*self.held, page.pieces)
        if ready or is_last:
            await self.server_send(message if ready == body else {**message, "body": ready})
        if is_last:
            self.page = None
            if self.trace is not None:
                self.record(self.trace)

    async def _release_start(self, start: Message, head: Head, new: Plan, pieces: Pieces) -> None:
        self.held = None
        await self.server_send({**start, "headers": write_fields(head, new, pieces)})

    async def finish(self, page: Page, *, pads: bool = False) -> None:
        """Send what is held, because the app has returned, or the rest of the page cannot be seen.

        Args:
            page: the page that is at its end.
            pads: whether spaces take the place of our markup, so that the page has the length that was told.
        """
        self.page = None
        if self.held is not None:
            pads = False
            await self._release_start(*self.held, NO_PIECES)
        rest = page.release(pads=pads)
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
        """Return the last fields of a response without the blocked cookies, which are counted and logged."""
        purposes = self.visit.decision.purposes
        fields = plain_fields(message.get("headers") or ())
        passed, findings = self.site.gate.filter_response(fields, purposes, self.site.clock())
        note_response(findings)
        return {**message, "headers": passed}


def may_ask(site: Site, visit: Visit, scope: Scope) -> bool:
    """Return whether the page of a request may have the question. Those that the question links to may not.

    In pages that are the same for everybody, a script knows whether there is something to ask.
    """
    if scope["method"] != "GET" or not (visit.decision.asked or site.is_shared):
        return False
    path: str = outer_path(scope) if scope.get("root_path") else scope["path"]
    return path.rstrip("/") not in site.policy.linked_paths


def ask_for_page(scope: Scope, request: Mapping[bytes, bytes], *, is_for_all: bool) -> Scope:
    """Return the scope of a request, changed to ask for a complete, uncompressed page if it may be for a page.

    Nothing can be inserted into a compressed page, or into a file that the server sends by itself. A "not modified"
    response would show a page from before the question.

    Args:
        scope: the ASGI scope of the request.
        request: its header fields by name.
        is_for_all: whether pages are the same for everybody, also for robots and tools. They accept anything, and
            browsers say what for.
    """
    accepted = request.get(b"accept", b"*/*")
    is_of_tool = is_for_all and b"*/*" in accepted and b"sec-fetch-dest" not in request
    if not (b"text/html" in accepted or is_of_tool):
        return scope
    whole = {**scope, "headers": [field for field in scope["headers"] if field[0] not in _UNHELPFUL]}
    if _PATHSEND in (scope.get("extensions") or ()):
        whole["extensions"] = {name: value for name, value in scope["extensions"].items() if name != _PATHSEND}
    return whole
