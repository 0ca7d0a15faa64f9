"""Lines in memory that wait for a store, and what moves them to a spill file if it does not take them in time."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from cookie_consent.sinks.losses import LossCounter
from cookie_consent.sinks.spill import Line, Spill


class LineBuffer:
    """Holds lines, oldest first. Writers append to `lines` without a lock; several threads may take lines.

    Args:
        losses: counts lines that are in memory no longer.

    Attributes:
        lines: the lines.
        bytes_in: the bytes of all lines that came in. Only writers change it.
        bytes_out: the bytes of those that left. Only threads that take lines change it, so that writers need no lock.
        lock: is held while lines are taken, or given back.
    """

    def __init__(self, losses: LossCounter) -> None:
        self.lines: deque[Line] = deque()
        self.bytes_in = self.bytes_out = 0
        self.lock = threading.Lock()
        self._losses = losses

    def take(self, most: int) -> list[Line]:
        """Take the oldest lines, at most so many. They count as held until `done`."""
        with self.lock:
            return [self.lines.popleft() for _ in range(min(len(self.lines), most))]

    def give_back(self, batch: Sequence[Line]) -> None:
        """Put lines back that were just taken."""
        with self.lock:
            self.lines.extendleft(reversed(batch))

    def done(self, batch: Sequence[Line]) -> None:
        """Count lines that are in memory no longer."""
        with self.lock:
            self.bytes_out += sum(len(line) for _, line in batch)
            self._losses.numbers[1] += len(batch)


TIMEOUT = 1.0
"""How long a store may fail, or hang, before buffered lines are spilled (seconds)."""
_log = logging.getLogger("cookie_consent")


class Overflow:
    """Spills lines, on a thread of its own while memory is half full or the store hangs.

    Args:
        spill: the spill file.
        place: the store's name in log messages.
        counters: counts "spilled" lines, and how often that "spill_failed".
        batch: the most lines to spill at once.
        relaxed_bytes: below this nothing has to be done about the buffer's size.
        sleep: waits for a number of seconds.

    Attributes:
        call_began: when the store was called, while it has not answered.
        is_logged: whether it is logged that the spill file takes nothing; once for each outage of the store.
    """

    def __init__(
        self,
        spill: Spill,
        place: str,
        counters: Counter[str],
        *,
        batch: int,
        relaxed_bytes: int,
        sleep: Callable[[float], None],
    ) -> None:
        self._spill, self._place, self._counters = spill, place, counters
        self._batch, self._relaxed_bytes, self._sleep = batch, relaxed_bytes, sleep
        self.is_logged = False

    def after_fork(self, buffer: LineBuffer) -> None:
        """Start without a thread, for a new buffer."""
        self._buffer = buffer
        self.call_began: float | None = None
        self._thread: threading.Thread | None = None
        """The thread while it moves lines."""
        self._spill.after_fork()

    def is_stuck(self) -> bool:
        """Return whether the store does not answer, so that lines get old in memory."""
        began = self.call_began
        return began is not None and time.monotonic() - began > TIMEOUT

    def start(self) -> None:
        """Start to move lines, unless the thread does so already."""
        with self._buffer.lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="access-log-spill", daemon=True)
                with suppress(RuntimeError):  # no thread can start now; the store may still take the lines
                    thread.start()
                    self._thread = thread

    def join(self, timeout: float) -> None:
        """Wait until the thread has spilled what it took: it is a daemon, and ends with the process."""
        if (thread := self._thread) is not None:
            thread.join(timeout)

    def spilled(self, batch: Sequence[Line]) -> bool:
        """Append a batch to the spill file; return False if that fails."""
        try:
            self._spill.add(batch)
        except (OSError, MemoryError) as error:
            self._failed(error)
            return False
        with self._buffer.lock:
            self._counters["spilled"] += len(batch)
        return True

    def spill_all(self) -> None:
        """Spill all lines of the buffer, as far as the spill file takes them."""
        while (batch := self._buffer.take(self._batch)) and self.spilled(batch):
            self._buffer.done(batch)

    def _failed(self, error: Exception) -> None:
        self._counters["spill_failed"] += 1
        if not self.is_logged:
            self.is_logged = True
            _log.warning(
                "Access records for %s cannot wait in %s; they wait in memory, as far as there is room: %s",
                self._place,
                self._spill.folder,
                error,
            )

    # The methods below run on the thread.

    def _run(self) -> None:
        is_over = False
        while not is_over:
            has_room = self._move()
            # Under the lock, so that a writer either leaves its lines to this thread or starts another.
            with self._buffer.lock:
                is_over = not has_room or self._held() <= self._relaxed_bytes
                if is_over:
                    self._thread = None

    def _move(self) -> bool:
        """Spill the oldest lines until memory is a quarter full; all if the store does not answer.

        Returns:
            False if the folder is full, or the disk.
        """
        enough = self._relaxed_bytes // 2
        while (self.is_stuck() or self._held() > enough) and (batch := self._buffer.take(self._batch)):
            if not self.spilled(batch):
                self._buffer.give_back(batch)
                self._sleep(TIMEOUT)
                return False
            self._buffer.done(batch)
        return True

    def _held(self) -> int:
        return self._buffer.bytes_in - self._buffer.bytes_out
