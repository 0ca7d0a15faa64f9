"""Work that each serving process does once a day."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable

from cookie_consent.base.clock import DAY, HOUR, is_future, is_within

_FAR = 7 * DAY
_log = logging.getLogger("cookie_consent")


class Daily:
    """Runs a function once a day, in a thread.

    The first run of a process is at once. A later one waits for a call an hour after the one that found it due. So a
    clock that is far ahead for less causes no run.

    Args:
        run: the function, which takes the time in seconds since 1970.

    Attributes:
        ran: when this process last ran it (seconds since 1970); 0 for never.
    """

    def __init__(self, run: Callable[[float], None]) -> None:
        self._run, self.ran = run, 0.0
        self._due_at = math.inf
        self._thread: threading.Thread | None = None

    def run_if_due(self, now: float, *, again: bool = False) -> None:
        """Start a run if this process has had none for a day. This does not wait.

        Args:
            now: seconds since 1970.
            again: start it only if there was a run before. Calls on each request use this.
        """
        if (again and not self.ran) or 0 <= now - self.ran < DAY:  # first, because it needs no further call
            return
        if is_within(DAY, self.ran, now):
            return
        if self.ran:
            if not 0 <= now - self._due_at < _FAR:
                self._due_at = now
            if now - self._due_at < HOUR:
                return
        self._due_at = math.inf
        if is_future(self.ran, now):
            back = self.ran - now
            _log.warning("The clock was set back by %d seconds: what is done once a day is done again.", back)
        self.ran = now
        # A daemon: what it has not removed when the process ends is found by the next run.
        self._thread = threading.Thread(target=self._run, args=(now,), name="consent-retention", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait for the current run to end, if there is one."""
        if self._thread is not None:
            self._thread.join()
