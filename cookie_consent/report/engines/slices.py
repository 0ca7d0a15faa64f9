"""Read the files of an access log in slices of time, so that memory limits neither their number nor their size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cookie_consent.report.engines.duckdb_files import connected
from cookie_consent.report.engines.engine import Given
from cookie_consent.report.engines.tables import make_view
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.closed_files import FileFormat, Source, key_of, one_file, retry_if_moved
from cookie_consent.sinks.files.damage import Damaged, find_other_lines, incomplete, read_undamaged

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY = 160_000_000
"""The bytes that DuckDB may take. What sorting needs beyond that goes to temporary files."""
_SIZE = 60_000
"""The records of a slice. A slice of a day's file is a part of one of its row groups."""
_TYPES = {"time": "TIMESTAMP", "status": "INTEGER", "duration_ms": "DOUBLE"}
"""Column -> type. All other columns are texts."""
_VIEWED = {key: (column, _TYPES.get(column, "VARCHAR")) for key, column in COLUMNS.items()}
_AS_READ = {"time": "strftime(time, '%Y-%m-%dT%H:%M:%S.%gZ')"}
_IN_SPAN = "time >= make_timestamp($since::BIGINT * 1000) AND time < make_timestamp($end::BIGINT * 1000)"
_RECORDS = f"""
SELECT {", ".join(_AS_READ.get(column, column) for column in COLUMNS.values())} FROM access_records
WHERE {_IN_SPAN} AND ($host = '' OR host = $host)
ORDER BY access_records.time, uid"""  # noqa: S608 (names of ours)
_LOAD = f"""
CREATE OR REPLACE TEMPORARY TABLE in_lines AS
SELECT * FROM access_lines
WHERE {_IN_SPAN} AND uid IS NOT NULL AND coalesce(isfinite(duration_ms), true)"""  # noqa: S608 (names of ours)
_UNITE = """
CREATE OR REPLACE TEMPORARY VIEW access_records AS
SELECT * FROM in_lines UNION ALL SELECT * FROM in_parquet"""
_CUT = f"""
SELECT epoch_ms(min(minute)), epoch_ms(max(minute)) + 60000 FROM (
    SELECT minute, sum(records) OVER (ORDER BY minute) // $size AS slice FROM (
        SELECT time_bucket(INTERVAL 1 MINUTE, time) AS minute, count(*) AS records FROM access_records
        WHERE {_IN_SPAN} GROUP BY minute
    )
)
GROUP BY slice ORDER BY slice"""  # noqa: S608 (names of ours)
_FIRST_TIMES = """
SELECT filename, epoch_ms(min(time)) FROM read_parquet($files, hive_partitioning = false, filename = true)
GROUP BY filename"""

T = TypeVar("T")
Key = tuple[date, int]


class Slices:
    """The records of a span in the files of an access log, a slice at a time.

    Lines are loaded when it is made, because they are in no order. Parquet files are sorted by time, so that a slice
    reads only a part of them. Between two slices, files may be rotated, compacted or erased from.

    Args:
        connection: from `connected`.
        path: the live file.
        given: `since` and `end` of the span in milliseconds since 1970, and `host`.
    """

    def __init__(self, connection: DuckDBPyConnection, path: Path, given: Given) -> None:
        self._connection = connection
        self._path = path
        self._given = given
        self._first_times: dict[Key, int] = {}
        self._damaged: list[Damaged] = []
        # Two threads take more time of the processor together than one, and more memory.
        connection.execute("SET threads = 1")
        self._slices: list[tuple[int, int]] = self._retried(self._cut)

    def rows(self) -> Iterator[Sequence[Any]]:
        """Yield the rows of all slices, the oldest first.

        Raises:
            IncompleteError: after all rows: some files are damaged.
        """
        for since, end in self._slices:

            def read(files: Sequence[Source], since: int = since, end: int = end) -> list[Any]:
                self._view([source for source in files if self._reaches(source, since, end)])
                return self._connection.execute(_RECORDS, {**self._given, "since": since, "end": end}).fetchall()

            yield from self._retried(read)
        if self._damaged:
            raise incomplete(self._damaged)

    def _retried(self, read: Callable[[Sequence[Source]], T]) -> T:
        def read_files(found: Sequence[Source]) -> T:
            # A file's day is that of its newest record, so files closed before the span have nothing of it.
            first = _day_of(int(self._given["since"]))
            files = [source for source in found if source.day is None or source.day >= first]
            known = {damaged.path for damaged in self._damaged if not damaged.lines}
            result, damaged = read_undamaged(
                self._connection, [source for source in files if source.path not in known], read
            )
            self._damaged += damaged
            return result

        return retry_if_moved(self._path, read_files)

    def _cut(self, files: Sequence[Source]) -> list[tuple[int, int]]:
        """Load the lines, and return the slices."""
        lines = [source for source in files if source.file_format is not FileFormat.PARQUET]
        parquet = [source for source in files if source.file_format is FileFormat.PARQUET]
        others = find_other_lines(self._connection, lines)
        make_view(self._connection, "access_lines", lines, _VIEWED)
        times = {name: value for name, value in self._given.items() if name != "host"}
        self._connection.execute(_LOAD, times)
        self._view(parquet)
        if parquet:
            keys = {str(source.path): key_of(source) for source in parquet}
            names = {"files": [one_file(source.path) for source in parquet]}
            found = self._connection.execute(_FIRST_TIMES, names).fetchall()
            self._first_times = {keys[name]: first for name, first in found if first is not None}
        slices = self._connection.execute(_CUT, {**times, "size": _SIZE}).fetchall()
        self._damaged = others
        return slices

    def _view(self, parquet: Sequence[Source]) -> None:
        make_view(self._connection, "in_parquet", parquet, _VIEWED)
        self._connection.execute(_UNITE)

    def _reaches(self, source: Source, since: int, end: int) -> bool:
        """Tell whether a Parquet file may have records of a slice. In new files are lines that were loaded already."""
        if source.file_format is not FileFormat.PARQUET or key_of(source) not in self._first_times:
            return False
        return source.date() >= _day_of(since) and self._first_times[key_of(source)] < end


@contextmanager
def open_rows(target: str, given: Given) -> Iterator[Iterator[Sequence[Any]]]:
    """Open the records of a span in files, as rows of the columns in `COLUMNS`.

    Args:
        target: the path or "file://" URL of the live file.
        given: `since` and `end` in milliseconds since 1970, and `host`.

    Raises:
        UnreadableError: the files cannot be read, or DuckDB is missing.
    """
    path = Path(target.removeprefix("file://"))
    with connected(path, _MEMORY) as connection:
        yield Slices(connection, path, given).rows()


def _day_of(moment: int) -> date:
    """Return the day, in UTC, of milliseconds since 1970."""
    return datetime.fromtimestamp(moment / 1000, UTC).date()
