"""What is done once a day, by each process that serves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from cookie_consent.base.clock import DAY, is_future, is_within

_log = logging.getLogger("cookie_consent")


class Daily:
    """Does something once a day, on a thread of its own.

    Args:
        run: does it; takes seconds since 1970.

    Attributes:
        ran: when this process did it last (seconds since 1970); 0 for never.
    """

    def __init__(self, run: Callable[[float], None]) -> None:
        self._run, self.ran = run, 0.0
        self._thread: threading.Thread | None = None

    def run_if_due(self, now: float, *, again: bool = False) -> None:
        """Do it, if this process has not for a day; whoever calls does not wait.

        Args:
            now: seconds since 1970.
            again: do it only where this process has done it before; for what is called with each request.
        """
        if (again and not self.ran) or 0 <= now - self.ran < DAY:  # before all else: it costs a request no call
            return
        if is_within(DAY, self.ran, now):
            return
        if is_future(self.ran, now):
            back = self.ran - now
            _log.warning("The clock was set back by %d seconds: what is done once a day is done again.", back)
        self.ran = now
        self._thread = threading.Thread(target=self._run, args=(now,), name="consent-retention", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until a run that goes on has ended."""
        if self._thread is not None:
            self._thread.join()
