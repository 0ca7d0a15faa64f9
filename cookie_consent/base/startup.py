"""The start and the end of a server: ASGI's lifespan protocol, and errors of a middleware's constructor."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
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
_STARTUP = "lifespan.startup"
_SHUTDOWN = "lifespan.shutdown"

_running: ContextVar[Any] = ContextVar("cookie_consent_running", default=None)
"""The app whose lifespan the current task runs."""
_INSIDE_ITSELF = (
    "app: this middleware is inside the app that it wraps, and would call itself for ever. In Quart, wrap the method: "
    "app.asgi_app = ConsentMiddleware(app.asgi_app, ...)"
)


async def run_lifespan(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    at_startup: Callable[[], None],
    at_shutdown: Callable[[], Awaitable[None]],
) -> None:
    """Run an app for a lifespan scope, and answer the events that it leaves unanswered.

    An app without a lifespan, such as Django's, refuses the scope or returns at once. Servers then tell it nothing of
    their end, so we answer in its place. Errors of an app that has a lifespan reach the server as they are.

    Args:
        app: the app.
        scope: its ASGI scope.
        receive: the ASGI receive function.
        send: the ASGI send function.
        at_startup: is called when the app has started.
        at_shutdown: is called when the app has ended, before the server hears of it.
    """
    received: list[str] = []
    sent: list[str] = []
    receive, send = _note_events(receive, send, received, sent, at_startup, at_shutdown)
    if _running.get() is app:
        await receive()
        await send({"type": f"{_STARTUP}.failed", "message": _INSIDE_ITSELF})
        return
    outer = _running.set(app)
    try:
        await app(scope, receive, send)
    except Exception as error:
        if not _is_refusal(error, received, sent):
            if _SHUTDOWN in received and not sent[-1].startswith(_SHUTDOWN):
                await at_shutdown()
            raise
    finally:
        _running.reset(outer)
    has_ended = any(kind.endswith(".failed") or kind.startswith(_SHUTDOWN) for kind in sent)
    if not has_ended:
        await _answer_rest(receive, send, received, sent)


def _note_events(
    receive: Receive,
    send: Send,
    received: list[str],
    sent: list[str],
    at_startup: Callable[[], None],
    at_shutdown: Callable[[], Awaitable[None]],
) -> tuple[Receive, Send]:
    """Return the functions for the app, which note the types of messages and call what is ours."""

    async def receive_event() -> Message:
        message = await receive()
        received.append(message["type"])
        return message

    async def send_event(message: Message) -> None:
        kind = message["type"]
        if kind == f"{_STARTUP}.complete":
            at_startup()
        elif kind.startswith(f"{_SHUTDOWN}."):
            # Before the server hears of it, because then it may end the process.
            await at_shutdown()
        sent.append(kind)
        if not kind.startswith("lifespan."):
            raise RuntimeError(f"{kind} is no answer here")
        await send(message)

    return receive_event, send_event


async def _answer_rest(receive: Receive, send: Send, received: Sequence[str], sent: Sequence[str]) -> None:
    if not received:
        await receive()
    if f"{_STARTUP}.complete" not in sent:
        await send({"type": f"{_STARTUP}.complete"})
    while _SHUTDOWN not in received:
        await receive()
    await send({"type": f"{_SHUTDOWN}.complete"})


def _is_refusal(error: Exception, received: Sequence[str], sent: Sequence[str]) -> bool:
    """Return whether an error says that the app has no lifespan, and log one that does not name it.

    An app with a lifespan receives the server's event first. Before that, the code that raises is looking at the scope:
    it refuses the type, or misses what requests have, or it responds as to a request. An app that cannot be built when
    it is first called fails in other code.

    Args:
        error: the error.
        received: the types of the messages that the app has received.
        sent: the types of those that it has sent.
    """
    if any(kind.startswith("lifespan.") for kind in sent):
        return False
    if not sent and (received or not _was_looking_at_scope(error)):
        return False
    # Who names it has left it out on purpose, as Django has; asgiref says "non-HTTP scope".
    if not any(word in str(error).lower() for word in ("lifespan", "non-http")):
        _log.warning("The app has no lifespan, so the middleware answers the server's events: %r", error)
    return True


def _was_looking_at_scope(error: Exception) -> bool:
    """Return whether the function that raised an error has a lifespan scope among its variables."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    values = frames[-1].f_locals.values() if len(frames) > 1 else ()  # the first frame is our own
    return any(isinstance(value, dict) and value.get("type") == "lifespan" for value in values)
