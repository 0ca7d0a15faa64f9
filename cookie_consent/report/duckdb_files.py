"""Files, JSON Lines and Parquet: how what reads an access log opens them by DuckDB, and figures from them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cookie_consent.report.dialect import DUCKDB, sql
from cookie_consent.report.engine import Given, Row, UnreadableError, missing
from cookie_consent.sinks import optional
from cookie_consent.sinks.closed_files import Form, Source, counts_path, steadily
from cookie_consent.sinks.parquet import one_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY = "700MB"
"""What DuckDB may take; beyond that it uses files of its own, which are gone afterwards."""
_MOST_THREADS = 4

_RECORDS = {
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
    "http.response.status_code": ("status", "INTEGER"),
    "duration_ms": ("duration_ms", "DOUBLE"),
    "consent.purpose": ("purpose", "VARCHAR"),
}
"""Key of a record -> its column and its type; only what figures are made of."""
_COUNTS = {
    "log.record.uid": ("uid", "VARCHAR"),
    "count.day": ("day", "DATE"),
    "server.address": ("host", "VARCHAR"),
    "consent.language": ("language", "VARCHAR"),
    "count.name": ("name", "VARCHAR"),
    "count.detail": ("detail", "VARCHAR"),
    "count.value": ("value", "BIGINT"),
}
KIND = "coalesce(kind, CASE WHEN method = 'GET' AND coalesce(status, 0) < 400 THEN 'view' ELSE 'request' END)"
"""What stands in for the kind in records of an earlier version, which had none."""
_MADE_UP = {"uid": "coalesce(uid, uuid()::VARCHAR)", "kind": KIND}
"""Column -> what stands in for it."""

Columns = dict[str, tuple[str, str]]

_COLUMNS: dict[str, Columns] = {"records": _RECORDS, "counts": _COUNTS}


class DuckDBFiles:
    """An engine for the files of an access log.

    Args:
        connection: to a database in memory.
        path: the live file; the closed ones are beside it.
    """

    def __init__(self, connection: DuckDBPyConnection, path: Path) -> None:
        self._connection, self._path = connection, path

    def prepare(self, given: Given) -> None:
        """Forget the tables of an earlier range."""
        for table in ("records", "counts", "sessions"):
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")

    def make(self, table: str, given: Given) -> None:
        """Make a temporary table; one that reads files reads each record once, also where they move meanwhile."""
        if table == "records":
            first = datetime.fromtimestamp(int(given["read_since"]) // 1000, UTC).date()
            self._read(table, given, self._path, first)
        elif table == "counts":
            self._read(table, given, counts_path(self._path), date.fromisoformat(str(given["first_day"])))
        else:
            self._run(table, given)

    def _read(self, table: str, given: Given, path: Path, first: date) -> None:
        def read(found: Sequence[Source]) -> None:
            # A file's day is that of its newest record: what was closed before the range has nothing of it.
            files = [source for source in found if source.day is None or source.day >= first]
            columns = _COLUMNS[table]
            made_up = {column: text for column, text in _MADE_UP.items() if column in dict(columns.values())}
            make_view(self._connection, f"access_{table}", files, columns, made_up)
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")
            self._run(table, given)
            self._connection.execute(sql("once", DUCKDB, table=table))

        steadily(path, read)

    def rows(self, figure: str, given: Given) -> list[Row]:
        """Return the rows of a figure."""
        done = self._run(figure, given)
        names = [column[0] for column in done.description or ()]
        return [dict(zip(names, row, strict=True)) for row in done.fetchall()]

    def _run(self, name: str, given: Given) -> DuckDBPyConnection:
        text = sql(name, DUCKDB)
        return self._connection.execute(text, {key: value for key, value in given.items() if f"${key}:" in text})


@contextmanager
def opened(target: str) -> Iterator[DuckDBFiles]:
    """Open the files of an access log; raises what `connected` raises."""
    path = Path(target.removeprefix("file://"))
    with connected(path) as connection:
        yield DuckDBFiles(connection, path)


@contextmanager
def connected(path: Path) -> Iterator[DuckDBPyConnection]:
    """Give a connection to a database in memory, for what reads the files of an access log.

    It is bounded, leaves nothing behind, and never gets anything from a network.

    Args:
        path: the live file.

    Raises:
        UnreadableError: they cannot be read, or DuckDB is not there.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise missing("duckdb", "analytics") from None
    threads = min(os.cpu_count() or 1, _MOST_THREADS)
    with TemporaryDirectory(prefix="cookie-consent-read-") as folder:
        settings = {"memory_limit": _MEMORY, "threads": threads, "temp_directory": folder}
        with optional.duckdb_connection(settings) as connection:
            try:
                yield connection
            except (duckdb.Error, OSError) as error:
                said = str(error).strip().partition("\n")[0][:300]
                raise UnreadableError(f"access_log: {path} cannot be read: {said}") from None


def make_view(
    connection: DuckDBPyConnection, name: str, files: Sequence[Source], columns: Columns, made_up: Mapping[str, str]
) -> None:
    """Make the view of files that stands in for a database's table; the names of the files are values.

    Args:
        connection: from `connected`.
        name: of the view.
        files: with the records or counts.
        columns: key of a line -> its column and its type.
        made_up: column -> what stands in for it in lines of an earlier version, which had none.
    """
    parquet = [one_file(source.path) for source in files if source.form is Form.PARQUET]
    lines = [one_file(source.path) for source in files if source.form is not Form.PARQUET]
    connection.execute("SET VARIABLE lines = $lines", {"lines": lines})
    connection.execute("SET VARIABLE parquet = $parquet", {"parquet": parquet})
    words = {"columns": columns, "made_up": made_up, "lines": bool(lines), "parquet": bool(parquet)}
    connection.execute(sql("files", DUCKDB, view=name, **words))
