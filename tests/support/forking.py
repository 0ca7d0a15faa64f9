"""Calls the hook of a forked process in the process of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cookie_consent.base import threads as forking


@contextmanager
def fork_hook() -> Iterator[Callable[[], None]]:
    """Yield a function that resets what was made since, as `os.fork` does in the child.

    It leaves what other tests made: their threads would wait for a lost queue, and the process for these threads when
    it ends.
    """
    earlier = set(forking._forked)
    forking._forked.difference_update(earlier)
    try:
        yield forking.after_fork
    finally:
        forking._forked.update(earlier)
