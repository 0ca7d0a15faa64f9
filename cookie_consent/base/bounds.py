"""Limits on what is kept of clients' input, on how often clients may call, and on how long they wait."""

from __future__ import annotations

import hashlib
from typing import TypeVar

LONGEST_KEPT = 256
"""Bytes or characters. Longer input of clients is not kept in caches or sets."""
LONGEST_WAIT = 5.0
"""Seconds after which a ledger that does not respond counts as down."""
_MAX_COUNTED = 10_000
_REST = 1.0
"""Seconds between two clean-ups, so that a flood of keys does not cause a clean-up for each."""
LONGEST_TAG = 35
"""Characters of a language tag that are read, enough for tags without extensions (RFC 5646, section 4.4.1)."""
Key = TypeVar("Key")
Value = TypeVar("Value")


class Cache(dict[Key, Value]):
    """Values by key, bounded in number and in the size of each. A full one is emptied: what is in use comes back soon.

    Args:
        most: the largest number of values.
        largest: the largest size of a value and its key. By default it is that of a client's short input.
    """

    def __init__(self, most: int, largest: int = LONGEST_KEPT) -> None:
        super().__init__()
        self._most = most
        self._largest = largest

    def keep(self, key: Key, value: Value, size: int = 0) -> Value:
        """Keep a value, unless its size (bytes or characters) is too large, and return it."""
        if size <= self._largest:
            if len(self) >= self._most:
                self.clear()
            self[key] = value
        return value


class RateLimit:
    """Limits how often something may be done for each key, in windows of time.

    At most ten thousand keys are counted. If there are more, keys whose window is over are dropped, then the keys with
    the lowest counts. A key that has reached the limit is never dropped; while all have, further keys are not counted.

    Args:
        most: how often it may be done in a window.
        seconds: the length of a window.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self._counts: dict[str, tuple[float, int]] = {}
        self._forgot_at = -_REST

    def wait(self, key: str, now: float) -> float:
        """Count one use; return 0 if it is allowed, else how many seconds to wait.

        Args:
            key: who uses it.
            now: seconds since 1970.
        """
        # A digest limits the memory that a long key takes.
        if len(key) > LONGEST_KEPT:
            key = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
        began, count = self._counts.get(key, (now, 0))
        # Below 0 the clock was set back. Then a new window begins.
        if not 0 <= now - began < self.seconds:
            began = now
            count = 0
        if count >= self.most:
            return self.seconds - (now - began)
        if count or key in self._counts or len(self._counts) < _MAX_COUNTED or self._makes_room(now):
            self._counts[key] = (began, count + 1)
        return 0

    def _makes_room(self, now: float) -> bool:
        """Drop finished windows and the lowest counts; return whether there is room now."""
        if 0 <= now - self._forgot_at < _REST:
            return False
        self._forgot_at = now
        running = [item for item in self._counts.items() if 0 <= now - item[1][0] < self.seconds]
        running.sort(key=lambda item: item[1][1], reverse=True)
        waiting = sum(count >= self.most for _, (_, count) in running)
        self._counts = dict(running[: max(waiting, _MAX_COUNTED // 2)])
        return len(self._counts) < _MAX_COUNTED
