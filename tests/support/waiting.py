"""Waiting for what another thread, process or browser does."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

LONGEST_WAIT = 15.0
"""Seconds. A browser on a busy machine may take long."""
POLL = 0.02
_FEWEST_CALLS = 3

Found = TypeVar("Found")


def eventually(find: Callable[[], Found]) -> Found:
    """Call a function until its result is true, or the time is over; return the last result.

    It calls at least three times: a single call can take all the time, for example if a page is just going away.
    """
    end, calls = time.monotonic() + LONGEST_WAIT, 1
    while not (found := find()) and (time.monotonic() < end or calls < _FEWEST_CALLS):
        time.sleep(POLL)
        calls += 1
    return found


def wait_until(holds: Callable[[], object], seconds: float = 45, *, ignoring: tuple[type[Exception], ...] = ()) -> None:
    """Wait until a condition holds.

    Args:
        holds: returns whether it holds.
        seconds: how long to wait at most.
        ignoring: the exceptions of `holds` that count as "not yet".

    Raises:
        TimeoutError: the condition did not hold in time.
    """
    end = time.monotonic() + seconds
    while True:
        with suppress(*ignoring):
            if holds():
                return
        if time.monotonic() > end:
            raise TimeoutError(f"the condition did not hold within {seconds} seconds")
        time.sleep(POLL)
