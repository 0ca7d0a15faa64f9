"""The tables of records and sessions that are kept beside an access log: each closed day is added once.

Sessions that may go on are made anew from six hours before a new day. So a table of sessions begins six hours before
its day, and it is made of the records from twelve hours before that day on.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zlib import crc32

from cookie_consent.report.engines.dialect import DUCKDB, sql
from cookie_consent.report.engines.engine import MARGIN
from cookie_consent.report.local_time import day_number, day_of
from cookie_consent.sinks.files.closed_files import FileFormat, Source, one_file, sources
from cookie_consent.sinks.files.parquet import NO_RECORD, find_other_lines, read_undamaged
from cookie_consent.sinks.files.tables import (
    KINDS,
    RECORDS,
    SESSIONS,
    Origin,
    closed_days,
    locked,
    read_origins,
    table_path,
    tables_folder,
    write_table,
)
from cookie_consent.sinks.optional import duckdb
from cookie_consent.sinks.store import Damaged, with_other_lines

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_DAY = 24 * 3_600_000
COLUMNS = {
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
SORTED_AT_ONCE = 4_000
"""Records sorted into sessions at once, for each MB of memory. About half of what fits."""
_MEMORY = "SELECT ceil(parse_formatted_bytes(current_setting('memory_limit')) / 1e6)::BIGINT"
_DAYS = "SELECT DISTINCT came // 86400000 AS day FROM fresh_records ORDER BY day"
_REMOVE_COPIES = "DELETE FROM fresh_records WHERE (came, uid) IN (SELECT (came, uid) FROM read_parquet($tables))"
_NO_FACTS = "uid IS NULL OR came IS NULL OR NOT isfinite(duration_ms)"
_AROUND = """
CREATE OR REPLACE TEMPORARY VIEW around AS
SELECT * FROM read_parquet(getvariable('around')) WHERE came >= {begin} - {margin} AND came < {end} + {margin}"""
_BEGUN = "SELECT * FROM fresh_sessions WHERE first_began >= $begin AND first_began < $end ORDER BY first_began"


@dataclass(frozen=True, slots=True)
class Kept:
    """The tables that fit the files of a log.

    Args:
        path: the live file of the log.
        since: the first day.
        records: the day of each table of records -> what it was made of.
        sessions: the days of the tables of sessions.
        whole_until: the tables have all sessions that began before this time, in milliseconds since 1970, as long as
            there are no other records.
    """

    path: Path
    since: date
    records: dict[date, Origin]
    sessions: list[date]
    whole_until: int

    def records_between(self, begin: int, end: int) -> list[str]:
        """Return the tables that have records of a span, in milliseconds since 1970."""
        days = range(begin // _DAY, -(-end // _DAY))
        found = [day for day, origin in self.records.items() if any(number in days for number in origin["days"])]
        return [one_file(table_path(self.path, RECORDS, day)) for day in found]

    def other_lines(self, first: date) -> list[Damaged]:
        """Return the files, from a day on, with lines that are no records."""
        return [
            with_other_lines(self.path.with_name(name), lines)
            for day, origin in self.records.items()
            if day >= first
            for name, lines in origin["other_lines"].items()
        ]

    def sessions_between(self, begin: int, end: int) -> list[str]:
        """Return the tables that have sessions that began in a span."""
        days = [day for day in self.sessions if begin_of_sessions(day) < end and begin_of_sessions(day) + _DAY > begin]
        return [one_file(table_path(self.path, SESSIONS, day)) for day in days]


def add_closed_days(connection: DuckDBPyConnection, path: Path, since: date = date.min) -> Kept:
    """Add the closed days of a log to its tables, each once, and return the tables.

    A day with a damaged file is not added. Where the folder cannot be written, no day is.

    Args:
        connection: a connection with a folder for temporary files.
        path: the live file of the log.
        since: the first day. Sessions are added from the next one on, since they need the records before them.
    """
    days = closed_days(path)
    origins = read_origins(connection, path, RECORDS, since)
    with suppress(OSError, duckdb().IOException):
        for day in sorted(days):
            if day >= since and not _fits(origins.get(day), days[day]):
                _add_records(connection, path, day)
    days = closed_days(path)
    origins = read_origins(connection, path, RECORDS, since)
    records = {day: origins[day] for day in sorted(origins) if _fits(origins[day], days.get(day))}
    wanted = _session_origins(records, since)
    with suppress(OSError, duckdb().IOException):
        origins = read_origins(connection, path, SESSIONS, since)
        for day, origin in wanted.items():
            if origins.get(day) != origin:
                _add_sessions(connection, path, day, origin)
    origins = read_origins(connection, path, SESSIONS, since)
    sessions = [day for day, origin in wanted.items() if origins.get(day) == origin]
    if sessions:
        with suppress(OSError, duckdb().IOException):
            write_database(connection, path)
    ends = [begin_of_sessions(day) for day in wanted if day not in sessions]
    ends += [begin_of_sessions(max(wanted)) + _DAY] if wanted else [0]
    return Kept(path, since, records, sessions, min(ends))


def write_database(connection: DuckDBPyConnection, path: Path) -> None:
    """Write a database of views of the tables, for other tools, if there is none or it has other views.

    Tables that another version made are removed then: a view reads all tables of a kind, with the same columns.
    """
    folder = one_file(tables_folder(path).absolute()).replace("'", "''")
    database = path.with_suffix(".duckdb")
    # DuckDB reads what follows a question mark in the name of a database as its options.
    if "?" in str(database):
        return
    words = {
        "views": "kept.views",
        "sessions": "kept.sessions",
        "of_records": f"read_parquet('{folder}/{RECORDS}/*.parquet')",
        "of_sessions": f"read_parquet('{folder}/{SESSIONS}/*.parquet')",
        "time": "make_timestamp(came * 1000)",
        "ending": "",
    }
    text = sql("own_tools", DUCKDB, **words)
    mark = f"Made by cookie_consent, {crc32(text.encode())}-{_version()}"
    if database.is_file() and mark.encode() in database.read_bytes():
        return
    for kind in KINDS:
        for day, origin in read_origins(connection, path, kind).items():
            if origin["sql"] != _version():
                table_path(path, kind, day).unlink(missing_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{database.name}.") as made:
        new = Path(made, database.name)
        name = str(new).replace("'", "''")
        connection.execute(f"ATTACH '{name}' AS kept")
        for statement in text.split(";"):
            connection.execute(statement)
        connection.execute(f"COMMENT ON VIEW kept.views IS '{mark}'")
        connection.execute("DETACH kept")
        new.chmod(tables_folder(path).stat().st_mode & 0o666)
        new.replace(database)


def begin_of_sessions(day: date) -> int:
    """Return when the sessions of a table of sessions begin, in milliseconds since 1970."""
    return day_number(day) * _DAY - MARGIN


def _fits(origin: Origin | None, files: object) -> bool:
    return bool(origin and origin["sql"] == _version() and origin["files"] == files)


@cache
def _version() -> int:
    """Return a number that changes with the SQL that makes the tables."""
    return crc32((sql("facts", DUCKDB, bounds="") + sql("sessions", DUCKDB, of_records="records")).encode())


def _session_origins(records: dict[date, Origin], since: date) -> dict[date, Origin]:
    """Return of which tables of records each table of sessions has to be made."""
    wanted: dict[date, Origin] = {}
    for day, origin in records.items():
        for number in origin["days"]:
            for made_for in (number, number + 1):
                if day_number(since) < made_for <= day_number(max(records)):
                    made_of = wanted.setdefault(day_of(made_for), {"records": {}, "sql": _version()})
                    made_of["records"][str(day)] = origin["files"]
    return {day: wanted[day] for day in sorted(wanted)}


def _add_records(connection: DuckDBPyConnection, path: Path, day: date) -> None:
    """Make the table of records of a day, unless another process has done so."""
    with locked(path):
        files = closed_days(path).get(day)
        if files is None or _fits(read_origins(connection, path, RECORDS, day, day).get(day), files):
            return
        of_day = [source for source in sources(path) if source.day == day]
        load = partial(load_facts, connection, "fresh_records", "true")
        others, damaged = read_undamaged(connection, of_day, load)
        numbers = [number for (number,) in connection.execute(_DAYS).fetchall()]
        if numbers:
            _remove_copies(connection, path, day, numbers)
        if not damaged and closed_days(path).get(day) == files:
            other_lines = {each.path.name: each.lines for each in others}
            origin = {"files": files, "days": numbers, "sql": _version(), "other_lines": other_lines}
            query = "SELECT * FROM fresh_records ORDER BY came"
            write_table(connection, query, table_path(path, RECORDS, day), origin, of_day[0].path)
        connection.execute("DROP TABLE fresh_records")


def load_facts(connection: DuckDBPyConnection, table: str, condition: str, files: list[Source]) -> list[Damaged]:
    """Make a table of the records in files, each once, with the columns of facts.sql; return files with other lines.

    Args:
        connection: from `connected`.
        table: its name.
        condition: SQL for the records to take.
        files: files of records.
    """
    make_view(connection, "access_records", files, COLUMNS)
    facts = sql("facts", DUCKDB, bounds=f"WHERE {NO_RECORD} OR ({condition})")
    connection.execute(f"CREATE OR REPLACE TEMPORARY TABLE {table} AS {facts}")
    (others,) = connection.execute(f"DELETE FROM {table} WHERE {_NO_FACTS}").fetchall()[0]  # noqa: S608 (names of ours)
    connection.execute(sql("once", DUCKDB, table=table))
    return find_other_lines(connection, files) if others else []


def _remove_copies(connection: DuckDBPyConnection, path: Path, day: date, numbers: list[int]) -> None:
    """Remove the records that another table has, too: a record that is written late may be in the files of two days."""
    origins = read_origins(connection, path, RECORDS, min(day, day_of(numbers[0])))
    tables = [
        one_file(table_path(path, RECORDS, other))
        for other, origin in origins.items()
        if other != day and set(numbers) & set(origin["days"])
    ]
    if tables:
        connection.execute(_REMOVE_COPIES, {"tables": tables})


def _add_sessions(connection: DuckDBPyConnection, path: Path, day: date, origin: Origin) -> None:
    """Make the table of sessions of a day, if the tables of records are still those that it is made of."""
    with locked(path):
        days = [date.fromisoformat(text) for text in origin["records"]]
        origins = read_origins(connection, path, RECORDS, min(days), max(days))
        if any(not _fits(origins.get(of_day), origin["records"][str(of_day)]) for of_day in days):
            return
        tables = [table_path(path, RECORDS, of_day) for of_day in days]
        connection.execute("SET VARIABLE around = $tables", {"tables": [one_file(table) for table in tables]})
        begin = begin_of_sessions(day)
        end = begin + _DAY
        connection.execute(_AROUND.format(begin=begin, end=end, margin=MARGIN))
        make = {"create": "CREATE OR REPLACE TEMPORARY TABLE", "target": "fresh_sessions", "of_records": "around"}
        make_sessions(connection, "around", **make)
        write_table(connection, _BEGUN, table_path(path, SESSIONS, day), origin, tables[0], begin=begin, end=end)
        connection.execute("DROP TABLE fresh_sessions")


def make_sessions(connection: DuckDBPyConnection, records: str, **words: object) -> None:
    """Create a table of the sessions of some records, a part of the visitors at a time: sorting happens in memory.

    A session has one visitor, so the parts do not overlap.
    """
    (memory,) = connection.execute(_MEMORY).fetchall()[0]
    (count,) = connection.execute(f"SELECT count(*) FROM {records}").fetchall()[0]  # noqa: S608 (names of ours)
    parts = 1 + count // (SORTED_AT_ONCE * memory)
    for part in range(parts):
        connection.execute(sql("sessions", DUCKDB, part=part, parts=parts, **words))


def make_view(
    connection: DuckDBPyConnection, name: str, files: Iterable[Source], columns: dict[str, tuple[str, str]]
) -> None:
    """Create a view of files that stands in for a database table.

    Args:
        connection: from `connected`.
        name: the name of the view.
        files: files of records, or of counts. Their names are passed as values, not as SQL.
        columns: key of a line -> column and type.
    """
    by_format: dict[bool, list[str]] = {True: [], False: []}
    for source in files:
        by_format[source.file_format is FileFormat.PARQUET].append(one_file(source.path))
    connection.execute(f"SET VARIABLE parquet_of_{name} = $files", {"files": by_format[True]})
    connection.execute(f"SET VARIABLE lines_of_{name} = $files", {"files": by_format[False]})
    words = {"view": name, "columns": columns, "lines": bool(by_format[False]), "parquet": bool(by_format[True])}
    connection.execute(sql("files", DUCKDB, **words))
