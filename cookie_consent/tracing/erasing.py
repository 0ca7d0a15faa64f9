"""Erases what was recorded of visitors who withdraw their consent to it, while nobody waits."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from operator import itemgetter

from cookie_consent.base.daily import Daily
from cookie_consent.base.process.forking import call_after_fork
from cookie_consent.base.process.waiting import CHANCE, Backoff
from cookie_consent.sinks import Sink
from cookie_consent.sinks.optional import is_interruption
from cookie_consent.tracing.pending_erasures import MOST_NOTES, Undone

SETTLED = 20.0
"""Seconds after which no record that was made before is on its way any longer, also in other processes."""
LONGEST_RECORDED = 3600.0
"""A request that takes longer leaves no access record, so that the last erasure reaches all (seconds)."""
_MOST_THREADS = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 600.0
"""Between two tries while erasing fails; each pause is twice as long as the one before, times a random part of it
(seconds)."""
_CLOSING = 5.0
_log = logging.getLogger("cookie_consent")


class Erasing:
    """Erases each visitor's records at once, and twice more, until that is done.

    Another process may hold records that it has just made, and may be working on requests that leave one when they
    end. So it is done again after `SETTLED`, and `LONGEST_RECORDED` after that for the last time: then none can come.

    It does so on a few threads, which do not hold up the end of their process: each erasure looks through all that is
    kept, and who gives and withdraws consent again and again is to wait, and not to take the machine. Whose records
    are still to be erased is noted in a folder, and the next process goes on with that. Where erasing fails, one
    thread tries again, after pauses that grow.

    Args:
        sink: keeps the records.
        notes: the folder, which several processes may share; None for none.
        new_thread: makes a thread that runs a function.
        sleep: waits for seconds.
        chance: returns a number from 0 to 1.
    """

    def __init__(
        self,
        sink: Sink,
        notes: str | os.PathLike[str] | None = None,
        new_thread: Callable[..., threading.Thread] = threading.Thread,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = CHANCE,
    ) -> None:
        self._sink, self._undone, self._sleep, self._chance = sink, Undone(notes), sleep, chance
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, chance)
        self._notes = _Queue(
            "consent-erasing-notes", 1, lambda visitor_id, _: self._undone.note(visitor_id), new_thread
        )
        self._now = _Queue("consent-erasing", _MOST_THREADS, self._at_once, new_thread)
        self._later = _Queue("consent-erasing-again", 1, self._once_more, new_thread)
        self._last = _Queue("consent-erasing-last", 1, self._for_the_last_time, new_thread)
        self._daily = Daily(self._resume)
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have nothing to do, and no thread, in a process that was just forked: the other one does it."""
        for queue in (self._notes, self._now, self._later, self._last):
            queue.after_fork()

    def start(self, visitor_id: str) -> None:
        """Have a visitor's records erased; whoever calls does not wait. What cannot be erased is said in the log."""
        if self._is_noted(visitor_id, self._now):
            atexit.unregister(self.close)
            atexit.register(self.close)  # anew, so that it comes before the sink is closed
            self._now.put(visitor_id)

    def again(self, visitor_id: str) -> None:
        """Have a visitor's records, which were just erased, erased again when others may have come."""
        if self._is_noted(visitor_id, self._later):
            self._later.put(visitor_id, time.monotonic() + SETTLED)

    def run_if_due(self, now: float) -> None:
        """Go on with what other processes have left, if this one has not looked for a day; whoever calls does not wait.

        Args:
            now: seconds since 1970.
        """
        self._daily.run_if_due(now)

    def close(self) -> None:
        """Wait until what was started is erased, for at most five seconds; the next process goes on with the rest."""
        atexit.unregister(self.close)
        end = time.monotonic() + _CLOSING
        self._notes.wait(end)
        for visitor_id in self._now.wait(end):
            if not self._undone.is_kept(visitor_id):
                _say_they_stay(visitor_id, "the process ends")

    def _is_noted(self, visitor_id: str, queue: _Queue) -> bool:
        """Note a visitor who is for a queue; return False, and say so, where too many others wait in it."""
        if _is_full(queue, visitor_id):
            return False
        self._note(visitor_id)
        return True

    def _note(self, visitor_id: str) -> None:
        self._undone.add(visitor_id)
        self._notes.put(visitor_id)  # on a thread: a disk may stall

    def _resume(self, _: float) -> None:
        left, now = self._undone.left(), time.monotonic()
        waits = {visitor_id: LONGEST_RECORDED - age for visitor_id, age in left.items() if age is not None}
        for visitor_id in sorted(left.keys() - waits, key=lambda _: self._chance()):  # each process in its own order
            self._later.put(visitor_id, now + SETTLED)
        for visitor_id, wait in sorted(waits.items(), key=itemgetter(1)):
            self._last.put(visitor_id, now + min(max(SETTLED, wait), LONGEST_RECORDED))

    def _at_once(self, visitor_id: str, _: float) -> None:
        self._erase(visitor_id)
        if _is_full(self._later, visitor_id):
            self._undone.forget(visitor_id)
        else:
            self._note(visitor_id)  # anew: an earlier withdrawal may have been done with meanwhile
            self._later.put(visitor_id, time.monotonic() + SETTLED)

    def _once_more(self, visitor_id: str, due: float) -> None:
        if not self._is_erased(visitor_id, due, self._later):
            return
        if _is_full(self._last, visitor_id):
            self._undone.forget(visitor_id)
        else:
            self._undone.settle(visitor_id)
            self._last.put(visitor_id, time.monotonic() + LONGEST_RECORDED)

    def _for_the_last_time(self, visitor_id: str, due: float) -> None:
        if self._is_erased(visitor_id, due, self._last) and self._undone.is_settled(visitor_id):
            self._undone.remove(visitor_id)

    def _is_erased(self, visitor_id: str, due: float, queue: _Queue) -> bool:
        """Erase when it is due; return whether that is done, and nothing that comes before what follows still waits."""
        self._sleep(max(0.0, due - time.monotonic()))
        if self._undone.is_done(visitor_id):
            return False
        if self._erase(visitor_id):
            self._backoff.reset()
            # Whoever withdrew again meanwhile waits anew.
            return not any(visitor_id in waiting for waiting in (self._now, self._later, queue))
        queue.put(visitor_id)
        self._sleep(self._backoff.next_pause())
        return False

    def _erase(self, visitor_id: str) -> bool:
        """Erase a visitor's records; return whether that is done."""
        try:
            erased = self._sink.erase(visitor_id)
        except Exception as error:  # noqa: BLE001 (whatever a sink raises, the site's people have to know)
            if is_interruption(error):  # Python ends, which a thread that writes a log then could abort
                return False
            # The id is what the records are found by, and they are still there: with it the desk can erase them.
            _log.exception(
                "The access records of visitor %s, who withdrew, could not all be erased; it is tried again.",
                visitor_id,
            )
            return False
        _log.info("Erased %d access records of a visitor who withdrew.", erased)
        return True


