"""The JSON Lines sink: one log of access records, and one of counts beside it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from cookie_consent.base.locking import is_posix
from cookie_consent.base.threads import RANDOM
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.erased import SUFFIX, ErasedVisitors
from cookie_consent.sinks.files.closed_files import counts_path
from cookie_consent.sinks.files.damage import incomplete
from cookie_consent.sinks.files.line_io import compress_closed
from cookie_consent.sinks.files.locked_files import ROTATE_SIZE, LiveFile
from cookie_consent.sinks.files.queries import correct_future_dates, erase_visitor, purge, records_of
from cookie_consent.sinks.store import PartlyErasedError

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
        if compress not in ("gzip", None):
            raise ValueError(f'access_log: compress is "gzip" or None, not {compress!r}.')
        if not is_posix():
            _log.warning("On Windows %s is never closed or compressed: it needs POSIX file locks.", self.path)
        erased = ErasedVisitors(Path(f"{self.path}{SUFFIX}"))
        files = _Files(self.path, rotate_size, erased, clock, is_packed=compress is not None)
        super().__init__(files, str(self.path), sleep=sleep, chance=chance)
        self.local = self.path

    def _wait_for_others(self) -> None:
        """Do not wait: writers look for erasures while they have the file."""

    def _write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        self.store.write(records, counts)


class _Files:
    """The store of the sink: a log of records and a log of counts."""

    def __init__(
        self, path: Path, size: int, erased: ErasedVisitors, clock: Callable[[], float], *, is_packed: bool
    ) -> None:
        self._path, self._clock = path, clock
        self._erased = erased
        self._written: Sequence[bytes] = []
        self._records, self._counts = (
            LiveFile(log, size, clock, partial(_compress_later, log) if is_packed else _do_nothing)
            for log in (path, counts_path(path))
        )

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        if records != self._written:
            self._records.append(records, self._erased.without)
            self._written = records  # if only the counts fail, the records are not written again
        if counts:
            self._counts.append(counts, list)
        self._written = []

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        records, damaged = records_of(self._path, visitor_id)
        yield from records
        if damaged:
            raise incomplete(damaged)

    def erase(self, visitor_id: str) -> int:
        self._close_due()
        erased, troubles = erase_visitor(self._path, visitor_id)
        if troubles:
            names = "; ".join(f"{source.path}: {error}" for source, error in troubles)
            raise PartlyErasedError(
                f"Erased: {erased} access records. Records may stay in {len(troubles)} of the files, which cannot be "
                f"read or written. Repair them, and erase again. {names}"
            )
        return erased

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        if not dry_run:
            self._close_due()
        purge(counts_path(self._path), now, keep, dry_run=dry_run)
        return purge(self._path, now, keep, dry_run=dry_run)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _close_due(self) -> None:
        """Close the live files of earlier days. An erasure today would otherwise make them look like today's."""
        for log in (self._records, self._counts):
            correct_future_dates(log.path, self._clock())
            log.close_due()


def _do_nothing() -> None:
    """Leave closed files as they are."""


def _compress_later(log: Path) -> None:
    """Compress the closed files of a log in a thread, because a file takes seconds; also those that others left."""
    with suppress(RuntimeError):  # no thread can start now; the next closed file starts one
        threading.Thread(target=_compress, args=(log,), name="access-log-compression", daemon=True).start()


def _compress(log: Path) -> None:
    for source, error in compress_closed(log):
        if not isinstance(error, TimeoutError):  # another process changes or compresses it
            _log.warning("%s is not compressed now, and stays as it is: %s", source.path, error)
