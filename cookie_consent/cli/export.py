"""The `export` command: a whole access log, in formats that analytics tools read, or everything under an id."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

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
    print_text,
    progress,
    required_store,
    store_of,
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
_STORES = {"consent_records": "ledger", "access_records": "access_log", "requests": "ledger"}
"""Kind of record, as in MEANINGS -> the option that names where it is."""
_OPTIONS = ("format", "since", "until", "host", "out", "time_zone", "policy", "where")


def _export(arguments: argparse.Namespace) -> int:
    if arguments.id is None:
        return export_access(arguments)
    if any(getattr(arguments, name) for name in _OPTIONS):
        raise UnusableError("--id exports everything under it, as JSON. --format and what goes with it stand alone.")
    return _export_id(arguments)


def _export_id(arguments: argparse.Namespace) -> int:
    """Print everything that is stored under an id, and return the exit status."""
    from cookie_consent.ledgers.glossary import MEANINGS  # only this needs the ledgers

    found: dict[str, list[dict[str, Any]]] = {}
    missing = ""
    for kind, option_name in _STORES.items():
        target = store_of(arguments, option_name)
        if target is None:
            shown = option_name.replace("_", "-")
            print_note(f"Not looked for: {kind.replace('_', ' ')}. --{shown} URL says where they are.")
        elif kind == "access_records":
            with existing_sink(target) as sink:
                found[kind], missing = read_readable(sink.read(arguments.id))
        else:
            with existing_ledger(target) as ledger:
                requests = [request.document() for request in ledger.requests.listed(arguments.id)]
                found[kind] = requests if kind == "requests" else records_of(ledger, arguments.id)
    if not found:
        raise UnusableError("Name what to look into: --ledger URL, --access-log URL, or both.")
    if arguments.json:
        for records in found.values():
            for record in records:
                print_json(record)
    else:
        meanings = {kind: dict(MEANINGS[kind]) for kind in found}
        print_json({"id": arguments.id, "exported_at": rfc3339(time.time()), **found, "meanings": meanings}, indent=2)
    return print_findings([missing] if missing else [])


def export_access(arguments: argparse.Namespace) -> int:
    """Write the access records of a span in the requested format, and return the exit status.

    Args:
        arguments: those of the command, without an id.

    Raises:
        UnusableError: the export is not possible; the message says why.
    """
    target = _checked(arguments)
    seconds = time.time()
    settings = settings_of(arguments)
    since, until = days_of(arguments, settings, seconds)
    span = Span(since, until, arguments.host, settings.time_zone, tuple(arguments.where))
    missing: list[str] = []
    if arguments.out is None:
        with closing(lines(target, span, arguments.format)) as blocks, _noting(missing):
            # Bytes: the formats say how they are encoded, whatever the terminal uses.
            sys.stdout.buffer.writelines(blocks)
    else:
        with _progress(span, seconds) as seen:
            _write(arguments, target, span, seen, missing)
    return print_findings(missing[:1])


@contextmanager
def _noting(missing: list[str]) -> Iterator[None]:
    """Note in `missing` which records cannot be read. All others are written by then."""
    try:
        yield
    except IncompleteError as error:
        missing.append(str(error))


def _checked(arguments: argparse.Namespace) -> str:
    """Check that the options fit together, and return the access log.

    Raises:
        UnusableError: they do not, or no access log is named.
    """
    if arguments.format is None:
        raise UnusableError(
            "Name what to export: --id ID for everything that is kept under an id, or --format FORMAT for all access "
            f"records, in one of: {', '.join(_FORMATS)}."
        )
    if arguments.json:
        raise UnusableError('--json goes with --id. Of all access records, "--format jsonl" is JSON.')
    if arguments.format == _PARQUET and arguments.out is None:
        raise UnusableError(f"--format {_PARQUET} needs --out FILE: it is not written from its beginning to its end.")
    target = required_store(arguments, "access_log")
    if arguments.out and is_of_log(target, arguments.out):
        raise UnusableError(f"--out: {arguments.out} is a file of the access log itself. Name another.")
    return target


def _write(
    arguments: argparse.Namespace, target: str, span: Span, seen: Callable[[date], object], missing: list[str]
) -> None:
    """Write a file under a temporary name, and rename it when it is complete."""
    out: Path = arguments.out
    if out.exists() and not out.is_file():
        raise UnusableError(f"--out takes the name of a file, and {out} is none. Leave it out for standard output.")
    part = out.with_name(f".{out.name}.part")
    try:
        with file_errors(out, "written"):
            # An export that was killed may have left it.
            part.unlink(missing_ok=True)
            # O_EXCL: never write into a file or a link that somebody else put there.
            os.close(open_file(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE))
            with _noting(missing):
                if arguments.format == _PARQUET:
                    parquet(target, span, part, seen=seen)
                else:
                    written = lines(target, span, arguments.format, seen=seen)
                    with closing(written) as blocks, part.open("wb") as file:
                        file.writelines(blocks)
            part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    print_text(f"{out} is written.")


@contextmanager
def _progress(span: Span, now: float) -> Iterator[Callable[[date], object]]:
    """Return a context manager that shows the progress in days. It yields a function that takes the day in work."""
    with ExitStack() as stack:
        shown: list[tuple[date, Callable[[int], object]]] = []

        def seen(day: date) -> None:
            if not shown:
                start = span.since or day
                days = (span.until or datetime.fromtimestamp(now, UTC).date()) - start
                shown.append((start, stack.enter_context(progress("days", days.days + 1))))
            start, show = shown[0]
            show((day - start).days)

        yield seen


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
