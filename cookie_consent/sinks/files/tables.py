"""The tables that are kept beside an access log: where they are, and of which closed files they were made.

    logs/access.duckdb                                views of the tables, for other tools
    logs/access.tables/records/2026-11-25.parquet     the records in the files that were closed for that day
    logs/access.tables/sessions/2026-11-25.parquet    the sessions that began in the 24 hours before 18:00 (UTC)

Each says in its metadata what it was made of. One that does not fit the files of the log is made again by the next
report, so that all of them may be deleted at any time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from cookie_consent.base import locking
from cookie_consent.sinks.files.closed_files import one_file, sources
from cookie_consent.sinks.files.locked_files import make_folder, replacing
from cookie_consent.sinks.optional import duckdb

RECORDS, SESSIONS = KINDS = ("records", "sessions")
_LONGEST_WAIT = 60.0
_KEY = "cookie_consent"
_ORIGINS = """
SELECT file_name, decode(value) FROM parquet_kv_metadata($files) WHERE decode(key) = $key"""
_OTHERS = "SELECT * FROM read_parquet($file) WHERE visitor <> hash($visitor)"

Origin = dict[str, Any]
"""What a table was made of: its files, each with its size and time; or the tables of records, each with its files."""


def tables_folder(path: Path) -> Path:
    """Return the folder of a log's tables: "logs/access.jsonl" -> "logs/access.tables"."""
    return path.with_name(f"{path.stem}.tables")


def table_path(path: Path, kind: str, day: date) -> Path:
    """Return the path of a table of a day."""
    return tables_folder(path) / kind / f"{day}.parquet"


def closed_days(path: Path) -> dict[date, list[list[Any]]]:
    """Return the days that are over, each with its closed files: their names, sizes and times.

    A day is not over while a live file was last written on it.
    """
    days: dict[date, list[list[Any]]] = {}
    running: set[date] = set()
    for source in sources(path):
        with suppress(FileNotFoundError):  # it was rotated or compacted
            if source.day is None:
                running.add(datetime.fromtimestamp(source.path.stat().st_mtime, UTC).date())
            else:
                days.setdefault(source.day, []).append(state_of(source.path))
    return {day: files for day, files in days.items() if day not in running}


def state_of(path: Path) -> list[Any]:
    """Return the name, size and time of a file."""
    status = path.stat()
    return [path.name, status.st_size, status.st_mtime_ns]


def read_origins(
    connection: Any, path: Path, kind: str, since: date = date.min, until: date = date.max
) -> dict[date, Origin]:
    """Return what the tables of a kind were made of. A damaged table is removed, and so is one of another version.

    Args:
        connection: a DuckDB connection.
        path: the live file of the log.
        kind: one of KINDS.
        since: the first day.
        until: the last day.
    """
    tables: list[Path] = []
    with suppress(PermissionError):  # another user made them: then there are none, and the files of the log are read
        found_tables = (tables_folder(path) / kind).glob("*.parquet")
        tables += [table for table in found_tables if str(since) <= table.stem <= str(until)]
    try:
        found = _read(connection, tables)
    except duckdb().Error:  # one of them is damaged, or was removed just now
        found = {}
        for table in tables:
            with suppress(duckdb().Error):
                found |= _read(connection, [table])
    for table in tables:
        if table not in found:
            with suppress(OSError):
                table.unlink()
    return {date.fromisoformat(table.stem): origin for table, origin in found.items()}


def _read(connection: Any, tables: list[Path]) -> dict[Path, Origin]:
    if not tables:
        return {}
    by_name = {str(table): table for table in tables}
    rows = connection.execute(_ORIGINS, {"files": [one_file(table) for table in tables], "key": _KEY}).fetchall()
    origins = {by_name[name]: json.loads(text) for name, text in rows}
    return {table: origin for table, origin in origins.items() if origin.pop("by") == _maker()}


def write_table(connection: Any, query: str, target: Path, origin: Origin, like: Path, **values: Any) -> None:
    """Write a table, and replace the one that is there.

    Args:
        connection: a DuckDB connection.
        query: what is in it.
        target: its path.
        origin: what it is made of.
        like: a file whose owner and mode it gets.
        values: the parameters of the query.
    """
    text = json.dumps({**origin, "by": _maker()}).replace("'", "''")
    with replacing(target, like) as new:
        connection.execute(
            f"COPY ({query}) TO $target (FORMAT parquet, COMPRESSION uncompressed, ROW_GROUP_SIZE 20480, "
            f"USE_TMP_FILE false, KV_METADATA {{{_KEY}: '{text}'}})",
            {**values, "target": str(new)},
        )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let no other process change the tables of a log, and remove unfinished ones, which a killed process left.

    Raises:
        OSError: the folder cannot be made, another process has the lock for a minute, or the system is Windows.
    """
    if not locking.is_posix():
        raise OSError("on Windows no tables are kept: open files cannot be replaced")
    folder = tables_folder(path)
    if files := sources(path):
        make_folder(folder, files[0].path.stat())
    with locking.hold_lock(folder, os.O_RDONLY, wait=_LONGEST_WAIT):
        for part in folder.glob("*/.*.part"):
            part.unlink()
        yield


def remove_visitor(connection: Any, path: Path, visitor_id: str, changed: Sequence[tuple[object, object]]) -> None:
    """Write the tables of changed files again without a visitor; remove those that do not fit the files.

    Args:
        connection: a DuckDB connection.
        path: the live file of the log.
        visitor_id: the visitor, whose records are no longer in the files.
        changed: the `state_of` each changed file before and after.
    """
    connection.execute("SET preserve_insertion_order = true")
    with locked(path):
        days = closed_days(path)
        for kind in KINDS:
            for day, origin in read_origins(connection, path, kind).items():
                table = table_path(path, kind, day)
                text = json.dumps(origin)
                for before, after in changed:
                    text = text.replace(json.dumps(before), json.dumps(after))
                renewed = json.loads(text)
                made_of = renewed.get("records") or {str(day): renewed["files"]}
                if any(files != days.get(date.fromisoformat(of_day)) for of_day, files in made_of.items()):
                    table.unlink()
                elif renewed != origin:
                    values = {"file": one_file(table), "visitor": visitor_id}
                    write_table(connection, _OTHERS, table, renewed, table, **values)


def remove_tables(path: Path, days: Collection[date] = ()) -> None:
    """Remove the tables with records or sessions of other days than these."""
    if not tables_folder(path).is_dir():
        return
    with locked(path):
        for table in tables_folder(path).glob("*/*.parquet"):
            day = date.fromisoformat(table.stem)
            has_day_before = table.parent.name == SESSIONS
            if day not in days or (has_day_before and day - timedelta(days=1) not in days):
                table.unlink(missing_ok=True)


def _maker() -> str:
    # `hash` may be another function in another version.
    return str(duckdb().__version__)
