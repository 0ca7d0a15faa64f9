"""A whole access log in the formats of other programs: JSON Lines, CSV, Parquet, and the log of servers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date
from itertools import chain, groupby, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any
from urllib.parse import quote

from cookie_consent.report.export.csv_files import plain
from cookie_consent.report.export.stream import Span, stream
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.parquet import engine
from cookie_consent.sinks.optional import duckdb
from cookie_consent.sinks.store import IncompleteError

Record = dict[str, Any]
Lines = Iterator[bytes]
Seen = Callable[[date], object]

JSONL, NCSA, CSV = "jsonl", "ncsa", "csv"

OWN_COLUMNS = ("uid", "visitor")
"""Columns that this package fills. They are safe for spreadsheets, and may begin with a hyphen; escaping would break
comparisons with other systems."""
_TYPES = {"time": "TIMESTAMP", "status": "SMALLINT", "duration_ms": "DOUBLE"}
"""Column -> Parquet type, as in compacted files. All other columns are texts."""
_SELECTED = ", ".join(f'"{key}" AS {column}' for key, column in COLUMNS.items())
_COPY = f"""
COPY (SELECT {_SELECTED} FROM read_json($lines, format = 'newline_delimited', columns = $types))
TO $path (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)"""  # noqa: S608 (names of ours)


def lines(access_log: str, span: Span, form: str, *, seen: Seen = lambda day: None) -> Generator[bytes, None, None]:
    """Yield the records of a span in a format, oldest first and without duplicates.

    The first block comes when the access log is open; it may be empty. Close the generator if you do not read it to its
    end.

    Args:
        access_log: the path of a JSON Lines file, or a URL: "file://…", "postgresql://…", "clickhouse://…".
        span: the records to export.
        form: JSONL, NCSA or CSV.
        seen: called with each day before its first record.

    Raises:
        ValueError: no reader exists for such a URL.
        UnreadableError: the access log cannot be read, or a package is missing.
        IncompleteError: after all records that can be read: some files are damaged.
    """
    formats = {JSONL: as_jsonl, CSV: as_csv, NCSA: as_ncsa}
    with closing(stream(access_log, span)) as found:
        first = [*islice(found, 1)]  # so that errors of reading come before any output
        yield CSV_HEADER if form == CSV else b""
        yield from formats[form](_of_days(chain(first, found), seen))


def parquet(access_log: str, span: Span, path: Path, *, seen: Seen = lambda day: None) -> None:
    """Write the records of a span to a Parquet file, with the columns, types and order of compacted files.

    They are buffered in an unnamed temporary file: memory does not limit their number, and the file is gone however
    this ends.

    Args:
        access_log: as for `lines`.
        span: the records to export.
        path: the file to write.
        seen: called with each day before its first record.

    Raises:
        NotInstalledError: DuckDB is missing.
        OSError: the file cannot be written.
        IncompleteError: the file has all records that can be read: some files are damaged.
    """
    problem = None
    with TemporaryFile() as buffer:
        try:
            buffer.writelines(lines(access_log, span, JSONL, seen=seen))
        except IncompleteError as error:
            problem = error
        buffer.flush()
        _copy_to_parquet(buffer.fileno(), path)
    if problem:
        raise problem


def _of_days(records: Iterable[Record], seen: Seen) -> Iterator[Record]:
    """Yield records, and call `seen` with each day before its first record."""
    for day, of_day in groupby(records, lambda record: date.fromisoformat(record["time"][:10])):
        seen(day)
        yield from of_day


def as_jsonl(records: Iterable[Record]) -> Lines:
    """Yield records as JSON lines in ASCII. Some readers take other Unicode characters for line ends."""
    for record in records:
        yield json.dumps(record, separators=(",", ":")).encode() + b"\n"


def as_csv(records: Iterable[Record]) -> Lines:
    """Yield the rows of a table below `CSV_HEADER` (RFC 4180, UTF-8). A spreadsheet may open it safely."""
    for record in records:
        yield _row(_cell(column, record.get(key)) for key, column in COLUMNS.items())


_PAGE = {"http.request.method": "GET", "http.response.status_code": 200}
"""The request of a page that a script tells of: that on which tracing was allowed, or one of a single-page app."""


def as_ncsa(records: Iterable[Record]) -> Lines:
    """Yield the requests among records, and the pages that scripts tell of, as lines of an NCSA combined log."""
    for record in records:
        if record.get("record.kind") != "event":
            yield ncsa(record).encode() + b"\n"
        elif record.get("event.name") == "page_view":
            yield ncsa({**record, **_PAGE}).encode() + b"\n"


def _copy_to_parquet(descriptor: int, path: Path) -> None:
    """Write the lines of an open file to a Parquet file."""
    with engine() as connection:
        types = {key: _TYPES.get(column, "VARCHAR") for key, column in COLUMNS.items()}
        connection.execute("SET preserve_insertion_order = true")
        try:
            # DuckDB opens files by name, and this one has none.
            connection.execute(_COPY, {"lines": f"/dev/fd/{descriptor}", "types": types, "path": str(path)})
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


# Lines of server logs

_UNKNOWN = "-"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
IN_PATHS, IN_URLS, IN_NAMES = "/:@!$&()*,;=~", "/:@!$&()*,;=~?[]+%", " "
"""Characters that are not escaped, besides letters, digits and "_.-~". Quotes and backslashes always are escaped."""
PRODUCTS = {
    "Chrome": "Chrome/- Safari/-",
    "Chrome Mobile": "Chrome/- Safari/-",
    "Chrome Mobile WebView": "Chrome/- Safari/-",
    "Chrome Mobile iOS": "CriOS/-",
    "DuckDuckGo Mobile": "Ddg/-",
    "Firefox iOS": "Firefox/-",
    "Firefox Mobile": "Firefox/-",
    "Mobile Safari": "Version/- Safari/-",
    "Safari": "Version/- Safari/-",
    "Samsung Internet": "SamsungBrowser/-",
    "UC Browser": "UCBrowser/-",
    "Yandex Browser": "YaBrowser/-",  # Matomo's importer takes "yandex" for a robot
}
"""Browser family -> the product names in its user agent. Other browsers use the name of their family."""
SYSTEMS = {"Mac OS X": "Macintosh; Mac OS X", "Chrome OS": "CrOS"}
APPLE_DEVICES = {"tablet": "iPad"}


def ncsa(record: Mapping[str, Any]) -> str:
    """Return a request as a line of an NCSA combined log (Apache, nginx), in ASCII and without the line end.

    The user field is the visitor's pseudonym. Times are in UTC. The number of bytes is unknown.

    Args:
        record: the record of a request, not of an event.
    """
    target = _text(record, "url.path", IN_PATHS)
    if record.get("url.query"):
        target = f"{target}?{_text(record, 'url.query', IN_URLS)}"
    version = _text(record, "network.protocol.version")
    protocol = version if version == _UNKNOWN else f"HTTP/{version}"
    time = record["time"]
    day = f"{time[8:10]}/{_MONTHS[int(time[5:7]) - 1]}/{time[:4]}"  # not of the locale
    return (
        f"{_text(record, 'client.address', ':')} - {_text(record, 'visitor.id')} [{day}:{time[11:19]} +0000] "
        f'"{_text(record, "http.request.method")} {target} {protocol}" '
        f"{record.get('http.response.status_code', _UNKNOWN)} - "
        f'"{_text(record, "http.request.referrer", IN_URLS)}" "{user_agent(record)}"'
    )


def user_agent(record: Mapping[str, Any]) -> str:
    """Return a user agent field like "(Windows; pc) Firefox/-"; "-" if neither browser nor system is known.

    It uses the words that log readers recognise. It never has a version, because records have none.
    """
    device = record.get("user_agent.device", "other")
    system, browser = (
        family if (family := record.get(key, "")) != "Other" else "" for key in ("user_agent.os", "user_agent.name")
    )
    if not browser and not system:
        return _UNKNOWN
    if system == "iOS":
        system = f"{APPLE_DEVICES.get(device, 'iPhone')}; iOS"
    else:
        system = SYSTEMS.get(system) or _escaped(system, IN_NAMES) or _UNKNOWN
    product = PRODUCTS.get(browser) or f"{_escaped(browser, IN_NAMES)}/-" if browser else _UNKNOWN
    return f"({system}; {_escaped(device)}) {product}"


def _text(record: Mapping[str, Any], key: str, safe: str = "") -> str:
    return _escaped(record.get(key, ""), safe) or _UNKNOWN


def _escaped(text: str, safe: str = "") -> str:
    """Return a text as percent-encoded ASCII, so that it ends neither a field nor a line.

    Lone surrogates become "?".
    """
    return quote(text, safe, errors="replace")
