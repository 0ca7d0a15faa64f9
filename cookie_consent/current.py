"""What was decided about the request that is running: for logs, spans and reports that others write meanwhile."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from cookie_consent.base.process.event_loop import current_task


class CurrentRequest:
    """A request, from when it is read until its task ends.

    One is made for each request. The class holds what is true of most, so that there is nothing to set.

    Attributes:
        outer: the same request as a middleware further out has it, or None.
        is_running: whether the app has not answered yet.
        is_traced: whether tracing is allowed; see `decide`.
    """

    outer: CurrentRequest | None = None
    is_running = True
    is_traced = False
    _task: weakref.ref[Any] | None = None

    def decide(self, *, traced: bool) -> None:
        """Say whether tracing is allowed; until then it is not.

        Where several middlewares decide, it takes all of them to allow it.
        """
        self.is_traced = traced and (self.outer is None or self.outer.is_traced)

    def end(self) -> None:
        """Note that the app has answered. What the same task still writes is about this request."""
        self.is_running = False
        if self.is_traced:
            task = current_task()
            self._task = None if task is None else weakref.ref(task)

    def is_traced_here(self) -> bool:
        """Return whether what is written here and now is about this request, and tracing is allowed."""
        if not self.is_traced or self.is_running:
            return self.is_traced
        here = current_task()
        return here is not None and self._task is not None and self._task() is here


_UNSURE = CurrentRequest()
_current: ContextVar[CurrentRequest | None] = ContextVar("cookie_consent_current", default=None)


def begin(scope: Mapping[str, Any]) -> CurrentRequest:
    """Note that a request has come; nothing is allowed on it until that is decided.

    Where a second one begins in the context of one that still runs, in an app that calls itself say, or where asyncio
    lets a context slip into the next request of a connection (https://github.com/python/cpython/issues/140947), nobody
    can tell afterwards whose log line it is. From here on all lines of that context count as of somebody who refused.
    """
    outer, request = _current.get(), CurrentRequest()
    if outer is not None:
        if outer is not _UNSURE and "consent" in (scope.get("state") or ()):
            request.outer = outer
        elif outer.is_running:
            request.outer = _UNSURE
            _current.set(_UNSURE)
            return request
    _current.set(request)
    return request


def is_traced() -> bool:
    """Return whether access tracing is allowed on the request that is running; False where that is not known."""
    request = _current.get()
    return request is not None and request.is_traced_here()
