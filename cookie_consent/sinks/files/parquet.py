"""Reads and writes access records in Parquet files, with DuckDB.

The columns are those of `columns`. `time` is in UTC, `properties` is JSON as text. Rows are sorted by time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from cookie_consent.base.process.temporary import temporary_folder
from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS, record_from
from cookie_consent.sinks.files.atomic import replacing
from cookie_consent.sinks.files.closed_files import FileFormat, Source, is_of_counts, path_of
from cookie_consent.sinks.optional import duckdb_connection

_LEVEL = 3
"""The zstd level."""
_MEMORY = "1GB"
_TYPES = {"time": "TIMESTAMP", "status": "SMALLINT", "duration_ms": "DOUBLE", "day": "DATE", "value": "BIGINT"}
"""Column -> type; all others are text."""

_LOAD = """
INSERT INTO lines
SELECT * FROM read_json($file, format = 'newline_delimited', columns = $types, ignore_errors = true)"""
_LINES_WITH_HALF_PAIR = """
SELECT line FROM read_csv($file, columns = {'line': 'VARCHAR'}, auto_detect = false, header = false, delim = '\x01',
    quote = '', escape = '', ignore_errors = true)
WHERE contains(line, '\\ud')"""
"""Reads lines as a table of one column: JSON cannot contain the delimiter."""
_DROP_ABSENT = "DELETE FROM lines WHERE uid IS NULL"
"""An erased, torn or otherwise invalid line is loaded as a row of nulls."""
_DROP_AGAIN = """
DELETE FROM lines USING (SELECT uid, min(rowid) AS first FROM lines GROUP BY uid HAVING count(*) > 1) AS twice
WHERE lines.uid = twice.uid AND lines.rowid <> twice.first"""
"""Takes half the time of a SELECT DISTINCT ON, which sorts the whole table."""
_ALL = "SELECT * FROM lines ORDER BY time"

_OF_VISITOR = """
SELECT * REPLACE (strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ') AS time)
FROM read_parquet($files, hive_partitioning = false)
WHERE visitor = $visitor ORDER BY time"""
_HOW_MANY_OF_VISITOR = "SELECT count(*) FROM read_parquet($file, hive_partitioning = false) WHERE visitor = $visitor"
_OF_OTHERS = """
SELECT * FROM read_parquet($file, hive_partitioning = false) WHERE visitor IS DISTINCT FROM $visitor"""
_HOW_MANY = "SELECT count(*) FROM read_parquet($file, hive_partitioning = false)"


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


def one_file(path: str | Path) -> str:
    """Escape a path for DuckDB, which reads "*", "?" and "[" as patterns."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


def write_parquet(connection: Any, path: Path, source: Source, file: BufferedRandom) -> int:
    """Convert a closed file of lines to Parquet; return the number of rows. Duplicate records are dropped.

    Args:
        connection: from `engine`.
        path: the live file of the log.
        source: the closed file, locked; it is not removed.
        file: the same file, open.
    """
    keys = COUNT_COLUMNS if is_of_counts(path) else COLUMNS
    columns = ", ".join(f"{column} {_type(column)}" for column in keys.values())
    connection.execute(f"CREATE OR REPLACE TABLE lines ({columns})")
    _load(connection, keys, source.path)
    if _number(connection, _DROP_ABSENT):
        with TemporaryFile() as repaired:  # has no name, so a kill leaves nothing behind
            lines = connection.execute(_LINES_WITH_HALF_PAIR, {"file": one_file(source.path)})
            repaired.writelines(_repaired(line for (line,) in iter(lines.fetchone, None)))
            repaired.flush()
            _load(connection, keys, Path(f"/dev/fd/{repaired.fileno()}"))
    connection.execute(_DROP_AGAIN)
    rows = _number(connection, "SELECT count(*) FROM lines")
    with replacing(path_of(path, source.date(), source.number, FileFormat.PARQUET), file) as new:
        copy_to_parquet(connection, _ALL, {}, new)
    return rows


def records_in(connection: Any, files: Sequence[Path], visitor_id: str) -> list[dict[str, Any]]:
    """Return the records of a visitor in Parquet files, oldest first."""
    result = connection.execute(_OF_VISITOR, {"files": [one_file(file) for file in files], "visitor": visitor_id})
    names = [column[0] for column in result.description]
    return [_record(dict(zip(names, row, strict=True))) for row in result.fetchall()]


def remove_visitor(connection: Any, source: Source, file: BufferedRandom, visitor_id: str) -> int:
    """Rewrite a Parquet file without the records of a visitor; return how many.

    Args:
        connection: from `engine`.
        source: the file, locked.
        file: the same file, open.
        visitor_id: the visitor.
    """
    values = {"file": one_file(source.path), "visitor": visitor_id}
    # DuckDB finds most files without the visitor by the bloom filters of their row groups.
    if count := _number(connection, _HOW_MANY_OF_VISITOR, values):
        # The file is sorted. To sort it again would take a third of the time, and three times the memory.
        connection.execute("SET preserve_insertion_order = true")
        with replacing(source.path, file) as new:
            copy_to_parquet(connection, _OF_OTHERS, values, new)
    return count


def count_rows(connection: Any, file: Path) -> int:
    """Return the number of rows of a Parquet file."""
    return _number(connection, _HOW_MANY, {"file": one_file(file)})


def _load(connection: Any, keys: Mapping[str, str], file: Path) -> None:
    types = {key: _type(column) for key, column in keys.items()}
    connection.execute(_LOAD, {"file": one_file(file), "types": types})


def _type(column: str) -> str:
    return _TYPES.get(column, "VARCHAR")


def _number(connection: Any, statement: str, values: Mapping[str, Any] | None = None) -> int:
    return int(connection.execute(statement, values).fetchone()[0])


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    properties = row["properties"]
    whole = {**row, "properties": properties and json.loads(properties)}
    return record_from(whole.get(column) for column in COLUMNS.values())


def _repaired(lines: Iterable[str]) -> Iterator[bytes]:
    """Yield lines with a lone surrogate, which DuckDB does not accept as JSON, with "?" in its place."""
    for line in lines:
        try:
            text = json.dumps(json.loads(line), ensure_ascii=False)
        except ValueError:
            continue
        whole = text.encode(errors="replace")
        if whole.decode() != text:
            yield whole + b"\n"


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
