"""Threads, background tasks and forked processes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

if TYPE_CHECKING:
    import trio


import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from weakref import WeakSet

T = TypeVar("T")

_started: set[asyncio.Task[None]] = set()
"""Running tasks, because an event loop has only weak references to them."""


def current_task() -> asyncio.Task[Any] | trio.lowlevel.Task | None:
    """Return the current task, or None in a thread without an event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        task: trio.lowlevel.Task | None = _call_trio("current_task")
        return task


def current_loop() -> object | None:
    """Return an object that identifies the running event loop, or None in a thread without one."""
    token: object | None = _asyncio_loop() or _call_trio("current_trio_token")
    return token


def _call_trio(function: str) -> Any:
    """Call a function of `trio.lowlevel` and return its result, or None if trio does not run here."""
    trio = sys.modules.get("trio")  # trio cannot run before it was imported
    with suppress(RuntimeError):
        return None if trio is None else getattr(trio.lowlevel, function)()
    return None


def start(work: Coroutine[Any, Any, None], ended: Callable[[], object] = lambda: None) -> None:
    """Run a coroutine as a background task. It ends with the event loop, if not before.

    Args:
        work: the coroutine; it must not raise.
        ended: called when the task has ended, even if it was cancelled before it began.
    """
    loop = _asyncio_loop()
    if loop is None:
        from trio.lowlevel import spawn_system_task  # only where the app uses trio, which is not a dependency

        spawn_system_task(_run, work, ended)
    else:
        task = loop.create_task(work)
        _started.add(task)
        task.add_done_callback(_started.discard)
        task.add_done_callback(lambda _: ended())


async def _run(work: Coroutine[Any, Any, None], ended: Callable[[], object]) -> None:
    try:
        await work
    finally:
        ended()


def call_later(seconds: float, call: Callable[[], object]) -> None:
    """Call a function on the running event loop after some seconds, unless the loop ends. It must not raise."""
    loop = _asyncio_loop()
    if loop is None:
        start(_call_after(seconds, call))
    else:
        loop.call_later(seconds, call)


async def _call_after(seconds: float, call: Callable[[], object]) -> None:
    await anyio.sleep(seconds)
    call()


async def result_of(future: Future[T], *, shared: bool = False) -> T:
    """Wait for a future that a thread sets, and return its result.

    Args:
        future: the future.
        shared: whether others wait for it too. Otherwise it is cancelled when this wait is.

    Raises:
        Exception: the exception that the future holds.
    """
    loop = _asyncio_loop()
    if loop is not None and not shared:
        return await asyncio.wrap_future(future, loop=loop)  # twice as fast as the code below
    done = anyio.Event()
    soon = _call_trio("current_trio_token").run_sync_soon if loop is None else loop.call_soon_threadsafe

    def wake(_: object) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            soon(done.set)

    future.add_done_callback(wake)
    try:
        await done.wait()
    finally:
        if not shared:
            future.cancel()  # has no effect if it is done
    return future.result()


def _asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop if it is asyncio's, else None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Workers:
    """Runs blocking functions in a few threads. Further functions wait for their turn.

    If a wait is cancelled, a function that has begun still runs to its end in its thread.

    Args:
        most: the number of threads.
        name: the name of the threads.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Start without threads, when made and in a forked process."""
        self._threads = ThreadPoolExecutor(self._most, self._name)

    async def run(self, work: Callable[[], T]) -> T:
        """Run a function in a thread and return its result.

        Raises:
            Exception: the exception that the function raises.
        """
        return await result_of(self._threads.submit(work))


RANDOM = random.SystemRandom().random
"""Returns a random number from 0 to 1, without advancing the generator that an app may have seeded."""


def wait_until(
    condition: Callable[[], object], seconds: float, pause: float, sleep: Callable[[float], object] = time.sleep
) -> bool:
    """Wait until a condition holds, and return whether it did in time.

    Args:
        condition: returns whether it holds. It is called at once and after each pause.
        seconds: the longest wait; 0 calls `condition` once.
        pause: seconds between two calls.
        sleep: waits for some seconds.
    """
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
        self._first, self._longest, self._jitter = first, longest, jitter
        self.reset()

    def reset(self) -> None:
        """Start with the first pause again, after a success."""
        self._pause = 0.0

    def next_pause(self) -> float:
        """Return how long to wait before the next try (seconds)."""
        self._pause = min(max(2 * self._pause, self._first), self._longest)
        return self._pause * (0.5 + 0.5 * self._jitter())


class Forked(Protocol):
    """An object that can be reset in a forked process."""

    def after_fork(self) -> None:
        """Drop the parent's state and threads."""


_Forked = TypeVar("_Forked", bound=Forked)
_forked: WeakSet[Forked] = WeakSet()
_inherited: list[object] = []


def call_after_fork(forked: _Forked) -> _Forked:
    """Have an object's `after_fork` called in each forked process while the object lives; return the object."""
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
