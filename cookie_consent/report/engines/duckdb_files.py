"""Files, JSON Lines and Parquet: how what reads an access log opens them by DuckDB, and figures from them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cookie_consent.report.engines.dialect import DUCKDB, sql
from cookie_consent.report.engines.engine import Given, Row, UnreadableError, missing
from cookie_consent.report.memory import LEAST, default_memory, in_words
from cookie_consent.sinks import optional
from cookie_consent.sinks.files.closed_files import Form, Source, counts_path, steadily
from cookie_consent.sinks.files.parquet import one_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MOST_THREADS = 4
_SORTED_AT_ONCE = 4_000
"""So many records are sorted into sessions at once for each MB that may be taken; twice as many can do."""

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

_JOIN_AS_WRITTEN = "SET disabled_optimizers = 'join_order,build_side_probe_side'"
"""All records are joined with a few groups. Left to itself, DuckDB takes the groups for many, and holds all records."""

Columns = dict[str, tuple[str, str]]

_COLUMNS: dict[str, Columns] = {"records": _RECORDS, "counts": _COUNTS}


class DuckDBFiles:
    """An engine for the files of an access log.

    Args:
        connection: to a database in memory.
        path: the live file; the closed ones are beside it.
        memory: how much it may take (bytes).
    """

    def __init__(self, connection: DuckDBPyConnection, path: Path, memory: int) -> None:
        self._connection, self._path, self._memory = connection, path, memory

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
            self._make_in_parts(table, given)

    def _make_in_parts(self, table: str, given: Given) -> None:
        """Make the table of sessions, of some visitors after the other: all at once are sorted in memory.

        No session is of two visitors, so that nothing overlaps, however long one lasts.
        """
        (count,) = self._connection.execute("SELECT count(*) FROM records").fetchall()[0]
        parts = 1 + count * 1_000_000 // (_SORTED_AT_ONCE * self._memory)
        for part in range(parts):
            self._run(table, given, part=part, parts=parts)

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

    def _run(self, name: str, given: Given, **words: int) -> DuckDBPyConnection:
        text = sql(name, DUCKDB, **words)
        return self._connection.execute(text, {key: value for key, value in given.items() if f"${key}:" in text})


@contextmanager
def opened(target: str, memory: int | None = None) -> Iterator[DuckDBFiles]:
    """Open the files of an access log; takes and raises what `connected` does."""
    path = Path(target.removeprefix("file://"))
    memory = memory or default_memory()
    with connected(path, memory) as connection:
        connection.execute(_JOIN_AS_WRITTEN)
        yield DuckDBFiles(connection, path, memory)


@contextmanager
def connected(path: Path, memory: int | None = None) -> Iterator[DuckDBPyConnection]:
    """Give a connection to a database in memory, for what reads the files of an access log.

    It is bounded, leaves nothing behind, and never gets anything from a network.

    Args:
        path: the live file.
        memory: how much it may take (bytes); beyond that it uses files of its own, which are gone afterwards. None for
            `default_memory`.

    Raises:
        UnreadableError: they cannot be read, that takes too much memory, or DuckDB is not there.
    """
    try:
        import duckdb
    except ModuleNotFoundError:
        raise missing("duckdb", "analytics") from None
    memory = memory or default_memory()
    threads = min(os.cpu_count() or 1, _MOST_THREADS, max(memory // LEAST, 1))
    with TemporaryDirectory(prefix="cookie-consent-read-") as folder:
        settings = {"memory_limit": f"{memory}B", "threads": threads, "temp_directory": folder}
        with optional.duckdb_connection(settings) as connection:
            try:
                yield connection
            except duckdb.OutOfMemoryException as error:
                raise UnreadableError(_too_much(memory, error)) from None
            except (duckdb.Error, OSError) as error:
                said = str(error).strip().partition("\n")[0][:300]
                raise UnreadableError(f"access_log: {path} cannot be read: {said}") from None


def _too_much(memory: int, error: Exception) -> str:
    """Return what to do where the memory does not do, or there is no room for what is put beside it."""
    said = str(error).strip().partition("\n")[0][:300]
    return (
        f"access_log: this takes more than the {in_words(memory)} of memory that it may. Name a narrower time, compact "
        f"the files (cookie-consent compact), or allow a report more: --memory {2 * memory // 10**6}MB. ({said})"
    )


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
