"""The PostgreSQL sink. See docs/decisions/004."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import Any, LiteralString

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

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
    cut_off_after,
    url_error,
)
from cookie_consent.sinks.erased import hash_of

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
_LOCK_WAIT = 3
"""How long to wait for a lock (seconds). A purge that waits for a long report blocks all later queries."""
_REFUSALS = (
    psycopg.DataError,
    errors.NotNullViolation,
    errors.ProgramLimitExceeded,
    errors.StatementTooComplex,
)
"""Errors for lines that the server can never accept: invalid JSON, a NUL, no time, no uid, a text that is too long."""

_TABLES_EXIST = sql.SQL("""
    SELECT bool_and(to_regclass(name) IS NOT NULL)
    FROM unnest(ARRAY['access_records', 'access_counts', 'access_erased']) AS names(name)
""")
_SET_TIMEOUTS = sql.SQL("SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)")
_LOCK_TABLES = sql.SQL("SELECT pg_advisory_xact_lock(7077283941)")
"""Taken to create or drop tables. Any number works that no other program uses in the same database."""
_COPY_TABLE = sql.SQL("CREATE TEMPORARY TABLE IF NOT EXISTS taken_lines (line text) ON COMMIT DELETE ROWS")
_COPY_LINES = sql.SQL(
    r"COPY pg_temp.taken_lines FROM STDIN (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', ENCODING 'UTF8')"
)
"""CSV with quote and delimiter characters that JSON cannot contain, so that lines are copied unchanged."""
_MAKE_DAYS = sql.SQL("""
    DO $make$
    DECLARE
        day timestamptz;
        name text;
    BEGIN
        FOR day IN
            SELECT DISTINCT date_trunc('day', (line::json ->> 'time')::timestamptz, 'UTC') FROM pg_temp.taken_lines
        LOOP
            name := 'access_records_' || to_char(day AT TIME ZONE 'UTC', 'YYYYMMDD');
            IF day BETWEEN now() - interval '801 days' AND now() + interval '1 day' AND to_regclass(name) IS NULL THEN
                PERFORM pg_advisory_xact_lock(7077283941);
                IF NOT EXISTS (
                    SELECT FROM pg_inherits JOIN pg_class ON oid = inhrelid
                    WHERE inhparent = 'access_records'::regclass AND relname = name
                ) THEN  -- another host may have made it meanwhile
                    EXECUTE format(
                        'CREATE TABLE %1$I (LIKE access_records INCLUDING ALL);
                        WITH moved AS (
                            DELETE FROM access_records_rest WHERE time >= %2$L AND time < %3$L RETURNING *
                        )
                        INSERT INTO %1$I SELECT * FROM moved;
                        ALTER TABLE access_records ATTACH PARTITION %1$I FOR VALUES FROM (%2$L) TO (%3$L)',
                        name, day, day + interval '24 hours'
                    );
                END IF;
            END IF;
        END LOOP;
    END
    $make$
""")
"""Create the partitions for the copied lines. A partition takes the day's rows from the default partition, and is
attached once it is filled, so that readers and writers of other days need not wait.

800 days back, as the longest retention, and one ahead, since clocks differ. Records of other days go into the default
partition, so that a wrong clock cannot create partitions without limit."""
_DAYS_BEFORE = sql.SQL(r"""
    SELECT relname FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = 'access_records'::regclass AND relname ~ '_\d{8}$'
        AND right(relname, 8) < to_char(%s AT TIME ZONE 'UTC', 'YYYYMMDD') ORDER BY 1
""")
"""The partitions that hold only records older than a time."""
_COUNT_UNTIL = sql.SQL("SELECT count(*) FROM access_records WHERE time < %s")
_DELETE_UNTIL = (
    sql.SQL("DELETE FROM access_records WHERE time < %s"),
    sql.SQL("DELETE FROM access_counts WHERE time < %s"),
    sql.SQL("DELETE FROM access_erased WHERE until < %s"),
)
_LIST_ERASED = sql.SQL("""
    INSERT INTO access_erased VALUES (%s, now()) ON CONFLICT (hash) DO UPDATE SET until = excluded.until
""")
_WAIT_FOR_WRITERS = sql.SQL("LOCK TABLE access_records IN SHARE MODE")
"""Whoever inserts at this moment may not have seen the list."""
_ERASE = sql.SQL("DELETE FROM access_records WHERE visitor = %s")
_IS_NOT_ERASED: LiteralString = """
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


_INSERT: Mapping[str, Sequence[sql.SQL | sql.Composed]] = {
    RECORDS: (_MAKE_DAYS, _insert_statement("access_records", COLUMNS, _IS_NOT_ERASED)),
    COUNTS: (_insert_statement("access_counts", COUNT_COLUMNS),),
}
_CREATE_TABLES = sql.SQL("""
    CREATE TABLE IF NOT EXISTS access_records ({}, PRIMARY KEY (time, uid)) PARTITION BY RANGE (time);
    CREATE INDEX IF NOT EXISTS access_records_of_visitor ON access_records (visitor, time);
    CREATE TABLE IF NOT EXISTS access_records_rest PARTITION OF access_records DEFAULT;
    CREATE TABLE IF NOT EXISTS access_counts ({}, PRIMARY KEY (day, uid));
    CREATE TABLE IF NOT EXISTS access_erased (hash text PRIMARY KEY, until timestamptz NOT NULL);
""").format(_columns(COLUMNS), _columns(COUNT_COLUMNS))
_AS_READ = {"time": sql.SQL("""to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""")}
_SELECT_OF_VISITOR = sql.SQL("SELECT {} FROM access_records WHERE visitor = %s ORDER BY time, uid").format(
    _comma(_AS_READ.get(column) or sql.Identifier(column) for column in COLUMNS.values())
)


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


