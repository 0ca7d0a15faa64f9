"""Tells which texts of clients are new, so that a log names each once, and shows them safely."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakSet

from cookie_consent.base.limits import LONGEST_SHOWN

_forgetful: WeakSet[Any] = WeakSet()


def forget_with_others(forgetful: Any) -> None:
    """Have an object's method `forget` called by `forget_all`, while the object lives."""
    _forgetful.add(forgetful)


def forget_all() -> None:
    """Have what is told once be told again: for the tests of a site, which share their process."""
    for forgetful in list(_forgetful):
        forgetful.forget()


class FirstSeen:
    """Remembers texts of clients. Threads may share it.

    Args:
        most: the largest number of texts to remember. Further ones count as seen, so that the log stays short.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[str] = set()
        self._changes = threading.Lock()
        forget_with_others(self)

    def __contains__(self, text: str) -> bool:
        return text in self._seen

    def __len__(self) -> int:
        return len(self._seen)

    def forget(self) -> None:
        """Forget all texts."""
        with self._changes:
            self._seen.clear()

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
