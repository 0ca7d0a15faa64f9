"""Threads for calls that block: a few of its own for each kind of work, so that none takes those of the app."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cookie_consent.base.process.event_loop import result_of
from cookie_consent.base.process.forking import call_after_fork

T = TypeVar("T")


class Workers:
    """Runs functions that block, off the event loop, a few at once; the others wait for their turn.

    Whoever waits may be cancelled: a function that has begun then goes on by itself, and holds its thread.

    Args:
        most: how many run at once.
        name: of the threads.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have no thread yet."""
        self._threads = ThreadPoolExecutor(self._most, self._name)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what a function returns.

        Raises:
            Exception: what the function raises.
        """
        return await result_of(self._threads.submit(work))
