"""The ClickHouse sink. See docs/decisions/025."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from cookie_consent.base.process.forking import call_after_fork, leave_to_parent
from cookie_consent.sinks import CannotEraseError
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.clickhouse import tables
from cookie_consent.sinks.columns import record_from
from cookie_consent.sinks.store import RefusedError, refused, report, url_error

_CONNECT_TIMEOUT = 3
_WRITE_TIMEOUT, _LOOK_UP_TIMEOUT, _PURGE_TIMEOUT = 10, 30, 600
"""Time limits of statements (seconds)."""
_TRIES = 2
"""How often to delete a visitor's records. Another process may write some between a deletion and the check after it."""
_INSERT = {
    # The server merges the inserts of many processes, because each inserted part of a table costs it work.
    "async_insert": 1,
    "wait_for_async_insert": 1,
    "wait_for_async_insert_timeout": _WRITE_TIMEOUT,
    "date_time_input_format": "best_effort",
    "input_format_skip_unknown_fields": 1,
    "input_format_json_read_objects_as_strings": 1,
    "max_partitions_per_insert_block": 0,  # after an outage, or with a wrong clock, a batch can span many days
}
_SYNCHRONOUS = {"lightweight_deletes_sync": 2}  # the statement returns when all replicas are done
_ASYNCHRONOUS = {"mutations_sync": 0}
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


class ClickHouseStore:
    """Writes over HTTP, with a client that is created on first use and replaced after any failure.

    The server parses the lines, so that Python only copies bytes.

    Args:
        url: as for ClickHouseSink.
        limit: the time limit of each statement of `write` (seconds).

    Attributes:
        place: the URL without credentials.

    Raises:
        ValueError: the URL is invalid.
    """

    def __init__(self, url: str, *, limit: int = _WRITE_TIMEOUT) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if not parts.hostname:
            raise url_error("clickhouse://user:password@host:8123/database")
        self._url, self._interface = url, "https" if parts.scheme == "clickhouses" else "http"
        self.place = f"{parts.scheme}://{parts.hostname}{f':{port}' if port else ''}{parts.path}"
        self._limit = limit
        self._client: Client | None = None
        call_after_fork(self)

    def after_fork(self) -> None:
        """Drop the connection without closing it: it belongs to the parent process."""
        leave_to_parent(self._client)
        self._client = None

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Store lines, one for each uid.

        Raises:
            InvalidLinesError: the server refuses some lines; all others are stored.
            clickhouse_connect.driver.exceptions.ClickHouseError: the lines may not be stored.
        """
        try:
            client = self._client = self._client or self._connect(self._limit)
            why = [
                *refused(records, lambda lines: _insert(client, lines, "access_records_lines")),
                *refused(counts, lambda lines: _insert(client, lines, "access_counts_lines")),
            ]
        except BaseException:
            self.close()
            raise
        report(why)

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor, oldest first."""
        with self._connected(_LOOK_UP_TIMEOUT) as client:
            rows = client.query(tables.SELECT_OF_VISITOR, parameters={"visitor": visitor_id}).result_rows
        for row in rows:
            record = record_from(row)
            if properties := record.get("event.properties"):
                record["event.properties"] = json.loads(properties)
            yield record

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor; return how many.

        When this returns, no query finds them any more. The server removes them from disk soon after.

        Raises:
            CannotEraseError: the server still has some.
        """
        parameters = {"visitor": visitor_id}
        with self._connected(_LOOK_UP_TIMEOUT) as client:
            count = remaining = _number(client, tables.COUNT_OF_VISITOR, parameters)
            for _ in range(_TRIES):
                if remaining:
                    _delete(client, "access_records", tables.DELETE_OF_VISITOR, parameters)
                    remaining = _number(client, tables.COUNT_OF_VISITOR, parameters)
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
        until = {"end": int(end.timestamp() * 1000)}
        with self._connected(_PURGE_TIMEOUT) as client:
            count = _number(client, tables.count_until("access_records"), until)
            if not dry_run:
                for day in client.query(tables.DAYS_BEFORE, parameters={"day": int(f"{end:%Y%m%d}")}).result_rows:
                    client.command(tables.drop_day(*day))
                for table in ("access_records", "access_counts"):
                    _limit(client, table, int(keep.total_seconds()))
                    if _number(client, tables.count_until(table), until):
                        _delete(client, table, tables.delete_until(table), until)
        return count

    def close(self) -> None:
        """Close the connection. The store may be written to again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connect(self, limit: int) -> Client:
        """Return a client, and create missing tables.

        Args:
            limit: the time limit of each statement (seconds).
        """
        client = clickhouse_connect.get_client(
            dsn=self._url,
            interface=self._interface,
            connect_timeout=_CONNECT_TIMEOUT,
            send_receive_timeout=limit,
            query_retries=0,  # the sink retries
            autogenerate_session_id=False,  # statements share no session state
            dedicated_pool=True,
            settings={"max_execution_time": limit},
        )
        try:
            if not client.command(tables.TABLES_EXIST):
                for statement in tables.CREATE_TABLES:
                    client.command(statement)
        except BaseException:
            client.close()
            raise
        return client

    @contextmanager
    def _connected(self, limit: int) -> Iterator[Client]:
        """Connect for one operation: the writer's client is not shared with other threads."""
        client = self._connect(limit)
        try:
            yield client
        finally:
            client.close()


def _insert(client: Client, lines: Sequence[bytes], table: str) -> None:
    """Insert lines, all or none.

    Raises:
        RefusedError: the server can never accept one of them. It gives only the error's name, because its text contains
            data.
    """
    try:
        client.raw_insert(table, insert_block=b"".join(lines), settings=_INSERT, fmt="JSONEachRow")
    except DatabaseError as error:
        if error.code in _REFUSALS:
            raise RefusedError(error.name or f"error {error.code}") from None
        raise


def _number(client: Client, statement: str, values: dict[str, Any]) -> int:
    return int(client.query(statement, parameters=values).result_rows[0][0])


def _delete(client: Client, table: str, statement: str, values: dict[str, Any]) -> None:
    client.command(statement, parameters=values, settings=_SYNCHRONOUS)
    client.command(tables.apply_deletions(table), settings=_ASYNCHRONOUS)


def _limit(client: Client, table: str, seconds: int) -> None:
    """Set the TTL of a table unless it has that one already."""
    if tables.lifetime(seconds) not in client.query(tables.TABLE, parameters={"table": table}).result_rows[0][0]:
        # Existing parts are not rewritten: a purge deletes their old rows itself.
        client.command(tables.limit(table, seconds), settings={"materialize_ttl_after_modify": 0})
