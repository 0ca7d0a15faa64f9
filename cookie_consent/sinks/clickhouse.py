"""The ClickHouse sink. See docs/decisions/004."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS, record_from
from cookie_consent.sinks.databases import (
    CONNECT_TIMEOUT,
    COUNTS,
    LOOK_UP_TIMEOUT,
    PURGE_TIMEOUT,
    RECORDS,
    WRITE_TIMEOUT,
    DatabaseStore,
    RefusedError,
    url_error,
)
from cookie_consent.sinks.erased import hash_of
from cookie_consent.sinks.store import CannotEraseError

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

_TABLES_EXIST = """
    SELECT count() = 7 FROM system.tables WHERE database = currentDatabase() AND name IN (
        'access_records', 'access_records_lines', 'access_records_view', 'access_erased',
        'access_counts', 'access_counts_lines', 'access_counts_view'
    )
"""
_LIST_ERASED = "INSERT INTO access_erased SELECT {hash:String}, now64(3)"
_IS_NOT_ERASED = """
    LEFT ANY JOIN (SELECT hash, max(until) AS until FROM access_erased GROUP BY hash) AS erased
    ON erased.hash = lower(left(hex(SHA256(ifNull(`visitor.id`, ''))), 32))
    WHERE erased.hash = '' OR isNull(`time`) OR toStartOfSecond(assumeNotNull(`time`)) > erased.until
"""
_COUNT_OF_VISITOR = "SELECT count() FROM access_records FINAL WHERE visitor = {visitor:String}"
_COUNT_UNTIL = "SELECT count() FROM access_records FINAL WHERE time < fromUnixTimestamp64Milli({end:Int64})"
_DAYS_BEFORE = """
    SELECT DISTINCT partition_id FROM system.parts
    WHERE active AND database = currentDatabase() AND table = 'access_records' AND toUInt32(partition) < {day:UInt32}
    ORDER BY partition_id
"""


def _kind(column: str) -> str:
    return _TYPES.get(column, _LOW_CARDINALITY)


def _make(table: str, columns: Mapping[str, str], engine: str, condition: str = "") -> Sequence[str]:
    """Return the statements that create a table, its input table and the view between them, with the lines to copy.

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
    select = f"SELECT {selected} FROM {table}_lines {condition}"  # noqa: S608
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({columns_sql}) ENGINE = ReplacingMergeTree {engine}",
        f"CREATE TABLE IF NOT EXISTS {table}_lines ({keys_sql}, {constraints}) ENGINE = Null",
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {table}_view TO {table} AS {select}",
        f"ALTER TABLE {table}_view MODIFY QUERY {select}",  # an earlier version made another view
    )


_AS_READ = {"time": "concat(replaceOne(toString(r.time), ' ', 'T'), 'Z')"}
_SELECT_OF_VISITOR = f"""
    SELECT {", ".join(_AS_READ.get(column, f"r.{column}") for column in COLUMNS.values())}
    FROM access_records AS r FINAL WHERE r.visitor = {{visitor:String}} ORDER BY r.time, r.uid
"""  # noqa: S608 (constant names)
# Sorted by visitor first, so that one visitor's records are adjacent for look-ups and for sessions.
_CREATE_TABLES = (
    f"CREATE TABLE IF NOT EXISTS access_erased (hash String, until {_TIME}) ENGINE = ReplacingMergeTree(until) "
    "ORDER BY hash",
    *_make(
        "access_records",
        COLUMNS,
        "PARTITION BY toYYYYMMDD(time) PRIMARY KEY (visitor, time) ORDER BY (visitor, time, uid) "
        "SETTINGS allow_nullable_key = 1, ttl_only_drop_parts = 1",
        _IS_NOT_ERASED,
    ),
    *_make("access_counts", COUNT_COLUMNS, "PARTITION BY toYYYYMM(day) ORDER BY (day, uid)"),
)

_TRIES = 2
"""How often to delete a visitor's records. Another process may write some between a deletion and the check after it."""
_INSERT = {
    # The server merges the inserts of many processes, because each inserted part of a table costs it work.
    "async_insert": 1,
    "wait_for_async_insert": 1,
    "wait_for_async_insert_timeout": WRITE_TIMEOUT,
    "date_time_input_format": "best_effort",
    "input_format_skip_unknown_fields": 1,
    "input_format_json_read_objects_as_strings": 1,
    "max_partitions_per_insert_block": 0,  # after an outage, or with a wrong clock, a batch can span many days
}
_SYNCHRONOUS = {"lightweight_deletes_sync": 2}  # the statement returns when all replicas are done
_ASYNCHRONOUS = {"mutations_sync": 0}
_WITHOUT_REWRITING = {"materialize_ttl_after_modify": 0}
_REFUSALS = frozenset({6, 25, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 306, 349, 407, 467, 469})
"""Error codes for lines that the server can never accept, from its ErrorCodes.cpp: CANNOT_PARSE_… and the like,
TYPE_MISMATCH, INCORRECT_DATA, TOO_DEEP_RECURSION, VIOLATED_CONSTRAINT."""


