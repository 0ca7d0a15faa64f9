"""The live file of an access log, which several processes append to and any of them may rotate."""

from __future__ import annotations

import bisect
import itertools
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cookie_consent.base import locking
from cookie_consent.base.files import NONBLOCKING, open_file, read_at
from cookie_consent.base.threads import call_after_fork
from cookie_consent.sinks.files.locking import is_open_at
from cookie_consent.sinks.files.rotation import Rotation

_TRIES = 100


class LiveFile:
    """Appends each batch of lines with one call, so that lines of several processes do not mix.

    It reopens a file that was renamed or removed. All writers share a lock while they write, so that nobody compresses
    a file that is still being written. Writing never waits for the lock: only closed files are locked exclusively.

    Args:
        path: the file. It and its parent folders are created with the first line.
        rotation: rotates the file.
        closed: is called after this process rotated the file, or found that another did.
    """

    def __init__(self, path: Path, rotation: Rotation, closed: Callable[[], object]) -> None:
        self._path, self._rotation, self._closed = path, rotation, closed
        self._file: int | None = None
        self._torn = False
        self._written: list[Sequence[bytes]] = []
        call_after_fork(self)

    def after_fork(self) -> None:
        """Close the file: the parent shares its descriptor and would share its locks."""
        self.close()
        self.settle()

    def append(self, lines: Sequence[bytes]) -> None:
        """Append lines. After an error, lines that were written already are skipped until `settle` is called.

        Raises:
            OSError: some lines are not written.
        """
        rest = self._not_yet_written(lines)
        if rest:
            with self._shared(sum(map(len, rest))) as file:
                self._write(file, rest)

    def settle(self) -> None:
        """Forget which lines were written, because none of them will be retried."""
        self._written.clear()

    def close(self) -> None:
        """Close the file. The next line opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _not_yet_written(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        if not self._written:
            return lines
        written = Counter(itertools.chain.from_iterable(self._written))
        rest = []
        for line in lines:
            if written[line] > 0:
                written[line] -= 1
            else:
                rest.append(line)
        return rest

    def _write(self, file: int, lines: Sequence[bytes]) -> None:
        # If another process is still writing that line, the line feed becomes a harmless empty line.
        torn = self._torn or ends_in_a_torn_line(file)
        data = (b"\n" if torn else b"") + b"".join(lines)
        done = 0
        try:
            while done < len(data):
                done += os.write(file, data[done:])
        finally:
            if done:
                self._torn = data[done - 1 : done] != b"\n"
                self._written.append(lines if done == len(data) else _whole(lines, done - torn))

    @contextmanager
    def _shared(self, more: int) -> Iterator[int]:
        """Yield the live file under a shared lock, after rotating it if that is due.

        Args:
            more: the size of the lines to append (bytes).
        """
        for _ in range(_TRIES):
            file = self._opened()
            try:
                locking.lock(file, shared=True)
            except BlockingIOError:
                continue  # it was just rotated, and another process is compressing it
            try:
                if is_open_at(file, self._path) and not self._is_closed_now(file, more):
                    yield file
                    return
            finally:
                locking.unlock(file)
        raise BlockingIOError(f"{self._path} is locked by another program.")

    def _is_closed_now(self, file: int, more: int) -> bool:
        """Rotate the file if that is due; return whether it was rotated, by this process or another."""
        if not self._rotation.is_due(os.fstat(file), more) or not self._rotation.close_if_due(more):
            return False
        self._closed()
        return True

    def _opened(self) -> int:
        """Return the open file; reopen it if its path now names another file, or none."""
        if self._file is not None and is_open_at(self._file, self._path):
            return self._file
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._torn = False
        # A pipe or a device may allow writing only.
        readable = os.O_WRONLY if self._path.exists() and not self._path.is_file() else os.O_RDWR
        self._file = open_file(self._path, readable | os.O_APPEND | os.O_CREAT | NONBLOCKING, 0o640)
        return self._file


def ends_in_a_torn_line(file: int) -> bool:
    """Return whether an open file does not end with a line feed: a write is running or was cut off."""
    state = os.fstat(file)
    return stat.S_ISREG(state.st_mode) and state.st_size > 0 and read_at(file, 1, state.st_size - 1) != b"\n"


def _whole(lines: Sequence[bytes], done: int) -> Sequence[bytes]:
    """Return the lines that end within the first `done` bytes."""
    ends = list(itertools.accumulate(map(len, lines)))
    return lines[: bisect.bisect_right(ends, done)]
