"""JSON Lines and Parquet files: DuckDB reads them, and computes figures from them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cookie_consent.base.locking import temporary_folder
from cookie_consent.report.engines.dialect import DUCKDB, shape, sql
from cookie_consent.report.engines.engine import (
    EVERYBODY,
    LEAST,
    TEMPORARY,
    Given,
    Row,
    UnreadableError,
    default_memory,
    format_size,
    missing,
)
from cookie_consent.report.where import Segment
from cookie_consent.sinks import optional
from cookie_consent.sinks.files.closed_files import FileFormat, Source, counts_path, one_file, retry_if_moved
from cookie_consent.sinks.files.damage import Damaged, read_undamaged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MAX_THREADS = 4
_SORTED_AT_ONCE = 4_000
"""Records sorted into sessions at once, for each MB of memory. About half of what fits."""
_IN_MEMORY = 400
"""The bytes of a record in a table in memory."""
_IN_FILES = {FileFormat.PARQUET: 18, FileFormat.GZIP: 25}
"""The bytes of a record in a compressed file."""
_IN_LINES = 500

RECORDS = {
    "log.record.uid": ("uid", "VARCHAR"),
    "time": ("time", "TIMESTAMP"),
    "record.kind": ("kind", "VARCHAR"),
    "visitor.id": ("visitor", "VARCHAR"),
    "server.address": ("host", "VARCHAR"),
    "url.path": ("path", "VARCHAR"),
    "http.request.method": ("method", "VARCHAR"),
    "http.route": ("route", "VARCHAR"),
    "url.query": ("query", "VARCHAR"),
    "http.request.referrer": ("referrer", "VARCHAR"),
    "event.name": ("event", "VARCHAR"),
    "user_agent.name": ("browser", "VARCHAR"),
    "user_agent.os": ("os", "VARCHAR"),
    "user_agent.device": ("device", "VARCHAR"),
    "client.geo.country.iso_code": ("country", "VARCHAR"),
    "http.response.status_code": ("status", "INTEGER"),
    "duration_ms": ("duration_ms", "DOUBLE"),
    "event.properties": ("properties", "VARCHAR"),
}
"""Key of a record -> column and type. Only the keys that figures use."""
_VISITORS = {key: RECORDS[key] for key in ("log.record.uid", "time", "visitor.id", "server.address")}
_COUNTS = {
    "log.record.uid": ("uid", "VARCHAR"),
    "time": ("time", "TIMESTAMP"),
    "count.day": ("day", "DATE"),
    "server.address": ("host", "VARCHAR"),
    "consent.language": ("language", "VARCHAR"),
    "count.name": ("name", "VARCHAR"),
    "count.detail": ("detail", "VARCHAR"),
    "count.value": ("value", "BIGINT"),
}

_JOIN_AS_WRITTEN = "SET disabled_optimizers = 'join_order,build_side_probe_side'"
"""Joins have many records on one side and few groups on the other. DuckDB's optimizer guesses the groups to be many,
and then keeps all records in memory."""

Columns = dict[str, tuple[str, str]]

_COLUMNS: dict[str, Columns] = {"records": RECORDS, "counts": _COUNTS, "earlier": _VISITORS}
_VIEWS = {"records": "access_records", "counts": "access_counts", "earlier": "access_records"}
"""Temporary table -> the view of files that it is made from."""


class DuckDBFiles:
    """An engine for the files of an access log.

    Args:
        connection: a connection to an in-memory database.
        path: the live file; the closed files are beside it.
        memory: the bytes that it may take.

    Attributes:
        damaged: the files that were left out so far, because they cannot be read.
    """

    def __init__(self, connection: DuckDBPyConnection, path: Path, memory: int) -> None:
        self._connection, self._path, self._memory = connection, path, memory
        self._has_file = False
        self.damaged: list[Damaged] = []

    def prepare(self, given: Given) -> None:
        """Drop the tables of an earlier range."""
        for table in TEMPORARY:
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")

    def make(self, name: str, given: Given, segment: Segment = EVERYBODY) -> None:
        """Create a temporary table. Each record is read once, even if files are rotated or compacted meanwhile."""
        if name == "records":
            first = first_date(given)
            self._read(name, given, self._path, first, segment)
        elif name == "counts":
            self._read(name, given, counts_path(self._path), date.fromisoformat(str(given["first_day"])), segment)
        elif name == "earlier":
            self._read(name, given, self._path, date.min, segment)
        elif name in ("sessions", "pairs"):
            self._make_in_parts(name, given, segment)
        else:
            self._run(name, given, segment=segment)

    def _make_in_parts(self, name: str, given: Given, segment: Segment) -> None:
        """Create a table of sessions or of their pages, a part of the visitors at a time: sorting happens in memory.

        A session has one visitor, so the parts do not overlap.
        """
        (count,) = self._connection.table(segment.tables["records"]).count("*").fetchall()[0]
        parts = 1 + count * 1_000_000 // (_SORTED_AT_ONCE * self._memory)
        for part in range(parts):
            self._run(name, given, segment=segment, part=part, parts=parts)

    def _read(self, name: str, given: Given, path: Path, first: date, segment: Segment) -> None:
        table = segment.tables[name]

        def fill(files: Sequence[Source]) -> None:
            make_view(self._connection, _VIEWS[name], files, _COLUMNS[name])
            self._keep_in_file(files)
            # A first try may have left it, if files moved while it read.
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")
            self._run(name, given, segment=segment)
            if name != "earlier":  # which has each visitor once
                self._connection.execute(sql("once", DUCKDB, table=table))

        def read(found: Sequence[Source]) -> list[Damaged]:
            # A file's day is that of its newest record, so files closed before the range have nothing of it.
            files = [source for source in found if source.day is None or source.day >= first]
            return read_undamaged(self._connection, files, fill)[1]

        self._add_damaged(retry_if_moved(path, read))

    def _keep_in_file(self, files: Sequence[Source]) -> None:
        """Keep tables in a temporary file if these files have more records than half of the memory holds.

        There they are compressed to a sixth. From memory, DuckDB would write most of them to temporary files as they
        are, and read them again for each figure.
        """
        if self._has_file or records_in(files) * _IN_MEMORY <= self._memory / 2:
            return
        (folder,) = self._connection.execute("SELECT current_setting('temp_directory')").fetchall()[0]
        file = str(Path(folder, "tables.duckdb")).replace("'", "''")
        self._connection.execute(f"ATTACH '{file}' AS tables")
        self._connection.execute("USE tables")
        self._connection.execute("SET wal_autocheckpoint = '1TB'")  # nobody reads the file after this connection
        # DuckDB takes more than its limit, because it does not count everything.
        self._connection.execute(f"SET memory_limit = '{max(self._memory * 3 // 4, LEAST)}B'")
        self._has_file = True

    def _add_damaged(self, files: Iterable[Damaged]) -> None:
        """Note each damaged file once."""
        self.damaged += [each for each in dict.fromkeys(files) if each not in self.damaged]

    def rows(self, name: str, given: Given, **words: object) -> list[Row]:
        """Return the rows of an SQL file."""
        result = self._run(name, given, **words)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def _run(self, name: str, given: Given, **words: object) -> DuckDBPyConnection:
        if self._has_file:
            words["create"] = "CREATE TABLE"
        text = sql(name, DUCKDB, **words, **shape(given))
        # DuckDB rejects parameters that a text does not use.
        return self._connection.execute(text, {key: value for key, value in given.items() if f"${key}:" in text})


@contextmanager
def opened(target: str, memory: int | None = None) -> Iterator[DuckDBFiles]:
    """Open the files of an access log, for figures.

    Args:
        target: the path or "file://" URL of the live file.
        memory: as for `connected`.

    Raises:
        UnreadableError: as for `connected`.
    """
    path = Path(target.removeprefix("file://"))
    memory = memory or default_memory()
    with connected(path, memory) as connection:
        connection.execute(_JOIN_AS_WRITTEN)
        yield DuckDBFiles(connection, path, memory)


@contextmanager
def connected(path: Path, memory: int | None = None) -> Iterator[DuckDBPyConnection]:
    """Open an in-memory database that reads the files of an access log.

    Its memory is limited, it leaves no files behind, and it never uses the network.

    Args:
        path: the live file.
        memory: the bytes that it may take; beyond that it uses temporary files. None for `default_memory`.

    Raises:
        UnreadableError: the files cannot be read, memory or disk is too small, or DuckDB is missing.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise missing("duckdb", "analytics") from None
    memory = memory or default_memory()
    threads = min(os.cpu_count() or 1, _MAX_THREADS, max(memory // LEAST, 1))
    with temporary_folder() as folder:
        settings = {"memory_limit": f"{memory}B", "threads": threads, "temp_directory": str(folder)}
        with optional.duckdb_connection(settings) as connection:
            try:
                yield connection
            except duckdb.OutOfMemoryException as error:
                raise UnreadableError(_too_much(memory, error)) from None
            except (duckdb.Error, OSError) as error:
                problem = str(error).strip().partition("\n")[0][:300]
                raise UnreadableError(f"access_log: {path} cannot be read: {problem}") from None


def _too_much(memory: int, error: Exception) -> str:
    """Return what to do if the memory, or the disk for temporary files, is too small."""
    problem = str(error).strip().partition("\n")[0][:300]
    return (
        f"access_log: this takes more than the {format_size(memory)} of memory that it may. Name a narrower time, "
        "compact the files (cookie-consent compact), or allow a report more: --memory "
        f"{2 * memory // 10**6}MB. ({problem})"
    )


def first_date(given: Given) -> date:
    """Return the first day, in UTC, that a question reads. Files that were closed before it have no such records."""
    return datetime.fromtimestamp(int(given["read_since"]) // 1000, UTC).date()


def records_in(files: Sequence[Source]) -> int:
    """Return about how many records files have, by their sizes.

    Raises:
        FileNotFoundError: a file has moved.
    """
    return sum(file.path.stat().st_size // _IN_FILES.get(file.file_format, _IN_LINES) for file in files)


def make_view(connection: DuckDBPyConnection, name: str, files: Sequence[Source], columns: Columns) -> None:
    """Create a view of files that stands in for a database table.

    Args:
        connection: from `connected`.
        name: the name of the view.
        files: files of records, or of counts. Their names are passed as values, not as SQL.
        columns: key of a line -> column and type.
    """
    parquet = [one_file(source.path) for source in files if source.file_format is FileFormat.PARQUET]
    lines = [one_file(source.path) for source in files if source.file_format is not FileFormat.PARQUET]
    connection.execute(f"SET VARIABLE lines_of_{name} = $lines", {"lines": lines})
    connection.execute(f"SET VARIABLE parquet_of_{name} = $parquet", {"parquet": parquet})
    words = {"view": name, "columns": columns, "lines": bool(lines), "parquet": bool(parquet)}
    connection.execute(sql("files", DUCKDB, **words))
