"""The databases that sinks write to, behind one interface, for tests that run with each of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from clickhouse_connect.driver.exceptions import DatabaseError

from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.clickhouse import ClickHouseSink, ClickHouseStore
from cookie_consent.sinks.postgresql import PostgresqlSink, PostgresqlStore
from tests.support.servers.clickhouse_server import ask
from tests.support.sink_lines import line, record, to_line

_BAD_LINES = (
    b'{"visitor.id": "no JSON"\n',
    b"\xff\xfe visitor\n",
    b"\\.\n",
    b'["visitor"]\n',
    b'{"visitor": "\x01\x02\x00"}\n',
    line(5, but={"time": "visitor's time"}),
    line(5, but={"time": None}),
    line(5, but={"log.record.uid": None}),
    line(5, but={"http.response.status_code": "visitor"}),
    b'{"visitor":' + b"[" * 100_000 + b"\n",
)
"""Lines that no database can store."""


@dataclass
class PostgresqlDatabase:
    """A database of PostgreSQL."""

    url: str
    bad_lines = (
        *_BAD_LINES,
        b"\n",
        to_line(record(5, "visitor \0")),
        line(5, but={"log.record.uid": os.urandom(9000).hex()}),
        line(5, but={"event.properties": "visitor \0"}),
    )
    table_missing = psycopg.ProgrammingError

    def store(self) -> PostgresqlStore:
        return PostgresqlStore(self.url)

    def sink(self, spill: Path) -> BufferedSink:
        return PostgresqlSink(self.url, spill=spill)

    def rows(self, statement: str, *values: object) -> list[Any]:
        """Return the rows of a query; only the values if there is one column."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(statement.encode(), values).fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    def do(self, statement: str, *values: object) -> None:
        """Run a statement without rows."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode(), values)

    def uids(self) -> list[str]:
        return self.rows("SELECT uid FROM access_records")

    def partitions(self) -> list[str]:
        """Return the partitions, by the ends of their names."""
        return self.rows(
            "SELECT replace(inhrelid::regclass::text, 'access_records_', '') FROM pg_inherits "
            "WHERE inhparent = 'access_records'::regclass ORDER BY 1"
        )

    def days(self) -> list[str]:
        return [name for name in self.partitions() if name != "rest"]

    def columns(self, table: str) -> list[str]:
        named = "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position"
        return self.rows(named, table)

    def count_sums(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "SELECT host, language, name, detail, sum(value)::integer FROM access_counts GROUP BY 1, 2, 3, 4"
        )

    def drop_records(self) -> None:
        self.do("DROP TABLE access_records")


@dataclass
class ClickHouseDatabase:
    """A database of ClickHouse."""

    url: str
    bad_lines = (
        *_BAD_LINES,
        line(5, but={"log.record.uid": ""}),
        line(5, but={"duration_ms": {"visitor": 1}}),
        to_line({"visitor": 1}),
    )
    table_missing = DatabaseError

    def store(self) -> ClickHouseStore:
        return ClickHouseStore(self.url)

    def sink(self, spill: Path) -> BufferedSink:
        return ClickHouseSink(self.url, spill=spill)

    def rows(self, statement: str, **values: object) -> list[Any]:
        """Return the rows of a query; only the values if there is one column."""
        return [row[0] if len(row) == 1 else tuple(row) for row in ask(self.url, statement, **values)]

    def uids(self) -> list[str]:
        return self.rows("SELECT uid FROM access_records FINAL")

    def days(self) -> list[str]:
        return self.rows(
            "SELECT DISTINCT partition FROM system.parts WHERE active AND database = currentDatabase() "
            "AND table = 'access_records' AND rows > 0 ORDER BY 1"
        )

    def columns(self, table: str) -> list[str]:
        named = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
        return self.rows(named, table=table)

    def count_sums(self) -> list[tuple[Any, ...]]:
        return self.rows("SELECT host, language, name, detail, sum(value) FROM access_counts FINAL GROUP BY 1, 2, 3, 4")

    def drop_records(self) -> None:
        for name in ("access_records_view", "access_records_lines", "access_records"):
            ask(self.url, f"DROP TABLE {name} SYNC")


Database = PostgresqlDatabase | ClickHouseDatabase
DATABASES: Mapping[str, type[PostgresqlDatabase] | type[ClickHouseDatabase]] = {
    "postgresql": PostgresqlDatabase,
    "clickhouse": ClickHouseDatabase,
}
