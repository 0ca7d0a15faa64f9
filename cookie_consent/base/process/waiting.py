"""Waiting in a thread: for something to hold, and between tries of what fails."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

CHANCE = random.SystemRandom().random
"""Returns a random number from 0 to 1, and leaves the sequence alone that an app may have seeded with `random.seed`."""


def wait_until(
    holds: Callable[[], object], seconds: float, pause: float, sleep: Callable[[float], object] = time.sleep
) -> bool:
    """Wait until something holds; return whether it does within some time.

    Args:
        holds: says whether it does; it is called at once, and after each pause.
        seconds: how long at most; 0 to call it once.
        pause: how long between two calls (seconds).
        sleep: waits for seconds.
    """
    end = time.monotonic() + seconds
    for _ in range(round(seconds / pause)):
        if holds():
            return True
        if time.monotonic() >= end:
            return False
        sleep(pause)
    return bool(holds())


class Backoff:
    """The pauses between tries of what fails, each twice as long as the one before, times a random part of it.

    Args:
        first: the first one, at most (seconds).
        longest: how long they grow (seconds).
        chance: returns a number from 0 to 1, so that many who failed at once do not try again at once; 1 takes all.
    """

    def __init__(self, first: float, longest: float, chance: Callable[[], float] = CHANCE) -> None:
        self._first, self._longest, self._chance = first, longest, chance
        self.reset()

    def reset(self) -> None:
        """Begin with the first pause again: it no longer fails."""
        self._pause = 0.0

    def next_pause(self) -> float:
        """Return how long to wait for the next try (seconds)."""
        self._pause = min(max(2 * self._pause, self._first), self._longest)
        return self._pause * (0.5 + 0.5 * self._chance())
