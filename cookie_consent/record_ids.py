"""The unique ids of access records."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator

from cookie_consent.base.forking import call_after_fork

_PREFIX_BYTES = 12


class RecordIds:
    """Makes ids: something random of the process, and a number.

    Args:
        new_prefix: returns something random.
    """

    def __init__(self, new_prefix: Callable[[], str] = lambda: secrets.token_urlsafe(_PREFIX_BYTES)) -> None:
        self._new_prefix = new_prefix
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have no random text yet; that of the parent is the parent's."""
        self._made: tuple[bytes, Iterator[int]] | None = None

    def __call__(self) -> bytes:
        """Return an id that was never returned before, in any process."""
        made = self._made or self._make()
        return b"%b-%x" % (made[0], next(made[1]))

    def _make(self) -> tuple[bytes, Iterator[int]]:
        self._made = made = self._new_prefix().encode(), itertools.count()
        return made
