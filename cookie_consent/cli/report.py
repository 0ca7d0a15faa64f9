"""The `report` command: prints the figures of an access log, or writes them as a page or as CSV."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from cookie_consent.base.clock import time_zone
from cookie_consent.cli.command import FINDING, GOOD, Command, UnusableError, guarded, print_problem, progress
from cookie_consent.cli.options import as_json, counted, day, option_value, print_text, with_options
from cookie_consent.cli.report_settings import add_memory_option, add_settings_options, add_where_option, settings_of
from cookie_consent.report import UnreadableError, report
from cookie_consent.report.compute import STEPS as PARTS
from cookie_consent.report.export.csv_files import write_csv
from cookie_consent.report.files import is_of_log
from cookie_consent.report.lists import DEFAULT_ROWS, LARGEST_LIMIT
from cookie_consent.report.local_time import STEPS
from cookie_consent.report.question import COMPARISONS, THRESHOLD

_DAYS = 30
"""The default range of a report, in days."""
_LARGEST_THRESHOLD = 1_000_000


def report_arguments(arguments: argparse.Namespace, now: float) -> dict[str, Any]:
    """Return the keyword arguments for `report`.

    Args:
        arguments: with since and until (dates or None), host, where, compare, step, limit, threshold, time_zone and
            policy. Without dates, the range is the last 30 days.
        now: seconds since 1970.

    Raises:
        ValueError: the time zone, or a setting in the policy file, is wrong.
    """
    settings = settings_of(arguments)
    until = arguments.until or datetime.fromtimestamp(now, time_zone(settings.time_zone)).date()
    return {
        "since": arguments.since or date.fromordinal(max(until.toordinal() - _DAYS + 1, 1)),
        "until": until,
        "host": arguments.host,
        "where": tuple(arguments.where),
        "compare": arguments.compare,
        "step": arguments.step,
        "limit": arguments.limit,
        "threshold": arguments.threshold,
        "time_zone": settings.time_zone,
        "goals": settings.goals,
        "now": now,
    }


def _arguments(parser: argparse.ArgumentParser) -> None:
    with_options("--access-log")(parser)
    add_settings_options(parser)
    parser.add_argument("--from", dest="since", metavar="DAY", type=day, help="the first day, like 2026-11-01")
    parser.add_argument("--to", dest="until", metavar="DAY", type=day, help="the last day, included (default: today)")
    parser.add_argument("--host", help="only requests to this host")
    add_where_option(parser)
    parser.add_argument(
        "--compare",
        choices=COMPARISONS,
        help="add the figures of the period of equal length before, or of the same days of the year before",
    )
    parser.add_argument(
        "--step",
        choices=STEPS,
        help="count by this step over time (default: hours for two days, days for three months, weeks for a year and a "
        "half, months beyond)",
    )
    parser.add_argument(
        "--limit",
        metavar="ROWS",
        type=_up_to(LARGEST_LIMIT),
        default=DEFAULT_ROWS,
        help=f"rows in a list, at most {LARGEST_LIMIT:,} (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        metavar="VISITORS",
        type=_up_to(_LARGEST_THRESHOLD),
        default=THRESHOLD,
        help="rows with fewer visitors are joined (default: %(default)s)",
    )
    add_memory_option(parser)
    parser.add_argument("--html", metavar="FILE", type=Path, help="write an HTML page with charts")
    parser.add_argument("--csv", metavar="FOLDER", type=Path, help="write each figure to a CSV file in this folder")


def _up_to(most: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {most:,}")
        return int(text)

    return whole_number


def _report(arguments: argparse.Namespace) -> int:
    if sum(bool(form) for form in (arguments.json, arguments.html, arguments.csv)) > 1:
        raise UnusableError("Name one form: --json, --html FILE, or --csv FOLDER.")
    target = option_value(arguments, "access_log")
    if target is None:
        raise UnusableError("Name the access log: --access-log URL, or the environment variable CONSENT_ACCESS_LOG.")
    for option in ("html", "csv"):
        if (file := getattr(arguments, option)) and is_of_log(target, file):
            raise UnusableError(f"--{option}: {file} is a file of the access log itself. Name another.")
    try:
        with progress("steps", PARTS) as seen:
            options = {"memory": arguments.memory, "seen": seen}
            figures = report(target, **report_arguments(arguments, time.time()), **options)
    except (ValueError, UnreadableError) as error:
        raise UnusableError(str(error)) from None
    print_text(_written(figures, arguments))
    for each in figures["unreadable_files"]:
        print_problem(f"Left out, with its records: {each['file']}: {each['problem']}", FINDING)
    return FINDING if figures["unreadable_files"] else GOOD


def _written(figures: Mapping[str, Any], arguments: argparse.Namespace) -> str:
    """Return a report in the requested form. If that is a file, write it and return a message."""
    if arguments.json:
        return as_json(figures)
    if arguments.html:
        from cookie_consent.report.page.page import page  # the other forms need no templates

        try:
            arguments.html.write_text(page(figures), "utf-8")
        except OSError as error:
            raise _unwritable(arguments.html, error) from None
        return f"{arguments.html} is written."
    if arguments.csv:
        try:
            return f"{counted(len(write_csv(figures, arguments.csv)), 'file')} in {arguments.csv}."
        except OSError as error:
            raise _unwritable(arguments.csv, error) from None
    from cookie_consent.report.export.terminal import as_text

    return as_text(figures)


def _unwritable(path: Path, error: OSError) -> UnusableError:
    return UnusableError(f"{path} cannot be written: {error.strerror}.")


REPORT = Command(_arguments, guarded(_report), "a file of the access log cannot be read, and is left out")
