"""Threads, background tasks and forked processes."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar
from weakref import WeakSet

from anyio import to_thread

RANDOM = random.SystemRandom().random
"""Returns a random number from 0 to 1, without advancing the generator that an app may have seeded."""

T = TypeVar("T")

_started: set[asyncio.Task[None]] = set()
"""Running tasks, because an event loop has only weak references to them."""


def start(work: Callable[[], Coroutine[Any, Any, None]], ended: Callable[[], object] = lambda: None) -> None:
    """Run a coroutine function as a background task, which anyio does not offer. It ends with the event loop.

    Args:
        work: the function; its coroutine must not raise.
        ended: called when the task has ended, even if it was cancelled before it began.

    Raises:
        RuntimeError: this thread has no event loop.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        if "trio" not in sys.modules:  # trio cannot run before it was imported
            raise
        from trio.lowlevel import spawn_system_task

        spawn_system_task(_run, work, ended)
        return
    task = loop.create_task(work())
    _started.add(task)
    task.add_done_callback(_started.discard)
    task.add_done_callback(lambda _: ended())


async def _run(work: Callable[[], Coroutine[Any, Any, None]], ended: Callable[[], object]) -> None:
    try:
        await work()
    finally:
        ended()


async def wait_for_result(future: Future[T], *, shared: bool = False) -> T:
    """Wait for a future that a thread sets, and return its result.

    Args:
        future: the future.
        shared: whether others wait for it too. Otherwise it is cancelled when this wait is.

    Raises:
        Exception: the exception that the future holds.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # trio
        try:
            return await to_thread.run_sync(future.result, abandon_on_cancel=True)
        finally:
            if not shared:
                future.cancel()  # has no effect if it is done
    own = asyncio.wrap_future(future, loop=loop)
    return await (asyncio.shield(own) if shared else own)


def wait_until(
    condition: Callable[[], object], seconds: float, pause: float, sleep: Callable[[float], object] = time.sleep
) -> bool:
    """Wait in a thread until a condition holds, and return whether it did in time. 0 seconds try it once."""
    end = time.monotonic() + seconds
    for _ in range(round(seconds / pause)):
        if condition():
            return True
        if time.monotonic() >= end:
            return False
        sleep(pause)
    return bool(condition())


class Backoff:
    """Exponential backoff: pauses between retries that double, with jitter of up to half.

    Args:
        first: the first pause without jitter (seconds).
        longest: the longest pause (seconds).
        jitter: returns a number from 0 to 1 for the jitter, so that processes that failed together do not retry
            together; 1 means no jitter.
    """

    def __init__(self, first: float, longest: float, jitter: Callable[[], float] = RANDOM) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._pause = 0.0

    def reset(self) -> None:
        """Start with the first pause again, after a success."""
        self._pause = 0.0

    def next_pause(self) -> float:
        """Return how long to wait before the next try (seconds)."""
        self._pause = min(max(2 * self._pause, self._first), self._longest)
        return self._pause * (0.5 + 0.5 * self._jitter())


_forked: WeakSet[Any] = WeakSet()
_inherited: list[object] = []


def call_after_fork(forked: T) -> T:
    """Have an object's `after_fork` called in each forked process while the object lives; return the object.

    The method drops the parent's state and threads.
    """
    _forked.add(forked)
    return forked


def leave_to_parent(*things: object) -> None:
    """Keep inherited objects alive, because finalizing a connection here would close the parent's too."""
    _inherited.append(things)


def after_fork() -> None:
    """Reset all registered objects. Python calls this in each forked process."""
    for forked in list(_forked):
        forked.after_fork()


# Windows has no fork, and `os` no `register_at_fork` there.
getattr(os, "register_at_fork", lambda **_: None)(after_in_child=after_fork)
