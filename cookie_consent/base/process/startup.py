"""A middleware that cannot be made stops the server's start, also where its framework makes it only then."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, wraps
from types import TracebackType
from typing import Any, TypeVar, cast

from starlette.types import ASGIApp, Receive, Scope, Send

Init = TypeVar("Init", bound=Callable[..., None])

_MADE_LATE = "build_middleware_stack"
"""The method in which Starlette and FastAPI make what `add_middleware` was given: at the app's first call."""


class FailsAtStart:
    """What `fails_at_start` needs of a class.

    Attributes:
        refuses: answers in place of an instance that could not be made; None where it was.
    """

    refuses: ASGIApp | None = None


def fails_at_start(init: Init) -> Init:
    """Let the error of an `__init__` stop the server where a framework makes the middleware late.

    The first call of an app is the start of its server. Servers take an exception there as "this app knows no
    lifespan", and serve an error for each request. Code that calls the class itself gets the exception.
    """

    @wraps(init)
    def made(self: FailsAtStart, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except Exception as error:
            if not _is_made_late():
                raise
            self.refuses = partial(_refuse, error, error.__traceback__)

    return cast(Init, made)


async def _refuse(error: Exception, where: TracebackType | None, scope: Scope, receive: Receive, send: Send) -> None:
    """Tell a server that starts of the error, then raise it; also for each request, where no server starts."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
    raise error.with_traceback(where)  # as it was: else it would grow with each request


def _is_made_late() -> bool:
    """Return whether a framework makes the instance, and not the site's own code."""
    frame = sys._getframe(2)
    while frame.f_code.co_name == "__init__" and frame.f_back is not None:  # of a subclass
        frame = frame.f_back
    return frame.f_code.co_name == _MADE_LATE
