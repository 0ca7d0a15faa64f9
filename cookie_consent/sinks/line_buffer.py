"""Lines in memory that wait for a store."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from cookie_consent.sinks.losses import LossCounter
from cookie_consent.sinks.spill import Line


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
