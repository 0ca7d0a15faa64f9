"""PostgreSQL: how what reads an access log connects to it, and figures, which it computes by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, LiteralString

from cookie_consent.report.engines.dialect import POSTGRESQL, sql
from cookie_consent.report.engines.engine import Given, Row, UnreadableError, missing
from cookie_consent.sinks.deadline import cut_off_after

if TYPE_CHECKING:
    from psycopg import Connection

_LONGEST_CONNECT = 3
_LONGEST_ANSWER = 600
"""How long a connection, and all the figures of a report, may take (seconds)."""
_SETTINGS: tuple[LiteralString, ...] = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",  # all figures are of one moment
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL jit = off",
    "SET LOCAL idle_in_transaction_session_timeout = '10min'",
)


class PostgreSQLServer:
    """An engine for the tables of an access log.

    Args:
        connection: in a transaction that is rolled back in the end: temporary tables are all that it makes.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def prepare(self, given: Given) -> None:
        """Forget the tables of an earlier range."""
        for table in ("records", "counts", "sessions"):
            self._execute(f"DROP TABLE IF EXISTS pg_temp.{table}", {})

    def make(self, table: str, given: Given) -> None:
        """Make a temporary table, and have the planner look at it."""
        self._execute(sql(table, POSTGRESQL), given)
        self._execute(f"ANALYZE {table}", {})

    def rows(self, figure: str, given: Given) -> list[Row]:
        """Return the rows of a figure."""
        rows: list[Row] = self._execute(sql(figure, POSTGRESQL), given).fetchall()
        return rows

    def _execute(self, text: LiteralString, given: Given) -> Any:
        return self._connection.execute(text, given or None)


@contextmanager
def opened(url: str, longest: float = _LONGEST_ANSWER) -> Iterator[PostgreSQLServer]:
    """Connect to the database of an access log.

    Args:
        url: of the database.
        longest: how long everything that is done with it may take (seconds).

    Raises:
        UnreadableError: as `connected` does.
    """
    with connected(url) as connection, cut_off_after(connection.fileno(), longest):
        from psycopg.rows import dict_row  # it is there: the connection is open

        connection.row_factory = dict_row
        for setting in _SETTINGS:
            connection.execute(setting)
        yield PostgreSQLServer(connection)
        connection.rollback()


@contextmanager
def connected(url: str) -> Iterator[Connection[Any]]:
    """Give a connection to the database of an access log.

    Raises:
        UnreadableError: it cannot be read, or psycopg is not there.
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
        said = str(error).strip().partition("\n")[0][:300]
        raise UnreadableError(f"access_log: the database cannot be used: {said}") from None
