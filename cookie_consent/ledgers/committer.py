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
Write = Callable[[Sequence[Entry]], list[str]]


class Committer:
    """Passes waiting records to a write function, many with one call.

    A commit takes as long for many records as for one, so a record waits for the running write and its own, not for
    each record before it. The thread starts with the first record, and so in a worker process, not in one that forks.

    Args:
        write: writes records and returns for each the stored one as JSON; raises if it stored none.
        shared_errors: errors that no single record can cause. They fail the whole batch.
        release: releases resources when the thread ends.
    """

    def __init__(
        self,
        write: Write,
        *,
        shared_errors: tuple[type[Exception], ...] = (OSError,),
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._write, self._shared_errors, self._release = write, shared_errors, release
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Start with an empty queue and no thread. The parent writes what was waiting."""
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(_MAX_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def put(self, entry: Entry) -> str:
        """Return the stored record once it is on disk.

        A record whose caller is cancelled is not written, unless its write has begun.

        Raises:
            queue.Full: too many records are waiting.
            Exception: whatever `write` raised.
        """
        stored: Future[str] = Future()
        self._waiting.put_nowait((entry, stored))
        self._start()
        return await wait_for_result(stored)

    def close(self) -> None:
        """Write what is waiting, and end the thread. A later record starts a new one."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            self._waiting.put(None)
            thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="consent-ledger", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._write_together():
            pass
        self._release()
        with self._lock:
            self._thread = None
        # A record may have been queued while this thread still counted as alive.
        if not self._waiting.empty():
            self._start()

    def _write_together(self) -> bool:
        """Write everything that is waiting, at least one record; return False if the thread should end."""
        batch = [self._waiting.get()]
        while len(batch) < _MAX_BATCH and not self._waiting.empty():
            batch.append(self._waiting.get())
        # Drops records whose callers were cancelled.
        self._settle([item for item in batch if item and item[1].set_running_or_notify_cancel()])
        return None not in batch

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