class ClickHouseSink(BufferedSink):
    """Writes access records to a ClickHouse database, in tables that it creates: `access_records` and `access_counts`.

    Args:
        url: like "clickhouse://user:password@host:8123/database", or "clickhouses://" for TLS. Parameters after "?" go
            to clickhouse-connect or are server settings.
        spill: the folder of spill files, which several processes may share; None for no spill files.

    Raises:
        ValueError: the URL is invalid.
    """

    def __init__(self, url: str, *, spill: str | PathLike[str] | None = None) -> None:
        store = ClickHouseStore(url)
        super().__init__(store, store.place, spill=spill)


class ClickHouseStore(DatabaseStore[Client]):
    """The store of the sink. It writes over HTTP.

    Args:
        url: as for ClickHouseSink.
        limit: the time limit of each statement of `write` (seconds).

    Raises:
        ValueError: the URL is invalid.
    """

    def __init__(self, url: str, *, limit: float = WRITE_TIMEOUT) -> None:
        try:
            parts = urlsplit(url)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            parts = urlsplit("")
        if not parts.hostname:
            raise url_error("clickhouse://user:password@host:8123/database")
        self._url = url
        self._interface = "https" if parts.scheme == "clickhouses" else "http"
        super().__init__(f"{parts.scheme}://{parts.hostname}{port}{parts.path}", limit)

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor, oldest first."""
        with closing(self._connect(LOOK_UP_TIMEOUT)) as client:
            rows = client.query(_SELECT_OF_VISITOR, parameters={"visitor": visitor_id}).result_rows
        for row in rows:
            record = record_from(row)
            if properties := record.get("event.properties"):
                record["event.properties"] = json.loads(properties)
            yield record

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor, and list the visitor, so that no host writes late ones; return how many.

        When this returns, no query finds them any more. The server removes them from disk soon after.

        Raises:
            CannotEraseError: the server still has some.
        """
        values = {"visitor": visitor_id}
        with closing(self._connect(LOOK_UP_TIMEOUT)) as client:
            client.command(_LIST_ERASED, parameters={"hash": hash_of(visitor_id)})
            count = remaining = _number(client, _COUNT_OF_VISITOR, values)
            for _ in range(_TRIES):
                if remaining:
                    _delete(client, RECORDS, "visitor = {visitor:String}", values)
                    remaining = _number(client, _COUNT_OF_VISITOR, values)
        if remaining:
            raise CannotEraseError(
                f"{self.place} still has {remaining} records of this visitor, which it deleted. Erase them again."
            )
        return count

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Drop the partitions of old days, delete other rows older than `keep`; return how many records.

        It also sets `keep` as the TTL of the tables, which applies even if nobody purges.
        """
        end = datetime.fromtimestamp(now, UTC) - keep
        values = {"end": int(end.timestamp() * 1000)}
        lifetime = f"toDateTime(time) + toIntervalSecond({int(keep.total_seconds())})"
        with closing(self._connect(PURGE_TIMEOUT)) as client:
            count = _number(client, _COUNT_UNTIL, values)
            if not dry_run:
                for (day,) in client.query(_DAYS_BEFORE, parameters={"day": int(f"{end:%Y%m%d}")}).result_rows:
                    client.command(f"ALTER TABLE access_records DROP PARTITION ID '{day}'")
                _delete(client, "access_erased", "until < fromUnixTimestamp64Milli({end:Int64})", values)
                for table in (RECORDS, COUNTS):
                    # Existing parts are not rewritten: their old rows are deleted here.
                    client.command(f"ALTER TABLE {table} MODIFY TTL {lifetime}", settings=_WITHOUT_REWRITING)
                    _delete(client, table, "time < fromUnixTimestamp64Milli({end:Int64})", values)
        return count

    def _connect(self, limit: float) -> Client:
        client = clickhouse_connect.get_client(
            dsn=self._url,
            interface=self._interface,
            connect_timeout=CONNECT_TIMEOUT,
            send_receive_timeout=limit,
            query_retries=0,  # the sink retries
            autogenerate_session_id=False,  # statements share no session state
            dedicated_pool=True,
            settings={"max_execution_time": limit},
        )
        try:
            if not client.command(_TABLES_EXIST):
                for statement in _CREATE_TABLES:
                    client.command(statement)
        except BaseException:
            client.close()
            raise
        return client

    def _insert(self, connection: Client, table: str, lines: Sequence[bytes]) -> None:
        try:
            connection.raw_insert(f"{table}_lines", insert_block=b"".join(lines), settings=_INSERT, fmt="JSONEachRow")
        except DatabaseError as error:
            if error.code in _REFUSALS:
                raise RefusedError(error.name or f"error {error.code}") from None
            raise


def _number(client: Client, statement: str, values: dict[str, Any]) -> int:
    return int(client.query(statement, parameters=values).result_rows[0][0])


def _delete(client: Client, table: str, condition: str, values: dict[str, Any]) -> None:
    """Delete rows, and remove them from disk now; the server would do so some time later."""
    client.command(f"DELETE FROM {table} WHERE {condition}", parameters=values, settings=_SYNCHRONOUS)  # noqa: S608
    client.command(f"ALTER TABLE {table} APPLY DELETED MASK", settings=_ASYNCHRONOUS)