class _Queue:
    """Visitors for whom threads do something, one after the other. A thread ends when there is nobody left.

    Args:
        name: of the threads.
        most_threads: how many there are at once.
        work: does it. It takes the visitor's id, and when it is due.
        new_thread: makes a thread that runs a function.
    """

    def __init__(
        self,
        name: str,
        most_threads: int,
        work: Callable[[str, float], None],
        new_thread: Callable[..., threading.Thread],
    ) -> None:
        self._name, self._most_threads, self._work, self._new_thread = name, most_threads, work, new_thread
        self.after_fork()

    def after_fork(self) -> None:
        """Hold nobody, and have no thread."""
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._at: dict[int, str] = {}
        self._threads = 0

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._due)

    def __contains__(self, visitor_id: str) -> bool:
        """Return whether a visitor waits."""
        return visitor_id in self._due

    def put(self, visitor_id: str, due: float = 0.0) -> None:
        """Have it done for a visitor, after the others; once, however often that is said before.

        Args:
            visitor_id: who.
            due: when (seconds, of `time.monotonic`).
        """
        with self._changed:
            self._due[visitor_id] = max(due, self._due.pop(visitor_id, due))
            if self._threads == self._most_threads:
                return
            self._threads += 1
        try:
            self._new_thread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError:  # the withdrawal holds all the same
            with self._changed:
                self._threads -= 1
            _log.exception("The access records of visitors who withdrew are erased later: no thread can be started.")

    def wait(self, end: float) -> list[str]:
        """Wait until it is done for all, until some time; return for whom it is not.

        Args:
            end: when to wait no longer (seconds, of `time.monotonic`).
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._threads, end - time.monotonic())
            return [*self._at.values(), *self._due]

    def _run(self) -> None:
        while found := self._next():
            try:
                self._work(*found)
            except Exception:  # noqa: BLE001 (the others are still to be done)
                _log.exception("The access records of visitor %s, who withdrew, may not all be erased.", found[0])

    def _next(self) -> tuple[str, float] | None:
        own = threading.get_ident()
        with self._changed:
            self._at.pop(own, None)
            if self._due:
                self._at[own] = next(iter(self._due))
                return self._at[own], self._due.pop(self._at[own])
            self._threads -= 1
            self._changed.notify_all()
            return None


def _is_full(queue: _Queue, visitor_id: str) -> bool:
    """Return whether too many others wait in a queue; say so."""
    if len(queue) < MOST_NOTES or visitor_id in queue:
        return False
    _say_they_stay(visitor_id, "too many others wait for it")
    return True


def _say_they_stay(visitor_id: str, why: str) -> None:
    _log.error("The access records of visitor %s, who withdrew, are not all erased: %s.", visitor_id, why)
