"""JSON Lines and Parquet files: DuckDB computes figures from them, and reads all records in slices of time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cookie_consent.base.locking import temporary_folder
from cookie_consent.report.engines.dialect import DUCKDB, shape, sql
from cookie_consent.report.engines.engine import (
    EVERYBODY,
    LEAST,
    MARGIN,
    Given,
    Row,
    UnreadableError,
    default_memory,
    format_size,
    missing,
)
from cookie_consent.report.engines.tables import COLUMNS as OF_FACTS
from cookie_consent.report.engines.tables import Kept, add_closed_days, load_facts, make_sessions, make_view
from cookie_consent.report.where import Segment
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.closed_files import Source, counts_path, one_file, retry_if_moved
from cookie_consent.sinks.files.parquet import PROBE, find_other_lines, read_undamaged
from cookie_consent.sinks.optional import NotInstalledError, duckdb, duckdb_connection, is_interruption
from cookie_consent.sinks.store import Damaged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")
Key = tuple[date, int]

_MAX_THREADS = 4
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
_IN_SPAN = """
time >= make_timestamp(getvariable('read_since') * 1000) AND time < make_timestamp(getvariable('read_end') * 1000)
    AND (getvariable('host') = '' OR host = getvariable('host'))"""
_REMOVE_COPIES = """
DELETE FROM beside
WHERE (came, uid) IN (
    SELECT (came, uid) FROM read_parquet(getvariable('records_tables')) WHERE came >= (SELECT min(came) FROM beside)
)"""
_BATCH_SIZE = 2000
"""How many rows are fetched at once."""
_TYPES = {"time": "TIMESTAMP", "status": "INTEGER", "duration_ms": "DOUBLE"}
"""Column -> type. All other columns are texts."""
_VIEWED = {key: (column, _TYPES.get(column, "VARCHAR")) for key, column in COLUMNS.items()}
_ARE_RECORDS = "AND uid IS NOT NULL AND coalesce(isfinite(duration_ms), true)"
_JOIN_AS_WRITTEN = "SET disabled_optimizers = 'join_order,build_side_probe_side'"
"""Joins have many records on one side and few groups on the other. DuckDB's optimizer guesses the groups to be many,
and then keeps all records in memory."""


class DuckDBFiles:
    """An engine for the files of an access log.

    Args:
        connection: a connection to an in-memory database.
        path: the live file; the closed files are beside it.

    Attributes:
        damaged: the files that were left out so far, because they or some lines cannot be read.
    """

    def __init__(self, connection: DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._kept = Kept(path, date.max, {}, [], 0)
        self._variables: dict[str, Any] = {}
        self.damaged: list[Damaged] = []

    def prepare(self, given: Given) -> None:
        """Drop the tables of an earlier range, and read the records of this one that are in no table."""
        self._connection.execute("DROP SCHEMA IF EXISTS question CASCADE; CREATE SCHEMA question; USE question")
        self._set(given)
        since = int(given["read_since"])
        # The tables of one more day, so that there are all sessions of the range.
        self._kept = add_closed_days(self._connection, self._path, _day_of(since + MARGIN) - timedelta(days=1))
        first = _day_of(since)
        self._add_damaged(self._kept.other_lines(first))
        self._read(
            self._path,
            # A file's day is that of its newest record, so files closed before the range have nothing of it.
            lambda source: source.day is None or (source.day >= first and source.day not in self._kept.records),
            partial(load_facts, self._connection, "beside", _IN_SPAN),
        )
        self._place_tables(given)

    def _place_tables(self, given: Given) -> None:
        """Make a view of all records of a range."""
        since, end = int(given["read_since"]), int(given["read_end"])
        records = self._kept.records_between(since, end)
        sessions = self._kept.sessions_between(since, end)
        self._set({"records_tables": records, "sessions_tables": sessions})
        if records:
            self._connection.execute(_REMOVE_COPIES)
        self._run("kept", given, view="all_records", tables=bool(records))
        (first_beside,) = self._connection.execute("SELECT min(came) FROM beside").fetchall()[0]
        cut = self._kept.whole_until
        if first_beside is not None:
            cut = min(cut, first_beside - MARGIN)
        self._set({"cut": cut})

    def make(self, name: str, given: Given, segment: Segment = EVERYBODY) -> None:
        """Create a table or a view."""
        self._set(segment.given)
        if name == "records":
            self._run(name, given, segment=segment, kept="all_records", create="CREATE VIEW")
        elif name == "counts":
            self._make_counts(given)
        elif name == "earlier":
            self._make_earlier(given, segment)
        elif name == "sessions":
            self._make_visits(given, segment)
        elif name == "chosen_sessions" and not given.get("marks"):
            self._run(name, given, segment=segment, create="CREATE VIEW")
        else:
            self._run(name, given, segment=segment)

    def _make_visits(self, given: Given, segment: Segment) -> None:
        """Make the sessions: those in tables, and anew those that may go on in other records.

        Of a segment of some records, all sessions are made anew.
        """
        if segment.of("records") or not self._variables["sessions_tables"]:
            make_sessions(self._connection, segment.tables["records"], segment=segment, create="CREATE TABLE")
            return
        self._run("kept", given, view="after_cut", margin=MARGIN)
        make_sessions(self._connection, "after_cut", of_records="after_cut", target="anew", create="CREATE TABLE")
        self._connection.execute("DELETE FROM anew WHERE first_began < getvariable('cut')")
        self._run("kept", given, view="visits")

    def _make_counts(self, given: Given) -> None:
        first = date.fromisoformat(str(given["first_day"]))

        def fill(files: Sequence[Source]) -> list[Damaged]:
            make_view(self._connection, "access_counts", files, _COUNTS)
            self._connection.execute("DROP TABLE IF EXISTS counts")
            self._run("counts", given)
            self._connection.execute(sql("once", DUCKDB, table="counts"))
            return find_other_lines(self._connection, files)

        self._read(counts_path(self._path), lambda source: source.day is None or source.day >= first, fill)

    def _make_earlier(self, given: Given, segment: Segment) -> None:
        kept = self._kept.records_between(0, int(given["since"]))
        self._set({"earlier_tables": kept})
        words = {"kept": "read_parquet(getvariable('earlier_tables'))"} if kept else {}

        def fill(files: Sequence[Source]) -> list[Damaged]:
            make_view(self._connection, "access_records", files, OF_FACTS)
            self._connection.execute("DROP TABLE IF EXISTS earlier")
            self._run("earlier", given, segment=segment, **words)
            return []

        self._read(self._path, lambda source: source.day is None or source.day not in self._kept.records, fill)

    def _read(
        self, path: Path, selects: Callable[[Source], bool], fill: Callable[[Sequence[Source]], list[Damaged]]
    ) -> None:
        """Read files of a log, each record once, even if files are rotated or compacted meanwhile."""
        probe = self._connection.cursor()

        def read(found: Sequence[Source]) -> tuple[list[Damaged], list[Damaged]]:
            return read_undamaged(probe, [each for each in found if selects(each)], fill)

        others, damaged = retry_if_moved(path, read)
        self._add_damaged([*damaged, *others])

    def _add_damaged(self, files: Iterable[Damaged]) -> None:
        """Note each damaged file once."""
        known = {each.path for each in self.damaged}
        self.damaged += [each for each in files if each.path not in known]

    def rows(self, name: str, given: Given, **words: object) -> list[Row]:
        """Return the rows of an SQL file."""
        self._set(given)
        result = self._run(name, given, **words)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def stream(self, given: Given, *, of_segment: bool) -> Iterator[Sequence[Any]]:
        """Yield the records of a span.

        They are sorted before the first one comes. So files may be rotated, compacted or erased from meanwhile.
        """
        # Two threads take more time of the processor together than one, and more memory.
        self._connection.execute("SET threads = 1")
        first = _day_of(int(given["since"]))
        rows: list[Any] = []

        def sort(files: Sequence[Source]) -> list[Damaged]:
            make_view(self._connection, "access_records", files, _VIEWED)
            words = {"columns": COLUMNS.values(), "of_segment": of_segment, "condition": _ARE_RECORDS}
            rows[:] = self._run("stream", given, **words).fetchmany(_BATCH_SIZE)
            return find_other_lines(self._connection.cursor(), files)

        self._set(given)
        # A file's day is that of its newest record, so files closed before the span have nothing of it.
        self._read(self._path, lambda source: source.day is None or source.day >= first, sort)
        while rows:
            yield from rows
            rows = self._connection.fetchmany(_BATCH_SIZE)

    def _set(self, values: Any) -> None:
        for name, value in values.items():
            if self._variables.get(name) != value:
                self._connection.execute(f'SET VARIABLE "{name}" = $value', {"value": value})
                self._variables[name] = value

    def _run(self, name: str, given: Given, **words: object) -> DuckDBPyConnection:
        text = sql(name, DUCKDB, **{"create": "CREATE TABLE", **words}, **shape(given))
        try:
            return self._connection.execute(text)
        except duckdb().Error as error:
            if isinstance(error, duckdb().OutOfMemoryException) or is_interruption(error) or not self._renew():
                raise
        return self._connection.execute(text)

    def _renew(self) -> bool:
        """Make damaged tables again; return whether all are there. An erasure may also have replaced one just now."""
        tables = self._variables.get("records_tables", []) + self._variables.get("sessions_tables", [])
        for table in map(Path, tables):
            try:
                self._connection.execute(PROBE, {"file": one_file(table)})
            except duckdb().Error:
                table.unlink(missing_ok=True)
        before = self._kept
        self._kept = add_closed_days(self._connection, self._path, before.since)
        return bool(tables) and self._kept.sessions == before.sessions and [*self._kept.records] == [*before.records]


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
    with connected(path, memory) as connection:
        connection.execute(_JOIN_AS_WRITTEN)
        yield DuckDBFiles(connection, path)


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
        errors = duckdb()
    except NotInstalledError:
        raise missing("duckdb", "analytics") from None
    memory = memory or default_memory()
    threads = min(os.cpu_count() or 1, _MAX_THREADS, max(memory // LEAST, 1))
    with temporary_folder() as folder:
        settings = {"memory_limit": f"{memory}B", "threads": threads, "temp_directory": str(folder)}
        with duckdb_connection(settings) as connection:
            try:
                yield connection
            except errors.OutOfMemoryException as error:
                raise UnreadableError(_too_much(memory, error)) from None
            except (errors.Error, OSError) as error:
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


def _day_of(moment: int) -> date:
    """Return the day, in UTC, of milliseconds since 1970."""
    return datetime.fromtimestamp(moment / 1000, UTC).date()
