"""Access records in the formats of other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from cookie_consent.report.export.csv_files import plain
from cookie_consent.report.export.server_logs import is_for_importers, ncsa
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.parquet import engine
from cookie_consent.sinks.optional import duckdb

Record = dict[str, Any]
Lines = Iterator[bytes]

OWN_COLUMNS = ("uid", "visitor")
"""Columns that this package fills. They are safe for spreadsheets, and may begin with a hyphen; escaping would break
comparisons with other systems."""
_TYPES = {"time": "TIMESTAMP", "status": "SMALLINT", "duration_ms": "DOUBLE"}
"""Column -> Parquet type, as in compacted files. All other columns are texts."""
_SELECTED = ", ".join(f'"{key}" AS {column}' for key, column in COLUMNS.items())
_COPY = f"""
COPY (SELECT {_SELECTED} FROM read_json($lines, format = 'newline_delimited', columns = $types))
TO $path (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"""  # noqa: S608 (names of ours)


def as_jsonl(records: Iterable[Record]) -> Lines:
    """Yield records as JSON lines in ASCII. Some readers take other Unicode characters for line ends."""
    for record in records:
        yield json.dumps(record, separators=(",", ":")).encode() + b"\n"


def as_csv(records: Iterable[Record]) -> Lines:
    """Yield the rows of a table below `CSV_HEADER` (RFC 4180, UTF-8). A spreadsheet may open it safely."""
    for record in records:
        yield _row(_cell(column, record.get(key)) for key, column in COLUMNS.items())


def as_ncsa(records: Iterable[Record]) -> Lines:
    """Yield the requests among records as lines of an NCSA combined log."""
    for record in filter(is_for_importers, records):
        yield ncsa(record).encode() + b"\n"


def write_parquet(records: Iterable[Record], path: Path) -> None:
    """Write records to a Parquet file, with the columns, types and order of compacted files.

    Records are buffered in an unnamed temporary file: memory does not limit their number, and the file is gone however
    this ends.

    Args:
        records: the records, oldest first.
        path: the file to write.

    Raises:
        NotInstalledError: DuckDB is missing.
        OSError: the file cannot be written.
    """
    with TemporaryFile() as buffer, engine() as connection:
        buffer.writelines(as_jsonl(records))
        buffer.flush()
        types = {key: _TYPES.get(column, "VARCHAR") for key, column in COLUMNS.items()}
        connection.execute("SET preserve_insertion_order = true")
        try:
            # DuckDB opens files by name, and this one has none.
            connection.execute(_COPY, {"lines": f"/dev/fd/{buffer.fileno()}", "types": types, "path": str(path)})
        except duckdb().IOException as error:
            raise OSError(str(error)) from None


def _row(cells: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    # UTF-8 has no lone surrogates, but JSON has.
    return text.getvalue().encode(errors="replace")


def _cell(column: str, value: object) -> object:
    """Return a cell that is safe to open. Clients choose the texts of hosts and methods."""
    if isinstance(value, dict):
        return plain(json.dumps(value, ensure_ascii=False))
    return value if column in OWN_COLUMNS else plain(value)


CSV_HEADER = _row(COLUMNS.values())
"""The columns of a table: those of the databases."""
