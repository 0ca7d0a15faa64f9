"""The JSON Lines sink: one log of access records, and one of counts beside it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from cookie_consent.base.locking import is_posix
from cookie_consent.base.threads import RANDOM
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path
from cookie_consent.sinks.files.compression import Compressor
from cookie_consent.sinks.files.damage import incomplete
from cookie_consent.sinks.files.live_file import LiveFile
from cookie_consent.sinks.files.queries import erase_visitor, purge, records_of
from cookie_consent.sinks.files.rotation import ROTATE_SIZE, Rotation
from cookie_consent.sinks.store import PartlyErasedError

_FORMATS: dict[object, FileFormat] = {None: FileFormat.PLAIN, "gzip": FileFormat.GZIP}
_log = logging.getLogger("cookie_consent")


class JsonLinesSink(BufferedSink):
    """Appends records to a file, rotates it daily and when it is large, and compresses closed files.

    `closed_files` describes the files. If the file is not writable, records wait in memory. On Windows there is a
    single file that is never rotated, because rotation needs POSIX file locks.

    Args:
        path: the live file. It and its parent folders are created with the first record. Counts go to another file
            beside it.
        rotate_size: the maximum size of the live file (bytes).
        compress: how to compress closed files: "gzip", or None for no compression.
        clock: returns Unix time in seconds.
        sleep: waits for a number of seconds.
        chance: returns a random number from 0 to 1.

    Raises:
        ValueError: an argument is invalid.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rotate_size: int = ROTATE_SIZE,
        compress: Literal["gzip"] | None = "gzip",
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = RANDOM,
    ) -> None:
        self.path = Path(path)
        if rotate_size < 1:
            raise ValueError(f"access_log: rotate_size is a number of bytes, 1 at least, not {rotate_size}.")
        if compress not in _FORMATS:
            raise ValueError(f'access_log: compress is "gzip" or None, not {compress!r}.')
        if not is_posix():
            _log.warning("On Windows %s is never closed or compressed: it needs POSIX file locks.", self.path)
        files = _Files(self.path, rotate_size, _FORMATS[compress], clock)
        super().__init__(files, str(self.path), sleep=sleep, chance=chance)
        self.local = self.path


class _Files:
    """The store of the sink: a log of records and a log of counts."""

    def __init__(self, path: Path, size: int, file_format: FileFormat, clock: Callable[[], float]) -> None:
        self._path = path
        self._rotations = {log: Rotation(log, size, clock) for log in (path, counts_path(path))}
        compressor = Compressor(tuple(self._rotations), file_format)
        self._records, self._counts = (
            LiveFile(log, rotation, compressor.start) for log, rotation in self._rotations.items()
        )

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        self._records.append(records)
        self._counts.append(counts)
        self._records.settle()
        self._counts.settle()

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        records, damaged = records_of(self._path, visitor_id)
        yield from records
        if damaged:
            raise incomplete(damaged)

    def erase(self, visitor_id: str) -> int:
        self._close_if_over()
        erased, troubles = erase_visitor(self._path, visitor_id)
        if troubles:
            raise PartlyErasedError(
                f"Erased: {erased} access records. Records may stay in {len(troubles)} of the files, which cannot be "
                f"read or written. Repair them, and erase again. {'; '.join(troubles)}"
            )
        return erased

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        if not dry_run:
            self._close_if_over()
        purge(counts_path(self._path), now, keep, dry_run=dry_run)
        return purge(self._path, now, keep, dry_run=dry_run)

    def close(self) -> None:
        self._records.close()
        self._counts.close()

    def _close_if_over(self) -> None:
        """Rotate the live files of earlier days. An erasure today would otherwise make them look like today's."""
        for rotation in self._rotations.values():
            rotation.correct_future_dates()
            rotation.close_if_due()
