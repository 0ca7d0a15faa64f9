"""Writes records to a database on its own thread, in batches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

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
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._writer = _make_writer()

    async def put(self, entry: Entry) -> str:
        """Return the stored record once it is on disk.

        A record whose caller is cancelled is not written, unless its write has begun.

        Raises:
            queue.Full: too many records are waiting.
            Exception: whatever `write` raised.
        """
        stored: Future[str] = Future()
        with self._lock:
            if len(self._waiting) >= _MAX_WAITING:
                raise queue.Full
            # First, so that nothing waits where no thread can be started.
            self._writer.submit(self._write_waiting)
            self._waiting.append((entry, stored))
        return await wait_for_result(stored)

    def close(self) -> None:
        """Write what is waiting, and end the thread. A later record starts a new one."""
        with self._lock:
            writer = self._writer
            self._writer = _make_writer()
        writer.shutdown()

    def _write_waiting(self) -> None:
        """Write one batch. There is none where an earlier batch had the record that this was called for."""
        with self._lock:
            batch = self._waiting[:_MAX_BATCH]
            del self._waiting[:_MAX_BATCH]
        # Drops records whose callers were cancelled.
        self._settle([item for item in batch if item[1].set_running_or_notify_cancel()])

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


def _make_writer() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "consent-ledger")
