"""What DuckDB does with the files of an access log: it makes Parquet files of closed ones, and finds damage.

The columns are those of `columns`. `time` is in UTC, `properties` is JSON as text. Rows are sorted by time.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedRandom
from pathlib import Path
from typing import Any, TypeVar

from cookie_consent.base.locking import temporary_folder
from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS, record_from
from cookie_consent.sinks.files.closed_files import (
    FileFormat,
    Source,
    counts_path,
    is_of_counts,
    one_file,
    path_of,
    sources,
)
from cookie_consent.sinks.files.locked_files import LiveFile, count_lines, for_each_file, replacing
from cookie_consent.sinks.lines import is_torn
from cookie_consent.sinks.optional import duckdb, duckdb_connection, is_interruption
from cookie_consent.sinks.store import Damaged, with_other_lines

_LEVEL = 3
"""The zstd level."""
_MEMORY = "1GB"
_TYPES = {"time": "TIMESTAMP", "status": "SMALLINT", "duration_ms": "DOUBLE", "day": "DATE", "value": "BIGINT"}
"""Column -> type; all others are text."""

_LOAD = """
INSERT INTO lines
SELECT * FROM read_json($file, format = 'newline_delimited', columns = $types, ignore_errors = true)"""
_DROP_AGAIN = """
DELETE FROM lines USING (SELECT uid, min(rowid) AS first FROM lines GROUP BY uid HAVING count(*) > 1) AS twice
WHERE lines.uid = twice.uid AND lines.rowid <> twice.first"""
"""Takes half the time of a SELECT DISTINCT ON, which sorts the whole table."""
_COUNT = "SELECT count(*) FROM lines"
_ALL = "SELECT * FROM lines ORDER BY time"

_OF_VISITOR = """
SELECT * REPLACE (strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ') AS time)
FROM read_parquet($files, hive_partitioning = false)
WHERE visitor = $visitor ORDER BY time"""
_HOW_MANY_OF_VISITOR = "SELECT count(*) FROM read_parquet($file, hive_partitioning = false) WHERE visitor = $visitor"
_OF_OTHERS = """
SELECT * FROM read_parquet($file, hive_partitioning = false) WHERE visitor IS DISTINCT FROM $visitor"""
_HOW_MANY = "SELECT count(*) FROM read_parquet($files, hive_partitioning = false)"
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


@contextmanager
def engine(threads: int = 1) -> Iterator[Any]:
    """Open an empty DuckDB database in memory.

    Args:
        threads: the number of threads.

    Raises:
        NotInstalledError: DuckDB is not installed.
    """
    with temporary_folder() as folder:
        settings = {
            "threads": threads,
            "memory_limit": _MEMORY,
            # By default DuckDB would use the working directory.
            "temp_directory": str(folder),
        }
        with duckdb_connection(settings) as connection:
            yield connection


def write_parquet(connection: Any, path: Path, source: Source, file: BufferedRandom) -> tuple[int, int]:
    """Convert a closed file of lines to Parquet. Duplicate records are dropped.

    Args:
        connection: from `engine`.
        path: the live file of the log.
        source: the closed file, locked; it is not removed.
        file: the same file, open.

    Returns:
        The number of rows, and how many lines are left out because they are no records.
    """
    keys = COUNT_COLUMNS if is_of_counts(path) else COLUMNS
    columns = ", ".join(f"{column} {_type(column)}" for column in keys.values())
    connection.execute(f"CREATE OR REPLACE TABLE lines ({columns})")
    types = {key: _type(column) for key, column in keys.items()}
    connection.execute(_LOAD, {"file": one_file(source.path), "types": types})
    invalid = NO_RECORD if keys is COLUMNS else NO_COUNT
    if others := _number(connection, f"DELETE FROM lines WHERE {invalid}"):  # noqa: S608 (texts of ours)
        others -= count_lines(file, source.file_format, is_torn)
    connection.execute(_DROP_AGAIN)
    rows = _number(connection, _COUNT)
    with replacing(path_of(path, source.date(), source.number, FileFormat.PARQUET), source.path) as new:
        copy_to_parquet(connection, _ALL, {}, new)
    return rows, others


def records_in(connection: Any, files: Sequence[Source], visitor_id: str) -> list[dict[str, Any]]:
    """Return the records of a visitor in Parquet files, oldest first."""
    if not files:
        return []
    values = {"files": [one_file(source.path) for source in files], "visitor": visitor_id}
    result = connection.execute(_OF_VISITOR, values)
    names = [column[0] for column in result.description]
    return [_record(dict(zip(names, row, strict=True))) for row in result.fetchall()]


def remove_rows(connection: Any, file: Path, visitor_id: str) -> int:
    """Rewrite a locked Parquet file without the records of a visitor; return how many."""
    values = {"file": one_file(file), "visitor": visitor_id}
    # DuckDB finds most files without the visitor by the bloom filters of their row groups.
    if count := _number(connection, _HOW_MANY_OF_VISITOR, values):
        # The file is sorted. To sort it again would take a third of the time, and three times the memory.
        connection.execute("SET preserve_insertion_order = true")
        with replacing(file, file) as new:
            copy_to_parquet(connection, _OF_OTHERS, values, new)
    return count


def count_rows(connection: Any, files: Sequence[Source]) -> int:
    """Return the number of rows of Parquet files, from their ends alone."""
    return _number(connection, _HOW_MANY, {"files": [one_file(source.path) for source in files]}) if files else 0


def _type(column: str) -> str:
    return _TYPES.get(column, "VARCHAR")


def _number(connection: Any, statement: str, values: Mapping[str, Any] | None = None) -> int:
    return int(connection.execute(statement, values).fetchone()[0])


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    properties = row["properties"]
    whole = {**row, "properties": properties and json.loads(properties)}
    return record_from(whole.get(column) for column in COLUMNS.values())


def copy_to_parquet(connection: Any, query: str, values: Mapping[str, Any], target: Path) -> None:
    """Write the result of a query to a Parquet file.

    Args:
        connection: a DuckDB connection.
        query: the query.
        values: its parameters.
        target: the file.
    """
    how = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {_LEVEL}, USE_TMP_FILE false"
    connection.execute(f"COPY ({query}) TO $target ({how})", {**values, "target": str(target)})


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


@dataclass(frozen=True, slots=True)
class Compacted:
    """The result of a compaction.

    Args:
        files: the number of files converted to Parquet.
        records: the number of rows with access records.
        counts: the number of rows with counts.
        busy: the number of files that another process had locked; the next run converts them.
        unreadable: files that could not be read or written, each with the reason.
        no_records: files with lines that are no records and were left out, each with their number.
    """

    files: int
    records: int
    counts: int
    busy: int
    unreadable: tuple[str, ...]
    no_records: tuple[str, ...] = ()


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
    no_records: list[str] = []
    with engine(threads=os.cpu_count() or 1) as connection:
        for log in rows:

            def write(source: Source, file: BufferedRandom, log: Path = log) -> None:
                nonlocal files
                if changed := failed_checksum(source):  # DuckDB would not notice
                    raise OSError(changed.problem)
                written, others = write_parquet(connection, log, source, file)
                rows[log] += written
                if others:
                    no_records.append(f"{source.path}: {others}")
                source.path.unlink()
                files += 1
                seen(files)

            # Without a limit of size: only the end of the day counts here.
            LiveFile(log, sys.maxsize).close_due()
            troubles += for_each_file(log, _is_lines, write)
        parquet = [source for log in rows for source in sources(log) if source.file_format is FileFormat.PARQUET]
        _, damaged = read_undamaged(connection, parquet, lambda files: count_rows(connection, files))
    busy = sum(isinstance(error, TimeoutError) for _, error in troubles)
    unreadable = [f"{source.path}: {error}" for source, error in troubles if not isinstance(error, TimeoutError)]
    unreadable += map(str, damaged)
    return Compacted(files, rows[path], rows[counts_path(path)], busy, tuple(unreadable), tuple(no_records))


def _is_lines(source: Source) -> bool:
    return FileFormat.LIVE < source.file_format < FileFormat.PARQUET
