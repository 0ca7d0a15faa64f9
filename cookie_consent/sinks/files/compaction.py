"""Converts the closed files of an access log to Parquet."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

from cookie_consent.sinks.files.closed_files import FileFormat, Source, counts_path, sources
from cookie_consent.sinks.files.damage import failed_checksum
from cookie_consent.sinks.files.locking import for_each_closed, remove
from cookie_consent.sinks.files.parquet import engine, write_parquet
from cookie_consent.sinks.files.rotation import Rotation


@dataclass(frozen=True, slots=True)
class Compacted:
    """The result of a compaction.

    Args:
        files: the number of files converted to Parquet.
        records: the number of rows with access records.
        counts: the number of rows with counts.
        busy: the number of files that another process had locked; the next run converts them.
        unreadable: files that could not be read or written, each with the reason.
    """

    files: int
    records: int
    counts: int
    busy: int
    unreadable: tuple[str, ...]


def waiting(path: Path) -> int:
    """Return how many closed files of a log, and of its counts, are not Parquet yet."""
    return sum(_is_lines(source) for log in (path, counts_path(path)) for source in sources(log))


def compact(path: Path, seen: Callable[[int], object] = lambda number: None) -> Compacted:
    """Convert the closed files of a log, and of its counts, to Parquet. Rotates a live file first if its day is over.

    It is safe to run while other processes write, read or compact. A kill at any moment leaves each record in one file.

    Args:
        path: the live file.
        seen: is called with the number of files done so far.

    Raises:
        NotInstalledError: DuckDB is not installed.
    """
    rows, files, troubles = {path: 0, counts_path(path): 0}, 0, []
    with engine(threads=os.cpu_count() or 1) as connection:
        for log in rows:

            def write(source: Source, file: BufferedRandom, log: Path = log) -> None:
                nonlocal files
                if damaged := failed_checksum(source):  # DuckDB would not notice changed bytes
                    raise OSError(damaged.problem)
                rows[log] += write_parquet(connection, log, source, file)
                remove(log, source, before=FileFormat.PARQUET)
                files += 1
                seen(files)

            # Without a limit of size: only the end of the day counts here.
            Rotation(log, sys.maxsize).close_if_due()
            troubles += for_each_closed(log, _is_lines, write)
    busy = sum(isinstance(error, TimeoutError) for _, error in troubles)
    unreadable = [f"{source.path}: {error}" for source, error in troubles if not isinstance(error, TimeoutError)]
    return Compacted(files, rows[path], rows[counts_path(path)], busy, tuple(unreadable))


def _is_lines(source: Source) -> bool:
    return FileFormat.LIVE < source.file_format < FileFormat.PARQUET
