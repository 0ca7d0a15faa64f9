"""The JSON Lines sink: one log of access records, and one of counts beside it."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from io import BufferedRandom
from pathlib import Path
from typing import Any, Literal

from cookie_consent.base.clock import SKEW, day_of
from cookie_consent.base.locking import is_posix
from cookie_consent.base.threads import RANDOM
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.erased import SUFFIX, ErasedVisitors
from cookie_consent.sinks.files.closed_files import (
    FileFormat,
    Source,
    counts_path,
    next_path,
    path_of,
    retry_if_moved,
    sources,
)
from cookie_consent.sinks.files.locked_files import (
    ROTATE_SIZE,
    LiveFile,
    Trouble,
    compress_closed,
    count_lines,
    exclusive,
    for_each_file,
    naming,
    open_lines,
    remove_lines,
)
from cookie_consent.sinks.files.parquet import DAMAGE, count_rows, engine, read_undamaged, records_in, remove_rows
from cookie_consent.sinks.files.tables import closed_days, remove_tables, remove_visitor, state_of, tables_folder
from cookie_consent.sinks.lines import blank_lines, is_of, is_torn, matching_lines, oldest_kept, time_of
from cookie_consent.sinks.optional import NotInstalledError
from cookie_consent.sinks.store import Damaged, PartlyErasedError, incomplete, with_other_lines

_PATIENCE = 30.0
"""How long to wait for a file that another process is compressing (seconds)."""
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
        self.path = Path(path).absolute()  # also once the process is in another folder
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
        self.erased_visitors = erased

    def _wait_for_others(self) -> None:
        """Do not wait: writers look for erasures while they have the file."""

    def _write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        self.store.write(records, counts)


class _Files:
    """The store of the sink: a log of records and a log of counts."""

    def __init__(
        self, path: Path, size: int, erased: ErasedVisitors, clock: Callable[[], float], *, is_packed: bool
    ) -> None:
        self._path = path
        self._clock = clock
        self._erased = erased
        self._written: Sequence[bytes] = []
        self._records, self._counts = (
            LiveFile(log, size, clock, partial(_compress_later, log) if is_packed else bool)
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
        try:
            records, damaged = retry_if_moved(self._path, lambda files: _read(files, visitor_id))
        except (NotInstalledError, OSError):
            raise
        except Exception as error:  # DuckDB raises its own errors
            raise OSError(f"The files of {self._path} cannot be read: {error}") from error
        yield from records
        if damaged:
            raise incomplete(damaged)

    def erase(self, visitor_id: str) -> int:
        self._close_due()
        erased, troubles = _erase(self._path, visitor_id)
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
        _purge(counts_path(self._path), now, keep, dry_run=dry_run)
        return _purge(self._path, now, keep, dry_run=dry_run)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _close_due(self) -> None:
        """Close the live files of earlier days. An erasure today would otherwise make them look like today's."""
        for log in (self._records, self._counts):
            _correct_future_dates(log.path, self._clock())
            log.close_due()


def _compress_later(log: Path) -> None:
    """Compress the closed files of a log in a thread, because a file takes seconds; also those that others left."""
    with suppress(RuntimeError):  # no thread can start now; the next closed file starts one
        threading.Thread(target=_compress, args=(log,), name="access-log-compression", daemon=True).start()


def _compress(log: Path) -> None:
    for source, error in compress_closed(log):
        if not isinstance(error, TimeoutError):  # another process changes or compresses it
            _log.warning("%s is not compressed now, and stays as it is: %s", source.path, error)


def _read(files: Sequence[Source], visitor_id: str) -> tuple[list[dict[str, Any]], list[Damaged]]:
    """Return the records of a visitor, and the files that are left out because they are damaged."""
    records: list[dict[str, Any]] = []
    damaged: list[Damaged] = []
    if parquet := [source for source in files if source.file_format is FileFormat.PARQUET]:
        with engine() as connection:
            records, damaged = read_undamaged(
                connection, parquet, lambda undamaged: records_in(connection, undamaged, visitor_id)
            )
    for source in files:
        if source.file_format is not FileFormat.PARQUET:
            try:
                found, others = _in_lines(source, visitor_id)
                records += found
                if others:
                    damaged.append(with_other_lines(source.path, others))
            except FileNotFoundError:
                raise  # it was closed or compacted
            except (OSError, *DAMAGE) as error:
                damaged.append(Damaged(source.path, str(error)))
    return records, damaged


