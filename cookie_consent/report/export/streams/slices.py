"""Read the files of an access log in slices of time, so that memory limits neither their number nor their size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cookie_consent.report.engines.duckdb_files import KIND, connected, make_view
from cookie_consent.report.export.streams import Span
from cookie_consent.report.files import require_files
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.closed_files import FileFormat, Source, key_of, retry_if_moved
from cookie_consent.sinks.files.damage import Damaged, incomplete, read_undamaged
from cookie_consent.sinks.files.parquet import one_file

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY = 160_000_000
"""The bytes that DuckDB may take. What sorting needs beyond that goes to temporary files."""
_SIZE = 60_000
"""The records of a slice. A slice of a day's file is a part of one of its row groups."""
_TYPES = {"time": "TIMESTAMP", "status": "INTEGER", "duration_ms": "DOUBLE"}
"""Column -> type. All other columns are texts."""
_VIEWED = {key: (column, _TYPES.get(column, "VARCHAR")) for key, column in COLUMNS.items()}
_IN_SPAN = "time >= make_timestamp($since::BIGINT * 1000) AND time < make_timestamp($end::BIGINT * 1000)"
CONDITION = f"{_IN_SPAN} AND ($host = '' OR host = $host)"
"""The condition for the records of a slice, in a statement on the view `access_records`."""
_LOAD = f"CREATE OR REPLACE TEMPORARY TABLE in_lines AS SELECT * FROM access_lines WHERE {_IN_SPAN}"  # noqa: S608
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


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the span.

    Args:
        since: its first moment, in milliseconds since 1970.
        end: the first moment after it.
        given: the values for `CONDITION`.
    """

    since: int
    end: int
    given: dict[str, int | str]

    @property
    def day(self) -> date:
        """The day of its first moment."""
        return datetime.fromtimestamp(self.since / 1000, UTC).date()


class Slices:
    """The records of a span in the files of an access log, a slice at a time.

    Lines are loaded when it is made, because they are in no order. Parquet files are sorted by time, so that a slice
    reads only a part of them. Between two slices, files may be rotated, compacted or erased from.

    Args:
        connection: from `connected`.
        path: the live file.
        span: the records to read.
    """

    def __init__(self, connection: DuckDBPyConnection, path: Path, span: Span) -> None:
        self.connection, self._path, self._span = connection, path, span
        self._first_times: dict[Key, int] = {}
        self._damaged: list[Damaged] = []
        # Two threads take more time of the processor together than one, and more memory.
        connection.execute("SET threads = 1")
        self._slices: list[tuple[int, int]] = self._retried(self._cut)

    def read(self, work: Callable[[Slice], T]) -> Iterator[tuple[Slice, T]]:
        """Call `work` for each slice, the oldest first, and yield the slices and its results.

        Args:
            work: reads a slice from the view `access_records`. It is called again if files moved meanwhile, so it
                returns what it read, and changes nothing else.

        Raises:
            IncompleteError: after all slices: some files are damaged.
        """
        for since, end in self._slices:
            part = Slice(since, end, {**self._span.given, "since": since, "end": end})

            def read_slice(files: Sequence[Source], part: Slice = part) -> T:
                self._view([source for source in files if self._reaches(source, part)])
                return work(part)

            yield part, self._retried(read_slice)
        if self._damaged:
            raise incomplete(self._damaged)

    def _retried(self, read: Callable[[Sequence[Source]], T]) -> T:
        def read_files(found: Sequence[Source]) -> T:
            # A file's day is that of its newest record, so files closed before the span have nothing of it.
            files = [source for source in found if source.day is None or source.day >= self._span.first_file]
            known = {damaged.path for damaged in self._damaged}
            result, damaged = read_undamaged(
                self.connection, [source for source in files if source.path not in known], read
            )
            self._damaged += damaged
            return result

        return retry_if_moved(self._path, read_files)

    def _cut(self, files: Sequence[Source]) -> list[tuple[int, int]]:
        """Load the lines, and return the slices."""
        lines = [source for source in files if source.file_format is not FileFormat.PARQUET]
        parquet = [source for source in files if source.file_format is FileFormat.PARQUET]
        make_view(self.connection, "access_lines", lines, _VIEWED, {"kind": KIND})
        times = {name: value for name, value in self._span.given.items() if name != "host"}
        self.connection.execute(_LOAD, times)
        self._view(parquet)
        if parquet:
            keys = {str(source.path): key_of(source) for source in parquet}
            names = {"files": [one_file(source.path) for source in parquet]}
            found = self.connection.execute(_FIRST_TIMES, names).fetchall()
            self._first_times = {keys[name]: first for name, first in found if first is not None}
        return self.connection.execute(_CUT, {**times, "size": _SIZE}).fetchall()

    def _view(self, parquet: Sequence[Source]) -> None:
        make_view(self.connection, "in_parquet", parquet, _VIEWED, {"kind": KIND})
        self.connection.execute(_UNITE)

    def _reaches(self, source: Source, part: Slice) -> bool:
        """Tell whether a Parquet file may have records of a slice. In new files are lines that were loaded already."""
        if source.file_format is not FileFormat.PARQUET or key_of(source) not in self._first_times:
            return False
        return source.date() >= part.day and self._first_times[key_of(source)] < part.end


@contextmanager
def sliced(target: str, span: Span) -> Iterator[Slices]:
    """Open the files of an access log.

    Args:
        target: the path or "file://" URL of the live file.
        span: the records to read.

    Raises:
        UnreadableError: the files cannot be read, or DuckDB is missing.
    """
    path = Path(target.removeprefix("file://"))
    with connected(path, _MEMORY) as connection:
        require_files(path)
        yield Slices(connection, path, span)
