"""Lines that a store could not take, in files that outlive their process."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from cookie_consent.sinks.lines import record_of

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
        most_bytes: how large this process's file may grow.
    """

    def __init__(self, folder: str | os.PathLike[str], most_bytes: int = _MOST_BYTES) -> None:
        self._folder, self._most_bytes = Path(folder), most_bytes
        self._own: _SpillFile | None = None
        self._left: list[_SpillFile] | None = None

    def add(self, batch: Sequence[Line]) -> bool:
        """Keep a batch; return False where the file is full or cannot be written."""
        data = b"".join(_MARKS[is_record] + line for is_record, line in batch) + b"\n"
        try:
            self._own = self._own or self._new_file()
            return self._own.append(data, self._most_bytes)
        except OSError:
            return False

    def is_waiting(self) -> bool:
        """Return whether there may be a batch to come back."""
        return self._own is not None or self._left is None or bool(self._left)

    def batches(self) -> Iterator[list[Line]]:
        """Yield the batches, oldest first within a file. One is forgotten when the next is asked for."""
        if self._left is None:
            self._left = [file for path in sorted(self._folder.glob(f"*{_SUFFIX}")) if (file := _taken_over(path))]
        while self._left:
            yield from self._left[0].batches()
            self._left.pop(0).remove()
        if self._own is not None:
            yield from self._own.batches()
            self._own.remove()
            self._own = None

    def erase(self, visitor_id: str) -> int:
        """Blank a visitor's records in all files, where they stand, and return how many there were."""
        return sum(_blank(path, visitor_id) for path in sorted(self._folder.glob(f"*{_SUFFIX}")))

    def _new_file(self) -> _SpillFile:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{secrets.token_hex(8)}{_SUFFIX}"
        new = path.with_suffix(".new")  # nobody takes it for one left behind before it is locked
        descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with ExitStack() as unless_done:
            unless_done.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(path)
            unless_done.pop_all()
        return _SpillFile(path, descriptor)


class _SpillFile:
    """A file that this process holds the lock of.

    Args:
        path: where it is.
        descriptor: the same, open for writing.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor, self._start = path, descriptor, 0

    def append(self, data: bytes, most_bytes: int) -> bool:
        """Write at the end, all or nothing; return whether there was room."""
        end = os.fstat(self._descriptor).st_size
        if end + len(data) > most_bytes:
            return False
        rest = data
        try:
            while rest:
                rest = rest[os.pwrite(self._descriptor, rest, end + len(data) - len(rest)) :]
        except OSError:
            os.ftruncate(self._descriptor, end)
            raise
        return True

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
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _taken_over(path: Path) -> _SpillFile | None:
    """Return the file of a process that ended, now locked by this one; None where that lives or another was faster."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    # It may have been brought home between our look into the folder and our lock. Then it comes to the store once more,
    # which changes nothing there.
    return _SpillFile(path, descriptor)


def _blank(path: Path, visitor_id: str) -> int:
    """Overwrite a visitor's records in one file with spaces."""
    erased, end = 0, 0
    try:
        with path.open("r+b") as file:
            for line in file:
                end += len(line)
                if line.endswith(b"\n") and record_of(visitor_id, line[1:]):
                    os.pwrite(file.fileno(), b" " * (len(line) - 1), end - len(line))
                    erased += 1
    except FileNotFoundError:
        return erased  # it was brought home meanwhile
    return erased
