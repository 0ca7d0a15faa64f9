"""Access records in ClickHouse. See docs/decisions/025."""

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

_CONNECT = 3
_WRITE, _LOOK_UP, _PURGE = 10, 30, 600
"""How long a statement may take (seconds)."""
_TRIES = 2
"""How often a visitor's records are deleted: another process may write some between a deletion and the look after."""
_INSERT = {
    # The server puts the batches of many processes together: each part of a table that is written costs it work.
    "async_insert": 1,
    "wait_for_async_insert": 1,
    "wait_for_async_insert_timeout": _WRITE,
    "date_time_input_format": "best_effort",
    "input_format_skip_unknown_fields": 1,
    "input_format_json_read_objects_as_strings": 1,
    "max_partitions_per_insert_block": 0,  # what a wrong clock wrote, or waited for long, may be of many days
}
_AT_ONCE = {"lightweight_deletes_sync": 2}  # it is done when the server answers
_LATER = {"mutations_sync": 0}
_REFUSALS = frozenset({6, 25, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 306, 349, 407, 467, 469})
"""What the server says of lines that it can never keep, as numbered in its ErrorCodes.cpp: CANNOT_PARSE_… and the like,
TYPE_MISMATCH, INCORRECT_DATA, TOO_DEEP_RECURSION, VIOLATED_CONSTRAINT."""


class ClickHouseSink(BufferedSink):
    """Keeps access records in a ClickHouse database, in tables that it makes: `access_records` and `access_counts`.

    Args:
        url: like "clickhouse://user:password@host:8123/database", or "clickhouses://" for TLS. What follows a "?" is
            for clickhouse-connect, or a setting of the server's.
        spill: the folder of spill files, which several processes may share; None for none.

    Raises:
        ValueError: the URL cannot be read.
    """

    def __init__(self, url: str, *, spill: str | PathLike[str] | None = None) -> None:
        store = ClickHouseStore(url)
        super().__init__(store, store.place, spill=spill)


class ClickHouseStore:
    """Writes over HTTP, with a client that is made when it is first needed and made anew after any failure.

    Lines go to the server as they come, and it takes them apart: Python copies bytes and parses nothing.

    Args:
        url: as of ClickHouseSink.
        limit: how long a statement of `write` may take (seconds).

    Attributes:
        place: the same without user and password.

    Raises:
        ValueError: the URL cannot be read.
    """

    def __init__(self, url: str, *, limit: int = _WRITE) -> None:
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
        """Have no connection: that of the parent is the parent's, also to close."""
        leave_to_parent(self._client)
        self._client = None

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Keep lines; one uid is kept once.

        Raises:
            InvalidLinesError: all are kept but some that the server refuses.
            clickhouse_connect.driver.exceptions.ClickHouseError: they could not be kept.
        """
        try:
            client = self._client = self._client or self._connect(self._limit)
            why = [
                *refused(records, lambda lines: _keep(client, lines, "access_records_lines")),
                *refused(counts, lambda lines: _keep(client, lines, "access_counts_lines")),
            ]
        except BaseException:
            self.close()
            raise
        report(why)

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor, oldest first."""
        with self._connected(_LOOK_UP) as client:
            rows = client.query(tables.READ, parameters={"visitor": visitor_id}).result_rows
        for row in rows:
            record = record_from(row)
            if properties := record.get("event.properties"):
                record["event.properties"] = json.loads(properties)
            yield record

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor and return how many there were.

        They are deleted for every reader when this returns; the server then takes them off its disk by itself.

        Raises:
            CannotEraseError: the server still has some.
        """
        own = {"visitor": visitor_id}
        with self._connected(_LOOK_UP) as client:
            count = left = _number(client, tables.COUNT_OF, own)
            for _ in range(_TRIES):
                if left:
                    _delete(client, "access_records", tables.DELETE_OF, own)
                    left = _number(client, tables.COUNT_OF, own)
        if left:
            raise CannotEraseError(
                f"{self.place} still has {left} records of this visitor, which it deleted. Erase them again."
            )
        return count

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Drop the days that are over, and delete what else is older than `keep`; return how many records.

        The tables get `keep` as their time limit too, for the time when nobody purges.
        """
        end = datetime.fromtimestamp(now, UTC) - keep
        until = {"end": int(end.timestamp() * 1000)}
        with self._connected(_PURGE) as client:
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
        """End connections. It may be written to again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _connect(self, limit: int) -> Client:
        """Return a client of a database that has the tables.

        Args:
            limit: how long each statement may take (seconds).
        """
        client = clickhouse_connect.get_client(
            dsn=self._url,
            interface=self._interface,
            connect_timeout=_CONNECT,
            send_receive_timeout=limit,
            query_retries=0,
            autogenerate_session_id=False,  # nothing is kept between statements
            dedicated_pool=True,
            settings={"max_execution_time": limit},
        )
        try:
            if not client.command(tables.ARE_THERE):
                for statement in tables.MAKE:
                    client.command(statement)
        except BaseException:
            client.close()
            raise
        return client

    @contextmanager
    def _connected(self, limit: int) -> Iterator[Client]:
        """Give a client of its own to whatever does not belong to the writer's thread."""
        client = self._connect(limit)
        try:
            yield client
        finally:
            client.close()


def _keep(client: Client, lines: Sequence[bytes], table: str) -> None:
    """Keep all of some lines.

    Raises:
        RefusedError: the server cannot keep one of them. It gives only the error's name: its text has data in it.
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
    client.command(statement, parameters=values, settings=_AT_ONCE)
    client.command(tables.really_gone(table), settings=_LATER)


def _limit(client: Client, table: str, seconds: int) -> None:
    """Give a table its time limit, if it has another one or none."""
    if tables.lifetime(seconds) not in client.query(tables.TABLE, parameters={"table": table}).result_rows[0][0]:
        client.command(tables.limit(table, seconds), settings={"materialize_ttl_after_modify": 0})
