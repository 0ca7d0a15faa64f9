"""What is kept of what clients send stays bounded, and so do how often they may ask and how long they wait."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

LONGEST_KEPT = 256
"""Bytes or characters. What a client sends is kept only up to this length: as a key of a cache, or in a set."""
LONGEST_SHOWN = 100
"""Characters of what a client sends that stand in a log or a warning."""
LONGEST_WAIT = 5.0
"""Seconds after which a ledger counts as down."""
_MOST_COUNTED = 10_000
_REST = 1.0
"""For so long nothing is forgotten again: a flood of keys must not cost a look through all for each (seconds)."""
LONGEST_TAG = 35
"""Characters of a language tag that are read: room for all that are not extended (RFC 5646, section 4.4.1)."""
_log = logging.getLogger("cookie_consent")


def evict_if_full(kept: dict[Any, Any] | set[Any], most: int) -> None:
    """Empty what is kept if it is full. What is needed comes again soon, and nothing has to be kept in order."""
    if len(kept) >= most:
        kept.clear()


class RateLimit:
    """Counts what is done for each key, in windows of time.

    Ten thousand keys are counted. Where there are more, those go whose window is over, then those that have done least,
    and none that has to wait; as long as all have to, a further key is not counted.

    Args:
        most: how often it may be done in a window.
        seconds: how long a window is.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._counts: dict[str, tuple[float, int]] = {}
        self._forgot_at = -_REST

    def wait(self, key: str, now: float) -> float:
        """Count once more; return 0 if it may be done, else how many seconds to wait.

        Args:
            key: for whom it is done.
            now: seconds since 1970.
        """
        if len(key) > LONGEST_KEPT:
            key = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
        began, count = self._counts.get(key, (now, 0))
        if not 0 <= now - began < self._seconds:
            began, count = now, 0
        if count >= self._most:
            return self._seconds - (now - began)
        if count or key in self._counts or len(self._counts) < _MOST_COUNTED or self._forgets(now):
            self._counts[key] = (began, count + 1)
        return 0

    def _forgets(self, now: float) -> bool:
        """Forget those that have done least; return whether there is room now."""
        if 0 <= now - self._forgot_at < _REST:
            return False
        self._forgot_at = now
        running = [kept for kept in self._counts.items() if 0 <= now - kept[1][0] < self._seconds]
        running.sort(key=lambda kept: kept[1][1], reverse=True)
        waiting = sum(count >= self._most for _, (_, count) in running)
        self._counts = dict(running[: max(waiting, _MOST_COUNTED // 2)])
        return len(self._counts) < _MOST_COUNTED


def log_failure(what: str, error: Exception) -> None:
    """Log in one line that a ledger or sink failed: while it is down all requests fail, and the disk may be full.

    Args:
        what: what came of it, as a sentence without its full stop.
        error: why. Where it came from is logged too where the level is DEBUG.
    """
    why = str(error).partition("\n")[0]
    _log.error("%s: %s %s", what, type(error).__name__, why, exc_info=_log.isEnabledFor(logging.DEBUG) and error)
