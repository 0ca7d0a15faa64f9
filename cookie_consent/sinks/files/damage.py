"""Finds files of an access log that are damaged, and lines that are no records."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from cookie_consent.sinks.files.closed_files import FileFormat, Source, one_file
from cookie_consent.sinks.files.locked_files import count_lines
from cookie_consent.sinks.lines import is_torn
from cookie_consent.sinks.optional import duckdb, is_interruption
from cookie_consent.sinks.store import IncompleteError

_BLOCK = 1024 * 1024
_REMEMBERED = 10_000
DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)
"""The errors of reading a damaged compressed file."""
PROBE = "SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet($file, hive_partitioning = false)"
"""A statement that reads a whole Parquet file."""
_PROBE_OF_LINES = """SELECT count(time) FROM read_json($file, format = 'newline_delimited',
    columns = {'time': 'VARCHAR'}, ignore_errors = true)"""

NO_COUNT = "uid IS NULL OR time IS NULL"
NO_RECORD = f"{NO_COUNT} OR NOT coalesce(isfinite(duration_ms), true)"
"""DuckDB reads a line that is torn or otherwise invalid as nulls, and a number like 1e400 as infinite."""
_NO_RECORDS = f"""
SELECT filename, count(*) FROM (
    SELECT filename, "log.record.uid" AS uid, TRY_CAST(time AS TIMESTAMP) AS time,
        TRY_CAST(duration_ms AS DOUBLE) AS duration_ms
    FROM read_json($files, format = 'newline_delimited', filename = true, ignore_errors = true,
        columns = {{'log.record.uid': 'VARCHAR', 'time': 'VARCHAR', 'duration_ms': 'VARCHAR'}})
)
WHERE {NO_RECORD} GROUP BY filename ORDER BY filename"""  # noqa: S608 (texts of ours)
"""Lines of spaces, which are erased records, are not among these rows; torn lines are."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Damaged:
    """A file that cannot be read, or not all of its lines.

    Args:
        path: the path.
        problem: what is wrong, in one line.
        lines: how many lines are no records, and are left out alone; 0 if the whole file is.
    """

    path: Path
    problem: str
    lines: int = 0

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def incomplete(damaged: Sequence[Damaged]) -> IncompleteError:
    """Return the error for records that are missing, after all others were yielded."""
    whole = [str(each) for each in damaged if not each.lines]
    lines = [str(each) for each in damaged if each.lines]
    said: list[str] = []
    if whole:
        said.append(f"{len(whole)} of the files cannot be read, and their records are missing: {'; '.join(whole)}")
    if lines:
        said.append(f"Lines that are no records are left out: {'; '.join(lines)}")
    return IncompleteError(". ".join(said))


def with_other_lines(path: Path, lines: int) -> Damaged:
    """Return a file with lines that are no records."""
    return Damaged(path, f"{lines} {'line is no record' if lines == 1 else 'lines are no records'}", lines)


def find_other_lines(connection: Any, files: Sequence[Source]) -> list[Damaged]:
    """Return the files with lines that are no records: neither erased, nor torn by a kill.

    Args:
        connection: a DuckDB connection.
        files: files of records or counts. Parquet files have no lines.
    """
    sources = {str(source.path): source for source in files if source.file_format is not FileFormat.PARQUET}
    if not sources:
        return []
    names = [one_file(source.path) for source in sources.values()]
    found: list[Damaged] = []
    for name, count in connection.execute(_NO_RECORDS, {"files": names}).fetchall():
        source = sources[name]
        with source.path.open("rb") as file:
            others = count - count_lines(file, source.file_format, is_torn)
        if others > 0:
            found.append(with_other_lines(source.path, others))
    return found


def read_undamaged(
    connection: Any, files: Sequence[Source], read: Callable[[list[Source]], T]
) -> tuple[T, list[Damaged]]:
    """Call `read` with all files but the damaged ones; return its result, and the damaged files.

    A compressed file is compared with its checksum first, because DuckDB would read changed bytes without noticing.
    What DuckDB can read of others counts as undamaged.

    Args:
        connection: a DuckDB connection.
        files: files of a log.
        read: reads files with DuckDB. If it fails, each file is tried alone, and `read` is called once more.

    Raises:
        Exception: an error of `read` that no damaged file explains, or of a file that may not be opened.
    """
    damaged = [found for source in files if (found := failed_checksum(source))]
    rest = _without(files, damaged)
    try:
        return read(rest), damaged
    except duckdb().Error as error:
        if is_interruption(error) or isinstance(error, duckdb().OutOfMemoryException):
            raise
        unreadable = [one for source in rest if (one := _unreadable(connection, source))]
        if not unreadable:
            raise
    return read(_without(rest, unreadable)), [*damaged, *unreadable]


def failed_checksum(source: Source) -> Damaged | None:
    """Return a compressed file that cannot be opened, or whose lines fail their checksum."""
    if source.file_format is not FileFormat.GZIP:
        return None
    try:
        state = source.path.stat()
        problem = _problem_of_gzip(source.path, state.st_ino, state.st_size, state.st_mtime_ns)
    except FileNotFoundError:
        return None  # it was closed or compacted, and the caller looks for it again
    except OSError as error:
        problem = error.strerror or str(error)
    return Damaged(source.path, problem) if problem else None


@lru_cache(_REMEMBERED)
def _problem_of_gzip(path: Path, inode: int, size: int, changed: int) -> str:
    """Return what is wrong with a file; "" for nothing. A live report asks again and again about the same files."""
    if not size:
        return "it is empty"
    try:
        with gzip.open(path) as file:
            while file.read(_BLOCK):
                pass
    except DAMAGE as error:
        return str(error)
    return ""


def _unreadable(connection: Any, source: Source) -> Damaged | None:
    """Return a file that DuckDB cannot read; None if it can, or if the file is gone."""
    if not source.path.is_file():
        return None  # it was closed or compacted, and the caller looks for it again
    probe = PROBE if source.file_format is FileFormat.PARQUET else _PROBE_OF_LINES
    try:
        connection.execute(probe, {"file": one_file(source.path)})
    except duckdb().Error as error:
        return Damaged(source.path, str(error).strip().partition("\n")[0][:300])
    return None


def _without(files: Sequence[Source], damaged: Sequence[Damaged]) -> list[Source]:
    paths = {one.path for one in damaged}
    return [source for source in files if source.path not in paths]
