"""Operations on a whole access log: read or erase a visitor's records, purge old ones."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, time, timedelta
from functools import cache
from io import BufferedRandom
from pathlib import Path
from typing import Any

from cookie_consent.base.clock import DAY, day_of, is_future
from cookie_consent.sinks.files.closed_files import FileFormat, Source, next_path, path_of, retry_if_moved, sources
from cookie_consent.sinks.files.damage import DAMAGE, Damaged, read_undamaged
from cookie_consent.sinks.files.line_io import blank_lines, count_lines, matching_lines, remove_lines
from cookie_consent.sinks.files.locked_files import Trouble, for_each_file, naming, remove
from cookie_consent.sinks.files.parquet import count_rows, engine, records_in
from cookie_consent.sinks.files.parquet import remove_visitor as remove_from_parquet
from cookie_consent.sinks.files.tables import closed_days, remove_tables, remove_visitor, tables_folder
from cookie_consent.sinks.lines import is_of, oldest_kept, time_of
from cookie_consent.sinks.optional import NotInstalledError

_TIMEOUT = 30.0
"""How long to wait for a file that another process is compressing (seconds)."""
_log = logging.getLogger("cookie_consent")


def records_of(path: Path, visitor_id: str) -> tuple[list[dict[str, Any]], list[Damaged]]:
    """Return the records of a visitor in all files of a log, and the damaged files, which are left out.

    Raises:
        NotInstalledError: there are Parquet files, and DuckDB is not installed.
        OSError: the files move faster than they can be read.
    """

    def read(files: Sequence[Source]) -> tuple[list[dict[str, Any]], list[Damaged]]:
        parquet = [source for source in files if source.file_format is FileFormat.PARQUET]
        records, damaged = _in_parquet(parquet, visitor_id) if parquet else ([], [])
        for source in files:
            if source.file_format is not FileFormat.PARQUET:
                try:
                    records += [*_in_lines(source, visitor_id)]
                except FileNotFoundError:
                    raise  # it was closed or compacted
                except (OSError, *DAMAGE) as error:
                    damaged.append(Damaged(source.path, str(error)))
        return records, damaged

    try:
        return retry_if_moved(path, read)
    except (NotInstalledError, OSError):
        raise
    except Exception as error:  # each compression library raises its own errors
        raise OSError(f"The files of {path} cannot be read: {error}") from error


def _in_parquet(files: Sequence[Source], visitor_id: str) -> tuple[list[dict[str, Any]], list[Damaged]]:
    with engine() as connection:

        def read(sound: Sequence[Source]) -> list[dict[str, Any]]:
            return records_in(connection, [source.path for source in sound], visitor_id) if sound else []

        return read_undamaged(connection, files, read)


def _in_lines(source: Source, visitor_id: str) -> Iterator[dict[str, Any]]:
    needle = visitor_id.encode()
    with source.path.open("rb") as file:
        for _, line in matching_lines(file, source.file_format, lambda line: is_of(visitor_id, line), needle):
            with suppress(ValueError):  # a torn line
                yield json.loads(line)


def erase_visitor(path: Path, visitor_id: str) -> tuple[int, list[Trouble]]:
    """Erase the records of a visitor from all files of a log, including the remains of torn ones.

    Returns:
        The number of records, and each file where some may remain, with its error.
    """
    needle, erased = visitor_id.encode(), 0

    def is_of_visitor(line: bytes) -> bool:
        return is_of(visitor_id, line)

    with ExitStack() as stack:
        connection = cache(lambda: stack.enter_context(engine()))

        def erase(source: Source, file: BufferedRandom) -> None:
            nonlocal erased
            if source.file_format is FileFormat.LIVE:
                erased += blank_lines(file, is_of_visitor, needle)
            elif source.file_format is FileFormat.PARQUET:
                erased += remove_from_parquet(connection(), source, file, visitor_id)
            else:
                erased += remove_lines(source, file, is_of_visitor, needle)

        before = closed_days(path) if tables_folder(path).is_dir() else {}
        troubles = for_each_file(path, lambda source: True, erase, _TIMEOUT)
        if tables_folder(path).is_dir():
            try:
                remove_visitor(connection(), path, visitor_id, before)
            except NotInstalledError:
                remove_tables(path)
    return erased, troubles


def purge(path: Path, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
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
    oldest = datetime.fromtimestamp(now, UTC) - keep
    before, removed = oldest_kept(now, keep), 0

    def is_old(line: bytes) -> bool:
        return time_of(line) < before

    def drop(source: Source, file: BufferedRandom) -> None:
        nonlocal removed
        if not source.day:
            removed += blank_lines(file, is_old, dry_run=dry_run)
            return
        with suppress(Exception):  # an unreadable file is removed, too
            removed += _how_many(source, file)
        if not dry_run:
            remove(path, source)
            with suppress(OSError):  # the day has more files
                path_of(path, source.date(), source.number, FileFormat.PARQUET).parent.rmdir()

    troubles = for_each_file(path, lambda source: not source.day or _end(source) <= oldest, drop, _TIMEOUT)
    if not dry_run:
        remove_tables(path, closed_days(path))
    for source, error in troubles:
        raise OSError(f"{source.path} cannot be removed: {error}") from error
    return removed


def correct_future_dates(path: Path, now: float) -> None:
    """Name closed files of the future after today. Otherwise they would be removed too late.

    They were closed while a clock was ahead. A locked file is left for the next call.
    """

    def is_late(source: Source) -> object:
        return source.day and is_future(_end(source).timestamp() - DAY, now)

    def rename(source: Source, _: object) -> None:
        new = next_path(path, day_of(now), source.file_format)
        new.parent.mkdir(parents=True, exist_ok=True)
        os.rename(source.path, new)
        _log.warning("%s was dated in the future, by a clock that was ahead; it is %s now.", source.path, new)

    if any(is_late(source) for source in sources(path)):
        with suppress(OSError), naming(path):
            for_each_file(path, is_late, rename)


def _how_many(source: Source, file: BufferedRandom) -> int:
    if source.file_format is FileFormat.PARQUET:
        with engine() as connection:
            return count_rows(connection, source.path)
    return count_lines(file, source.file_format, lambda line: not line.isspace())


def _end(source: Source) -> datetime:
    return datetime.combine(source.date() + timedelta(days=1), time(), UTC)
