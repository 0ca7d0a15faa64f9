"""Lines that a store could not take, in files that outlive their process."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cookie_consent.base.files import write_at
from cookie_consent.base.process import locking
from cookie_consent.sinks.lines import is_of, time_of

Line = tuple[bool, bytes]
"""Whether it is a record (else a count), and the line."""
_MARKS = {True: b"r", False: b"c"}
_MOST_BYTES = 1024**3
_SUFFIX = ".spill"


class Spill:
    """Keeps batches of lines in a file of this process's own, and takes over the files of processes that ended.

    A batch is its lines, each after a letter for its kind, and an empty line: it comes back as it was given, so that
    a store that knows batches by their content knows it again. One that a kill cut off comes back without the line
    that is torn. Each file is locked for as long as its process lives.

    Args:
        folder: where the files are, of several processes; made when the first line comes, for its owner alone.
        most_bytes: how large all files in the folder may grow together, give or take a batch of each process.

    Attributes:
        folder: the same.
    """

    def __init__(self, folder: str | os.PathLike[str], most_bytes: int = _MOST_BYTES) -> None:
        self.folder, self._most_bytes = Path(folder), most_bytes
        self._own: _SpillFile | None = None
        self._left: list[_SpillFile] | None = None

    def after_fork(self) -> None:
        """Let go of the files of the process that this one was just forked from."""
        for file in (*(self._left or ()), *((self._own,) if self._own else ())):
            file.close()
        self._own = self._left = None

    def add(self, batch: Sequence[Line]) -> None:
        """Keep a batch.

        Raises:
            OSError: the folder is full, or cannot be written.
        """
        data = b"".join(_MARKS[is_record] + line for is_record, line in batch) + b"\n"
        if sum(map(_size, self._paths())) + len(data) > self._most_bytes:
            raise OSError(f"its files may have {self._most_bytes:,} bytes, and have them")
        self._own = self._own or self._new_file()
        self._own.append(data)

    def is_waiting(self) -> bool:
        """Return whether there may be a batch to come back."""
        return self._own is not None or self._left is None or bool(self._left)

    def batches(self) -> Iterator[list[Line]]:
        """Yield the batches, oldest first within a file. One is forgotten when the next is asked for."""
        if self._left is None:
            self._left = [file for path in self._paths() if (file := _taken_over(path))]
        while self._left:
            yield from self._left[0].batches()
            self._left.pop(0).remove()
        if self._own is not None:
            yield from self._own.batches()
            done, self._own = self._own, None
            done.remove()

    def erase(self, visitor_id: str) -> int:
        """Blank a visitor's records in all files, where they stand, and return how many there were."""
        return sum(_blank(path, lambda line: is_of(visitor_id, line)) for path in self._paths())

    def purge(self, before: str, *, dry_run: bool = False) -> int:
        """Blank what is old in all files, likewise, and return how many records that are.

        Args:
            before: what was written before this time is old.
            dry_run: only count.
        """
        return sum(_blank(path, lambda line: time_of(line) < before, dry_run=dry_run) for path in self._paths())

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{_SUFFIX}"))

    def _new_file(self) -> _SpillFile:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{secrets.token_hex(8)}{_SUFFIX}"
        return _SpillFile(path, locking.make_locked(path))


class _SpillFile:
    """A file that this process holds the lock of.

    Args:
        path: where it is.
        descriptor: the same, open for writing.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor, self._start = path, descriptor, 0

    def append(self, data: bytes) -> None:
        """Write at the end, all or nothing."""
        end, rest = os.fstat(self._descriptor).st_size, data
        try:
            while rest:
                rest = rest[write_at(self._descriptor, rest, end + len(data) - len(rest)) :]
        except OSError:
            os.ftruncate(self._descriptor, end)
            raise

    def batches(self) -> Iterator[list[Line]]:
        """Yield the batches that were not yet brought home."""
        with os.fdopen(os.dup(self._descriptor), "rb") as file:  # anew: lines may have been blanked since the last time
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
        """Delete the file, and let go of its lock."""
        if not locking.is_posix():
            self.close()  # Windows removes no open file
        self._path.unlink(missing_ok=True)
        if locking.is_posix():
            self.close()  # last: until then nobody takes it over

    def close(self) -> None:
        """Let go of the lock, as the end of the process does: the next one takes the file over."""
        os.close(self._descriptor)


def _taken_over(path: Path) -> _SpillFile | None:
    """Return the file of a process that ended, now locked by this one; None where that lives or another was faster."""
    # It may have been brought home between our look into the folder and our lock. Then it comes to the store once more,
    # which changes nothing there.
    try:
        return _SpillFile(path, locking.open_locked(path, os.O_RDWR))
    except OSError:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # it was brought home meanwhile


def _blank(path: Path, which: Callable[[bytes], object], *, dry_run: bool = False) -> int:
    """Overwrite lines in one file with spaces; return how many of them are records."""
    found = place = 0
    try:
        with path.open("r+b") as file:
            for line in file:
                if which(line[1:]) and (line.endswith(b"\n") or _has_ended(file.fileno())):
                    found += line.startswith(_MARKS[True])
                    if not dry_run:
                        write_at(file.fileno(), b" " * len(line.rstrip(b"\n")), place)
                place += len(line)
    except FileNotFoundError:
        pass  # it was brought home meanwhile
    return found


def _has_ended(descriptor: int) -> bool:
    """Return whether the process has ended whose file this is; nobody goes on with a line then."""
    try:
        locking.lock(descriptor, shared=True)
    except BlockingIOError:
        return False
    return True
