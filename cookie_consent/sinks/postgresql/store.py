"""Access records in PostgreSQL. See docs/decisions/025."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import Any

import psycopg
from psycopg import Connection, errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cookie_consent.base.process.forking import call_after_fork, leave_to_parent
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.columns import record_from
from cookie_consent.sinks.deadline import cut_off_after
from cookie_consent.sinks.postgresql import tables
from cookie_consent.sinks.store import RefusedError, refused, report, url_error

_CONNECT = 3
_WRITE, _LOOK_UP, _PURGE = 10, 30, 600
"""How long they may take (seconds); the last one looks through all that is kept."""
_LOCK_WAIT = 3
"""How long to wait for a lock (seconds): a purge that waits for a long report must not hold up what comes after it."""
_REFUSALS = (
    psycopg.DataError,
    errors.NotNullViolation,
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
)
"""What the server says of lines that it can never keep: no JSON, a NUL, no time, no uid, a text beyond all measure."""


class PostgresqlSink(BufferedSink):
    """Keeps access records in a PostgreSQL database, in tables that it makes: `access_records` and `access_counts`.

    Args:
        url: like "postgresql://user:password@host/database". The user owns the tables, or may make them.
        spill: the folder of spill files, which several processes may share; None for none.

    Raises:
        ValueError: the URL cannot be read.
    """

    def __init__(self, url: str, *, spill: str | PathLike[str] | None = None) -> None:
        store = PostgresqlStore(url)
        super().__init__(store, store.place, spill=spill)


class PostgresqlStore:
    """Writes over one connection, made when it is first needed and made anew after any failure.

    Lines go to the server as they come, and it takes them apart: Python copies bytes and parses nothing.

    Args:
        url: like "postgresql://user:password@host/database".
        limit: how long a transaction of `write` may take (seconds).

    Attributes:
        place: the same without user and password.

    Raises:
        ValueError: the URL cannot be read.
    """

    def __init__(self, url: str, *, limit: float = _WRITE) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise url_error("postgresql://user:password@host:5432/database") from None
        wanted = {
            "connect_timeout": _CONNECT,
            # A host that vanished is noticed in seconds, and not in the two hours that are usual.
            "tcp_user_timeout": _CONNECT * 1000,
            "keepalives_idle": _CONNECT,
            "keepalives_interval": 1,
            "keepalives_count": _CONNECT,
        }
        own = {name: value for name, value in wanted.items() if name not in given}  # what the URL says comes first
        self._address = make_conninfo(url, **own)
        self.place = f"postgresql://{given.get('host', '')}/{given.get('dbname', '')}"
        self._limit = limit
        self._connection: Connection | None = None
        call_after_fork(self)

    def after_fork(self) -> None:
        """Have no connection: that of the parent is the parent's, also to close."""
        leave_to_parent(self._connection)
        self._connection = None

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Keep lines; one uid is kept once.

        Raises:
            InvalidLinesError: all are kept but some that the server refuses.
            psycopg.Error: they could not be kept.
        """
        try:
            connection = self._connection = self._connection or self._connect(self._limit)
            why = [
                *refused(records, lambda lines: self._keep(connection, lines, tables.KEEP_RECORDS, by_day=True)),
                *refused(counts, lambda lines: self._keep(connection, lines, tables.KEEP_COUNTS)),
            ]
        except BaseException:
            self.close()
            raise
        report(why)

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor, oldest first."""
        with self._connected(_LOOK_UP) as connection, _transaction(connection, _LOOK_UP):
            rows = connection.execute(tables.READ, [visitor_id]).fetchall()
        yield from map(record_from, rows)

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor and return how many there were."""
        with self._connected(_LOOK_UP) as connection, _transaction(connection, _LOOK_UP):
            return connection.execute(tables.ERASE, [visitor_id]).rowcount

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Drop the days that are over, and delete what else is older than `keep`; return how many records.

        Raises:
            psycopg.errors.LockNotAvailable: somebody reads these days; what was dropped before is gone.
        """
        end = datetime.fromtimestamp(now, UTC) - keep
        with self._connected(_PURGE) as connection:
            dropped = 0 if dry_run else sum(_drop(connection, day) for day in _days_before(connection, end))
            with _transaction(connection, _PURGE):
                if dry_run:
                    return int(_one(connection, tables.COUNT_UNTIL, [end]))
                connection.execute(tables.DELETE_COUNTS_UNTIL, [end])
                return dropped + connection.execute(tables.DELETE_UNTIL, [end]).rowcount

    def close(self) -> None:
        """End the connection. It may be written to again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _keep(
        self, connection: Connection, lines: Sequence[bytes], keep: sql.Composed, *, by_day: bool = False
    ) -> None:
        """Keep all of some lines, in one transaction that has the time of `limit`.

        Raises:
            RefusedError: the server cannot keep one of them. It gives only the error's name: its text has data in it.
        """
        try:
            with (
                cut_off_after(connection.fileno(), self._limit),
                _transaction(connection, _WRITE),
                connection.cursor() as cursor,
            ):
                cursor.execute(tables.TAKEN)
                with cursor.copy(tables.TAKE) as copy:
                    copy.write(b"".join(lines))
                if cursor.rowcount != len(lines):  # one of them ends the data, or runs on into the next
                    raise RefusedError("a line is not one line")
                if by_day:
                    _make_days(connection)
                cursor.execute(keep)
        except _REFUSALS as error:
            raise RefusedError(type(error).__name__) from None

    def _connect(self, limit: float) -> Connection:
        """Return a connection to a database that has the tables.

        Args:
            limit: how long it may take to find or make the tables (seconds).
        """
        # No prepared statements: what stands between us and the server may not keep them (PgBouncer).
        connection = psycopg.connect(self._address, autocommit=True, prepare_threshold=None)
        try:
            with cut_off_after(connection.fileno(), limit):
                if not _one(connection, tables.ARE_THERE):
                    _make_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _connected(self, limit: int) -> Iterator[Connection]:
        """Give a connection of its own to whatever does not belong to the writer's thread."""
        connection = self._connect(limit)
        try:
            with cut_off_after(connection.fileno(), limit):
                yield connection
        finally:
            connection.close()


