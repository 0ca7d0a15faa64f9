"""Carries lines to a slow place in batches, off the event loop."""

from __future__ import annotations

import atexit
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable

_LONGEST_WAIT = 0.5
_BATCH = 256
_MOST_WAITING = 10_000
_CLOSING = 5.0

_log = logging.getLogger("cookie_consent")


class BatchWriter:
    """Hands lines to a function, in batches, on a thread of its own.

    A thread, since a disk or network that stalls must stall nothing else. It wakes twice a second while there are
    lines, or when a batch is full; it starts with the first line, so that it lives in the process that serves.

    Args:
        write_batch: writes lines; raises where it cannot. Its lines are then lost, and counted.
        place: where it writes to, for the warning.

    Attributes:
        counts: "written", "dropped_full" (more lines wait than may), "dropped_unwritable".
    """

    def __init__(self, write_batch: Callable[[list[bytes]], None], place: str) -> None:
        self._write_batch, self._place = write_batch, place
        self._lines: deque[bytes] = deque()
        self._some, self._many = threading.Event(), threading.Event()
        self._closing: deque[threading.Event] = deque()
        self._thread = threading.Thread(target=self._run)
        self._lock = threading.Lock()
        self._failing = False
        self.counts: Counter[str] = Counter()

    def put(self, line: bytes) -> None:
        """Take a line, or drop it if too many wait."""
        waiting = len(self._lines)
        if waiting >= _MOST_WAITING:
            self.counts["dropped_full"] += 1
            return
        self._lines.append(line)
        if not self._some.is_set():
            self._wake()
        elif waiting == _BATCH:
            self._many.set()

    def close(self) -> None:
        """Write what waits, for at most five seconds."""
        if self._thread.is_alive():  # it is from the first line on
            written = threading.Event()
            self._closing.append(written)
            self._some.set()
            self._many.set()
            written.wait(_CLOSING)

    def _wake(self) -> None:
        self._some.set()
        with self._lock:
            if not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
                self._thread.start()
                atexit.register(self.close)

    def _run(self) -> None:
        while True:
            self._some.wait()
            self._many.wait(_LONGEST_WAIT)
            self._many.clear()
            self._some.clear()  # before the lines are taken: a line that comes later sets it again
            closing = len(self._closing)
            self._drain()
            for _ in range(closing):
                self._closing.popleft().set()

    def _drain(self) -> None:
        while self._lines:
            batch = [self._lines.popleft() for _ in range(min(len(self._lines), _BATCH))]
            try:
                self._write_batch(batch)
            except Exception as error:  # noqa: BLE001 (whatever it is, it costs these records and not the thread)
                self.counts["dropped_unwritable"] += len(batch)
                self._warn_once(error)
            else:
                self.counts["written"] += len(batch)
                self._failing = False

    def _warn_once(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            _log.warning("Access records cannot be written to %s and are lost, counted: %s", self._place, error)
