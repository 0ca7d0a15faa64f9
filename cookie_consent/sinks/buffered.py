"""Brings records to a store in batches, off the event loop, whatever the store does meanwhile."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import Any

from cookie_consent.base.process.forking import call_after_fork
from cookie_consent.base.process.waiting import CHANCE, Backoff
from cookie_consent.sinks.lines import oldest_kept
from cookie_consent.sinks.losses import Held
from cookie_consent.sinks.spill import Line, Spill
from cookie_consent.sinks.store import CannotEraseError, InvalidLinesError, Store

LONGEST_HELD = 1.0
"""Every process brings what it holds to the store, or to its spill file, within this time (seconds)."""
_FLUSH = 0.5
_PATIENCE = 1.0
"""How long a store may be down before what waits is spilled (seconds)."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
"""Between two tries; each pause is twice as long as the one before, times a random part of it (seconds)."""
_CLOSING = 5.0
_MOST_BYTES = 64 * 1024 * 1024
_log = logging.getLogger("cookie_consent")


class BufferedSink:
    """Hands lines to a store, in batches, on a thread of its own.

    A thread, since a disk or network that stalls must stall nothing else. It wakes twice a second while there are
    lines, or when a batch is full; it starts with the first line, so that it lives in the process that serves.

    While the store is down, the thread tries again after pauses; what waits goes to the spill file once that has
    lasted for a second, and from there to the store when it is back, also in the next process. Without a spill file
    it stays in memory, 64 MiB at most; what comes then is dropped, and counted.

    Args:
        store: where lines are kept.
        place: its name, for warnings.
        spill: the folder of spill files, which several processes may share; None for none.
        batch: how many lines the store is given at once, at most.
        most_bytes: how much memory lines may take while they wait.
        sleep: waits for seconds.
        chance: returns a number from 0 to 1.

    Attributes:
        local: what it keeps on this host: the folder of spill files, or its own file; None for nothing.
    """

    def __init__(  # noqa: PLR0913 (what a sink may set)
        self,
        store: Store,
        place: str,
        *,
        spill: str | PathLike[str] | None = None,
        batch: int = 1000,
        most_bytes: int = _MOST_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = CHANCE,
    ) -> None:
        self.store, self.place = store, place
        self.local = None if spill is None else Path(spill)
        self._counters: Counter[str] = Counter()
        self._held, self._spill = Held(place), Spill(spill) if spill is not None else None
        self._batch, self._most_bytes, self._sleep = batch, most_bytes, sleep
        self._failing_since: float | None = None
        self._backoff, self._next_try = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, chance), 0.0
        self._said, self._is_spill_said = "", False
        self._asked: deque[tuple[threading.Event, bool]] = deque()
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have no thread yet, and nothing that waits: that is for the parent to bring."""
        self._lines: deque[Line] = deque()
        self._tried: list[Line] = []
        self._bytes_in = self._bytes_out = 0
        self._some, self._many = threading.Event(), threading.Event()
        self._is_awake = False
        """Whether `_some` is set for what waits, or just was: a look at it costs a record no call."""
        self._asked.clear()
        if self._spill is not None:
            self._spill.after_fork()
        self._thread = threading.Thread(target=self._run)
        self._lock = threading.Lock()

    def write(self, line: bytes, *, is_record: bool = True) -> None:
        """Take a record, or drop it if too many wait."""
        size = len(line)
        if self._bytes_in - self._bytes_out + size > self._most_bytes:
            self._counters["dropped_full"] += 1
            return
        self._bytes_in += size
        self._held.numbers[0] += 1
        self._lines.append((is_record, line))
        if not self._is_awake:
            self._wake()
        elif len(self._lines) == self._batch:
            self._many.set()

    def count(self, line: bytes) -> None:
        """Take a count, likewise."""
        self.write(line, is_record=False)

    def close(self) -> None:
        """Bring what waits to the store, else to the spill file, for at most five seconds, and end connections."""
        self._bring_now(ends=True)

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor."""
        self._bring_now()
        yield from self.store.read(visitor_id)

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor, once other processes have brought what they hold."""
        is_brought = self._bring_now()
        self._sleep(LONGEST_HELD)
        spilled = self._spill.erase(visitor_id) if self._spill else 0
        try:
            erased = spilled + self.store.erase(visitor_id)
        except CannotEraseError:
            raise
        except Exception as error:
            why = str(error).strip().partition("\n")[0]
            raise CannotEraseError(
                f"Records may stay in {self.place}, which cannot be used: {why}. Erase again when it can."
            ) from error
        if not is_brought or (self._failing_since is not None and (self._tried or self._lines)):
            raise CannotEraseError(f"Records may still wait for {self.place}. Erase again when it can be written.")
        return erased

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove what is older than `keep`, also from spill files, and return how many records that are."""
        spilled = self._spill.purge(oldest_kept(now, keep), dry_run=dry_run) if self._spill else 0
        return spilled + self.store.purge(now, keep, dry_run=dry_run)

    def stats(self) -> Mapping[str, int]:
        """Return counters, and how many lines are "waiting".

        They are "written", "retried" (tries after one that failed), "spilled", "spill_failed" (tries to spill that
        failed: lines wait on in memory), "dropped_full" (more waits than may), "dropped_invalid" (the store can never
        keep them), "dropped_killed" (at most so many were lost with a process for the same place that was killed;
        whoever starts next counts them).
        """
        return {**self._counters, "waiting": len(self._lines) + len(self._tried)}

    def _bring_now(self, *, ends: bool = False) -> bool:
        """Have the thread bring what waits, and return whether it did within five seconds.

        Args:
            ends: whether it ends connections then. Others may be reading or erasing over them.
        """
        if not self._thread.is_alive():  # it is from the first line on
            return True
        brought = threading.Event()
        self._asked.append((brought, ends))
        self._some.set()
        self._many.set()
        return brought.wait(_CLOSING)

    def _wake(self) -> None:
        self._is_awake = True  # before the event: see `_run`
        self._some.set()
        with self._lock:
            if not self._thread.is_alive():
                self._count_lost(self._held.begin(len(self._lines) + len(self._tried)))
                self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
                self._thread.start()
                atexit.register(self._held.end)  # after what follows
                atexit.register(self.close)

    def _count_lost(self, lines: int) -> None:
        if lines:
            self._counters["dropped_killed"] += lines
            _log.warning("%d access records at most for %s were lost with a process that ended.", lines, self.place)

    # What follows runs on the thread.

    def _run(self) -> None:
        while True:
            self._some.wait()
            self._many.wait(_FLUSH)
            self._many.clear()
            # Both before the lines are taken, in this order: a line that comes later wakes the thread again.
            self._some.clear()
            self._is_awake = False
            asked = [self._asked.popleft() for _ in range(len(self._asked))]
            try:
                self._work(now=bool(asked))
                if any(ends for _, ends in asked):
                    self.store.close()
            except Exception as error:  # noqa: BLE001 (whatever it is, it must not end the thread)
                self._say_once(error)
            else:
                self._said = ""
            if self._is_behind():
                self._some.set()
            for brought, _ in asked:
                brought.set()

    def _say_once(self, error: Exception) -> None:
        """Log an error, but not again while it is always the same: it may come twice a second."""
        if repr(error) != self._said:
            self._said = repr(error)
            _log.error("Access records are held back by an error.", exc_info=error)

    def _is_behind(self) -> bool:
        return bool(self._tried) or (self._spill is not None and self._spill.is_waiting())

    def _work(self, *, now: bool) -> None:
        """Bring all that waits to the store if it may be tried, or has to be now; spill what it does not take."""
        if now or time.monotonic() >= self._next_try:
            self._bring()
        since = self._failing_since
        if since is not None and self._spill and (now or time.monotonic() - since >= _PATIENCE):
            self._spill_what_waits(self._spill)

    def _bring(self) -> None:
        while self._tried or self._lines:
            self._tried = self._tried or self._take()
            if not self._store(self._tried):
                return
            self._done()
        if self._spill is not None:
            for batch in self._spill.batches():
                if not self._store(batch):
                    return

    def _take(self) -> list[Line]:
        return [self._lines.popleft() for _ in range(min(len(self._lines), self._batch))]

    def _done(self) -> None:
        self._bytes_out += sum(len(line) for _, line in self._tried)
        self._held.numbers[1] += len(self._tried)
        self._tried = []

    def _store(self, batch: Sequence[Line]) -> bool:
        """Give a batch to the store; return whether that is settled."""
        if self._failing_since is not None:
            self._counters["retried"] += 1
        invalid = 0
        try:
            self.store.write(
                [line for is_record, line in batch if is_record], [line for is_record, line in batch if not is_record]
            )
        except InvalidLinesError as error:
            invalid = error.lines
            self._counters["dropped_invalid"] += invalid
            _log.warning("%d access records can never be written to %s and are lost: %s", invalid, self.place, error)
        except Exception as error:  # noqa: BLE001 (whatever a store raises, it is tried again)
            self._failed(error)
            return False
        self._counters["written"] += len(batch) - invalid
        self._failing_since, self._next_try, self._is_spill_said = None, 0.0, False
        self._backoff.reset()
        return True

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
            _log.warning("Access records cannot be written to %s; they wait, counted: %s", self.place, error)
        self._next_try = now + self._backoff.next_pause()

    def _spill_what_waits(self, spill: Spill) -> None:
        while self._tried or self._lines:
            self._tried = self._tried or self._take()
            try:
                spill.add(self._tried)
            except OSError as error:
                self._not_spilled(spill, error)
                return  # it waits on in memory, as far as there is room
            self._counters["spilled"] += len(self._tried)
            self._done()

    def _not_spilled(self, spill: Spill, error: OSError) -> None:
        self._counters["spill_failed"] += 1
        if not self._is_spill_said:  # since the store went away
            self._is_spill_said = True
            _log.warning(
                "Access records for %s cannot wait in %s; they wait in memory, as far as there is room: %s",
                self.place,
                spill.folder,
                error,
            )
