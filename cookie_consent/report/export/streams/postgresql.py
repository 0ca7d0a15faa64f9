"""Read records from PostgreSQL with a server-side cursor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cookie_consent.report.engines.postgresql import connected
from cookie_consent.report.export.streams import Row, Span
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.deadline import cut_off_after

if TYPE_CHECKING:
    from psycopg import ServerCursor
    from psycopg.sql import Composed

_LONGEST_SILENCE = 600
_BATCH_SIZE = 2000


@contextmanager
def opened(url: str, span: Span, longest: float = _LONGEST_SILENCE) -> Iterator[Iterator[Row]]:
    """Open the rows of an access log.

    Args:
        url: the URL of the database.
        span: the records to read.
        longest: how long to wait for the next rows, in seconds.

    Raises:
        UnreadableError: the database cannot be read, or psycopg is missing.
    """
    # A named cursor stays on the server. Without one, psycopg would load all rows into memory.
    with connected(url) as connection, connection.cursor("export") as cursor:
        with cut_off_after(connection.fileno(), longest):
            cursor.execute(_query(), span.given)
        yield _rows(cursor, connection.fileno(), longest)


def _query() -> Composed:
    from psycopg import sql  # an open connection proves that it is installed

    as_read = {"time": sql.SQL("""to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')""")}
    return sql.SQL("""
        SELECT {} FROM access_records
        WHERE time >= to_timestamp(%(since)s / 1000.0) AND time < to_timestamp(%(end)s / 1000.0)
            AND (%(host)s::text = '' OR host = %(host)s::text)
        ORDER BY time, uid
    """).format(sql.SQL(", ").join(as_read.get(column) or sql.Identifier(column) for column in COLUMNS.values()))


def _rows(cursor: ServerCursor[Any], descriptor: int, longest: float) -> Iterator[Row]:
    while True:
        with cut_off_after(descriptor, longest):
            rows = cursor.fetchmany(_BATCH_SIZE)
        if not rows:
            return
        yield from rows
