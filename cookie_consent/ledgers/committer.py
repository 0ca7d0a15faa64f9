"""Writes records to a database on its own thread, in batches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from cookie_consent.base.threads import call_after_fork, wait_for_result
from cookie_consent.ledgers.entry import Entry

_MAX_BATCH = 256
_MAX_WAITING = 2000
_Waiting = tuple[Entry, "Future[str]"]


class Committer:
    """Passes waiting records to a write function, many with one call.

    A commit takes as long for many records as for one, so a record waits for the running write and its own, not for
    each record before it. The thread starts with the first record, and ends when the committer is closed.

    Args:
        write: writes records and returns for each the stored one as JSON; raises if it stored none.
        shared_errors: errors that no single record can cause. They fail the whole batch.
    """

    def __init__(
        self, write: Callable[[Sequence[Entry]], list[str]], shared_errors: tuple[type[Exception], ...] = (OSError,)
    ) -> None:
        self._write = write
        self._shared_errors = shared_errors
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Start with an empty queue and no thread. The parent writes what was waiting."""
        self._changed = threading.Condition()
        self._is_closing = False
        self._waiting: list[_Waiting] = []
        self._thread: threading.Thread | None = None

    async def put(self, entry: Entry) -> str:
        """Return the stored record once it is on disk.

        A record whose caller is cancelled is not written, unless its write has begun.

        Raises:
            queue.Full: too many records are waiting.
            Exception: whatever `write` raised.
        """
        stored: Future[str] = Future()
        with self._changed:
            if len(self._waiting) >= _MAX_WAITING:
                raise queue.Full
            self._waiting.append((entry, stored))
            self._changed.notify()
            # One that could not be started is not alive.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="consent-ledger", daemon=True)
                self._thread.start()
        return await wait_for_result(stored)

    def close(self) -> None:
        """Write what is waiting, and end the thread. A later record starts a new one."""
        with self._changed:
            thread = self._thread
            self._is_closing = True
            self._changed.notify()
        if thread is not None:
            thread.join()
        self._is_closing = False

    def _run(self) -> None:
        while batch := self._take_batch():
            # Drops records whose callers were cancelled.
            self._settle([item for item in batch if item[1].set_running_or_notify_cancel()])

    def _take_batch(self) -> list[_Waiting]:
        """Wait for records and take them; if there are none, the thread has to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            batch = self._waiting[:_MAX_BATCH]
            del self._waiting[:_MAX_BATCH]
            if not batch:
                self._thread = None
        return batch

    def _settle(self, waiting: list[_Waiting]) -> None:
        """Write records and resolve their futures.

        If one of several records may have caused an error, each is retried alone, so that no record fails for another.
        """
        if not waiting:
            return
        try:
            stored = self._write([entry for entry, _ in waiting])
        except Exception as error:  # noqa: BLE001 (the callers get any error)
            if len(waiting) > 1 and not isinstance(error, self._shared_errors):
                for item in waiting:
                    self._settle([item])
            else:
                for _, future in waiting:
                    future.set_exception(error)
        else:
            for (_, future), text in zip(waiting, stored, strict=True):
                future.set_result(text)
