"""Read records from JSON Lines and Parquet files, sorted by DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from cookie_consent.report.engines.duckdb_files import KIND, connected, make_view
from cookie_consent.report.export.streams import Row, Span
from cookie_consent.report.files import require_files
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.closed_files import Source, retry_if_moved
from cookie_consent.sinks.files.damage import Damaged, incomplete, read_undamaged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH_SIZE = 2000
_TYPES = {"time": "TIMESTAMP", "status": "INTEGER", "duration_ms": "DOUBLE"}
"""Column -> type. All other columns are texts."""
_VIEWED = {key: (column, _TYPES.get(column, "VARCHAR")) for key, column in COLUMNS.items()}
_AS_READ = {"time": "strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ')"}
_RECORDS = f"""
SELECT {", ".join(_AS_READ.get(column, column) for column in COLUMNS.values())} FROM access_records
WHERE time >= make_timestamp($since::BIGINT * 1000) AND time < make_timestamp($end::BIGINT * 1000)
    AND ($host = '' OR host = $host)
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
    path = Path(target.removeprefix("file://"))
    with connected(path) as connection:
        require_files(path)
        yield _rows(connection, path, span)


def _rows(connection: DuckDBPyConnection, path: Path, span: Span) -> Iterator[Row]:
    def start(files: Sequence[Source]) -> Sequence[Row]:
        make_view(connection, "access_records", files, _VIEWED, {"kind": KIND})
        connection.execute(_RECORDS, span.given)
        # Sorting reads all files before the first row is returned, so their names need to hold only until here.
        return connection.fetchmany(_BATCH_SIZE)

    def read(found: Sequence[Source]) -> tuple[Sequence[Row], list[Damaged]]:
        # A file's day is that of its newest record, so files closed before the span have nothing of it.
        files = [source for source in found if source.day is None or source.day >= span.first_file]
        return read_undamaged(connection, files, start)

    first, damaged = retry_if_moved(path, read)
    yield from chain(first, chain.from_iterable(iter(lambda: connection.fetchmany(_BATCH_SIZE), [])))
    if damaged:
        raise incomplete(damaged)
