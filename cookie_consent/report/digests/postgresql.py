"""Digests in PostgreSQL: reading them, and making those of all days that are over."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg import Connection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row

from cookie_consent.report.digests.making import Digested
from cookie_consent.report.digests.server import (
    TABLES,
    Progress,
    add_facts,
    closed_days,
    schema,
    without_progress,
)
from cookie_consent.report.engines.dialect import POSTGRESQL
from cookie_consent.report.engines.engine import Given
from cookie_consent.report.engines.postgresql import SETTINGS, PostgreSQLServer, connected
from cookie_consent.sinks.postgresql import digests, tables

_KEY_BYTES = 32


class PostgreSQLDigests(PostgreSQLServer):
    """An engine for access records in PostgreSQL that can read digests.

    Args:
        connection: a connection in a transaction, with rows as dictionaries.
    """

    dialect = POSTGRESQL

    def make_fact_tables(self) -> None:
        """Create the temporary tables of facts that no digest has."""
        self._execute("CREATE TEMPORARY TABLE scanned_facts (LIKE access_digest_facts INCLUDING DEFAULTS)", {})
        self._execute("CREATE TEMPORARY TABLE scanned_visitors (number bigint)", {})

    def next_record(self, since: int, end: int) -> int | None:
        """Return the time of the first record in a span, in milliseconds since 1970; None if there is none."""
        found: int | None = self._one(digests.NEXT_RECORD, (since, end))
        return found

    def digested(self, zone: str) -> tuple[str, Mapping[int, int]] | None:
        """Return the key of the digests, and day -> number of its valid digest; None if there are none to read."""
        if not self._one(digests.CAN_READ):
            return None
        rows = self._connection.execute(digests.VALID_DAYS, (zone, schema(POSTGRESQL))).fetchall()
        return self._one(digests.KEY), {row["day"]: row["day"] for row in rows}

    def add(self, day: int, given: Given, zone: str) -> None:
        """Add the digest of a day."""
        add_facts(self, day, given, self._one(digests.KEY), "access_digest_facts")
        values = {**given, "day": day, "zone": zone, "schema": schema(POSTGRESQL)}
        self._connection.execute(digests.ADD_DAY, values)

    def lock(self) -> bool:
        """Take the lock for making digests until the transaction ends; return False if another process has it."""
        return bool(self._one(digests.LOCK))

    def _one(self, statement: Any, values: Sequence[Any] = ()) -> Any:
        row = self._connection.execute(statement, values or None).fetchone()
        return next(iter(row.values())) if row else None


def digest(
    url: str,
    zone: str = "UTC",
    *,
    progress: Progress = without_progress,
    now: float | None = None,
) -> Digested:
    """Make the digests of all days that are over and have none; remove those that no longer count.

    It is safe to run while other processes write, read, erase or purge. Each day is one transaction, so that a kill
    leaves nothing wrong.

    Args:
        url: the URL of the database.
        zone: the time zone of the days.
        progress: shows how many days are done.
        now: seconds since 1970; None for now.

    Raises:
        UnreadableError: the database cannot be used.
    """
    moment = round((time.time() if now is None else now) * 1000)
    with connected(url) as connection:
        connection.row_factory = dict_row
        engine = PostgreSQLDigests(connection)
        if not _prepared(connection, engine, zone):
            return Digested(0, None, busy=True)
        days = _missing(connection, engine, zone, moment)
        with progress("days", len(days)) as seen:
            for made, (day, given) in enumerate(days, 1):
                if not _made(connection, engine, day, given, zone):
                    return Digested(made - 1, None, busy=True)
                seen(made)
        with connection.transaction():
            if engine.lock():
                # Somebody may have erased records while their day was read.
                connection.execute(digests.DELETE_VOID)
                connection.execute(digests.FORGET_CHANGES)
    return Digested(len(days), None)


def _prepared(connection: Connection[Any], engine: PostgreSQLDigests, zone: str) -> bool:
    """Create missing tables, and remove digests that no longer count; return False if another process makes digests."""
    with connection.transaction():
        connection.execute("SELECT FROM access_records LIMIT 0")  # a database without has no digests, either
        if not engine._one(digests.TABLES_EXIST):
            connection.execute(tables.LOCK_TABLES)
            connection.execute(digests.create_tables(secrets.token_hex(_KEY_BYTES)))
    with connection.transaction():
        if not engine.lock():
            return False
        connection.execute(digests.DELETE_OTHERS, (zone, schema(POSTGRESQL)))
        connection.execute(digests.DELETE_VOID)
    return True


def _missing(connection: Connection[Any], engine: PostgreSQLDigests, zone: str, now: int) -> list[tuple[int, Given]]:
    """Return the days without a digest that are over, each with the parameters of a question about it."""
    with connection.transaction():
        _, known = engine.digested(zone) or ("", {})
        return closed_days(engine, zone, now, known)


def _made(connection: Connection[Any], engine: PostgreSQLDigests, day: int, given: Given, zone: str) -> bool:
    """Make the digest of a day in one transaction; return False if another process makes digests."""
    try:
        with _snapshot(connection):
            if not engine.lock():
                return False
            engine.add(day, given, zone)
    except UniqueViolation:  # another process made it just before the lock was free
        return False
    return True


@contextmanager
def _snapshot(connection: Connection[Any]) -> Iterator[None]:
    """Run the block in a transaction that sees one state of the database, and drop its temporary tables."""
    with connection.transaction():
        for setting in SETTINGS:
            connection.execute(setting)
        yield
        PostgreSQLDigests(connection).drop(*TABLES)
