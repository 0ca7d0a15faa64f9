"""Work at the start and the end of a server, by ASGI's lifespan protocol; for apps without a lifespan too."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from traceback import walk_tb
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger("cookie_consent")
_STARTUP_DONE, _SHUTDOWN, _SHUTDOWN_DONE = (
    "lifespan.startup.complete",
    "lifespan.shutdown",
    "lifespan.shutdown.complete",
)

_running: ContextVar[Any] = ContextVar("cookie_consent_running", default=None)
"""The app whose lifespan the current task runs."""
_INSIDE_ITSELF = (
    "app: this middleware is inside the app that it wraps, and would call itself for ever. In Quart, wrap the method: "
    "app.asgi_app = ConsentMiddleware(app.asgi_app, ...)"
)


class _NotALifespanError(Exception):
    """Ends an app that responds to a lifespan scope as if it were a request."""


class Lifespan:
    """The lifespan of an app, with work of ours when it has started, and before the server hears that it has ended.

    An app without a lifespan, such as Django's, refuses the scope or returns at once. Servers then tell it nothing of
    their end, so we answer in its place. Errors of an app that has a lifespan reach the server as they are.

    Args:
        receive: the ASGI receive function.
        send: the ASGI send function.
        at_startup: is called when the app has started.
        at_shutdown: is called when the app has ended.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        at_startup: Callable[[], None],
        at_shutdown: Callable[[], Awaitable[None]],
    ) -> None:
        self._receive, self._send = receive, send
        self._at_startup, self._at_shutdown = at_startup, at_shutdown
        self._received = self._sent = ""
        """The types of the last lifespan messages."""
        self._responded = False
        """Whether the app tried to respond as to a request."""

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        """Run the app for a lifespan scope, and answer the events that it leaves unanswered."""
        if _running.get() is app:
            await self._receive_noted()
            await self._send_noted({"type": "lifespan.startup.failed", "message": _INSIDE_ITSELF})
            return
        outer = _running.set(app)
        try:
            await app(scope, self._receive_noted, self._send_noted)
        except Exception as error:
            if not self._is_refusal(error):
                await self._end_unless_answered()
                raise
            # Who names it has left it out on purpose, as Django has; asgiref says "non-HTTP scope".
            if not any(word in str(error).lower() for word in ("lifespan", "non-http")):
                _log.warning("The app has no lifespan, so the middleware answers the server's events: %r", error)
        finally:
            _running.reset(outer)
        await self._answer_the_rest()

    async def _receive_noted(self) -> Message:
        message = await self._receive()
        self._received = message["type"]
        return message

    async def _send_noted(self, message: Message) -> None:
        if not message["type"].startswith("lifespan."):
            self._responded = True
            raise _NotALifespanError(message["type"])
        if message["type"] == _STARTUP_DONE:
            self._at_startup()
        elif message["type"].startswith("lifespan.shutdown."):
            # Before the server hears of it, because then it may end the process.
            await self._at_shutdown()
        self._sent = message["type"]
        await self._send(message)

    def _is_refusal(self, error: Exception) -> bool:
        """Return whether an error says that the app has no lifespan.

        An app with a lifespan receives the server's event first. Before that, the code that raises is looking at the
        scope: it refuses the type, or misses what requests have. An app that cannot be built when it is first called
        fails in other code.
        """
        is_before = not self._received and _was_looking_at_scope(error)
        return not self._sent and (is_before or self._responded)

    async def _end_unless_answered(self) -> None:
        if self._received == _SHUTDOWN and not self._sent.startswith("lifespan.shutdown."):
            await self._at_shutdown()

    async def _answer_the_rest(self) -> None:
        if self._sent.endswith(".failed") or self._sent == _SHUTDOWN_DONE:
            return
        if not self._sent:
            if not self._received:
                await self._receive_noted()
            await self._send_noted({"type": _STARTUP_DONE})
        while self._received != _SHUTDOWN:
            await self._receive_noted()
        await self._send_noted({"type": _SHUTDOWN_DONE})


def _was_looking_at_scope(error: Exception) -> bool:
    """Return whether the function that raised an error has a lifespan scope among its variables."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    values = frames[-1].f_locals.values() if len(frames) > 1 else ()  # the first frame is our own
    return any(isinstance(value, dict) and value.get("type") == "lifespan" for value in values)
