"""Read records from JSON Lines and Parquet files, sorted by DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

from cookie_consent.report.export.streams import Row, Span
from cookie_consent.report.export.streams.slices import CONDITION, Slice, sliced
from cookie_consent.sinks.columns import COLUMNS

TIME = "strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ')"
"""The time of a record, as it is written in records."""
_AS_READ = {"time": TIME}
_RECORDS = f"""
SELECT {", ".join(_AS_READ.get(column, column) for column in COLUMNS.values())} FROM access_records
WHERE {CONDITION}
ORDER BY access_records.time, uid"""  # noqa: S608 (names of ours)


@contextmanager
def opened(target: str, span: Span) -> Iterator[Iterator[Row]]:
    """Open the rows of an access log.

    Args:
        target: the path or "file://" URL of the live file.
        span: the records to read.

    Raises:
        UnreadableError: the files cannot be read, or DuckDB is missing.
    """
    with sliced(target, span) as slices:

        def rows(part: Slice) -> Sequence[Row]:
            return slices.connection.execute(_RECORDS, part.given).fetchall()

        yield chain.from_iterable(found for _, found in slices.read(rows))
