"""Carries records to a database on a thread of its own: those that come together are written together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from cookie_consent.base.process.event_loop import result_of
from cookie_consent.base.process.forking import call_after_fork
from cookie_consent.ledgers.entry import Entry

_MOST_TOGETHER = 256
_MOST_WAITING = 2000
_Waiting = tuple[Entry, "Future[str]"]
Write = Callable[[Sequence[Entry]], list[str]]


class Committer:
    """Hands records to a function that writes them to the disk, all those that wait with one call.

    A disk takes as long for one record as for many, and so does a lock; nobody waits longer for it than for the write
    before and the own. The thread starts with the first record, so that it lives in the process that serves.

    Args:
        write: writes records, and returns for each the one that is kept, as JSON; raises if none was written.
        for_all: the errors that no single record is to blame for: then all that were to be written together fail.
        let_go: lets go of what is open, at the end of the thread.
    """

    def __init__(
        self,
        write: Write,
        *,
        for_all: tuple[type[Exception], ...] = (OSError,),
        let_go: Callable[[], None] = lambda: None,
    ) -> None:
        self._write, self._for_all, self._let_go = write, for_all, let_go
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have nothing to write, and no thread: what waits is written by the parent."""
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    async def put(self, entry: Entry) -> str:
        """Return the record that is kept, once it is on the disk.

        One that nobody waits for any longer is not written, unless that has begun.

        Raises:
            queue.Full: too many wait.
            Exception: whatever the function raised.
        """
        kept: Future[str] = Future()
        self._waiting.put_nowait((entry, kept))
        self._start()
        return await result_of(kept)

    def close(self) -> None:
        """Write what waits, and end the thread. A record that comes later starts another."""
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
        self._let_go()
        with self._lock:
            self._thread = None
        if not self._waiting.empty():
            self._start()

    def _write_together(self) -> bool:
        """Write all that waits, at least one; return whether more may come."""
        together = [self._waiting.get()]
        while len(together) < _MOST_TOGETHER and not self._waiting.empty():
            together.append(self._waiting.get())
        # Those that nobody waits for any longer drop out here.
        self._settle([one for one in together if one and one[1].set_running_or_notify_cancel()])
        return None not in together

    def _settle(self, waiting: list[_Waiting]) -> None:
        """Write records, and tell those who wait; where one may be to blame, each by itself: none fails for another."""
        if not waiting:
            return
        try:
            kept = self._write([entry for entry, _ in waiting])
        except Exception as error:  # noqa: BLE001 (whatever it is, those who wait are told)
            if len(waiting) > 1 and not isinstance(error, self._for_all):
                for one in waiting:
                    self._settle([one])
            else:
                for _, future in waiting:
                    future.set_exception(error)
        else:
            for (_, future), text in zip(waiting, kept, strict=True):
                future.set_result(text)
