"""Whether the current request may be traced, for logs, spans and error reports that other code writes meanwhile."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

__all__ = ["is_traced"]


class CurrentRequest:
    """A request, from its arrival to the end of its task.

    Each request makes one, so the defaults are class attributes: most requests set none.

    Attributes:
        outer: the same request in an outer middleware of ours, or None.
        outer_consent: what that middleware left for the app in the request's state, or None.
        is_running: whether the app has not returned yet.
        is_traced: whether tracing is allowed; see `decide`.
    """

    outer: CurrentRequest | None = None
    outer_consent: Any = None
    is_running = True
    is_traced = False
    _task: weakref.ref[Any] | None = None

    def decide(self, *, traced: bool) -> None:
        """Set whether tracing is allowed. Until then it is not.

        If there are several middlewares of ours, all of them have to allow it. What the same task logs after the app
        has returned is still about this request.
        """
        self.is_traced = traced and (self.outer is None or self.outer.is_traced)
        if self.is_traced:
            task = _current_task()
            self._task = None if task is None else weakref.ref(task)

    def is_traced_here(self) -> bool:
        """Return whether tracing is allowed and the calling code runs for this request."""
        if not self.is_traced or self.is_running:
            return self.is_traced
        task = _current_task()
        return task is not None and self._task is not None and self._task() is task


_UNSURE = CurrentRequest()
_current: ContextVar[CurrentRequest | None] = ContextVar("cookie_consent_current", default=None)


def begin(scope: Mapping[str, Any]) -> CurrentRequest:
    """Make a request the current one. It is not traced until that is decided.

    Sometimes a request begins in the context of another one that still runs: an app calls itself, or asyncio leaks the
    context into the next request of a connection (https://github.com/python/cpython/issues/140947). Then nobody can
    tell which request a log line belongs to, so from then on nothing in that context is traced.

    Args:
        scope: the request's ASGI scope.
    """
    outer = _current.get()
    request = CurrentRequest()
    if outer is not None:
        if outer is not _UNSURE and "consent" in (scope.get("state") or ()):
            request.outer, request.outer_consent = outer, scope["state"]["consent"]
        elif outer.is_running:
            request.outer = _UNSURE
            _current.set(_UNSURE)
            return request
    _current.set(request)
    return request


def is_traced() -> bool:
    """Return whether access tracing is allowed on the current request; False if that is unknown."""
    request = _current.get()
    return request is not None and request.is_traced_here()


def _current_task() -> Any:
    """Return the current task of asyncio or trio, or None in a thread without an event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        trio = sys.modules.get("trio")  # it cannot run before it was imported
        with suppress(RuntimeError):
            return None if trio is None else trio.lowlevel.current_task()
    return None
