"""Erases the access records of visitors who withdrew their consent, in background threads."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from operator import itemgetter

from cookie_consent.base.clock import Daily
from cookie_consent.base.threads import RANDOM, Backoff, call_after_fork
from cookie_consent.sinks import Sink
from cookie_consent.sinks.optional import is_interruption
from cookie_consent.tracing.pending_erasures import MAX_NOTES, PendingErasures

SETTLED = 20.0
"""Seconds after which every earlier record has reached the sink, from other processes too."""
LONGEST_RECORDED = 3600.0
"""A request that takes longer (seconds) leaves no access record, so that the last erasure misses none."""
_MAX_THREADS = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 600.0
"""Pauses between tries while erasing fails (seconds). Each is twice the one before, times a random factor."""
_CLOSE_TIMEOUT = 5.0
_log = logging.getLogger("cookie_consent")


class Erasing:
    """Erases each visitor's records three times: at once, after `SETTLED`, and `LONGEST_RECORDED` after that.

    The second time reaches records that another process had not yet written. The third reaches requests that were still
    running; after it no more can come.

    Each erasure reads everything that is stored, so a few threads do it in turn. A visitor who keeps giving and
    withdrawing consent waits in a queue and cannot overload the machine. The threads do not keep the process alive:
    pending erasures are noted in a folder, and the next process continues with them. If erasing fails, one thread tries
    again after growing pauses.

    Args:
        sink: stores the records.
        notes: the folder for the notes, which several processes may share; None for none.
        new_thread: makes a thread, with the arguments of `threading.Thread`.
        sleep: waits for some seconds.
        jitter: returns a random number from 0 to 1.
    """

    def __init__(
        self,
        sink: Sink,
        notes: str | os.PathLike[str] | None = None,
        new_thread: Callable[..., threading.Thread] = threading.Thread,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = RANDOM,
    ) -> None:
        self._sink, self._pending, self._sleep, self._jitter = sink, PendingErasures(notes), sleep, jitter
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, jitter)
        self._notes = _Queue(
            "consent-erasing-notes", 1, lambda visitor_id, _: self._pending.note(visitor_id), new_thread
        )
        self._now = _Queue("consent-erasing", _MAX_THREADS, self._erase_first, new_thread)
        self._later = _Queue("consent-erasing-again", 1, self._erase_again, new_thread)
        self._last = _Queue("consent-erasing-last", 1, self._erase_last, new_thread)
        self._daily = Daily(self._resume)
        call_after_fork(self)

    def after_fork(self) -> None:
        """Empty the queues in a forked process: the parent erases."""
        for queue in (self._notes, self._now, self._later, self._last):
            queue.after_fork()

    def start(self, visitor_id: str) -> None:
        """Start to erase a visitor's records, without waiting. Failures are logged."""
        if self._note_unless_full(visitor_id, self._now):
            atexit.unregister(self.close)
            atexit.register(self.close)  # again, because the last registered runs first: before the sink is closed
            self._now.put(visitor_id)

    def again(self, visitor_id: str) -> None:
        """Schedule the later erasures for a visitor whose records were just erased by the caller."""
        if self._note_unless_full(visitor_id, self._later):
            self._later.put(visitor_id, time.monotonic() + SETTLED)

    def run_if_due(self, now: float) -> None:
        """Continue the erasures that other processes left, once a day, without waiting.

        Args:
            now: seconds since 1970.
        """
        self._daily.run_if_due(now)

    def close(self) -> None:
        """Wait for started erasures, for at most five seconds. The next process continues with the noted ones."""
        atexit.unregister(self.close)
        end = time.monotonic() + _CLOSE_TIMEOUT
        self._notes.wait(end)
        for visitor_id in self._now.wait(end):
            if not self._pending.is_kept(visitor_id):
                _log_not_erased(visitor_id, "the process ends")

    def _note_unless_full(self, visitor_id: str, queue: _Queue) -> bool:
        """Note a visitor as pending; return False, and log it, if too many others wait in the queue."""
        if _is_full(queue, visitor_id):
            return False
        self._note(visitor_id)
        return True

    def _note(self, visitor_id: str) -> None:
        self._pending.add(visitor_id)
        self._notes.put(visitor_id)  # in a thread, because a disk may stall

    def _resume(self, _: float) -> None:
        left, now = self._pending.left(), time.monotonic()
        waits = {visitor_id: LONGEST_RECORDED - age for visitor_id, age in left.items() if age is not None}
        # In random order, so that processes that resume at the same time share the work.
        for visitor_id in sorted(left.keys() - waits, key=lambda _: self._jitter()):
            self._later.put(visitor_id, now + SETTLED)
        for visitor_id, wait in sorted(waits.items(), key=itemgetter(1)):
            self._last.put(visitor_id, now + min(max(SETTLED, wait), LONGEST_RECORDED))

    def _erase_first(self, visitor_id: str, _: float) -> None:
        self._erase(visitor_id)
        if _is_full(self._later, visitor_id):
            self._pending.forget(visitor_id)
        else:
            self._note(visitor_id)  # again, because finishing an earlier withdrawal may have removed the note
            self._later.put(visitor_id, time.monotonic() + SETTLED)

    def _erase_again(self, visitor_id: str, due: float) -> None:
        if not self._is_erased(visitor_id, due, self._later):
            return
        if _is_full(self._last, visitor_id):
            self._pending.forget(visitor_id)
        else:
            self._pending.settle(visitor_id)
            self._last.put(visitor_id, time.monotonic() + LONGEST_RECORDED)

    def _erase_last(self, visitor_id: str, due: float) -> None:
        if self._is_erased(visitor_id, due, self._last) and self._pending.is_settled(visitor_id):
            self._pending.remove(visitor_id)

    def _is_erased(self, visitor_id: str, due: float, queue: _Queue) -> bool:
        """Erase when due; return whether that worked and the visitor waits in no earlier queue."""
        self._sleep(max(0.0, due - time.monotonic()))
        if self._pending.is_done(visitor_id):
            return False
        if self._erase(visitor_id):
            self._backoff.reset()
            # A visitor who withdrew again in the meantime is in an earlier queue.
            return not any(visitor_id in waiting for waiting in (self._now, self._later, queue))
        queue.put(visitor_id)
        self._sleep(self._backoff.next_pause())
        return False

    def _erase(self, visitor_id: str) -> bool:
        """Erase a visitor's records; return whether that worked."""
        try:
            erased = self._sink.erase(visitor_id)
        except Exception as error:  # noqa: BLE001 (whatever a sink raises, operators have to know)
            if is_interruption(error):  # the interpreter shuts down, and logging from a thread could crash it
                return False
            # The log names the id so that operators can find and erase the records, which still exist.
            _log.exception(
                "The access records of visitor %s, who withdrew, could not all be erased; it is tried again.",
                visitor_id,
            )
            return False
        _log.info("Erased %d access records of a visitor who withdrew.", erased)
        return True


