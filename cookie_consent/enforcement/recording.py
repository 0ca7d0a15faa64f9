"""Writes the access record of one traced request, when its response has come to its end."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import Message, Scope, Send

from cookie_consent.tracing import Trace, Tracing
from cookie_consent.visitors.recent_answers import RecentAnswers
from cookie_consent.visits import Visit


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
