"""Erases the access records of visitors who withdrew their consent, in background threads."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from glob import glob
from pathlib import Path
from urllib.parse import quote, unquote

from cookie_consent.base.clock import Daily
from cookie_consent.base.files import open_file, sync_folder
from cookie_consent.base.messages import warn_once
from cookie_consent.base.threads import RANDOM, Backoff, call_after_fork
from cookie_consent.sinks import BufferedSink, Sink
from cookie_consent.sinks.optional import is_interruption

MOST = 10_000
"""How many visitors may wait, and how many may be noted."""
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 600.0
"""Pauses between tries while erasing fails (seconds). Each is twice the one before, times a random factor."""
_CLOSE_TIMEOUT = 5.0
_SUFFIX = ".id"
_log = logging.getLogger("cookie_consent")


class Erasing:
    """Erases visitors' records one after another. If that fails, it tries again after growing pauses.

    An erasure reads everything that is stored, so a visitor who keeps giving and withdrawing consent waits in a queue
    and cannot overload the machine. The thread does not keep the process alive: visitors are noted in a folder, and the
    next process continues with them.

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
        self._sink = sink
        self._notes = Notes(notes)
        self._jitter = jitter
        backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, jitter)
        self._noting = _Queue("consent-erasing-notes", self._note, new_thread)  # apart, because a disk may stall
        self._ending = _Queue("consent-ending", self._end, new_thread)
        self._erasing = _Queue("consent-erasing", self._erase, new_thread, lambda: sleep(backoff.next_pause()))
        self._backoff = backoff
        self._daily = Daily(self._resume)

    def start(self, visitor_id: str) -> None:
        """Start to erase a visitor's records, without waiting. Failures are logged."""
        if len(self._erasing.waiting) >= MOST and visitor_id not in self._erasing:
            _log_not_erased(visitor_id, "too many others wait for it")
            return
        atexit.unregister(self.close)
        atexit.register(self.close)  # again, because the last registered runs first: before the sink is closed
        self._erasing.put(visitor_id)
        self._noting.put(visitor_id)

    def end(self, visitor_id: str) -> None:
        """Let no process write late records of a visitor who withdrew, and whose earlier records stay."""
        self._ending.put(visitor_id)

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
        self._noting.wait(end)
        self._ending.wait(end)
        for visitor_id in self._erasing.wait(end):
            if not self._notes.has(visitor_id):
                _log_not_erased(visitor_id, "the process ends")

    def _resume(self, _: float) -> None:
        # In random order, so that processes that resume at the same time share the work.
        for visitor_id in sorted(self._notes.noted(), key=lambda _: self._jitter()):
            if self._notes.has(visitor_id) and visitor_id not in self._erasing:
                try:
                    self._erase(visitor_id)
                except Exception:  # noqa: BLE001 (the queue tries again, and logs what a sink raises)
                    self._erasing.put(visitor_id)

    def _note(self, visitor_id: str) -> None:
        if visitor_id in self._erasing:
            self._notes.add(visitor_id)
        if visitor_id not in self._erasing:  # it was erased in the meantime
            self._notes.remove(visitor_id)

    def _end(self, visitor_id: str) -> None:
        if isinstance(self._sink, BufferedSink):
            self._sink.end_visitor(visitor_id)

    def _erase(self, visitor_id: str) -> None:
        erased = self._sink.erase(visitor_id)
        _log.info("Erased %d access records of a visitor who withdrew.", erased)
        self._backoff.reset()
        self._erasing.forget(visitor_id)  # first: a note added from now on is removed by who adds it
        if visitor_id not in self._erasing.waiting:  # who withdrew again has a new note
            self._notes.remove(visitor_id)


