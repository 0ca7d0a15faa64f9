"""ClickHouse: the connection to it, and its engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from cookie_consent.report.engines.dialect import CLICKHOUSE, shape, sql
from cookie_consent.report.engines.engine import EVERYBODY, TEMPORARY, Given, Row, UnreadableError, missing
from cookie_consent.report.where import Segment
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.store import Damaged

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_LONGEST_CONNECT = 3
_LONGEST_ANSWER = 600
SETTINGS = {
    "prefer_column_name_to_alias": 1,  # resolve a name in WHERE to the column, as the other engines do
    "max_execution_time": _LONGEST_ANSWER,
}
"""Of queries that compute figures."""
_STREAMING = {"max_execution_time": 0, "max_bytes_before_external_sort": 1_000_000_000}
"""Of a query for all records. Beyond this much memory, in bytes, the server sorts on disk."""
_UNKNOWN_TABLE = "UNKNOWN_TABLE"


class ClickHouseServer:
    """An engine for access records in ClickHouse.

    Args:
        client: a client with a session of its own, which temporary tables need.
    """

    damaged: Sequence[Damaged] = ()

    def __init__(self, client: Client) -> None:
        self._client = client

    def prepare(self, given: Given) -> None:
        """Drop the tables of an earlier range."""
        for table in TEMPORARY:
            self._client.command(f"DROP TEMPORARY TABLE IF EXISTS {table}")

    def make(self, name: str, given: Given, segment: Segment = EVERYBODY) -> None:
        """Create a temporary table."""
        self._client.command(sql(name, CLICKHOUSE, segment=segment, **shape(given)), parameters=dict(given))

    def rows(self, name: str, given: Given, **words: object) -> list[Row]:
        """Return the rows of an SQL file."""
        result = self._client.query(sql(name, CLICKHOUSE, **words, **shape(given)), parameters=dict(given))
        return [dict(row) for row in result.named_results()]

    def stream(self, given: Given, *, of_segment: bool) -> Iterator[Sequence[Any]]:
        """Yield the records of a span."""
        text = sql("stream", CLICKHOUSE, columns=COLUMNS.values(), of_segment=of_segment, condition="")
        with self._client.query_rows_stream(text, parameters=dict(given), settings=_STREAMING) as rows:
            yield from rows


@contextmanager
def opened(url: str) -> Iterator[ClickHouseServer]:
    """Connect to an access log, for figures.

    Args:
        url: the URL of the database.

    Raises:
        UnreadableError: the database cannot be read, or clickhouse-connect is missing.
    """
    with connected(url, SETTINGS, session=True) as client:
        engine = ClickHouseServer(client)
        yield engine
        # The server keeps a session, and the tables in it, for some time after the last query.
        engine.prepare({})


def make_views(url: str) -> None:
    """Make the views for analysts, or replace them.

    The table is read with FINAL in place of DISTINCT ON: then a query of a span reads only the days of the span.

    Raises:
        UnreadableError: as for `connected`.
    """
    words = {"bounds": "FINAL", "once": str, "ending": "SETTINGS prefer_column_name_to_alias = 1"}
    with connected(url, {}, session=False) as client:
        for statement in sql("database_views", CLICKHOUSE, **words).split(";"):
            client.command(statement)


@contextmanager
def connected(url: str, settings: Mapping[str, int], *, session: bool) -> Iterator[Client]:
    """Connect to the database of an access log.

    Args:
        url: the URL of the database.
        settings: ClickHouse settings for every query.
        session: whether to open a session. Temporary tables need one.

    Raises:
        UnreadableError: the database cannot be read, or clickhouse-connect is missing.
    """
    try:
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import ClickHouseError
    except ModuleNotFoundError:
        raise missing("clickhouse-connect", "clickhouse") from None
    try:
        with closing(_open_client(clickhouse_connect, url, settings, session=session)) as client:
            yield client
    except (ClickHouseError, OSError) as error:
        if _UNKNOWN_TABLE in str(error):
            problem = "this database has never kept access records. Name the one that the site uses."
        else:
            problem = "the database cannot be used: " + str(error).strip().partition("\n")[0][:300]
        raise UnreadableError(f"access_log: {problem}") from None


def _open_client(library: Any, url: str, settings: Mapping[str, int], *, session: bool) -> Client:
    try:
        client: Client = library.get_client(
            dsn=url,
            interface="https" if url.startswith("clickhouses:") else "http",
            connect_timeout=_LONGEST_CONNECT,
            send_receive_timeout=_LONGEST_ANSWER,
            autogenerate_session_id=session,
            dedicated_pool=True,
            settings=dict(settings),
        )
    except TypeError:  # the query of the URL becomes arguments
        raise UnreadableError(
            "access_log: this URL has an option that clickhouse-connect does not know. Settings of ClickHouse belong "
            "into the profile of its user."
        ) from None
    return client
