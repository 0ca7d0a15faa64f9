"""The unique ids of access records."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable

_PREFIX_BYTES = 12
_forks = 0
"""How many forks made this process from the one that first read this module. Cheaper to ask for than its number is."""


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


class RecordIds:
    """Makes ids: something random of the process, and a number.

    Args:
        new_prefix: returns something random.
    """

    def __init__(self, new_prefix: Callable[[], str] = lambda: secrets.token_urlsafe(_PREFIX_BYTES)) -> None:
        self._new_prefix, self._made_in = new_prefix, -1

    def __call__(self) -> bytes:
        """Return an id that was never returned before, in any process."""
        if self._made_in != _forks:  # the first one, or a server has forked since
            self._prefix, self._numbers = self._new_prefix().encode(), itertools.count()
            self._made_in = _forks  # last: another thread goes by it
        return b"%b-%x" % (self._prefix, next(self._numbers))