class Notes:
    """Notes of visitors who are to be erased: a file for each, named after the id, in a folder that processes share.

    An id is personal data, so only their owner can read the folder and the files.

    Args:
        folder: the folder of the notes, made with the first note; None for no notes.
        most: how many notes the folder may contain.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, most: int = MOST) -> None:
        self._folder = None if folder is None else Path(folder)
        self._most = most

    def add(self, visitor_id: str) -> None:
        """Note a visitor. A failure is logged once; then only this process knows the visitor."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if len(os.listdir(self._folder)) >= self._most:
                raise OSError(f"it holds {self._most:,} notes, which is the most that it may")
            os.close(open_file(self._folder / _note_of(visitor_id), os.O_WRONLY | os.O_CREAT))
            sync_folder(self._folder)
        except (OSError, ValueError) as error:
            text = f"Pending erasures cannot be noted in {self._folder}: {error}"
            warn_once("pending erasures", str(self._folder), text)

    def has(self, visitor_id: str) -> bool:
        """Return whether a visitor has a note, which the next process will find. An unreadable folder has none."""
        return self._folder is not None and os.path.exists(self._folder / _note_of(visitor_id))

    def remove(self, visitor_id: str) -> None:
        """Remove the note of a visitor. If it stays, that only causes another erasure."""
        with suppress(OSError, ValueError):
            if self._folder is not None:
                (self._folder / _note_of(visitor_id)).unlink()

    def noted(self) -> list[str]:
        """Return the visitors noted by any process, running or not. Most often there is no folder."""
        names = [] if self._folder is None else glob(f"*{_SUFFIX}", root_dir=self._folder, include_hidden=True)
        return [unquote(name.removesuffix(_SUFFIX)) for name in names]


def _note_of(visitor_id: str) -> str:
    return f"{quote(visitor_id, safe='')}{_SUFFIX}"


class _Queue:
    """A queue of visitors, worked off by a thread that ends when it is empty.

    Args:
        name: the name of the thread.
        work: the function to call with the visitor's id. If it fails, it is called again.
        new_thread: makes a thread, with the arguments of `threading.Thread`.
        pause: waits before that.

    Attributes:
        waiting: the visitors who wait, in order.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[str], None],
        new_thread: Callable[..., threading.Thread],
        pause: Callable[[], None] = lambda: time.sleep(_FIRST_PAUSE),
    ) -> None:
        self._name = name
        self._work = work
        self._new_thread = new_thread
        self._pause = pause
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Start empty and without a thread, when made and in a forked process: the parent erases."""
        self._changed = threading.Condition()
        self.waiting: dict[str, None] = {}
        self._in_work = ""
        self._is_running = False

    def __contains__(self, visitor_id: str) -> bool:
        """Return whether a visitor waits or is worked on."""
        return visitor_id == self._in_work or visitor_id in self.waiting

    def put(self, visitor_id: str) -> None:
        """Add a visitor at the end of the queue. One who is already in it stays in place."""
        with self._changed:
            self.waiting[visitor_id] = None
            if self._is_running:
                return
            self._is_running = True
        try:
            self._new_thread(target=self._run, name=self._name, daemon=True).start()
        except RuntimeError:  # no thread can start; the visitor stays in the queue
            self._is_running = False
            _log.exception("The access records of visitors who withdrew are erased later: no thread can be started.")

    def forget(self, visitor_id: str) -> None:
        """Count a visitor as done, if worked on. One who waits again stays."""
        with self._changed:
            if self._in_work == visitor_id:
                self._in_work = ""

    def wait(self, end: float) -> list[str]:
        """Wait until the queue is worked off; return the ids of the visitors that are left.

        Args:
            end: when to stop waiting (seconds of `time.monotonic`).
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._is_running, end - time.monotonic())
            return [*filter(None, [self._in_work]), *self.waiting]

    def _run(self) -> None:
        while visitor_id := self._next():
            try:
                self._work(visitor_id)
            except Exception as error:  # noqa: BLE001 (whatever a sink raises, operators have to know)
                if not is_interruption(error):  # the interpreter shuts down, and logging from a thread could crash it
                    # The log names the id so that operators can find and erase the records, which still exist.
                    _log.exception(
                        "The access records of visitor %s, who withdrew, could not all be erased; it is tried again.",
                        visitor_id,
                    )
                self.put(visitor_id)
                self._pause()

    def _next(self) -> str:
        """Return the visitor to work on; "" if nobody waits, and then the thread ends."""
        with self._changed:
            self._in_work = next(iter(self.waiting), "")
            self.waiting.pop(self._in_work, None)
            if not self._in_work:
                self._is_running = False
                self._changed.notify_all()
            return self._in_work


def _log_not_erased(visitor_id: str, why: str) -> None:
    _log.error("The access records of visitor %s, who withdrew, are not all erased: %s.", visitor_id, why)
