"""The `export` command: a whole access log, in formats that analytics tools read, or everything under an id."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from itertools import chain, groupby
from pathlib import Path

from cookie_consent.base.files import open_file
from cookie_consent.cli.command import FINDING, GOOD, Command, UnusableError, guarded, print_problem, progress
from cookie_consent.cli.options import EITHER_ID, option_value, print_text, with_id_option
from cookie_consent.cli.report_settings import add_settings_options, settings_of
from cookie_consent.report import UnreadableError
from cookie_consent.report.export.formats import Lines, Record, as_csv, as_jsonl, as_ncsa, write_parquet
from cookie_consent.report.export.streams import Span, stream
from cookie_consent.report.files import is_of_log
from cookie_consent.sinks.optional import NotInstalledError
from cookie_consent.sinks.store import IncompleteError

_NCSA, _PARQUET = "ncsa", "parquet"
_FORMATS = ("jsonl", _NCSA, "csv", _PARQUET)
_MODE = 0o640
"""The mode of a new file, before the umask; that of access log files."""
_OPTIONS = ("format", "since", "until", "host", "out", "vhost", "time_zone", "policy")


def _arguments(parser: argparse.ArgumentParser) -> None:
    with_id_option(EITHER_ID, "--ledger", "--access-log", required=False)(parser)
    parser.add_argument("--format", choices=_FORMATS, help="without --id: export all access records in this format")
    parser.add_argument("--from", dest="since", metavar="DAY", type=_day, help="the first day, like 2026-11-01")
    parser.add_argument("--to", dest="until", metavar="DAY", type=_day, help="the last day, included")
    add_settings_options(parser)
    parser.add_argument("--host", help="only requests to this host")
    parser.add_argument("--out", metavar="FILE", type=Path, help="the file to write (default: standard output)")
    parser.add_argument("--vhost", action="store_true", help=f"with --format {_NCSA}: begin each line with the host")


def _export(arguments: argparse.Namespace) -> int:
    if arguments.id is None:
        return export_access(arguments)
    _refuse_span(arguments)
    from cookie_consent.cli.export_id import export_id  # it needs the ledgers

    return export_id(arguments)


def _refuse_span(arguments: argparse.Namespace) -> None:
    """Reject options for a whole export in an export of one id.

    Raises:
        UnusableError: such an option is given.
    """
    if any(getattr(arguments, name) for name in _OPTIONS):
        raise UnusableError("--id exports everything under it, as JSON. --format and what goes with it stand alone.")


def export_access(arguments: argparse.Namespace, now: float | None = None) -> int:
    """Write the access records of a span in the requested format, and return the exit status.

    Args:
        arguments: those of the command, without an id.
        now: seconds since 1970; None for the current time.

    Raises:
        UnusableError: the export is not possible; the message says why.
    """
    target = _checked(arguments)
    seconds = time.time() if now is None else now
    try:
        span = Span(arguments.since, arguments.until, arguments.host, settings_of(arguments).time_zone)
        missing: list[str] = []
        with closing(stream(target, span)) as found:
            records = _readable(found, missing)
            if arguments.out is None:
                # Bytes: the formats say how they are encoded, whatever the terminal uses.
                sys.stdout.buffer.writelines(_lines(arguments, _with_first_read(records)))
            else:
                _write(arguments, _with_progress(records, span, seconds))
    except (ValueError, UnreadableError, NotInstalledError) as error:
        raise UnusableError(str(error)) from None
    return print_problem(missing[0], FINDING) if missing else GOOD


def _readable(records: Iterator[Record], missing: list[str]) -> Iterator[Record]:
    """Yield the records that can be read, and then note in `missing` which cannot."""
    try:
        yield from records
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
    if arguments.vhost and arguments.format != _NCSA:
        raise UnusableError(f"--vhost goes with --format {_NCSA}.")
    target = option_value(arguments, "access_log")
    if target is None:
        raise UnusableError("Name the access log: --access-log URL, or the environment variable CONSENT_ACCESS_LOG.")
    if arguments.out and is_of_log(target, arguments.out):
        raise UnusableError(f"--out: {arguments.out} is a file of the access log itself. Name another.")
    return target


def _lines(arguments: argparse.Namespace, records: Iterable[Record]) -> Lines:
    if arguments.format == _NCSA:
        return as_ncsa(records, vhost=arguments.vhost)
    return as_csv(records) if arguments.format == "csv" else as_jsonl(records)


def _write(arguments: argparse.Namespace, records: Iterable[Record]) -> None:
    """Write a file under a temporary name, and rename it when it is complete."""
    out: Path = arguments.out
    if out.exists() and not out.is_file():
        raise UnusableError(f"--out takes the name of a file, and {out} is none. Leave it out for standard output.")
    part = out.with_name(f".{out.name}.part")
    try:
        # An export that was killed may have left it.
        part.unlink(missing_ok=True)
        # O_EXCL: never write into a file or a link that somebody else put there.
        os.close(open_file(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE))
        if arguments.format == _PARQUET:
            write_parquet(records, part)
        else:
            with part.open("wb") as file:
                file.writelines(_lines(arguments, records))
        part.replace(out)
    except OSError as error:
        raise UnusableError(f"{out} cannot be written: {error.strerror or error}.") from None
    finally:
        part.unlink(missing_ok=True)
    print_text(f"{out} is written.")


def _with_first_read(records: Iterator[Record]) -> Iterator[Record]:
    """Read the first record now, so that a read error comes before any output."""
    first = next(records, None)
    return records if first is None else chain([first], records)


def _with_progress(records: Iterator[Record], span: Span, now: float) -> Iterator[Record]:
    """Yield records, and show the progress in days."""
    first = next(records, None)
    if first is None:
        return
    start = span.since or _day_of(first)
    days = (span.until or datetime.fromtimestamp(now, UTC).date()) - start
    with progress("days", days.days + 1) as seen:
        for day, of_day in groupby(chain([first], records), _day_of):
            seen((day - start).days)
            yield from of_day


def _day_of(record: Record) -> date:
    return date.fromisoformat(record["time"][:10])


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: write it as 2026-11-25") from None


EXPORT = Command(
    _arguments,
    guarded(_export),
    "a file of the access log cannot be read, so that its records are missing",
)
