"""Renders the pages of a live report one at a time, and keeps them while no file of the access log changes."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, main_thread
from typing import TypeAlias

from cookie_consent.base.threads import wait_for_result
from cookie_consent.sinks.files.closed_files import counts_path, sources

KEPT_FOR = 10.0
"""How long a page counts without a look at the files, in seconds."""
MOST_PAGES = 16
"""The largest number of pages that are kept, being computed or queued."""
GOOD = 200
SETTLED = 2.0
"""A file may change again within the resolution of its time of change, which is at most this long (seconds)."""
_LONGEST_END = 2.0
"""How long the process waits at its end for a running report, in seconds."""

Asked: TypeAlias = tuple[tuple[str, str], ...]
"""A question: the fields of the form."""
State: TypeAlias = Mapping[str, tuple[int, int, int]]
"""Path of each file of a log -> size, time of change in nanoseconds, inode. Erasing and purging change these too."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page, when it was asked for, and the state of the files that it was made from; None if that is not known."""

    status: int
    html: str
    asked_at: float = 0
    state: State | None = None


_Question: TypeAlias = tuple[Asked, Page | None, "Future[Page]"]


@dataclass(slots=True, eq=False, weakref_slot=True)
class Pages:
    """Renders pages in a thread, one at a time, and keeps a limited number of them.

    A page counts for some seconds, and then for as long as no file has changed: its figures depend on nothing else.

    The thread is a daemon: when the process ends, a page in progress is abandoned. An executor would wait for its
    thread, for as long as a database takes.

    Args:
        make: renders the page for a question; may block, and never raises.
        state: returns the state of the files; may block.
        clock: returns seconds.
        is_over: tells whether the process is ending.
    """

    make: Callable[[Asked], Page]
    state: Callable[[], State | None]
    clock: Callable[[], float]
    is_over: Callable[[], bool] = lambda: not main_thread().is_alive()
    _pages: dict[Asked, Future[Page]] = field(default_factory=dict)
    _questions: SimpleQueue[_Question | None] = field(default_factory=SimpleQueue)
    _thread: Thread | None = None

    def after_fork(self) -> None:
        """Start empty in the child process, with no pages and no thread."""
        self._pages = {}
        self._questions = SimpleQueue()
        self._thread = None

    async def get(self, asked: Asked) -> Page | None:
        """Return the page for a question; None if too many are queued."""
        page = self._pages.get(asked)
        if page is None or self._is_old(page, KEPT_FOR):
            earlier = None if page is None else self._pages.pop(asked).result()
            self._make_room()
            if len(self._pages) >= MOST_PAGES:
                return None
            page = self._start(asked, earlier)
            self._pages[asked] = page
        # Cancelling one request must not cancel the page for others who wait for it.
        return await wait_for_result(page, shared=True)

    def _start(self, asked: Asked, earlier: Page | None) -> Future[Page]:
        # A future that belongs to no event loop: a thread sets it, and requests of several loops may wait for it.
        page: Future[Page] = Future()
        if self._thread is None:
            thread = Thread(target=self._work, name="report", daemon=True)
            thread.start()
            self._thread = thread  # only now: if starting failed, the next question tries again
            atexit.register(self._end, thread)
        self._questions.put((asked, earlier, page))
        return page

    def _work(self) -> None:
        while (question := self._questions.get()) and not self.is_over():
            asked, earlier, page = question
            made = self._make(asked, earlier)
            if not self.is_over():  # otherwise its event loop is gone too
                page.set_result(made)

    def _make(self, asked: Asked, earlier: Page | None) -> Page:
        now = self.clock()
        state = self.state()
        if earlier and state is not None and state == earlier.state:
            return replace(earlier, asked_at=now)
        made = self.make(asked)
        # What changed meanwhile may be in it or not.
        is_of_state = made.status == GOOD and self.state() == state
        return replace(made, asked_at=now, state=state if is_of_state else None)

    def _end(self, thread: Thread) -> None:
        self._questions.put(None)
        thread.join(_LONGEST_END)

    def _make_room(self) -> None:
        """Drop finished pages while there are too many, the old ones first."""
        for age in (KEPT_FOR, 0):
            for asked, page in list(self._pages.items()):
                if len(self._pages) >= MOST_PAGES and self._is_old(page, age):
                    del self._pages[asked]

    def _is_old(self, page: Future[Page], age: float) -> bool:
        # An age below 0 means that the clock was set back.
        return page.done() and not 0 <= self.clock() - page.result().asked_at < age


def state_of(path: Path | None, clock: Callable[[], float]) -> State | None:
    """Return what changes with the files of a log and of its counts.

    It is None for a database, whose changes are not seen, and if a file moves now or may change again unseen.
    """
    if path is None:
        return None
    settled = (clock() - SETTLED) * 1e9
    try:
        files = [source.path for log in (path, counts_path(path)) for source in sources(log)]
        statuses = {str(file): file.stat() for file in files}
    except FileNotFoundError:
        return None
    if any(status.st_mtime_ns > settled for status in statuses.values()):
        return None
    return {file: (status.st_size, status.st_mtime_ns, status.st_ino) for file, status in statuses.items()}