class PostgresqlStore(DatabaseStore[psycopg.Connection]):
    """The store of the sink.

    Args:
        url: like "postgresql://user:password@host/database".
        limit: the time limit of each transaction of `write` (seconds).

    Raises:
        ValueError: the URL is invalid.
    """

    def __init__(self, url: str, *, limit: float = WRITE_TIMEOUT) -> None:
        try:
            in_url = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise url_error("postgresql://user:password@host:5432/database") from None
        preferred = {
            "connect_timeout": CONNECT_TIMEOUT,
            # Notice within seconds that the host has vanished; the system's default is two hours.
            "tcp_user_timeout": CONNECT_TIMEOUT * 1000,
            "keepalives_idle": CONNECT_TIMEOUT,
            "keepalives_interval": 1,
            "keepalives_count": CONNECT_TIMEOUT,
        }
        defaults = {name: value for name, value in preferred.items() if name not in in_url}  # the URL takes precedence
        self._address = make_conninfo(url, **defaults)
        super().__init__(f"postgresql://{in_url.get('host', '')}/{in_url.get('dbname', '')}", limit)

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor, oldest first."""
        with self._connected(LOOK_UP_TIMEOUT) as connection, _transaction(connection, LOOK_UP_TIMEOUT):
            rows = connection.execute(_SELECT_OF_VISITOR, [visitor_id]).fetchall()
        yield from map(record_from, rows)

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor, and list the visitor, so that no host writes late ones; return how many."""
        with self._connected(LOOK_UP_TIMEOUT) as connection:
            connection.execute(_LIST_ERASED, [hash_of(visitor_id)])
            with _transaction(connection, LOOK_UP_TIMEOUT):
                connection.execute(_WAIT_FOR_WRITERS)
            with _transaction(connection, LOOK_UP_TIMEOUT):
                return connection.execute(_ERASE, [visitor_id]).rowcount

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Drop the partitions of old days, delete other rows older than `keep`; return how many records.

        Raises:
            psycopg.errors.LockNotAvailable: a query reads one of these days. Partitions dropped before it stay dropped.
        """
        end = datetime.fromtimestamp(now, UTC) - keep
        with self._connected(PURGE_TIMEOUT) as connection:
            with _transaction(connection, PURGE_TIMEOUT):
                connection.execute(_LOCK_TABLES)
                count = int(_one(connection, _COUNT_UNTIL, [end]))
            if not dry_run:
                for (day,) in connection.execute(_DAYS_BEFORE, [end]).fetchall():
                    with _transaction(connection, PURGE_TIMEOUT):
                        connection.execute(_LOCK_TABLES)
                        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(day)))
                with _transaction(connection, PURGE_TIMEOUT):
                    for statement in _DELETE_UNTIL:
                        connection.execute(statement, [end])
        return count

    def _connect(self, limit: float) -> psycopg.Connection:
        # No prepared statements, which PgBouncer may not support.
        connection = psycopg.connect(self._address, autocommit=True, prepare_threshold=None)
        try:
            with cut_off_after(connection.fileno(), limit):
                if not _one(connection, _TABLES_EXIST):
                    with _transaction(connection, WRITE_TIMEOUT):
                        connection.execute(_LOCK_TABLES)
                        connection.execute(_CREATE_TABLES)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _connected(self, limit: int) -> Iterator[psycopg.Connection]:
        """Connect for one operation: the writer's connection is not shared with other threads."""
        with self._connect(limit) as connection, cut_off_after(connection.fileno(), limit):
            yield connection

    def _insert(self, connection: psycopg.Connection, table: str, lines: Sequence[bytes]) -> None:
        try:
            with cut_off_after(connection.fileno(), self._limit), _transaction(connection, WRITE_TIMEOUT):
                connection.execute(_COPY_TABLE)
                with connection.cursor() as cursor:
                    with cursor.copy(_COPY_LINES) as copy:
                        copy.write(b"".join(lines))
                    if cursor.rowcount != len(lines):  # a line ended the copy early, or continued into the next
                        raise RefusedError("a line is not one line")
                for statement in _INSERT[table]:
                    connection.execute(statement)
        except _REFUSALS as error:
            raise RefusedError(type(error).__name__) from None


@contextmanager
def _transaction(connection: psycopg.Connection, limit: int) -> Iterator[None]:
    """Run the block in a transaction with a time limit for each statement (seconds)."""
    with connection.transaction():
        # Set for the transaction only, because PgBouncer may then lend the connection to another client.
        connection.execute(_SET_TIMEOUTS, [f"{limit}s", f"{_LOCK_WAIT}s"])
        yield


def _one(connection: psycopg.Connection, statement: sql.SQL, values: Sequence[Any] = ()) -> Any:
    row = connection.execute(statement, values).fetchone()
    return row and row[0]
