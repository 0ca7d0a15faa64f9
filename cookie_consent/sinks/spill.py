"""Spill files: lines that a store could not take, in files that outlive their process."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cookie_consent.base import locking
from cookie_consent.base.files import write_at
from cookie_consent.sinks.lines import is_of, time_of

Line = tuple[bool, bytes]
"""Whether it is a record (else a count), and the line."""
_MARKS = {True: b"r", False: b"c"}
_MAX_BYTES = 1024**3
_SUFFIX = ".spill"


class Spill:
    """Writes batches of lines to a spill file of this process, and takes over the files of ended processes.

    A batch is stored as its lines, each after a letter for its kind, and an empty line. It is read back unchanged, so
    that a store that recognises repeated batches by content still does. If a kill tore the last line, the batch is read
    back without it. A process keeps its file locked.

    One thread may add batches while another reads them back: a file that is read back gets no more batches. Nothing is
    synced to the disk, so a batch survives a killed process, but not a power failure in the next seconds.

    Args:
        folder: the folder of the files, shared by several processes. It is created with the first line, for its owner
            only.
        most_bytes: the most bytes of all files in the folder together, give or take a batch of each process.

    Attributes:
        folder: the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], most_bytes: int = _MAX_BYTES) -> None:
        self.folder, self._most_bytes = Path(folder), most_bytes
        self._own: _SpillFile | None = None
        self._left: list[_SpillFile] | None = None
        """The files to read back; None before the folder was looked through."""
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """Release the parent's files."""
        for file in (*(self._left or ()), *((self._own,) if self._own else ())):
            file.close()
        self._own = self._left = None
        self._lock = threading.Lock()

    def add(self, batch: Sequence[Line]) -> None:
        """Append a batch.

        Raises:
            OSError: the folder is full or not writable.
        """
        data = b"".join(_MARKS[is_record] + line for is_record, line in batch) + b"\n"
        with self._lock:
            if sum(map(_size, self._paths())) + len(data) > self._most_bytes:
                raise OSError(f"its files may have {self._most_bytes:,} bytes, and have them")
            self._own = self._own or self._new_file()
            self._own.append(data)

    def is_waiting(self) -> bool:
        """Return whether there may be a batch to read back."""
        return self._own is not None or self._left is None or bool(self._left)

    def batches(self) -> Iterator[list[Line]]:
        """Yield the batches, oldest first within a file. A batch counts as stored when the next is requested."""
        while file := self._oldest():
            yield from file.batches()
            with self._lock:
                self._left = [other for other in self._left or () if other is not file]
            file.remove()

    def erase(self, visitor_id: str) -> int:
        """Blank out a visitor's records in all files; return how many."""
        return sum(_blank(path, lambda line: is_of(visitor_id, line)) for path in self._paths())

    def purge(self, before: str, *, dry_run: bool = False) -> int:
        """Blank out old lines in all files; return how many of them were records.

        Args:
            before: lines older than this time are old.
            dry_run: whether to only count.
        """
        return sum(_blank(path, lambda line: time_of(line) < before, dry_run=dry_run) for path in self._paths())

    def _oldest(self) -> _SpillFile | None:
        """Return the file to read back next, the one of this process last."""
        with self._lock:
            if self._left is None:
                self._left = [file for path in self._paths() if (file := _taken_over(path))]
            if not self._left and self._own is not None:
                self._left, self._own = [self._own], None
            return self._left[0] if self._left else None

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_SUFFIX}"))

    def _new_file(self) -> _SpillFile:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{secrets.token_hex(8)}{_SUFFIX}"
        return _SpillFile(path, locking.make_locked(path))


class _SpillFile:
    """A spill file that this process has locked.

    Args:
        path: the path.
        descriptor: the file, open for writing.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor, self._start = path, descriptor, 0

    def append(self, data: bytes) -> None:
        """Append all of the data or nothing."""
        end, rest = os.fstat(self._descriptor).st_size, data
        try:
            while rest:
                rest = rest[write_at(self._descriptor, rest, end + len(data) - len(rest)) :]
        except OSError:
            os.ftruncate(self._descriptor, end)
            raise

    def batches(self) -> Iterator[list[Line]]:
        """Yield the batches that were not stored yet."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:  # no cached data: lines may have been blanked since
            file.seek(self._start)
            batch: list[Line] = []
            while line := file.readline():
                if line != b"\n":
                    if line.endswith(b"\n") and not line.isspace():
                        batch.append((line.startswith(_MARKS[True]), line[1:]))
                    continue
                if batch:
                    yield batch
                self._start, batch = file.tell(), []
            if batch:
                yield batch

    def remove(self) -> None:
        """Delete the file, then unlock it."""
        if not locking.is_posix():
            self.close()  # Windows cannot remove an open file
        self._path.unlink(missing_ok=True)
        if locking.is_posix():
            self.close()  # last, so that no other process takes it over

    def close(self) -> None:
        """Unlock the file, so that another process can take it over."""
        os.close(self._descriptor)


def _taken_over(path: Path) -> _SpillFile | None:
    """Lock the file of an ended process and return it; None if that is alive or another process was faster."""
    # Another process may have stored its lines between our listing and our lock. Storing them again changes nothing.
    try:
        return _SpillFile(path, locking.open_locked(path, os.O_RDWR))
    except OSError:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # another process stored its lines meanwhile


def _blank(path: Path, matches: Callable[[bytes], object], *, dry_run: bool = False) -> int:
    """Overwrite matching lines of a file with spaces; return how many of them were records."""
    records = place = 0
    try:
        with path.open("r+b") as file:
            for line in file:
                if matches(line[1:]) and (line.endswith(b"\n") or _has_ended(file.fileno())):
                    records += line.startswith(_MARKS[True])
                    if not dry_run:
                        write_at(file.fileno(), b" " * len(line.rstrip(b"\n")), place)
                place += len(line)
    except FileNotFoundError:
        pass  # another process stored its lines meanwhile
    return records


def _has_ended(descriptor: int) -> bool:
    """Return whether the process that wrote a file has ended, so that its last line will not grow."""
    try:
        locking.lock(descriptor)
    except BlockingIOError:
        return False
    return True
