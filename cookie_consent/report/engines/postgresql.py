"""PostgreSQL: the connection to it, and its engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString

from cookie_consent.report.engines.dialect import POSTGRESQL, shape, sql
from cookie_consent.report.engines.engine import EVERYBODY, TEMPORARY, Given, Row, UnreadableError, missing
from cookie_consent.report.where import Segment
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.databases import cut_off_after
from cookie_consent.sinks.store import Damaged

if TYPE_CHECKING:
    from psycopg import Connection

_LONGEST_CONNECT = 3
_LONGEST_ANSWER = 600
"""Time limits, in seconds, for connecting and for each answer."""
_BATCH_SIZE = 2000
"""How many of all records are fetched at once."""
SETTINGS: tuple[LiteralString, ...] = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",  # one snapshot for all figures
    # Sort sessions in memory. Compiling a query would take longer than running it. The server may end an idle
    # transaction sooner than the next figure is asked for.
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL jit = off",
    "SET LOCAL idle_in_transaction_session_timeout = '10min'",
)
"""Of a transaction that computes figures."""


class PostgreSQLServer:
    """An engine for access records in PostgreSQL.

    Args:
        connection: a connection in a transaction. It is rolled back at the end, so that the temporary tables are gone.
        longest: the time limit for each answer, in seconds.
    """

    damaged: Sequence[Damaged] = ()

    def __init__(self, connection: Connection[Any], longest: float) -> None:
        self._connection = connection
        self._longest = longest

    def prepare(self, given: Given) -> None:
        """Drop the tables of an earlier range."""
        for table in TEMPORARY:
            self._run(self._connection.execute, f"DROP TABLE IF EXISTS pg_temp.{table}")

    def make(self, name: str, given: Given, segment: Segment = EVERYBODY) -> None:
        """Create a temporary table, and collect statistics on it for the query planner."""
        self._run(self._connection.execute, sql(name, POSTGRESQL, segment=segment, **shape(given)), given)
        self._run(self._connection.execute, f"ANALYZE {segment.tables[name]}")

    def rows(self, name: str, given: Given, **words: object) -> list[Row]:
        """Return the rows of an SQL file."""
        text = sql(name, POSTGRESQL, **words, **shape(given))
        found: list[Row] = self._run(self._connection.execute, text, given).fetchall()
        return found

    def stream(self, given: Given, *, of_segment: bool) -> Iterator[Sequence[Any]]:
        """Yield the records of a span. A named cursor stays on the server: all rows might not fit into memory."""
        from psycopg.rows import tuple_row  # an open connection proves that it is installed

        with self._connection.cursor("export", row_factory=tuple_row) as cursor:
            text = sql("stream", POSTGRESQL, columns=COLUMNS.values(), of_segment=of_segment, condition="")
            self._run(cursor.execute, text, given)
            while rows := self._run(cursor.fetchmany, _BATCH_SIZE):
                yield from rows

    def _run(self, ask: Callable[..., Any], *arguments: Any) -> Any:
        with cut_off_after(self._connection.fileno(), self._longest):
            return ask(*arguments)


@contextmanager
def opened(url: str, longest: float = _LONGEST_ANSWER) -> Iterator[PostgreSQLServer]:
    """Connect to an access log, for figures.

    Args:
        url: the URL of the database.
        longest: the time limit for each answer, in seconds.

    Raises:
        UnreadableError: as for `connected`.
    """
    with connected(url) as connection:
        from psycopg.rows import dict_row  # an open connection proves that it is installed

        connection.row_factory = dict_row
        for setting in SETTINGS:
            connection.execute(setting)
        yield PostgreSQLServer(connection, longest)
        connection.rollback()


def make_views(url: str) -> None:
    """Make the views for analysts, or replace them.

    Raises:
        UnreadableError: as for `connected`.
    """
    with connected(url) as connection, cut_off_after(connection.fileno(), _LONGEST_ANSWER):
        connection.execute(sql("database_views", POSTGRESQL, bounds="", ending=""))


@contextmanager
def connected(url: str) -> Iterator[Connection[Any]]:
    """Connect to the database of an access log.

    Args:
        url: the URL of the database.

    Raises:
        UnreadableError: the database cannot be read, or psycopg is missing.
    """
    try:
        import psycopg
    except ModuleNotFoundError:
        raise missing("psycopg", "postgresql") from None
    try:
        with psycopg.connect(url, connect_timeout=_LONGEST_CONNECT) as connection:
            yield connection
    except psycopg.errors.UndefinedTable:
        raise UnreadableError(
            "access_log: this database has never kept access records. Name the one that the site uses."
        ) from None
    except psycopg.Error as error:
        problem = str(error).strip().partition("\n")[0][:300]
        raise UnreadableError(f"access_log: the database cannot be used: {problem}") from None
