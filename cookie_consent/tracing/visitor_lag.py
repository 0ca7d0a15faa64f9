"""How much earlier than the truth the times of a visitor's access records are: they must not tell who answered."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

LONGEST_LAG = 15 * 60
"""Seconds: a quarter of an hour, so that few views change their hour, and fewer their day."""
_PURPOSE = b"visitor lag"
_DIGITS = 8


class VisitorLag:
    """Tells the lag of each visitor: always the same one, which nobody else can tell.

    So the order of a visitor's records and the time between them stay as they were.

    Args:
        secret_keys: those of our cookies, oldest first. The first one counts: it stays while a new one is brought in.
    """

    def __init__(self, secret_keys: str | Sequence[str]) -> None:
        first = secret_keys if isinstance(secret_keys, str) else secret_keys[0]
        self._key = blake2b(first.encode(), person=_PURPOSE).digest()

    def __call__(self, visitor_id: str) -> float:
        """Return the lag of a visitor in seconds."""
        digest = blake2b(visitor_id.encode(), digest_size=_DIGITS, key=self._key).digest()
        return LONGEST_LAG * int.from_bytes(digest, "big") / (1 << 8 * _DIGITS)
