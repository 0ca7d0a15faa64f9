"""The PostgreSQL sink. See docs/decisions/025."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cookie_consent.base.threads import call_after_fork, leave_to_parent
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS, record_from
from cookie_consent.sinks.erased import hash_of
from cookie_consent.sinks.store import RefusedError, cut_off_after, refused, report, url_error

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

TABLES_EXIST = sql.SQL("""
    SELECT bool_and(to_regclass(name) IS NOT NULL)
    FROM unnest(ARRAY['access_records', 'access_counts', 'access_erased']) AS names(name)
""")
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
LIST_ERASED = sql.SQL("""
    INSERT INTO access_erased VALUES (%s, now()) ON CONFLICT (hash) DO UPDATE SET until = excluded.until
""")
WAIT_FOR_WRITERS = sql.SQL("LOCK TABLE access_records IN SHARE MODE")
"""Whoever inserts at this moment may not have seen the list."""
ERASE = sql.SQL("DELETE FROM access_records WHERE visitor = %s")
DELETE_ERASED_UNTIL = sql.SQL("DELETE FROM access_erased WHERE until < %s")
IS_NOT_ERASED: LiteralString = """
    WHERE NOT EXISTS (
        SELECT FROM access_erased
        WHERE hash = left(encode(sha256(convert_to("visitor.id", 'UTF8')), 'hex'), 32)
            AND until >= date_trunc('second', "time")
    )
"""


def _type(column: str) -> sql.SQL:
    return sql.SQL(_TYPES.get(column, "text"))


def _comma(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _columns(columns: Mapping[str, str]) -> sql.Composed:
    """Return the column definitions of a table."""
    rules = {name: sql.SQL(" NOT NULL" if name in _NEEDED else "") for name in columns.values()}
    return _comma(sql.Identifier(name) + sql.SQL(" ") + _type(name) + rule for name, rule in rules.items())


def _insert_statement(table: LiteralString, columns: Mapping[str, str], condition: LiteralString = "") -> sql.Composed:
    """Return the statement that parses the copied lines and inserts new ones that meet a condition.

    It sorts them by time and uid, so that two processes with the same lines do not deadlock.
    """
    return sql.SQL(
        "INSERT INTO {} ({}) SELECT fields.* FROM pg_temp.taken_lines, json_to_record(line::json) AS fields ({}) {} "
        "ORDER BY 1, 2 ON CONFLICT DO NOTHING"
    ).format(
        sql.Identifier(table),
        _comma(map(sql.Identifier, columns.values())),
        _comma(sql.Identifier(key) + sql.SQL(" ") + _type(column) for key, column in columns.items()),
        sql.SQL(condition),
    )


INSERT_RECORDS = _insert_statement("access_records", COLUMNS, IS_NOT_ERASED)
INSERT_COUNTS = _insert_statement("access_counts", COUNT_COLUMNS)
CREATE_TABLES = sql.SQL("""
    CREATE TABLE IF NOT EXISTS access_records ({}, PRIMARY KEY (time, uid)) PARTITION BY RANGE (time);
    CREATE INDEX IF NOT EXISTS access_records_of_visitor ON access_records (visitor, time);
    CREATE TABLE IF NOT EXISTS access_records_rest PARTITION OF access_records DEFAULT;
    CREATE TABLE IF NOT EXISTS access_counts ({}, PRIMARY KEY (day, uid));
    CREATE TABLE IF NOT EXISTS access_erased (hash text PRIMARY KEY, until timestamptz NOT NULL);
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


_CONNECT_TIMEOUT = 3
_WRITE_TIMEOUT, _LOOK_UP_TIMEOUT, _PURGE_TIMEOUT = 10, 30, 600
"""Time limits (seconds). A purge scans everything."""
_LOCK_WAIT = 3
"""How long to wait for a lock (seconds). A purge that waits for a long report blocks all later queries."""
_REFUSALS = (
    psycopg.DataError,
    errors.NotNullViolation,
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
)
"""Errors for lines that the server can never accept: invalid JSON, a NUL, no time, no uid, a text that is too long."""


