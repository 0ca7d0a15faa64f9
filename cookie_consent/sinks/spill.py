"""Spill files: lines that a store could not take, in files that outlive their process."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from cookie_consent.base import locking
from cookie_consent.base.files import write_at
from cookie_consent.sinks.lines import append, blank_lines, is_of, is_open_at, time_of

Line = tuple[bool, bytes]
"""Whether it is a record (else a count), and the line."""
_MARKS = {True: b"r", False: b"c"}
_MAX_BYTES = 1024**3
_SUFFIX = ".spill"
_TURN = 0.5
"""How long to wait for somebody who appends (seconds)."""
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT


class Spill:
    """A folder of files with lines, each line after a letter for its kind.

    A process appends to a file of its own, and has its lock meanwhile. Whoever stores the lines of a file, of whichever
    process, has its lock until all are stored. Nothing is synced to the disk, so a line survives a killed process, but
    not a power failure in the next seconds. On Windows a file stays, empty.

    Args:
        folder: the folder of the files, shared by several processes. It is created with the first line, for its owner
            only.
        most_bytes: the most bytes of all files in the folder together, give or take a batch of each process.

    Attributes:
        folder: the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], most_bytes: int = _MAX_BYTES) -> None:
        self.folder = Path(folder)
        self._most_bytes = most_bytes
        self._own = self._new_path()
        self._taken: int | None = None
        """The descriptor of the file whose lines this process stores."""

    def after_fork(self) -> None:
        """Name another file. The parent stores the lines of the one that it has."""
        self._own = self._new_path()
        if self._taken is not None:
            os.close(self._taken)  # else it stays locked as long as this process runs
        self._taken = None

    def add(self, batch: Sequence[Line]) -> None:
        """Append a batch, all of it or nothing.

        Raises:
            OSError: the folder is full or not writable.
        """
        lines = [_MARKS[is_record] + line for is_record, line in batch]
        if sum(self._sizes().values()) + sum(map(len, lines)) > self._most_bytes:
            raise OSError(f"its files may have {self._most_bytes:,} bytes, and have them")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            with suppress(BlockingIOError), locking.hold_lock(self._own, _FLAGS) as file:
                if is_open_at(file, self._own):
                    append(file, lines)
                    return
            self._own = self._new_path()  # somebody stores the lines of that file

    def is_waiting(self) -> bool:
        """Return whether there are lines to store."""
        return bool(self._sizes())

    def batches(self, most: int) -> Iterator[list[Line]]:
        """Yield the lines of files that nobody else stores. A batch counts as stored when the next one is requested.

        Args:
            most: how many lines a batch has. A line that a kill tore is left out.
        """
        for path in self._sizes():
            try:
                file = locking.open_locked(path, os.O_RDWR)
            except OSError:  # somebody else stores its lines
                continue
            self._taken = file
            try:
                with os.fdopen(file, "rb") as lines:
                    yield from _batches(lines, most)
                    os.ftruncate(file, 0)
                    if locking.is_posix() and is_open_at(file, path):
                        path.unlink()
            finally:
                self._taken = None

    def erase(self, visitor_id: str) -> int:
        """Blank out a visitor's records in all files; return how many."""
        return self._blank(lambda line: is_of(visitor_id, line))

    def purge(self, before: str, *, dry_run: bool = False) -> int:
        """Blank out old lines in all files; return how many of them were records.

        Args:
            before: lines older than this time are old.
            dry_run: whether to only count.
        """
        return self._blank(lambda line: time_of(line) < before, dry_run=dry_run)

    def _blank(self, matches: Callable[[bytes], bool], *, dry_run: bool = False) -> int:
        records = 0
        for path in self._sizes():
            with suppress(FileNotFoundError), path.open("r+b") as file:
                with suppress(BlockingIOError):  # somebody stores its lines, and nobody appends any
                    locking.lock(file.fileno(), wait=_TURN)
                records += blank_lines(
                    file, lambda line: line.startswith(_MARKS[True]) and matches(line[1:]), dry_run=dry_run
                )
                file.seek(0)
                blank_lines(file, lambda line: matches(line[1:]), dry_run=dry_run)
        return records

    def _new_path(self) -> Path:
        return self.folder / f"{secrets.token_hex(8)}{_SUFFIX}"

    def _sizes(self) -> dict[Path, int]:
        """Return the files that have lines, with their sizes."""
        sizes: dict[Path, int] = {}
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            with suppress(FileNotFoundError):  # somebody has stored its lines
                if path.is_file() and (size := path.stat().st_size):
                    sizes[path] = size
        return sizes


def _batches(file: BinaryIO, most: int) -> Iterator[list[Line]]:
    """Yield the lines of a file in batches, and blank each that is stored, so that a kill repeats one batch at most."""
    start = 0
    while lines := list(islice(file, most)):
        if batch := [(line[:1] == _MARKS[True], line[1:]) for line in lines if line.strip() and line.endswith(b"\n")]:
            yield batch
        end = start + sum(map(len, lines))
        write_at(file.fileno(), b"\n".rjust(end - start), start)
        start = end
