"""Waiting in a thread: for a condition, and between retries."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

RANDOM = random.SystemRandom().random
"""Returns a random number from 0 to 1, without advancing the generator that an app may have seeded."""


def wait_until(
    condition: Callable[[], object], seconds: float, pause: float, sleep: Callable[[float], object] = time.sleep
) -> bool:
    """Wait until a condition holds, and return whether it did in time.

    Args:
        condition: returns whether it holds. It is called at once and after each pause.
        seconds: the longest wait; 0 calls `condition` once.
        pause: seconds between two calls.
        sleep: waits for some seconds.
    """
    end = time.monotonic() + seconds
    for _ in range(round(seconds / pause)):
        if condition():
            return True
        if time.monotonic() >= end:
            return False
        sleep(pause)
    return bool(condition())


class Backoff:
    """Exponential backoff: pauses between retries that double, with jitter of up to half.

    Args:
        first: the first pause without jitter (seconds).
        longest: the longest pause (seconds).
        jitter: returns a number from 0 to 1 for the jitter, so that processes that failed together do not retry
            together; 1 means no jitter.
    """

    def __init__(self, first: float, longest: float, jitter: Callable[[], float] = RANDOM) -> None:
        self._first, self._longest, self._jitter = first, longest, jitter
        self.reset()

    def reset(self) -> None:
        """Start with the first pause again, after a success."""
        self._pause = 0.0

    def next_pause(self) -> float:
        """Return how long to wait before the next try (seconds)."""
        self._pause = min(max(2 * self._pause, self._first), self._longest)
        return self._pause * (0.5 + 0.5 * self._jitter())
