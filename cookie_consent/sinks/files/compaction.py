"""Makes Parquet files of the closed files of an access log."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

from cookie_consent.sinks.files.closed_files import Form, Source, counts_path, sources
from cookie_consent.sinks.files.locking import for_each_closed, remove
from cookie_consent.sinks.files.parquet import LEVEL, engine, write_parquet
from cookie_consent.sinks.files.rotation import Rotation


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was done.

    Args:
        files: how many closed files became Parquet.
        records: the rows of those with access records.
        counts: the rows of those with counts.
        busy: files that another process held; they are for the next time.
        unreadable: files that could not be read or written, and why.
    """

    files: int
    records: int
    counts: int
    busy: int
    unreadable: tuple[str, ...]


def waiting(path: Path) -> int:
    """Return how many closed files of a log, and of its counts, are not yet Parquet."""
    return sum(_is_lines(source) for log in (path, counts_path(path)) for source in sources(log))


def compact(path: Path, level: int = LEVEL, seen: Callable[[int], object] = lambda number: None) -> Compacted:
    """Make each closed file of a log, and of its counts, a Parquet file; the live ones are closed if their day is over.

    It may run while others write, read or do the same; killed at any moment, it leaves each record in one file.

    Args:
        path: the live file.
        level: of zstd, 1 to 22.
        seen: is told how many files are done.

    Raises:
        NotInstalledError: DuckDB is not there.
    """
    rows, files, troubles = {path: 0, counts_path(path): 0}, 0, []
    with engine(threads=os.cpu_count() or 1) as connection:
        for log in rows:

            def write(source: Source, file: BufferedRandom, log: Path = log) -> None:
                nonlocal files
                rows[log] += write_parquet(connection, log, source, file, level)
                remove(log, source, before=Form.PARQUET)
                files += 1
                seen(files)

            Rotation(log, sys.maxsize).close_if_due()
            troubles += for_each_closed(log, _is_lines, write)
    busy = sum(isinstance(error, TimeoutError) for _, error in troubles)
    unreadable = [f"{source.path}: {error}" for source, error in troubles if not isinstance(error, TimeoutError)]
    return Compacted(files, rows[path], rows[counts_path(path)], busy, tuple(unreadable))


def _is_lines(source: Source) -> bool:
    return Form.LIVE < source.form < Form.PARQUET
