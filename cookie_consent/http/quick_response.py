"""A faster way for most responses: those that are no page, and ordinary pages."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from starlette.types import Message

from cookie_consent.base.html.injection import end_of_body
from cookie_consent.base.request_fields import FRAMES, Headers
from cookie_consent.base.user_agents import is_from_robot
from cookie_consent.http.banner import arrival
from cookie_consent.http.head import CACHE_FIELDS, NOT_MODIFIED, depending_on, plain_fields
from cookie_consent.http.ordinary_pages import ordinary_encoding
from cookie_consent.http.response import Response
from cookie_consent.http.tags import TagRules

if TYPE_CHECKING:
    from cookie_consent.tracing.tracer import Fields

_START, _BODY = "http.response.start", "http.response.body"
_NO_PAGES = (
    *(b"text/plain", b"text/css", b"text/javascript", b"text/event-stream", b"image/", b"font/"),
    *(b"application/json", b"application/javascript", b"application/octet-stream", b"application/pdf"),
)
"""Beginnings of content types that are no page, as nearly all apps write them."""


class QuickResponse(Response):
    """A response that skips the steps of the careful way which would change nothing.

    Most responses set no cookie and are no page; they are sent nearly unchanged. An ordinary page gets the banner and
    the link from its plan. All others take the careful way. The quick way must rule out everything that only the
    careful way handles.
    """

    _encoding: str
    _length_at: int
    _rules: TagRules

    async def finish(self) -> None:
        """Send what is still held when the app has returned."""
        if self._held is not None:
            held, self._held = self._held, None
            await self._send_carefully(held)
        await super().finish()

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the app's, or the response that replaces it."""
        kind = message["type"]
        if not self._is_quick or self._consent.replacement is not None:
            return self._send_carefully(message)
        if kind == _BODY:
            return self._out(message) if self._held is None else self._send_held(self._held, message)
        headers = message.get("headers")
        is_first = kind == _START and self._held is None
        if is_first and type(headers) is list:
            for name, value in headers:
                # Comparing the length first is cheaper than lowercasing each name, and rules out nearly all.
                size = len(name)
                if size == 12 and (type(value) is not bytes or not value.startswith(_NO_PAGES)):
                    return self._begin_page(message)
                if size == 10 and (type(name) is not bytes or name.lower() == b"set-cookie"):
                    break
            else:
                if message["status"] != NOT_MODIFIED and not self._consent.was_read:
                    is_same = self.trace is None and self._site.security is None
                    return self._out(message) if is_same else self._send_other(message)
        return self._send_carefully(message)

    def _send_other(self, start: Message) -> Awaitable[None]:
        """Send the start of a response that is no page and is traced, or has header fields that limit the browser."""
        trace, security, headers = self.trace, self._site.security, start["headers"]
        if security is not None:
            headers = security.add(headers, security.everybody)
        if trace is None:
            return self._out({**start, "headers": headers})
        trace.status = start["status"]
        if trace.new_visitor is not None:
            headers = [*headers, (b"set-cookie", trace.new_visitor)]
        for name, _ in headers:
            if type(name) is not bytes or name.lower().endswith(CACHE_FIELDS):
                headers = depending_on(plain_fields(headers), self._site.depends_on)
                break
        else:
            headers = headers + self._site.traced_headers
        return self._plain_out({**start, "headers": headers})

    async def _begin_page(self, start: Message) -> None:
        """Hold the start of what may be an ordinary page until its body comes."""
        consent, decision = self._consent, self._visit.decision
        has_more = consent.asks_itself or decision.news is not None or decision.honours_gpc
        if start["status"] == 200 and self._site.settings_link and not has_more and self.scope["method"] == "GET":
            self._encoding, self._length_at, self._rules = ordinary_encoding(start["headers"])
            if self._encoding and (self.trace is None or self.trace.new_visitor is None):
                self._held, self.is_unfinished = start, True
                return
        await self._send_carefully(start)

    async def _send_held(self, start: Message, message: Message) -> None:
        """Send the held start with its body, in the quick way if it is an ordinary page."""
        self._held, self.is_unfinished = None, False
        body, scope, page = message.get("body", b""), self.scope, None
        is_whole = type(body) is bytes and not message.get("more_body", False)
        if is_whole and not scope.get("root_path"):
            self._fields = fields = dict(scope["headers"]) if self.trace is None else self.trace.fields
            if fields.get(b"sec-fetch-dest") not in FRAMES:
                page = self._ordinary(fields, start["headers"], body)
        if page is None:
            await self._send_behind(start, message)
        else:
            await self._out({**start, "headers": page[0]})
            await self._out({**message, "body": page[1]})

    async def _send_behind(self, start: Message, message: Message) -> None:
        """Send the held start carefully, then a message that no ordinary page has, such as early hints or trailers."""
        self._held = None
        await self._send_carefully(start)
        await self._send_carefully(message)

    def _ordinary(  # noqa: PLR0915 (a call costs time)
        self, fields: Fields, headers: Headers, body: bytes
    ) -> tuple[Headers, bytes] | None:
        """Return the header fields and the body to send for an ordinary page, or None if it is not ordinary.

        Args:
            fields: the request's header fields by name, in lowercase.
            headers: the header fields of the response.
            body: the body of the response.
        """
        site, decision, scope = self._site, self._visit.decision, self.scope
        ordinary, signals, security = site.ordinary, site.vendor_signals, site.security
        if security is not None:
            headers = security.add(headers, security.fields(decision))
        key = (decision.policy, scope["path"], scope.get("query_string", b""), self._encoding)
        plan = ordinary.plans.get(key)
        if plan is None or not body.startswith(plan.begun if signals is None else plan.before_head):
            plan = ordinary.new_plan(key, body)
            if plan is None:
                return None
        language = (self._consent.follows_page and plan.language) or self._consent.language_of_page(plan.tag)
        # Bots are neither asked nor counted. They cannot answer, so the user agent of who has answered is not read.
        is_robot = decision.record is None and is_from_robot(fields)
        asks = self.asks and not is_robot
        begins = 0 if signals is None else len(plan.before_head)
        told = b"" if signals is None else self._told_vendors(signals, self._rules)
        first, origin = arrival(fields) if asks else (False, "")
        at, question = (
            ordinary.question(plan, decision, language, body, (self._consent.reloads, first, origin))
            if asks
            else (begins, b"")
        )
        if at < 0:
            return None
        style, script, style_at_end = ordinary.around[self._rules.inline_script] if asks else (b"", b"", b"")
        link = plan.links.get((decision.outcome, language)) or ordinary.keep_link(plan, decision, language)
        path = scope["path"]
        hosts = site.foreign_hosts
        may_be_due = path not in hosts.pages or hosts.clock() >= hosts.rests_until
        if may_be_due and hosts.is_due(path):
            hosts.look(scope, decision, body)
        link += hosts.console_line(scope, self._rules) if hosts.named else b""
        passed = headers + (site.banner_page_headers if asks else site.page_headers)
        inserted, end = (told, style, question, script, style_at_end, link), end_of_body(body, is_whole=True)
        if self._length_at >= 0:
            name, length = passed[self._length_at]
            passed[self._length_at] = (name, b"%d" % (int(length) + sum(map(len, inserted))))
        if site.access_log is not None and not is_robot:
            asked = (language, first) if asks else None
            self._count_seen(site.access_log.counts, fields, 200, asked)
        return passed, b"".join(
            (
                *(body[:begins], told, body[begins:at], style, question, script, body[at:end]),
                *(style_at_end, link, body[end:]),
            )
        )

    def _send_carefully(self, message: Message) -> Awaitable[None]:
        """Send this message and all that follow it in the careful way."""
        self._is_quick = False
        return super().send(message) if self._held is None else self._send_behind(self._held, message)
