"""Counts the cookies that gates of this process hold back. They are plain numbers; nobody is traced."""

from __future__ import annotations

import threading
from collections.abc import Mapping

Key = tuple[str, str]
"""Direction ("request" or "response") and reason; see `Gate.reason_to_hold`."""


class HeldCookies:
    """Adds up held cookies. Threads may share it. There are few reasons, since the policy names them."""

    def __init__(self) -> None:
        self._totals: dict[Key, int] = {}
        self._changes = threading.Lock()

    def add(self, direction: str, reason: str, number: int) -> None:
        """Count cookies that were held back for the same reason."""
        with self._changes:
            self._totals[direction, reason] = self._totals.get((direction, reason), 0) + number

    def totals(self) -> Mapping[Key, int]:
        """Return the counts so far."""
        with self._changes:
            return dict(self._totals)


held_cookies = HeldCookies()
"""The held cookies of all middlewares of this process, for Prometheus."""
