"""A whole access log in a format of other programs. DuckDB does the work for files, and Python for databases."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date
from functools import partial
from itertools import chain, groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookie_consent.base.process.temporary import temporary_folder
from cookie_consent.report.export import sql_lines
from cookie_consent.report.export.formats import CSV_HEADER, Record, as_csv, as_jsonl, as_ncsa, write_parquet
from cookie_consent.report.export.streams import Span, stream, whole
from cookie_consent.report.export.streams.duckdb_files import TIME
from cookie_consent.report.export.streams.slices import CONDITION, Slice, sliced
from cookie_consent.report.files import live_file
from cookie_consent.sinks.columns import COLUMNS, record_from
from cookie_consent.sinks.files.parquet import copy_to_parquet, one_file
from cookie_consent.sinks.optional import duckdb
from cookie_consent.sinks.store import IncompleteError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

JSONL, NCSA, CSV = "jsonl", "ncsa", "csv"
Seen = Callable[[date], object]
Format = Callable[[Iterable[Record]], Iterator[bytes]]

_BATCH_SIZE = 5000
_FOR_IMPORTERS = "kind <> 'event' AND purpose IS NULL"
"""As `is_for_importers`."""
_WHOLE = ", ".join(f"{column} := {TIME if column == 'time' else column}" for column in COLUMNS.values())
_LINES = f"""
SELECT uid, line, CASE WHEN line IS NULL THEN struct_pack({_WHOLE}) END FROM (
    SELECT *, {{line}} AS line FROM access_records WHERE {CONDITION} AND {{selected}}
) AS made
ORDER BY made.time, uid"""  # noqa: S608 (names of ours)
_ONCE = f"""
SELECT * EXCLUDE (before) REPLACE (TRY_CAST(status AS SMALLINT) AS status) FROM (
    SELECT *, lag(uid) OVER (ORDER BY time, uid) AS before FROM access_records WHERE {CONDITION}
)
WHERE uid IS NULL OR uid IS DISTINCT FROM before
ORDER BY time, uid"""  # noqa: S608 (names of ours)
_PARTS = "SELECT * FROM read_parquet($parts, hive_partitioning = false)"
"""Slices that were sorted and written."""


def lines(access_log: str, span: Span, form: str, *, seen: Seen = lambda day: None) -> Generator[bytes, None, None]:
    """Yield the records of a span in a format, oldest first and without duplicates, in blocks of whole lines.

    The first block comes when the access log is open; it may be empty. Close the generator if you do not read it to its
    end.

    Args:
        access_log: the path of a JSON Lines file, or a URL: "file://…", "postgresql://…", "clickhouse://…".
        span: the records to export.
        form: JSONL, NCSA or CSV.
        seen: called with the day of each block.

    Raises:
        ValueError: no reader exists for such a URL.
        UnreadableError: the access log cannot be read, or a package is missing.
        IncompleteError: after all records that can be read: some files are damaged.
    """
    header = CSV_HEADER if form == CSV else b""
    formats: dict[str, Format] = {JSONL: as_jsonl, CSV: as_csv, NCSA: as_ncsa}
    write = formats[form]
    if not _is_of_whole_files(access_log, span):
        with closing(stream(access_log, span)) as found:
            first = [*islice(found, 1)]  # so that errors of reading come before any output
            yield header
            yield from write(_of_days(chain(first, found), seen))
        return
    sql = _LINES.format(line=_sql_of(form), selected=_FOR_IMPORTERS if form == NCSA else "true")
    with sliced(access_log, span) as slices:
        yield header
        for part, blocks in slices.read(partial(_blocks, slices.connection, sql, write)):
            seen(part.day)
            yield from blocks


def parquet(access_log: str, span: Span, path: Path, *, seen: Seen = lambda day: None) -> None:
    """Write the records of a span to a Parquet file, with the columns, types and order of compacted files.

    Args:
        access_log: as for `lines`.
        span: the records to export.
        path: the file to write.
        seen: called with the day of each part.

    Raises:
        Exception: those of `lines`.
        OSError: the file cannot be written.
    """
    if not _is_of_whole_files(access_log, span):
        with closing(stream(access_log, span)) as records:
            write_parquet(_of_days(records, seen), path)
        return
    problem: Exception | None = None
    # DuckDB would sort everything before it writes. So each slice is sorted and written to a file of its own first.
    with temporary_folder() as folder, sliced(access_log, span) as slices:
        parts: list[str] = []
        try:
            for part, file in slices.read(partial(_part, slices.connection, folder)):
                seen(part.day)
                parts.append(one_file(file))
        except IncompleteError as error:
            problem = error
        try:
            _join(slices.connection, parts, path)
        except OSError as error:
            problem = error  # is raised below, because `sliced` would call it an error of reading
    if problem:
        raise problem


def _is_of_whole_files(access_log: str, span: Span) -> bool:
    """Tell whether DuckDB can do all the work: not for databases, and not if only some sessions are to be exported."""
    return live_file(access_log) is not None and not span.where


def _of_days(records: Iterable[Record], seen: Seen) -> Iterator[Record]:
    """Yield records, and call `seen` with each day before its first record."""
    for day, of_day in groupby(records, lambda record: date.fromisoformat(record["time"][:10])):
        seen(day)
        yield from of_day


def _sql_of(form: str) -> str:
    if form == NCSA:
        return sql_lines.ncsa_line()
    return sql_lines.csv_line() if form == CSV else sql_lines.jsonl_line()


def _blocks(connection: DuckDBPyConnection, sql: str, write: Format, part: Slice) -> list[bytes]:
    """Return the lines of a slice. Those with something to escape are written here."""
    result = connection.execute(sql, part.given)
    blocks: list[bytes] = []
    last = None
    while rows := result.fetchmany(_BATCH_SIZE):
        texts: list[str] = []
        for uid, line, record in rows:
            # Rows are sorted by time and uid, so duplicates are neighbours.
            if uid is None or uid != last:
                texts.append(line or _escaped(write, record))
            last = uid
        blocks.append("".join(texts).encode())
    return blocks


def _escaped(write: Format, record: Mapping[str, Any]) -> str:
    return b"".join(write([whole(record_from(record.values()))])).decode()


def _part(connection: DuckDBPyConnection, folder: Path, part: Slice) -> Path:
    """Write a slice to a file, and return its path."""
    file = folder / f"{part.since}.parquet"
    copy_to_parquet(connection, _ONCE, part.given, file)
    return file


def _join(connection: DuckDBPyConnection, parts: Sequence[str], path: Path) -> None:
    """Write the rows of files to one file, in the same order.

    Raises:
        OSError: the file cannot be written.
    """
    if not parts:
        write_parquet([], path)
        return
    connection.execute("SET preserve_insertion_order = true")
    try:
        copy_to_parquet(connection, _PARTS, {"parts": parts}, path)
    except duckdb().IOException as error:
        raise OSError(str(error)) from None