class PostgresqlSink(BufferedSink):
    """Writes access records to a PostgreSQL database, in tables that it creates: `access_records` and `access_counts`.

    Args:
        url: like "postgresql://user:password@host/database". The user must own the tables, or be allowed to create
            them.
        spill: the folder of spill files, which several processes may share; None for no spill files.

    Raises:
        ValueError: the URL is invalid.
    """

    def __init__(self, url: str, *, spill: str | PathLike[str] | None = None) -> None:
        store = PostgresqlStore(url)
        super().__init__(store, store.place, spill=spill)


class PostgresqlStore:
    """Writes over one connection, opened on first use and replaced after any failure.

    The server parses the lines, so that Python only copies bytes.

    Args:
        url: like "postgresql://user:password@host/database".
        limit: the time limit of each transaction of `write` (seconds).

    Attributes:
        place: the URL without credentials.

    Raises:
        ValueError: the URL is invalid.
    """

    def __init__(self, url: str, *, limit: float = _WRITE_TIMEOUT) -> None:
        try:
            in_url = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise url_error("postgresql://user:password@host:5432/database") from None
        preferred = {
            "connect_timeout": _CONNECT_TIMEOUT,
            # Notice within seconds that the host has vanished; the system's default is two hours.
            "tcp_user_timeout": _CONNECT_TIMEOUT * 1000,
            "keepalives_idle": _CONNECT_TIMEOUT,
            "keepalives_interval": 1,
            "keepalives_count": _CONNECT_TIMEOUT,
        }
        defaults = {name: value for name, value in preferred.items() if name not in in_url}  # the URL takes precedence
        self._address = make_conninfo(url, **defaults)
        self.place = f"postgresql://{in_url.get('host', '')}/{in_url.get('dbname', '')}"
        self._limit = limit
        self._connection: Connection | None = None
        call_after_fork(self)

    def after_fork(self) -> None:
        """Drop the connection without closing it: it belongs to the parent process."""
        leave_to_parent(self._connection)
        self._connection = None

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Store lines, one for each uid.

        Raises:
            InvalidLinesError: the server refuses some lines; all others are stored.
            psycopg.Error: the lines may not be stored.
        """
        try:
            connection = self._connection = self._connection or self._connect(self._limit)
            why = [
                *refused(records, lambda lines: self._keep(connection, lines, INSERT_RECORDS, by_day=True)),
                *refused(counts, lambda lines: self._keep(connection, lines, INSERT_COUNTS)),
            ]
        except BaseException:
            self.close()
            raise
        report(why)

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor, oldest first."""
        with self._connected(_LOOK_UP_TIMEOUT) as connection, _transaction(connection, _LOOK_UP_TIMEOUT):
            rows = connection.execute(SELECT_OF_VISITOR, [visitor_id]).fetchall()
        yield from map(record_from, rows)

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor, and list the visitor, so that no host writes late ones; return how many."""
        with self._connected(_LOOK_UP_TIMEOUT) as connection:
            connection.execute(LIST_ERASED, [hash_of(visitor_id)])
            with _transaction(connection, _LOOK_UP_TIMEOUT):
                connection.execute(WAIT_FOR_WRITERS)
            with _transaction(connection, _LOOK_UP_TIMEOUT):
                return connection.execute(ERASE, [visitor_id]).rowcount

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Drop the partitions of old days, delete other rows older than `keep`; return how many records.

        Raises:
            psycopg.errors.LockNotAvailable: a query reads one of these days. Partitions dropped before it stay dropped.
        """
        end = datetime.fromtimestamp(now, UTC) - keep
        with self._connected(_PURGE_TIMEOUT) as connection:
            dropped = 0 if dry_run else sum(_drop(connection, day) for day in _days_before(connection, end))
            with _transaction(connection, _PURGE_TIMEOUT):
                if dry_run:
                    return int(_one(connection, COUNT_UNTIL, [end]))
                connection.execute(DELETE_COUNTS_UNTIL, [end])
                connection.execute(DELETE_ERASED_UNTIL, [end])
                count = connection.execute(DELETE_UNTIL, [end]).rowcount
                return dropped + count

    def close(self) -> None:
        """Close the connection. The store may be written to again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _keep(
        self, connection: Connection, lines: Sequence[bytes], keep: sql.Composed, *, by_day: bool = False
    ) -> None:
        """Insert lines in one transaction, all or none.

        Raises:
            RefusedError: the server can never accept one of them. It gives only the error's name, because its text
                contains data.
        """
        try:
            with (
                cut_off_after(connection.fileno(), self._limit),
                _transaction(connection, _WRITE_TIMEOUT),
                connection.cursor() as cursor,
            ):
                cursor.execute(COPY_TABLE)
                with cursor.copy(COPY_LINES) as copy:
                    copy.write(b"".join(lines))
                if cursor.rowcount != len(lines):  # a line ended the copy early, or continued into the next
                    raise RefusedError("a line is not one line")
                if by_day:
                    _make_days(connection)
                cursor.execute(keep)
        except _REFUSALS as error:
            raise RefusedError(type(error).__name__) from None

    def _connect(self, limit: float) -> Connection:
        """Connect, and create missing tables.

        Args:
            limit: the time limit for checking or creating the tables (seconds).
        """
        # No prepared statements, which PgBouncer may not support.
        connection = psycopg.connect(self._address, autocommit=True, prepare_threshold=None)
        try:
            with cut_off_after(connection.fileno(), limit):
                if not _one(connection, TABLES_EXIST):
                    _make_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _connected(self, limit: int) -> Iterator[Connection]:
        """Connect for one operation: the writer's connection is not shared with other threads."""
        connection = self._connect(limit)
        try:
            with cut_off_after(connection.fileno(), limit):
                yield connection
        finally:
            connection.close()


