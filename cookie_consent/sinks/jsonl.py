"""Access records in a JSON Lines file that several processes may share."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from cookie_consent.sinks.batch import BatchWriter

_OTHERS_WAIT = 1.0
"""Every process writes what it holds within this time (seconds)."""


class JsonLinesSink:
    """Appends records to a file, whole batches with one call, so that the lines of several processes do not mix.

    It follows a file that is renamed away (log rotation), and blanks erased records where they stand, so that no
    process that appends is disturbed: a reader skips lines of spaces.

    Args:
        path: the file; it and its folders are made when the first record comes.
        sleep: waits for seconds.
    """

    def __init__(self, path: str | os.PathLike[str], sleep: Callable[[float], None] = time.sleep) -> None:
        self.path = Path(path)
        self._sleep = sleep
        self._file: int | None = None
        self._torn = False
        self._writer = BatchWriter(self._append, str(self.path))
        self.write = self._writer.put
        self.close = self._writer.close

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor that are in the file."""
        self.close()
        if self.path.is_file():
            with self.path.open("rb") as file:
                yield from (record for _, line in _whole_lines(file) if (record := _record_of(visitor_id, line)))

    def erase(self, visitor_id: str) -> int:
        """Blank the records of a visitor; looks again once other processes have written what they hold."""
        self.close()
        erased, end = self._blank(visitor_id, 0)
        self._sleep(_OTHERS_WAIT)
        return erased + self._blank(visitor_id, end)[0]

    def stats(self) -> Mapping[str, int]:
        """Return counters."""
        return dict(self._writer.counts)

    def _append(self, lines: list[bytes]) -> None:
        file = self._reopened()
        torn = self._torn or _ends_in_a_torn_line(self.path)  # by us, or by another process that was killed
        data = (b"\n" if torn else b"") + b"".join(lines)
        rest = data
        try:
            while rest:
                rest = rest[os.write(file, rest) :]
        except OSError:
            self._torn |= len(rest) < len(data)
            raise
        self._torn = False

    def _reopened(self) -> int:
        """Return the open file; opens it again where its name now means another file, or none."""
        if self._file is not None:
            try:
                if os.path.samestat(os.stat(self.path), os.fstat(self._file)):
                    return self._file
            except FileNotFoundError:
                pass
            os.close(self._file)
            self._file = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._torn = False
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
        return self._file

    def _blank(self, visitor_id: str, start: int) -> tuple[int, int]:
        """Overwrite a visitor's records with spaces; return how many, and where the next search begins."""
        if not self.path.is_file():
            return 0, start
        erased, end = 0, start
        with self.path.open("r+b") as file:  # found and overwritten in one open file, whatever its name means by then
            file.seek(start)
            for end, line in _whole_lines(file):
                if _record_of(visitor_id, line):
                    os.pwrite(file.fileno(), b" " * (len(line) - 1), end - len(line))
                    erased += 1
            os.fsync(file.fileno())
        return erased, end


def _whole_lines(file: BufferedIOBase) -> Iterator[tuple[int, bytes]]:
    """Yield each line that has its end, with the place where it ends."""
    end = file.tell()
    for line in file:
        end += len(line)
        if line.endswith(b"\n"):
            yield end, line


def _record_of(visitor_id: str, line: bytes) -> dict[str, Any] | None:
    """Return the record on a line if it is one of this visitor's."""
    if visitor_id.encode() not in line:
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and record.get("visitor.id") == visitor_id else None


def _ends_in_a_torn_line(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