@contextmanager
def _transaction(connection: Connection, limit: int) -> Iterator[None]:
    """Do what follows in one transaction, of which no statement may take longer than that (seconds)."""
    with connection.transaction():
        # In the transaction, not for the connection: that may be lent to others afterwards (PgBouncer).
        connection.execute(tables.LIMITS, [f"{limit}s", f"{_LOCK_WAIT}s"])
        yield


def _make_tables(connection: Connection) -> None:
    with _transaction(connection, _WRITE):
        connection.execute(tables.LOCKED)
        connection.execute(tables.MAKE)


def _make_days(connection: Connection) -> None:
    """Make the partitions that taken lines need and that are not there; nobody else makes or drops any meanwhile."""
    if _missing_days(connection):
        connection.execute(tables.LOCKED)
        for day in _missing_days(connection):
            connection.execute(tables.make_day(day))


def _missing_days(connection: Connection) -> list[str]:
    return [day for (day,) in connection.execute(tables.MISSING_DAYS)]


def _days_before(connection: Connection, end: datetime) -> list[str]:
    """Return the partitions all of whose records are older than a time."""
    return [day for (day,) in connection.execute(tables.DAYS_BEFORE, [end])]


def _drop(connection: Connection, day: str) -> int:
    """Drop a partition and return how many records it had; 0 where another host was faster."""
    with suppress(errors.UndefinedTable), _transaction(connection, _PURGE):
        connection.execute(tables.LOCKED)
        count = int(_one(connection, tables.count_day(day)))
        connection.execute(tables.drop_day(day))
        return count
    return 0


def _one(connection: Connection, statement: sql.SQL | sql.Composed, values: Sequence[Any] = ()) -> Any:
    row = connection.execute(statement, values).fetchone()
    return row and row[0]