@contextmanager
def _transaction(connection: Connection, limit: int) -> Iterator[None]:
    """Run the block in a transaction with a time limit for each statement (seconds)."""
    with connection.transaction():
        # Set for the transaction only, because PgBouncer may then lend the connection to another client.
        connection.execute(SET_TIMEOUTS, [f"{limit}s", f"{_LOCK_WAIT}s"])
        yield


def _make_tables(connection: Connection) -> None:
    with _transaction(connection, _WRITE_TIMEOUT):
        connection.execute(LOCK_TABLES)
        connection.execute(CREATE_TABLES)


def _make_days(connection: Connection) -> None:
    """Create the missing partitions for the copied lines, under the lock for creating and dropping tables."""
    if _missing_days(connection):
        connection.execute(LOCK_TABLES)
        for day in _missing_days(connection):
            connection.execute(make_day(day))


def _missing_days(connection: Connection) -> list[str]:
    return [day for (day,) in connection.execute(MISSING_DAYS)]


def _days_before(connection: Connection, end: datetime) -> list[str]:
    """Return the days whose partitions hold only records older than a time."""
    return [day for (day,) in connection.execute(DAYS_BEFORE, [end])]


def _drop(connection: Connection, day: str) -> int:
    """Drop a partition; return how many records it had, or 0 if another host dropped it first."""
    with suppress(errors.UndefinedTable), _transaction(connection, _PURGE_TIMEOUT):
        connection.execute(LOCK_TABLES)
        count = int(_one(connection, count_day(day)))
        connection.execute(drop_day(day))
        return count
    return 0


def _one(connection: Connection, statement: sql.SQL | sql.Composed, values: Sequence[Any] = ()) -> Any:
    row = connection.execute(statement, values).fetchone()
    return row and row[0]
