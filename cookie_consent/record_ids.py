"""The unique ids of access records."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

_PREFIX_BYTES, _OWN_BYTES = 12, 8


class RecordIds:
    """Makes ids: something random of the process, which compresses well, and something random of the record.

    They do not go up: the order in which records were made would tell what their times do not.

    Args:
        new_prefix: returns something random.
    """

    def __init__(self, new_prefix: Callable[[], str] = lambda: secrets.token_urlsafe(_PREFIX_BYTES)) -> None:
        self._prefix = new_prefix().encode()

    def __call__(self) -> bytes:
        """Return an id that was never returned before, in any process."""
        return b"%b-%b" % (self._prefix, os.urandom(_OWN_BYTES).hex().encode())
