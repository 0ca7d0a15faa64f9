"""Read records from ClickHouse as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cookie_consent.report.engines.clickhouse import connected
from cookie_consent.report.export.streams import Row, Span
from cookie_consent.sinks.columns import COLUMNS

_SETTINGS = {"max_bytes_before_external_sort": 1_000_000_000}
"""Beyond this much memory, in bytes, the server sorts on disk."""
_AS_READ = {"time": "concat(replaceOne(toString(r.time), ' ', 'T'), 'Z')"}
_RECORDS = f"""
SELECT {", ".join(_AS_READ.get(column, f"r.{column}") for column in COLUMNS.values())} FROM access_records AS r FINAL
WHERE r.time >= fromUnixTimestamp64Milli({{since:Int64}}) AND r.time < fromUnixTimestamp64Milli({{end:Int64}})
    AND ({{host:String}} = '' OR r.host = {{host:String}})
ORDER BY r.time, r.uid"""  # noqa: S608 (names of ours)


@contextmanager
def opened(url: str, span: Span) -> Iterator[Iterator[Row]]:
    """Open the rows of an access log.

    Args:
        url: the URL of the database.
        span: the records to read.

    Raises:
        UnreadableError: the database cannot be read, or clickhouse-connect is missing.
    """
    with (
        connected(url, _SETTINGS, session=False) as client,
        client.query_rows_stream(_RECORDS, parameters=dict(span.given)) as rows,
    ):
        yield iter(rows)
