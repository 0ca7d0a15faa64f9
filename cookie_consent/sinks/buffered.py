"""Buffers records and writes them to a store in batches, off the event loop."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from os import PathLike
from pathlib import Path
from traceback import format_exc
from typing import Any

from cookie_consent.base.messages import warn_once
from cookie_consent.base.threads import RANDOM, Backoff, call_after_fork
from cookie_consent.sinks.erased import SUFFIX, ErasedVisitors
from cookie_consent.sinks.lines import oldest_kept
from cookie_consent.sinks.losses import LossCounter
from cookie_consent.sinks.spill import Line, Spill
from cookie_consent.sinks.store import CannotEraseError, InvalidLinesError, Store

LONGEST_HELD = 1.0
"""How long a process may buffer a line before it reaches the store or a spill file (seconds)."""
_FLUSH_INTERVAL = 0.5
_TIMEOUT = 1.0
"""How long a store may fail, or hang, before lines in memory are spilled (seconds)."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
"""Bounds of the pause between retries (seconds). The bound doubles each time; the pause is a random part of it."""
_CLOSE_TIMEOUT = 5.0
_MAX_BYTES = 64 * 1024 * 1024
_log = logging.getLogger("cookie_consent")


class BufferedSink:
    """Writes lines to a store in batches, on its own thread.

    A thread keeps a slow disk or network away from the event loop. It starts with the first line, and so in a worker
    process, not in one that forks. It wakes twice a second while there are lines, and when a batch is full.

    If the store fails, the thread retries with growing pauses. After a second it moves buffered lines to a spill file.
    They go from there to the store when it works again, even from a later process. If the store is only slower than the
    writers, a second thread moves lines to the spill file while memory is half full. If a call of the store hangs for a
    second, it moves all. Without a spill folder, lines stay in memory, up to 64 MiB. Lines are dropped, and counted,
    only if memory is full.

    Args:
        store: where lines are written.
        place: the store's name in log messages.
        spill: the folder of spill files, which several processes may share; None for no spill files.
        batch: the most lines to pass to the store at once.
        most_bytes: the most memory for buffered lines.
        sleep: waits for a number of seconds.
        chance: returns a random number from 0 to 1.

    Attributes:
        local: the local path of this sink: its spill folder or file; None for none.
        erased_visitors: the list of erased visitors beside the local path; None if there is none.
    """

    def __init__(  # noqa: PLR0913 (options of a sink)
        self,
        store: Store,
        place: str,
        *,
        spill: str | PathLike[str] | None = None,
        batch: int = 1000,
        most_bytes: int = _MAX_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = RANDOM,
    ) -> None:
        self.store = store
        self.place = place
        self.local = None if spill is None else Path(spill)
        self.erased_visitors = None if spill is None else ErasedVisitors(Path(f"{spill}{SUFFIX}"))
        self._counters: Counter[str] = Counter()
        self._losses = LossCounter(place)
        self._spill = Spill(spill) if spill is not None else None
        self._batch = batch
        self._most_bytes = most_bytes
        self._sleep = sleep
        self._relaxed_bytes = most_bytes if spill is None else most_bytes // 2
        """Below this nothing has to be done about the lines in memory."""
        self._failing_since: float | None = None
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, chance)
        self._next_try = 0.0
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Start with an empty buffer and no thread. The parent writes what it buffered."""
        self._lines: deque[Line] = deque()
        """The lines in memory, oldest first. Writers append without a lock; threads take lines with it."""
        self._bytes_in = self._bytes_out = 0
        """The bytes of all lines that came, which only writers change, and of those that left memory."""
        self._pending: list[Line] = []
        """The batch in the hands of the store. It is tried again as it is."""
        self._has_lines, self._is_full = threading.Event(), threading.Event()
        self._is_awake = False
        """Whether `_has_lines` is set, or just was. Checking it costs no function call for each record."""
        self._flushes: deque[threading.Event] = deque()
        self._call_began: float | None = None
        """When the store was called, while it has not answered."""
        self._thread = threading.Thread(target=self._run)
        self._mover: threading.Thread | None = None
        """The thread that moves lines to the spill file, while it does."""
        self._lock = threading.Lock()
        if self._spill is not None:
            self._spill.after_fork()

    def write(self, line: bytes, *, is_record: bool = True) -> None:
        """Buffer a record, or drop it if the buffer is full."""
        size = len(line)
        held = self._bytes_in - self._bytes_out + size
        if held > self._relaxed_bytes and not self._has_room(held):
            return
        self._bytes_in += size
        self._losses.numbers[0] += 1
        self._lines.append((is_record, line))
        if not self._is_awake:
            self._wake()
        elif not len(self._lines) % self._batch:
            self._is_full.set()
            if self._is_stuck():
                self._start_to_move()

    def count(self, line: bytes) -> None:
        """Buffer a count, or drop it if the buffer is full."""
        self.write(line, is_record=False)

    def close(self) -> None:
        """Flush to the store, or else to the spill file, for some seconds at most, and close connections."""
        if (mover := self._mover) is not None:
            mover.join(_CLOSE_TIMEOUT)
        if self._flush_now():
            self.store.close()
        elif self._spill is not None:
            # The thread waits for the store, which may take its batch as well: a store keeps each line once.
            self._is_spilled([*self._pending])
            self._move(0)

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor."""
        self._flush_now()
        yield from self.store.read(visitor_id)

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor, after all processes have flushed; return how many."""
        is_flushed = self._flush_now()
        if self.erased_visitors is not None:
            self.erased_visitors.add(visitor_id, time.time())
        self._wait_for_others()
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
        if not is_flushed or (self._failing_since is not None and (self._pending or self._lines)):
            raise CannotEraseError(f"Records may still wait for {self.place}. Erase again when it can be written.")
        return erased

    def end_visitor(self, visitor_id: str) -> None:
        """Flush, then have no process of this host store what a visitor who withdrew asked for before. May block."""
        if self.erased_visitors is not None:
            if self._failing_since is None:  # else it would wait in vain, and the list must not wait
                self._flush_now()
            self.erased_visitors.add(visitor_id, time.time(), is_erased=False)

    def _wait_for_others(self) -> None:
        """Wait until other processes have stored what they took from memory before they knew of an erasure."""
        self._sleep(LONGEST_HELD)

    def _write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Write a batch to the store, without records of visitors who were erased meanwhile."""
        self.store.write(records if self.erased_visitors is None else self.erased_visitors.without(records), counts)

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove what is older than `keep`, also from spill files; return how many records."""
        if not dry_run and self.erased_visitors is not None:
            self.erased_visitors.purge(oldest_kept(now, keep)[:10])
        spilled = self._spill.purge(oldest_kept(now, keep), dry_run=dry_run) if self._spill else 0
        return spilled + self.store.purge(now, keep, dry_run=dry_run)

    def stats(self) -> Mapping[str, int]:
        """Return counters, and how many lines are "waiting".

        - "written": lines that the store has.
        - "retried": attempts after a failure.
        - "spilled": lines moved to a spill file.
        - "spill_failed": failed attempts to spill; the lines stay in memory.
        - "dropped_full": lines dropped because the buffer was full.
        - "dropped_invalid": lines that the store can never accept.
        - "dropped_killed": an upper bound of the lines lost with killed processes that wrote to the same place. The
          next process to start counts them.
        """
        return {**self._counters, "waiting": len(self._lines) + len(self._pending)}

    def _flush_now(self) -> bool:
        """Make the thread flush; return whether it did so within five seconds."""
        if not self._thread.is_alive():  # no line was ever written
            return True
        flushed = threading.Event()
        self._flushes.append(flushed)
        self._has_lines.set()
        self._is_full.set()
        return flushed.wait(_CLOSE_TIMEOUT)

    def _has_room(self, held: int) -> bool:
        """Return whether another line fits into memory, and start to move lines to the spill file.

        Args:
            held: the bytes of the buffer with that line.
        """
        if held > self._most_bytes:
            self._counters["dropped_full"] += 1
            return False
        self._start_to_move()
        return True

    def _is_stuck(self) -> bool:
        """Return whether the store does not answer, so that lines get old in memory."""
        began = self._call_began
        return began is not None and time.monotonic() - began > _TIMEOUT

    def _start_to_move(self) -> None:
        """Start to move lines to the spill file, unless a thread does so already."""
        with self._lock:
            if self._spill is not None and (self._mover is None or not self._mover.is_alive()):
                mover = threading.Thread(target=self._run_mover, name="access-log-spill", daemon=True)
                with suppress(RuntimeError):  # no thread can start now; the store may still take the lines
                    mover.start()
                    self._mover = mover

    def _wake(self) -> None:
        self._is_awake = True  # before the event: see `_run`
        self._has_lines.set()
        with self._lock:
            if not self._thread.is_alive():
                if lost := self._losses.begin(len(self._lines) + len(self._pending)):
                    self._counters["dropped_killed"] += lost
                    text = "%d access records at most for %s were lost with a process that ended."
                    _log.warning(text, lost, self.place)
                self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
                self._thread.start()
                atexit.register(self._losses.end)  # runs after `close`: last in, first out
                atexit.register(self.close)

    def _take(self) -> list[Line]:
        """Take the oldest lines out of memory. They count as held until they are `_done`."""
        with self._lock:
            return [self._lines.popleft() for _ in range(min(len(self._lines), self._batch))]

    def _done(self, batch: Sequence[Line]) -> None:
        with self._lock:
            self._bytes_out += sum(len(line) for _, line in batch)
            self._losses.numbers[1] += len(batch)

    def _is_spilled(self, batch: Sequence[Line]) -> bool:
        """Append a batch to the spill file; return False if that fails."""
        assert self._spill is not None  # noqa: S101 (callers check)
        try:
            self._spill.add(batch)
        except (OSError, MemoryError) as error:
            self._counters["spill_failed"] += 1
            text = (
                f"Access records for {self.place} cannot wait in {self._spill.folder}; they wait in memory, as far as "
                f"there is room: {error}"
            )
            warn_once("spill folders", f"{self._failing_since} {self.place}", text)  # once for each outage
            return False
        with self._lock:
            self._counters["spilled"] += len(batch)
        return True

    def _move(self, enough: int) -> bool:
        """Move the oldest lines to the spill file; return False if it takes no more.

        Args:
            enough: how many bytes may stay in memory, if the store answers.
        """
        while (self._is_stuck() or self._bytes_in - self._bytes_out > enough) and (batch := self._take()):
            if not self._is_spilled(batch):
                with self._lock:
                    self._lines.extendleft(reversed(batch))
                return False
            self._done(batch)
        return True

    def _run_mover(self) -> None:
        """Move lines until memory is a quarter full. If the folder takes no more, end after a second."""
        while True:
            if not (has_moved := self._move(self._relaxed_bytes // 2)):
                self._sleep(_TIMEOUT)
            with self._lock:  # a writer that fills memory now either sees no thread, or is seen here
                if not has_moved or self._bytes_in - self._bytes_out <= self._relaxed_bytes:
                    self._mover = None
                    return

    # The methods below run on the thread that writes to the store.

    def _run(self) -> None:
        while True:
            self._has_lines.wait()
            self._is_full.wait(_FLUSH_INTERVAL)
            self._is_full.clear()
            # Reset both before taking lines, in this order: a line that comes later then wakes the thread again.
            self._has_lines.clear()
            self._is_awake = False
            flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
            try:
                self._work(now=bool(flushes))
            except Exception as error:  # noqa: BLE001 (no error may end the thread)
                text = f"Access records are held back by an error.\n{format_exc()}"
                warn_once("errors of writers", repr(error), text)  # it may come again twice a second
            # In this order: lines that the other thread moves now are first in memory, and then in the spill file.
            is_held = bool(self._pending) or self._bytes_in > self._bytes_out
            if is_held or (self._spill is not None and self._spill.is_waiting()):
                self._has_lines.set()
            for flushed in flushes:
                flushed.set()

    def _work(self, *, now: bool) -> None:
        """Flush to the store if it is due for a try, or if `now`; spill what the store does not take."""
        if (now or time.monotonic() >= self._next_try) and self._is_drained() and self._spill is not None:
            for batch in self._spill.batches(self._batch):
                # New lines do not wait for old ones.
                if not (self._is_drained() and self._is_stored(batch)):
                    break
        since = self._failing_since
        if since is not None and self._spill is not None and (now or time.monotonic() - since >= _TIMEOUT):
            if self._pending and self._is_spilled(self._pending):
                self._done(self._pending)
                self._pending = []
            self._move(0)

    def _is_drained(self) -> bool:
        """Write the lines that are in memory now to the store; return False if it has to be retried."""
        for _ in range(2 + len(self._lines) // self._batch):
            self._pending = self._pending or self._take()
            if self._pending:
                if not self._is_stored(self._pending):
                    return False
                self._done(self._pending)
                self._pending = []
        return True

    def _is_stored(self, batch: Sequence[Line]) -> bool:
        """Write a batch to the store; return False if it has to be retried."""
        if self._failing_since is not None:
            self._counters["retried"] += 1
        invalid = 0
        self._call_began = time.monotonic()
        try:
            self._write(
                [line for is_record, line in batch if is_record], [line for is_record, line in batch if not is_record]
            )
        except InvalidLinesError as error:
            invalid = error.lines
            self._counters["dropped_invalid"] += invalid
            _log.warning("%d access records can never be written to %s and are lost: %s", invalid, self.place, error)
        except Exception as error:  # noqa: BLE001 (a store may raise anything; the batch is retried)
            now = time.monotonic()
            if self._failing_since is None:
                self._failing_since = now
                _log.warning("Access records cannot be written to %s; they wait, counted: %s", self.place, error)
            self._next_try = now + self._backoff.next_pause()
            return False
        finally:
            self._call_began = None
        self._counters["written"] += len(batch) - invalid
        self._failing_since, self._next_try = None, 0.0
        self._backoff.reset()
        return True
