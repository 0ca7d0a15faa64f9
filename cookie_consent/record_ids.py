"""The unique ids of access records."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from cookie_consent.base.random_ids import AT_A_TIME, IdPool

_PREFIX_BYTES, _OWN_BYTES = 12, 8


class RecordIds(IdPool[bytes]):
    """Makes ids: something random of the process, which compresses well, and something random of the record.

    They do not go up: the order in which records were made would tell what their times do not. Many are made at a time:
    who asks the system for random bytes lets go of Python's lock, which costs most where another thread waits for it.

    Args:
        new_prefix: returns something random.
    """

    def __init__(self, new_prefix: Callable[[], str] = lambda: secrets.token_urlsafe(_PREFIX_BYTES)) -> None:
        self._prefix = b"%b-" % new_prefix().encode()
        super().__init__()

    def _make(self) -> list[bytes]:
        own, length = os.urandom(_OWN_BYTES * AT_A_TIME).hex().encode(), 2 * _OWN_BYTES
        return [self._prefix + own[at : at + length] for at in range(0, len(own), length)]
