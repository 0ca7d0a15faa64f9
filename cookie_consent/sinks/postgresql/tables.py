"""Tables and statements of the PostgreSQL sink."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import LiteralString

from psycopg import sql

from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS

_TYPES: Mapping[str, LiteralString] = {
    "time": "timestamptz",
    "status": "integer",
    "duration_ms": "double precision",
    "properties": "jsonb",
    "day": "date",
    "value": "bigint",
}
"""Column -> type; all others are text."""
_NEEDED = ("time", "uid", "day", "name", "value")
_DAY = "%Y%m%d"

TABLES_EXIST = sql.SQL("SELECT to_regclass('access_records') IS NOT NULL AND to_regclass('access_counts') IS NOT NULL")
SET_TIMEOUTS = sql.SQL("SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)")
LOCK_TABLES = sql.SQL("SELECT pg_advisory_xact_lock(7077283941)")
"""Taken to create or drop tables. Any number works that no other program uses in the same database."""

COPY_TABLE = sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS taken_lines (line text) ON COMMIT DELETE ROWS")
COPY_LINES = sql.SQL(
    r"COPY pg_temp.taken_lines FROM STDIN (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', ENCODING 'UTF8')"
)
"""CSV with quote and delimiter characters that JSON cannot contain, so that lines are copied unchanged."""
# 800 days back, as the longest retention, and one ahead, since clocks differ. Records of other days go into the default
# partition, so that a wrong clock cannot create partitions without limit.
MISSING_DAYS = sql.SQL("""
    SELECT name FROM (
        SELECT DISTINCT ((line::json ->> 'time')::timestamptz AT TIME ZONE 'UTC')::date AS day FROM pg_temp.taken_lines
    ) AS days, to_char(day, 'YYYYMMDD') AS name, CAST(now() AT TIME ZONE 'UTC' AS date) AS today
    WHERE day BETWEEN today - 800 AND today + 1 AND to_regclass('access_records_' || name) IS NULL
""")
DAYS_BEFORE = sql.SQL(r"""
    SELECT right(relname, 8) FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = 'access_records'::regclass AND relname ~ '_\d{8}$'
        AND right(relname, 8) < to_char(%s AT TIME ZONE 'UTC', 'YYYYMMDD') ORDER BY 1
""")
COUNT_UNTIL = sql.SQL("SELECT count(*) FROM access_records WHERE time < %s")
DELETE_UNTIL = sql.SQL("DELETE FROM access_records WHERE time < %s")
DELETE_COUNTS_UNTIL = sql.SQL("DELETE FROM access_counts WHERE time < %s")
ERASE = sql.SQL("DELETE FROM access_records WHERE visitor = %s")


def _type(column: str) -> sql.SQL:
    return sql.SQL(_TYPES.get(column, "text"))


def _comma(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _columns(columns: Mapping[str, str]) -> sql.Composed:
    """Return the column definitions of a table."""
    rules = {name: sql.SQL(" NOT NULL" if name in _NEEDED else "") for name in columns.values()}
    return _comma(sql.Identifier(name) + sql.SQL(" ") + _type(name) + rule for name, rule in rules.items())


def _insert_statement(table: LiteralString, columns: Mapping[str, str]) -> sql.Composed:
    """Return the statement that parses the copied lines and inserts new ones.

    It sorts them by time and uid, so that two processes with the same lines do not deadlock.
    """
    return sql.SQL(
        "INSERT INTO {} ({}) SELECT fields.* FROM pg_temp.taken_lines, json_to_record(line::json) AS fields ({}) "
        "ORDER BY 1, 2 ON CONFLICT DO NOTHING"
    ).format(
        sql.Identifier(table),
        _comma(map(sql.Identifier, columns.values())),
        _comma(sql.Identifier(key) + sql.SQL(" ") + _type(column) for key, column in columns.items()),
    )


INSERT_RECORDS = _insert_statement("access_records", COLUMNS)
INSERT_COUNTS = _insert_statement("access_counts", COUNT_COLUMNS)
CREATE_TABLES = sql.SQL("""
    CREATE TABLE IF NOT EXISTS access_records ({}, PRIMARY KEY (time, uid)) PARTITION BY RANGE (time);
    CREATE INDEX IF NOT EXISTS access_records_of_visitor ON access_records (visitor, time);
    CREATE TABLE IF NOT EXISTS access_records_rest PARTITION OF access_records DEFAULT;
    CREATE TABLE IF NOT EXISTS access_counts ({}, PRIMARY KEY (day, uid));
""").format(_columns(COLUMNS), _columns(COUNT_COLUMNS))
_AS_READ = {"time": sql.SQL("""to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""")}
SELECT_OF_VISITOR = sql.SQL("SELECT {} FROM access_records WHERE visitor = %s ORDER BY time, uid").format(
    _comma(_AS_READ.get(column) or sql.Identifier(column) for column in COLUMNS.values())
)


def make_day(day: str) -> sql.Composed:
    """Return the statements that create a day's partition and move the day's rows there from the default partition.

    The partition is attached once it is filled, so that readers and writers of other days need not wait.
    """
    start = datetime.strptime(day, _DAY).replace(tzinfo=UTC)
    bounds = {"start": sql.Literal(start.isoformat()), "end": sql.Literal((start + timedelta(days=1)).isoformat())}
    return sql.SQL("""
        CREATE TABLE {name} (LIKE access_records INCLUDING ALL);
        WITH moved AS (DELETE FROM access_records_rest WHERE time >= {start} AND time < {end} RETURNING *)
            INSERT INTO {name} SELECT * FROM moved;
        ALTER TABLE access_records ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end});
    """).format(name=_partition(day), **bounds)


def count_day(day: str) -> sql.Composed:
    """Return the statement that counts the records of a day's partition."""
    return sql.SQL("SELECT count(*) FROM {}").format(_partition(day))


def drop_day(day: str) -> sql.Composed:
    """Return the statement that drops a day's partition."""
    return sql.SQL("DROP TABLE {}").format(_partition(day))


def _partition(day: str) -> sql.Identifier:
    return sql.Identifier(f"access_records_{day}")
