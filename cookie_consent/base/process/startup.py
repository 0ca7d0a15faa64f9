"""Makes an error in a middleware's constructor stop the server, even if the framework constructs it late."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from functools import cache, partial, wraps
from types import FrameType, TracebackType
from typing import Any, TypeVar, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.base.checks import check

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
                if not _is_made_late():
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


def _is_made_late() -> bool:
    """Return whether a framework constructs the instance, and not the site's code."""
    frame = sys._getframe(2)
    while frame.f_code.co_name == "__init__" and frame.f_back is not None:  # the __init__ of a subclass
        frame = frame.f_back
    return frame.f_code.co_name == _MADE_LATE


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
    remedy = (
        "It is a WSGI app. Django has get_asgi_application(), Falcon falcon.asgi.App(); others become an ASGI app by "
        "a2wsgi.WSGIMiddleware(app) or asgiref.wsgi.WsgiToAsgi(app): docs/how-to/wrap-a-wsgi-app.md"
    )
    check("app", app, is_valid=not _is_wsgi(app), remedy=remedy)
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == _MADE_FOR_A_ROUTE:
            raise ValueError(
                'middleware: Litestar runs what is in its option "middleware" behind its routing, where answers do not '
                "arrive. Wrap the app instead: app = ConsentMiddleware(Litestar(...), policy=..., secret_keys=[...])"
            )
        frame = frame.f_back


def _is_wsgi(app: Any) -> bool:
    """Return whether an app takes what WSGI apps take (PEP 3333)."""
    try:
        return "start_response" in inspect.signature(app).parameters
    except (TypeError, ValueError):  # it has no signature that Python knows
        return False
