"""The `export` command: a whole access log, in formats that analytics tools read, or everything under an id."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, BinaryIO

from cookie_consent.base.clock import rfc3339
from cookie_consent.base.files import open_file
from cookie_consent.cli.frame import (
    ACCESS_LOG,
    EITHER_ID,
    JSON,
    LEDGER,
    Command,
    UnusableError,
    file_errors,
    option,
    print_findings,
    print_json,
    print_note,
    progress,
    required_store,
)
from cookie_consent.cli.report import HOST, POLICY, SINCE, TIME_ZONE, UNTIL, WHERE, days_of, settings_of
from cookie_consent.cli.stores import existing_ledger, existing_sink, records_of
from cookie_consent.report.engines.engine import is_of_log
from cookie_consent.report.export.formats import CSV, JSONL, NCSA, lines, parquet
from cookie_consent.report.export.stream import Span
from cookie_consent.sinks.store import IncompleteError, read_readable

_PARQUET = "parquet"
_FORMATS = (JSONL, NCSA, CSV, _PARQUET)
_MODE = 0o640
"""The mode of a new file, before the umask; that of access log files."""
_STORES = {"consent_records": "ledger", "access_records": "access-log", "requests": "ledger"}
"""Kind of record, as in MEANINGS -> the option that names where it is."""
_OPTIONS = ("format", "since", "until", "host", "out", "time_zone", "policy", "where")


def _export(arguments: argparse.Namespace) -> int:
    if arguments.id is None:
        return _export_access_log(arguments)
    if any(getattr(arguments, name) for name in _OPTIONS):
        raise UnusableError("--id exports everything under it, as JSON. --format and what goes with it stand alone.")
    return _export_id(arguments)


def _export_id(arguments: argparse.Namespace) -> int:
    """Print everything that is stored under an id, and return the exit status."""
    from cookie_consent.ledgers.glossary import MEANINGS  # only this needs the ledgers

    found: dict[str, list[dict[str, Any]]] = {}
    missing = ""
    if arguments.ledger:
        with existing_ledger(arguments.ledger) as ledger:
            found["consent_records"] = records_of(ledger, arguments.id)
            found["requests"] = [request.document() for request in ledger.requests.listed(arguments.id)]
    if arguments.access_log:
        with existing_sink(arguments.access_log) as sink:
            found["access_records"], missing = read_readable(sink.read(arguments.id))
    if not found:
        raise UnusableError("Name what to look into: --ledger URL, --access-log URL, or both.")
    for kind in sorted(_STORES.keys() - found.keys()):
        print_note(f"Not looked for: {kind.replace('_', ' ')}. --{_STORES[kind]} URL says where they are.")
    if arguments.json:
        for records in found.values():
            for record in records:
                print_json(record)
    else:
        meanings = {kind: dict(MEANINGS[kind]) for kind in found}
        print_json({"id": arguments.id, "exported_at": rfc3339(time.time()), **found, "meanings": meanings}, indent=2)
    return print_findings([missing] if missing else [])


def _checked_target(arguments: argparse.Namespace) -> str:
    """Return the access log of an export.

    Raises:
        UnusableError: the options do not fit together, or no access log is named.
    """
    out: Path | None = arguments.out
    if arguments.format is None:
        raise UnusableError(
            "Name what to export: --id ID for everything that is kept under an id, or --format FORMAT for all access "
            f"records, in one of: {', '.join(_FORMATS)}."
        )
    if arguments.json:
        raise UnusableError('--json goes with --id. Of all access records, "--format jsonl" is JSON.')
    if arguments.format == _PARQUET and out is None:
        raise UnusableError(f"--format {_PARQUET} needs --out FILE: it is not written from its beginning to its end.")
    target = required_store(arguments, "access_log")
    if out and is_of_log(target, out):
        raise UnusableError(f"--out: {out} is a file of the access log itself. Name another.")
    return target


def _export_access_log(arguments: argparse.Namespace) -> int:
    """Write the access records of a span in the requested format, and return the exit status."""
    target = _checked_target(arguments)
    out: Path | None = arguments.out
    now = time.time()
    settings = settings_of(arguments)
    since, until = days_of(arguments, settings, now)
    span = Span(since, until, arguments.host, settings.time_zone, tuple(arguments.where))
    missing: list[str] = []
    with _opened(out) as file, progress("days") if out else nullcontext() as show:
        seen = _days_seen(span, now, show or (lambda number, total: None))
        try:
            if arguments.format == _PARQUET:
                parquet(target, span, Path(file.name), seen=seen)
            else:
                with closing(lines(target, span, arguments.format, seen=seen)) as blocks:
                    file.writelines(blocks)
        except IncompleteError as error:
            missing.append(str(error))
    if out:
        print(f"{out} is written.")
    return print_findings(missing)


@contextmanager
def _opened(out: Path | None) -> Iterator[BinaryIO]:
    """Yield standard output, or a file under a temporary name, which is renamed when it is complete."""
    if out is None:
        # Bytes: the formats say how they are encoded, whatever the terminal uses.
        yield sys.stdout.buffer
        return
    if out.exists() and not out.is_file():
        raise UnusableError(f"--out takes the name of a file, and {out} is none. Leave it out for standard output.")
    part = out.with_name(f".{out.name}.part")
    try:
        with file_errors(out, "written"):
            # An export that was killed may have left it.
            part.unlink(missing_ok=True)
            # "x": never write into a file or a link that somebody else put there.
            with open(part, "xb", opener=lambda path, flags: open_file(path, flags, _MODE)) as file:
                yield file
            part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _days_seen(span: Span, now: float, show: Callable[..., object]) -> Callable[[date], object]:
    """Return a function that takes the day in work, and shows the progress in days."""
    start = span.since
    end = span.until or datetime.fromtimestamp(now, UTC).date()

    def seen(day: date) -> None:
        nonlocal start
        start = start or day
        show((day - start).days, (end - start).days + 1)

    return seen


EXPORT = Command(
    (
        EITHER_ID,
        LEDGER,
        ACCESS_LOG,
        JSON,
        option("--format", choices=_FORMATS, help="without --id: export all access records in this format"),
        SINCE,
        UNTIL,
        POLICY,
        TIME_ZONE,
        HOST,
        WHERE,
        option("--out", metavar="FILE", type=Path, help="the file to write (default: standard output)"),
    ),
    _export,
    "a file of the access log, or a line, cannot be read, and is left out",
)
