"""The unique ids of access records."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from cookie_consent.base.forking import call_after_fork

_PREFIX_BYTES, _OWN_BYTES = 12, 8
_AT_A_TIME = 256


class RecordIds:
    """Makes ids: something random of the process, which compresses well, and something random of the record.

    They do not go up: the order in which records were made would tell what their times do not. Many are made at a time:
    who asks the system for random bytes lets go of Python's lock, which costs most where another thread waits for it.

    Args:
        new_prefix: returns something random.
    """

    def __init__(self, new_prefix: Callable[[], str] = lambda: secrets.token_urlsafe(_PREFIX_BYTES)) -> None:
        self._prefix = b"%b-" % new_prefix().encode()
        self._ids: list[bytes] = []
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have none: the parent returns those that it holds."""
        self._ids = []

    def __call__(self) -> bytes:
        """Return an id that was never returned before, in any process."""
        try:
            return self._ids.pop()
        except IndexError:
            own, length = os.urandom(_OWN_BYTES * _AT_A_TIME).hex().encode(), 2 * _OWN_BYTES
            self._ids = [self._prefix + own[at : at + length] for at in range(0, len(own), length)]
            return self._ids.pop()
