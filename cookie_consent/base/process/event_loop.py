"""Background tasks, delayed calls and futures for asyncio and trio, which anyio does not offer."""

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
