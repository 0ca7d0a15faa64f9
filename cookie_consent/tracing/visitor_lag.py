"""Moves the times of a visitor's access records back, so that they do not reveal whose consent record is whose."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

LONGEST_LAG = 15 * 60
"""A quarter of an hour (seconds), so that few views move to another hour, and fewer to another day."""
_PURPOSE = b"visitor lag"
_DIGITS = 8


class VisitorLag:
    """Returns the lag of each visitor, which is constant and secret.

    Because it is constant, the order of a visitor's records and the time between them stay correct.

    Args:
        secret_keys: the keys of our cookies, oldest first. The first is used, since it stays while a new one is added.
    """

    def __init__(self, secret_keys: str | Sequence[str]) -> None:
        first = secret_keys if isinstance(secret_keys, str) else secret_keys[0]
        self._key = blake2b(first.encode(), person=_PURPOSE).digest()

    def __call__(self, visitor_id: str) -> float:
        """Return the lag of a visitor in seconds."""
        digest = blake2b(visitor_id.encode(), digest_size=_DIGITS, key=self._key).digest()
        return LONGEST_LAG * int.from_bytes(digest, "big") / (1 << 8 * _DIGITS)
