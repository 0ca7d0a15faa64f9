"""The live file of an access log: processes append to it in turn. It is closed when its day is over or it is large.

Only who has the lock of a live file writes, blanks or renames it, and nobody holds the lock for longer than that takes.
If somebody is stopped meanwhile, the others take another live file: "access.jsonl", "access.2.jsonl" and so on.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cookie_consent.base import locking
from cookie_consent.base.clock import day_of, is_future
from cookie_consent.base.files import NONBLOCKING, read_at
from cookie_consent.base.messages import warn_once
from cookie_consent.sinks.files.closed_files import FileFormat, live_path, live_paths, next_path
from cookie_consent.sinks.files.locking import is_open_at

ROTATE_SIZE = 128 * 1024 * 1024
_TRIES = 100
_MOST_LIVE = 100
_TURN = 0.5
"""How long to wait for a live file (seconds). Its holder needs milliseconds unless it was stopped."""


@dataclass(frozen=True, slots=True)
class LiveFile:
    """Appends to a log, and closes its live file: "access.jsonl" is renamed "access-2026-11-25-0001.jsonl".

    On Windows no file is closed, because an open file cannot be renamed there.

    Args:
        path: the live file. It and its parent folders are created with the first line.
        size: the maximum size of the live file (bytes).
        clock: returns Unix time in seconds.
        closed: is called after a file was closed and its lock released.
    """

    path: Path
    size: int = ROTATE_SIZE
    clock: Callable[[], float] = time.time
    closed: Callable[[], object] = lambda: None

    def append(self, lines: Sequence[bytes], select: Callable[[Sequence[bytes]], Sequence[bytes]]) -> None:
        """Append lines, all or none.

        Args:
            lines: the lines.
            select: returns those to append, and is called with the lock held.

        Raises:
            OSError: nothing is written.
        """
        file = self._open(sum(map(len, lines)))
        before = os.fstat(file).st_size
        try:
            _write(file, select(lines))
        except BaseException:
            with suppress(OSError):  # a pipe or a device takes nothing back
                os.ftruncate(file, before)
            raise
        finally:
            os.close(file)

    def close_due(self) -> None:
        """Close the live files whose day is over."""
        for place in live_paths(self.path):
            is_closed = False
            with suppress(OSError), locking.hold_lock(place, os.O_RDWR | NONBLOCKING) as file:
                is_closed = is_open_at(file, place) and self._close_if_due(file, place, 0)
            if is_closed:
                self.closed()

    def _open(self, more: int) -> int:
        """Open a live file that nobody holds, lock it, and return it. It is closed before if that is due.

        Args:
            more: the size of the lines to append (bytes).
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, _MOST_LIVE):
            with suppress(BlockingIOError):
                return self._open_place(live_path(self.path, number), more)
        raise BlockingIOError(f"{self.path} is locked by another program.")

    def _open_place(self, place: Path, more: int) -> int:
        # A pipe or a device may allow writing only.
        access = os.O_WRONLY if place.exists() and not place.is_file() else os.O_RDWR
        for _ in range(_TRIES):
            file = locking.open_locked(place, access | os.O_APPEND | os.O_CREAT | NONBLOCKING, 0o640, wait=_TURN)
            if is_open_at(file, place) and not self._close_if_due(file, place, more):
                return file
            os.close(file)
            self.closed()
        raise BlockingIOError(f"{place} is renamed again and again.")

    def _close_if_due(self, file: int, place: Path, more: int) -> bool:
        """Close a locked live file if that is due; return whether it was closed.

        If it cannot be renamed, it grows on.
        """
        now, state = self.clock(), os.fstat(file)
        if not stat.S_ISREG(state.st_mode) or state.st_size == 0 or not locking.is_posix():
            return False
        day = day_of(min(state.st_mtime, now))  # no record is later, since each is written after its request came
        is_over = day < day_of(now) or is_future(state.st_mtime, now)
        if not is_over and state.st_size + more <= self.size:
            return False
        try:
            if place.is_symlink():  # the link would be renamed, not the file
                raise OSError("it is a symbolic link; name the file itself")
            with naming(self.path):
                os.rename(place, next_path(self.path, day, FileFormat.PLAIN))
        except BlockingIOError:  # another process was stopped while it had the lock
            return False
        except OSError as error:
            warn_once("logs that grow", str(place), f"{place} cannot be closed and grows on: {error}")
            return False
        return True


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Hold the lock for naming the closed files of a log, so that no two get one name; raise OSError if it is taken."""
    with locking.hold_lock(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o640, wait=_TURN):
        yield


def _write(file: int, lines: Sequence[bytes]) -> None:
    """Append lines. If a killed process left a part of a line, they begin after it."""
    rest = b"".join(lines)
    if rest and ends_in_a_torn_line(file):
        rest = b"\n%b" % rest
    while rest:
        rest = rest[os.write(file, rest) :]


def ends_in_a_torn_line(file: int) -> bool:
    """Return whether an open file does not end with a line feed."""
    state = os.fstat(file)
    return stat.S_ISREG(state.st_mode) and state.st_size > 0 and read_at(file, 1, state.st_size - 1) != b"\n"