def _in_lines(source: Source, visitor_id: str) -> tuple[list[dict[str, Any]], int]:
    """Return the records of a visitor, and how many lines name the visitor but are neither records nor torn ones."""
    needle = visitor_id.encode()
    records: list[dict[str, Any]] = []
    others = 0
    with source.path.open("rb") as file:
        for _, line in matching_lines(
            open_lines(file, source.file_format), lambda line: is_of(visitor_id, line), needle
        ):
            try:
                records.append(json.loads(line))
            except ValueError:
                others += not is_torn(line)
    return records, others


def _erase(path: Path, visitor_id: str) -> tuple[int, list[Trouble]]:
    """Erase the records of a visitor, also torn ones; return how many, and the files where some may remain."""
    needle = visitor_id.encode()
    erased = 0
    changed: list[tuple[object, object]] = []

    def is_of_visitor(line: bytes) -> bool:
        return is_of(visitor_id, line)

    def erase(source: Source, file: BufferedRandom) -> None:
        nonlocal erased
        before = state_of(source.path)
        if source.file_format is FileFormat.LIVE:
            count = blank_lines(file, is_of_visitor, needle)
        elif source.file_format is FileFormat.PARQUET:
            count = remove_rows(connection(), source.path, visitor_id)
        else:
            count = remove_lines(source, file, is_of_visitor, needle)
        if count:
            erased += count
            changed.append((before, state_of(source.path)))

    with ExitStack() as stack:
        connection = cache(lambda: stack.enter_context(engine()))
        troubles = for_each_file(path, lambda source: True, erase, _PATIENCE)
        if tables_folder(path).is_dir():
            try:
                remove_visitor(connection(), path, visitor_id, changed)
            except NotInstalledError:
                remove_tables(path)
    return erased, troubles


def _purge(path: Path, now: float, keep: timedelta, *, dry_run: bool) -> int:
    """Remove what is older than `keep`; return how many lines and rows.

    Closed files are removed as a whole once their day has expired. In live files, old lines are blanked out.

    Args:
        path: the live file.
        now: Unix time in seconds.
        keep: how long records are kept.
        dry_run: whether to only count.

    Raises:
        OSError: a file cannot be removed. All others are removed.
    """
    first_day = (datetime.fromtimestamp(now, UTC) - keep).date()
    before = oldest_kept(now, keep)
    removed = 0

    def remove(source: Source, file: BufferedRandom) -> None:
        nonlocal removed
        if not source.day:
            removed += blank_lines(file, lambda line: time_of(line) < before, dry_run=dry_run)
            return
        with suppress(Exception):  # an unreadable file is removed, too
            removed += _count(source, file)
        if not dry_run:
            source.path.unlink()
            with suppress(OSError):  # the day has more files
                path_of(path, source.day, source.number, FileFormat.PARQUET).parent.rmdir()

    troubles = for_each_file(path, lambda source: not source.day or source.day < first_day, remove, _PATIENCE)
    if not dry_run:
        remove_tables(path, closed_days(path))
    for source, error in troubles:
        raise OSError(f"{source.path} cannot be removed: {error}") from error
    return removed


def _count(source: Source, file: BufferedRandom) -> int:
    if source.file_format is FileFormat.PARQUET:
        with engine() as connection:
            return count_rows(connection, [source])
    return count_lines(file, source.file_format, lambda line: not line.isspace())


def _correct_future_dates(path: Path, now: float) -> None:
    """Name closed files of the future after today. Otherwise they would be removed too late.

    They were closed while a clock was ahead. A locked file is left for the next call.
    """
    for source in sources(path):
        if source.day and source.day > day_of(now + SKEW):
            with suppress(OSError), exclusive(path, source) as file, naming(path):
                if file is not None:
                    new = next_path(path, day_of(now), source.file_format)
                    new.parent.mkdir(parents=True, exist_ok=True)
                    source.path.rename(new)
                    text = "%s was dated in the future, by a clock that was ahead; it is %s now."
                    _log.warning(text, source.path, new)
