"""Threads for blocking calls. Each kind of work has a few, so that none takes the app's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from cookie_consent.base.process.event_loop import result_of
from cookie_consent.base.process.forking import call_after_fork

T = TypeVar("T")


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
