"""The protocol of an engine, the choice of one by path or URL, the memory that it may take, and the files of a log."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from cookie_consent.report.where import Segment
from cookie_consent.sinks import without_spill
from cookie_consent.sinks.files.closed_files import counts_path, sources
from cookie_consent.sinks.optional import duckdb_connection
from cookie_consent.sinks.store import Damaged

Row = dict[str, Any]
Given = Mapping[str, int | str]

_MODULES = {
    "file": "duckdb_files",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "clickhouse": "clickhouse",
    "clickhouses": "clickhouse",
}
"""URL scheme -> name of the module that reads such an access log."""


TEMPORARY = ("records", "viewers", "counts", "sessions", "earlier", "pairs", "properties", "found", "visits", "chosen")
"""The names of temporary tables."""
EVERYBODY = Segment()
MARGIN = 6 * 3_600_000
"""A report also reads so many milliseconds before and after its range, for sessions that cross the edge. Longer
ones are cut off: only a visitor who never pauses for 30 minutes in that time has one."""


class UnreadableError(ValueError):
    """An access log cannot be read. The message says why, or how to fix it."""


class Engine(Protocol):
    """Runs the SQL files of `report/sql` on an access log.

    Attributes:
        damaged: the files that were left out so far, because they or some lines cannot be read.
    """

    damaged: Sequence[Damaged]

    def prepare(self, given: Given) -> None:
        """Drop the tables of an earlier range."""

    def make(self, name: str, given: Given, segment: Segment = EVERYBODY) -> None:
        """Create a temporary table from an SQL file. `segment.tables` has its name."""

    def rows(self, name: str, given: Given, **words: object) -> list[Row]:
        """Return the rows of an SQL file. `words` are variables of its template."""

    def stream(self, given: Given, *, of_segment: bool) -> Iterator[Sequence[Any]]:
        """Yield the records of a span, sorted by time and uid, as rows of the columns in `COLUMNS`.

        Args:
            given: `since` and `end` in milliseconds since 1970, and `host`.
            of_segment: only those in the table `records`.
        """


def open_engine(access_log: str | os.PathLike[str], memory: int | None = None) -> AbstractContextManager[Engine]:
    """Return the engine for an access log, as a context manager.

    Args:
        access_log: the path of a JSON Lines file, or a URL: "file://…", "postgresql://…", "clickhouse://…".
        memory: the bytes that reading files may take; None for a quarter of the machine's, and at least 512 MB.
            Databases ignore it: they have settings of their own.

    Raises:
        ValueError: no engine reads such a URL.
        UnreadableError: the access log cannot be read. Every error of an open engine is one of these.
    """
    module, place = _engine_of(access_log)
    opened: Callable[..., AbstractContextManager[Engine]] = module.opened
    return opened(place, memory) if live_file(access_log) else opened(place)


def make_views(database: str) -> None:
    """Make `access_views` and `access_sessions`, the tables for analysts, as views of the records in a database.

    Raises:
        UnreadableError: the database cannot be used.
    """
    module, place = _engine_of(database)
    module.make_views(place)


def _engine_of(access_log: str | os.PathLike[str]) -> tuple[ModuleType, str]:
    """Return the module that reads an access log, and the path or URL to open it with.

    Raises:
        ValueError: no engine reads such a URL.
    """
    target = os.fspath(access_log)
    scheme, colon, _ = target.partition("://")
    name = _MODULES.get(scheme if colon else "file")
    if name is None:
        raise ValueError(
            f'access_log: "{scheme}://" cannot be read. Use the path of a JSON Lines file, "postgresql://…" or '
            '"clickhouse://…": where the records are kept in the end.'
        )
    module = import_module(f"{__package__}.{name}")
    return module, without_spill(target)[0] if colon and scheme != "file" else target


def missing(package: str, extra: str) -> UnreadableError:
    """Return the error for a missing package. It names the extra to install."""
    return UnreadableError(f'access_log: this needs {package}: pip install "cookie-consent[{extra}]"')


LEAST_DEFAULT = 512_000_000
"""The smallest default limit, in bytes."""
LEAST = 64_000_000
"""The smallest allowed limit, in bytes: DuckDB needs this much for each thread that reads JSON."""
_UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?([MGT]i?B)", re.IGNORECASE)
_DEFAULT_OF_DUCKDB = "SELECT parse_formatted_bytes(current_setting('memory_limit'))"


def parse_memory(text: str) -> int:
    """Return the bytes of a size like "512MB" or "2GB".

    Raises:
        ValueError: the text is no size, or less than 64 MB.
    """
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise ValueError(f'{text[:100]!r} is no size of a memory: write it as "512MB" or "2GB"')
    size = int(float(match[1]) * unit)
    if size < LEAST:
        raise ValueError(f"{text[:100]!r} is too little: 64MB at least")
    return size


def default_memory() -> int:
    """Return a quarter of the memory of this machine or container, in bytes, and at least 512 MB."""
    with duckdb_connection({}) as connection:
        # DuckDB itself takes four fifths by default.
        (size,) = connection.execute(_DEFAULT_OF_DUCKDB).fetchall()[0]
    return max(int(size) * 5 // 16, LEAST_DEFAULT)


def format_size(size: int) -> str:
    """Format a number of bytes for people, like "2.5 GB" or "512 MB"."""
    return f"{size / 10**9:.1f} GB" if size >= 10**9 else f"{size // 10**6} MB"


def require_files(access_log: str | os.PathLike[str], *, may_be_new: bool = False) -> None:
    """Raise if an access log has no files, as after a typing error in its name.

    Args:
        access_log: the path of a JSON Lines file, or a URL. URLs of databases are not checked.
        may_be_new: accept missing files if their folder exists, for a site that has just started.

    Raises:
        UnreadableError: there are no files.
    """
    path = live_file(access_log)
    if path is None or sources(path) or (may_be_new and path.parent.is_dir()):
        return
    raise UnreadableError(f"access_log: there is no file {path}, and none that was closed beside it.")


def is_of_log(access_log: str | os.PathLike[str], file: Path) -> bool:
    """Tell whether a file belongs to an access log, so that writing to it would destroy records.

    Links to the log's files count too.

    Args:
        access_log: the path of a JSON Lines file, or a URL.
        file: the file to be written.
    """
    path = live_file(access_log)
    if path is None:
        return False
    logs = (path, counts_path(path))
    log_files = {*logs, *(source.path for log in logs for source in sources(log))}
    # A hard link has a path of its own, and the same content.
    return any(
        file.resolve() == one.resolve() or (file.exists() and one.exists() and file.samefile(one)) for one in log_files
    )


def live_file(access_log: str | os.PathLike[str]) -> Path | None:
    """Return the live file of an access log in files; None if it is a URL of a database."""
    scheme, colon, rest = os.fspath(access_log).partition("://")
    if colon and scheme != "file":
        return None
    return Path(rest if colon else scheme)