class _Queue:
    """A queue of visitors, worked off by threads that end when it is empty.

    Args:
        name: the name of the threads.
        most_threads: the largest number of threads at once.
        work: the function to call, with the visitor's id and the time when it is due.
        new_thread: makes a thread, with the arguments of `threading.Thread`.
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
        """Start empty and without threads, when made and in a forked process."""
        self._changed = threading.Condition()
        self._due: dict[str, float] = {}
        self._in_work: dict[int, str] = {}  # thread -> visitor id
        self._threads = 0

    def __len__(self) -> int:
        """Return how many visitors wait."""
        return len(self._due)

    def __contains__(self, visitor_id: str) -> bool:
        """Return whether a visitor waits."""
        return visitor_id in self._due

    def put(self, visitor_id: str, due: float = 0.0) -> None:
        """Add a visitor at the end of the queue. One who is already in it moves there.

        Args:
            visitor_id: the visitor.
            due: when the work is due (seconds of `time.monotonic`).
        """
        with self._changed:
            self._due[visitor_id] = max(due, self._due.pop(visitor_id, due))
            if self._threads == self._most_threads:
                return
            self._threads += 1
        try:
            self._new_thread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError:  # no thread can start; the visitor stays in the queue
            with self._changed:
                self._threads -= 1
            _log.exception("The access records of visitors who withdrew are erased later: no thread can be started.")

    def wait(self, end: float) -> list[str]:
        """Wait until the queue is worked off; return the ids of the visitors that are left.

        Args:
            end: when to stop waiting (seconds of `time.monotonic`).
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._threads, end - time.monotonic())
            return [*self._in_work.values(), *self._due]

    def _run(self) -> None:
        while task := self._next():
            try:
                self._work(*task)
            except Exception:  # noqa: BLE001 (the next visitors must still be worked off)
                _log.exception("The access records of visitor %s, who withdrew, may not all be erased.", task[0])

    def _next(self) -> tuple[str, float] | None:
        thread = threading.get_ident()
        with self._changed:
            self._in_work.pop(thread, None)
            if self._due:
                self._in_work[thread] = next(iter(self._due))
                return self._in_work[thread], self._due.pop(self._in_work[thread])
            self._threads -= 1
            self._changed.notify_all()
            return None


def _is_full(queue: _Queue, visitor_id: str) -> bool:
    """Return whether too many others wait in a queue, and log that this visitor's records stay."""
    if len(queue) < MAX_NOTES or visitor_id in queue:
        return False
    _log_not_erased(visitor_id, "too many others wait for it")
    return True


def _log_not_erased(visitor_id: str, why: str) -> None:
    _log.error("The access records of visitor %s, who withdrew, are not all erased: %s.", visitor_id, why)
