"""Tells which texts of clients are new, so that a log names each once, and shows them safely."""

from __future__ import annotations

import threading

from cookie_consent.base.limits import LONGEST_SHOWN


class FirstSeen:
    """Remembers texts of clients. Threads may share it.

    Args:
        most: the largest number of texts to remember. Further ones count as seen, so that the log stays short.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[str] = set()
        self._changes = threading.Lock()

    def is_new(self, text: str) -> bool:
        """Return whether a text comes for the first time, and remember it."""
        with self._changes:
            if text in self._seen or len(self._seen) >= self._most:
                return False
            self._seen.add(text)
            return True


def shown(text: str) -> str:
    """Return the beginning of a client's text, safe for a log: printable ASCII without quotes."""
    return ascii(text[:LONGEST_SHOWN])[1:-1].replace('"', "'")[:LONGEST_SHOWN]
