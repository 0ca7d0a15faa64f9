"""What anyio does not offer, under asyncio and under trio: tasks and calls that nobody waits for, and futures."""

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
"""Tasks that an event loop would not keep from being collected."""


def current_task() -> asyncio.Task[Any] | trio.lowlevel.Task | None:
    """Return the task that runs here; None in a thread without an event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        task: trio.lowlevel.Task | None = _of_trio("current_task")
        return task


def current_loop() -> object | None:
    """Return the event loop that runs here, to compare it; None in a thread without one."""
    token: object | None = _of_asyncio() or _of_trio("current_trio_token")
    return token


def _of_trio(what: str) -> Any:
    """Return what a function of trio's says of where it is called; None where trio does not run."""
    trio = sys.modules.get("trio")  # which runs nowhere before somebody has imported it
    with suppress(RuntimeError):
        return None if trio is None else getattr(trio.lowlevel, what)()
    return None


def start(work: Coroutine[Any, Any, None], ended: Callable[[], object] = lambda: None) -> None:
    """Run a coroutine as a task that nobody waits for. It ends with the event loop, if not before.

    Args:
        work: the coroutine; it must not raise.
        ended: is called when it has ended, also where it never began.
    """
    loop = _of_asyncio()
    if loop is None:
        from trio.lowlevel import spawn_system_task

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
    """Call a function on this event loop after some time, unless the loop has ended. It must not raise."""
    loop = _of_asyncio()
    if loop is None:
        start(_slept(seconds, call))
    else:
        loop.call_later(seconds, call)


async def _slept(seconds: float, call: Callable[[], object]) -> None:
    await anyio.sleep(seconds)
    call()


async def result_of(future: Future[T], *, shared: bool = False) -> T:
    """Wait for what a thread brings, and return it.

    Args:
        future: is set by the thread.
        shared: whether others wait for it too. Otherwise it is cancelled when this wait is.

    Raises:
        Exception: what the future holds.
    """
    loop = _of_asyncio()
    if loop is not None and not shared:
        return await asyncio.wrap_future(future, loop=loop)  # in half the time of what follows
    done = anyio.Event()
    soon = _of_trio("current_trio_token").run_sync_soon if loop is None else loop.call_soon_threadsafe

    def tell(_: object) -> None:
        with suppress(RuntimeError):  # the event loop has ended
            soon(done.set)

    future.add_done_callback(tell)
    try:
        await done.wait()
    finally:
        if not shared:
            future.cancel()  # changes nothing where it is done
    return future.result()


def _of_asyncio() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs here, if it is asyncio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
