"""The start and the end of a server: ASGI's lifespan protocol, and errors of a middleware's constructor."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from functools import cache, partial, wraps
from traceback import walk_tb
from types import FrameType, TracebackType
from typing import Any, TypeVar, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent.base.messages import check

Init = TypeVar("Init", bound=Callable[..., None])

_SAYS_ALL = "_cookie_consent_says_all"
"""The attribute of an error whose message says what is wrong, and what would be right."""
_MADE_LATE = "build_middleware_stack"
"""The method in which Starlette and FastAPI construct their middleware, at the app's first call."""
_MADE_FOR_A_ROUTE = "build_route_middleware_stack"
"""The function in which Litestar constructs its middleware, once for each route."""


class FailsAtStart:
    """A class whose `__init__` can be decorated with `fails_at_start`.

    Attributes:
        refuses: the ASGI app to run instead if the constructor failed, else None.
    """

    refuses: ASGIApp | None = None


def fails_at_start(check_names: Callable[[Iterable[str]], object]) -> Callable[[Init], Init]:
    """Make the error of an `__init__` stop the server if a framework constructs the middleware late.

    Args:
        check_names: checks the names of the keyword arguments first. A name that the signature lacks can so have an
            error that says more than Python's.

    The framework then constructs it during the server's lifespan startup. Servers take an exception there for "this app
    does not support lifespan", and go on to serve an error for each request. So the error is reported as a failed
    startup instead. Code that constructs the class itself gets the exception.
    """

    def decorate(init: Init) -> Init:
        @wraps(init)
        def guarded(self: FailsAtStart, *args: Any, **kwargs: Any) -> None:
            try:
                check_names(kwargs)
                init(self, *args, **kwargs)
            except Exception as error:
                if not _is_called_by(_MADE_LATE):
                    if isinstance(error, OSError | ValueError):
                        setattr(error, _SAYS_ALL, True)
                        _print_such_errors_alone()
                    raise
                self.refuses = partial(_refuse, error, error.__traceback__)

        return cast(Init, guarded)

    return decorate


@cache
def _print_such_errors_alone() -> None:
    """Have Python print an error whose message says all without its traceback, if it ends the process."""
    print_before = sys.excepthook

    def print_error(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        if hasattr(error, _SAYS_ALL):
            error.__traceback__ = None
        print_before(kind, error, error.__traceback__)

    sys.excepthook = print_error


async def _refuse(error: Exception, where: TracebackType | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Report the error as a failed startup and raise it; without a lifespan, raise it for each request."""
    if scope["type"] == "lifespan":
        await receive()
        said = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
        await send({"type": "lifespan.startup.failed", "message": "\n".join(said)})
    raise error.with_traceback(where)  # the original traceback; otherwise it would grow with each request


def _is_called_by(name: str) -> bool:
    """Return whether a function of this name is running: a framework's, which is about to construct the middleware."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == name:
            return True
        frame = frame.f_back
    return False


def check_app(app: Any) -> None:
    """Check what the calling middleware shall wrap: an ASGI app, and not a WSGI app or one route of a Litestar app.

    Litestar constructs middleware of its option "middleware" once for each route, and runs it behind its routing. Ours
    would show its question there, but its endpoints would be unknown paths (404). The stack tells that it is
    constructed there. So no request has to be looked at.

    Args:
        app: the ASGI app.

    Raises:
        ValueError: it is something else. The message says what would be right.
    """
    check("app", app, is_valid=callable(app), remedy="It is the ASGI app.")
    check(
        "app",
        app,
        is_valid=not _is_wsgi(app),
        remedy="It is a WSGI app. Django has get_asgi_application(), Falcon falcon.asgi.App(); others become an ASGI "
        "app by a2wsgi.WSGIMiddleware(app) or asgiref.wsgi.WsgiToAsgi(app): docs/how-to/wrap-a-wsgi-app.md",
    )
    if _is_called_by(_MADE_FOR_A_ROUTE):
        raise ValueError(
            'middleware: Litestar runs what is in its option "middleware" behind its routing, where answers do not '
            "arrive. Wrap the app instead: app = ConsentMiddleware(Litestar(...), policy=..., secret_keys=[...])"
        )


def _is_wsgi(app: Any) -> bool:
    """Return whether an app takes what WSGI apps take (PEP 3333)."""
    try:
        return "start_response" in inspect.signature(app).parameters
    except (TypeError, ValueError):  # it has no signature that Python knows
        return False


_log = logging.getLogger("cookie_consent")
_STARTUP_DONE = "lifespan.startup.complete"
_SHUTDOWN = "lifespan.shutdown"
_SHUTDOWN_DONE = "lifespan.shutdown.complete"

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
        self._receive = receive
        self._send = send
        self._at_startup = at_startup
        self._at_shutdown = at_shutdown
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
                if self._received == _SHUTDOWN and not self._sent.startswith("lifespan.shutdown."):
                    await self._at_shutdown()
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
