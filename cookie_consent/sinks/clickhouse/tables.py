"""Tables and statements of the ClickHouse sink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS

_TIME, _TEXT = "DateTime64(3, 'UTC')", "Nullable(String)"
_TYPES = {
    "time": _TIME,
    "uid": "String",
    **dict.fromkeys(("path", "query", "referrer", "visitor", "address", "properties"), _TEXT),
    "status": "Nullable(UInt16)",
    "duration_ms": "Nullable(Float64)",
    "day": "Date",
    "value": "Int64",
}
_LOW_CARDINALITY = "LowCardinality(Nullable(String))"
"""The type of all other columns: texts with few distinct values."""
_NEEDED = ("time", "day", "value")
"""Columns that must not be missing: ClickHouse would store 1970 or 0."""

TABLES_EXIST = """
    SELECT count() = 6 FROM system.tables WHERE database = currentDatabase() AND name IN (
        'access_records', 'access_records_lines', 'access_records_view',
        'access_counts', 'access_counts_lines', 'access_counts_view'
    )
"""
COUNT_OF_VISITOR = "SELECT count() FROM access_records FINAL WHERE visitor = {visitor:String}"
DELETE_OF_VISITOR = "DELETE FROM access_records WHERE visitor = {visitor:String}"
DAYS_BEFORE = """
    SELECT DISTINCT partition_id FROM system.parts
    WHERE active AND database = currentDatabase() AND table = 'access_records' AND toUInt32(partition) < {day:UInt32}
    ORDER BY partition_id
"""
TABLE = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = {table:String}"


def count_until(table: str) -> str:
    """Return the statement that counts rows older than a time."""
    return f"SELECT count() FROM {table} FINAL WHERE time < fromUnixTimestamp64Milli({{end:Int64}})"  # noqa: S608


def delete_until(table: str) -> str:
    """Return the statement that deletes rows older than a time."""
    return f"DELETE FROM {table} WHERE time < fromUnixTimestamp64Milli({{end:Int64}})"  # noqa: S608


def drop_day(day: str) -> str:
    """Return the statement that drops a day's partition if it exists."""
    return f"ALTER TABLE access_records DROP PARTITION ID '{day}'"


def apply_deletions(table: str) -> str:
    """Return the statement that removes deleted rows from disk now; the server would do so some time later."""
    return f"ALTER TABLE {table} APPLY DELETED MASK"


def lifetime(seconds: int) -> str:
    """Return the TTL clause of a table in the server's own notation."""
    return f"TTL toDateTime(time) + toIntervalSecond({seconds})"


def limit(table: str, seconds: int) -> str:
    """Return the statement that sets the TTL of a table."""
    return f"ALTER TABLE {table} MODIFY {lifetime(seconds)}"


def _kind(column: str) -> str:
    return _TYPES.get(column, _LOW_CARDINALITY)


def _make(table: str, columns: Mapping[str, str], engine: str) -> Sequence[str]:
    """Return the statements that create a table, its input table and the view between them.

    Lines are inserted as they are into the input table, which has one column for each key and stores nothing. The view
    copies them to the table.
    """
    columns_sql = ", ".join(f"{column} {_kind(column)}" for column in columns.values())
    keys_sql = ", ".join(
        f"`{key}` {f'Nullable({_kind(column)})' if column in _NEEDED else _kind(column)}"
        for key, column in columns.items()
    )
    constraints = ", ".join(
        f"CONSTRAINT needs_{column} CHECK {'notEmpty' if column == 'uid' else 'isNotNull'}(`{key}`)"
        for key, column in columns.items()
        if column in (*_NEEDED, "uid")
    )
    selected = ", ".join(
        f"{f'assumeNotNull(`{key}`)' if column in _NEEDED else f'`{key}`'} AS {column}"
        for key, column in columns.items()
    )
    select = f"SELECT {selected} FROM {table}_lines"  # noqa: S608
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({columns_sql}) ENGINE = ReplacingMergeTree {engine}",
        f"CREATE TABLE IF NOT EXISTS {table}_lines ({keys_sql}, {constraints}) ENGINE = Null",
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {table}_view TO {table} AS {select}",
    )


_AS_READ = {"time": "concat(replaceOne(toString(r.time), ' ', 'T'), 'Z')"}
SELECT_OF_VISITOR = f"""
    SELECT {", ".join(_AS_READ.get(column, f"r.{column}") for column in COLUMNS.values())}
    FROM access_records AS r FINAL WHERE r.visitor = {{visitor:String}} ORDER BY r.time, r.uid
"""  # noqa: S608 (constant names)
# Sorted by visitor first, so that one visitor's records are adjacent for look-ups and for sessions.
CREATE_TABLES = (
    *_make(
        "access_records",
        COLUMNS,
        "PARTITION BY toYYYYMMDD(time) PRIMARY KEY (visitor, time) ORDER BY (visitor, time, uid) "
        "SETTINGS allow_nullable_key = 1, ttl_only_drop_parts = 1",
    ),
    *_make("access_counts", COUNT_COLUMNS, "PARTITION BY toYYYYMM(day) ORDER BY (day, uid)"),
)
