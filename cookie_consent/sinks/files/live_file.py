"""The live file of an access log: several processes append to it, and any of them closes it when that is due."""

from __future__ import annotations

import bisect
import itertools
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cookie_consent.base.files import AT_ONCE, open_file, read_at
from cookie_consent.base.process import locking
from cookie_consent.base.process.forking import call_after_fork
from cookie_consent.sinks.files.locking import is_at
from cookie_consent.sinks.files.rotation import Rotation

_TRIES = 100


class LiveFile:
    """Appends lines with one call for each batch, so that those of several processes do not mix.

    It follows a file that is renamed away or removed. While it writes, it holds the file together with the others that
    do, so that nobody takes a file that was just closed for one that is whole. It never waits for that: only a closed
    file is held by somebody alone.

    Args:
        path: the file; it and its folders are made with the first line.
        rotation: closes it.
        closed: called after this process closed a file, or found it closed by another.
    """

    def __init__(self, path: Path, rotation: Rotation, closed: Callable[[], object]) -> None:
        self._path, self._rotation, self._closed = path, rotation, closed
        self._file: int | None = None
        self._torn = False
        self._written: list[Sequence[bytes]] = []
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have no open file: a lock on that of the parent would be the parent's."""
        self.close()
        self.settle()

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines, but not those that a call which raised has written before, until `settle` is called.

        Raises:
            OSError: not all could be written.
        """
        rest = self._not_yet_written(lines)
        if rest:
            with self._shared(sum(map(len, rest))) as file:
                self._write(file, rest)

    def settle(self) -> None:
        """Forget which lines were written: none of them comes again."""
        self._written.clear()

    def close(self) -> None:
        """Close the file; it is opened again with the next line."""
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
        # By us, by a process that was killed, or by one that is at it: then it is an empty line, which nobody minds.
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
        """Hold the live file together with the other processes that write to it; it is closed first where that is due.

        Args:
            more: what is about to be written (bytes).
        """
        for _ in range(_TRIES):
            file = self._opened()
            try:
                locking.lock(file, shared=True)
            except BlockingIOError:
                continue  # it was closed after we looked, and somebody compresses it
            try:
                if is_at(file, self._path) and not self._is_closed_now(file, more):
                    yield file
                    return
            finally:
                locking.unlock(file)
        raise BlockingIOError(f"{self._path} is locked by another program.")

    def _is_closed_now(self, file: int, more: int) -> bool:
        """Close the file if that is due; return whether it was, by this process or another."""
        if not self._rotation.is_due(os.fstat(file), more) or not self._rotation.close_if_due(more):
            return False
        self._closed()
        return True

    def _opened(self) -> int:
        """Return the open file; opens it again where its name now means another file, or none."""
        if self._file is not None and is_at(self._file, self._path):
            return self._file
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._torn = False
        readable = os.O_WRONLY if self._path.exists() and not self._path.is_file() else os.O_RDWR
        self._file = open_file(self._path, readable | os.O_APPEND | os.O_CREAT | AT_ONCE, 0o640)
        return self._file


def ends_in_a_torn_line(file: int) -> bool:
    """Return whether the last line of an open file has no end: somebody writes it, or was torn from it."""
    state = os.fstat(file)
    return stat.S_ISREG(state.st_mode) and state.st_size > 0 and read_at(file, 1, state.st_size - 1) != b"\n"


def _whole(lines: Sequence[bytes], done: int) -> Sequence[bytes]:
    """Return those of some lines that are whole in their first bytes."""
    ends = list(itertools.accumulate(map(len, lines)))
    return lines[: bisect.bisect_right(ends, done)]
