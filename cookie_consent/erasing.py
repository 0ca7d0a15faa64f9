"""Erases what was recorded of visitors who withdraw their consent to it, while nobody waits."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from cookie_consent.sinks import Sink

_MOST_THREADS = 4
SETTLED = 20.0
"""Seconds after which no record of before is on its way: of a request that was still answered, of another process."""
_MOST_LATER = 10_000
_log = logging.getLogger("cookie_consent")


class Erasing:
    """Erases on a few threads, which end before their process does.

    Each visitor's erasure looks through all that is kept: who gives and withdraws consent again and again is to wait,
    and not to take the machine.

    Args:
        sink: keeps the records.
        new_thread: makes a thread that runs a function.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        sink: Sink,
        new_thread: Callable[..., threading.Thread] = threading.Thread,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sink, self._new_thread, self._sleep = sink, new_thread, sleep
        self._waiting: deque[str] = deque()
        self._threads = 0
        self._later: deque[tuple[float, str]] = deque(maxlen=_MOST_LATER)
        self._goes_on = False
        self._lock = threading.Lock()

    def start(self, visitor_id: str) -> None:
        """Have a visitor's records erased; whoever calls does not wait. What cannot be erased is said in the log."""
        with self._lock:
            if visitor_id not in self._waiting:  # it is, after two clicks say
                self._waiting.append(visitor_id)
            if self._threads == _MOST_THREADS:
                return
            self._threads += 1
        try:
            self._new_thread(target=self._run, name="consent-erasing").start()
        except RuntimeError:  # the withdrawal holds all the same
            with self._lock:
                self._threads -= 1
            _log.exception("The access records of visitors who withdrew are erased later: no thread can be started.")

    def again(self, visitor_id: str) -> None:
        """Have a visitor's records erased once more, when none can be on its way any longer."""
        with self._lock:
            self._later.append((time.monotonic() + SETTLED, visitor_id))
            begins, self._goes_on = not self._goes_on, True
        if begins:
            threading.Thread(target=self._run_later, name="consent-erasing-again", daemon=True).start()

    def _run(self) -> None:
        while visitor_id := self._next():
            self._erase(visitor_id)
            self.again(visitor_id)

    def _run_later(self) -> None:
        while True:
            with self._lock:
                if not self._later:
                    self._goes_on = False
                    return
                due, visitor_id = self._later.popleft()
            self._sleep(max(0.0, due - time.monotonic()))
            self._erase(visitor_id)

    def _next(self) -> str | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._threads -= 1
            return None

    def _erase(self, visitor_id: str) -> None:
        try:
            erased = self._sink.erase(visitor_id)
        except Exception:  # noqa: BLE001 (whatever a sink raises, the site's people have to know)
            # The id is what the records are found by, and they are still there: with it the desk can erase them.
            _log.exception("The access records of visitor %s, who withdrew, could not all be erased.", visitor_id)
            return
        _log.info("Erased %d access records of a visitor who withdrew.", erased)
