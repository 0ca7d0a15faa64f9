"""The `report` command: prints the figures of an access log, or writes them as a page or as CSV."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from cookie_consent.base.clock import time_zone
from cookie_consent.cli.frame import (
    ACCESS_LOG,
    JSON,
    Command,
    UnusableError,
    checked,
    counted,
    file_errors,
    option,
    print_findings,
    print_json,
    progress,
    required_store,
    whole_number,
)
from cookie_consent.report import report
from cookie_consent.report.compute import STEPS as PARTS
from cookie_consent.report.engines.engine import is_of_log, parse_memory
from cookie_consent.report.export.csv_files import write_csv
from cookie_consent.report.local_time import STEPS
from cookie_consent.report.question import COMPARISONS, DEFAULT_ROWS, LARGEST_LIMIT, LAST_DAYS, THRESHOLD, parse_day
from cookie_consent.report.settings import POLICY_FILE, Settings, default_policy, read_settings
from cookie_consent.report.where import KEYS, parse_filter

_LARGEST_THRESHOLD = 1_000_000


@checked
def _day(text: str) -> str:
    parse_day(text, date.max)  # which day it is depends on the time zone
    return text


@checked
def _filter(text: str) -> tuple[str, str]:
    try:
        return parse_filter(text)
    except ValueError as error:
        # argparse names the option itself.
        raise ValueError(str(error).removeprefix("where: ")) from None


# The options of commands that read an access log.

POLICY = option(
    "--policy",
    metavar="FILE",
    help=f"the policy, which has the time zone and the goals of reports (default: {POLICY_FILE}, if it is there)",
)
TIME_ZONE = option(
    "--time-zone",
    metavar="ZONE",
    help='the time zone of days and hours, like "Asia/Tokyo" (default: that of the policy, or UTC)',
)
SINCE = option(
    "--from", dest="since", metavar="DAY", type=_day, help="the first day: 2026-11-01, yesterday, or 7d for seven days"
)
UNTIL = option(
    "--to",
    dest="until",
    metavar="DAY",
    type=_day,
    help="the last day, included: 2026-11-25, or yesterday (of a report, today by default)",
)
HOST = option("--host", help="only requests to this host")
WHERE = option(
    "--where",
    metavar="KEY=VALUE",
    type=_filter,
    action="append",
    default=[],
    help=f"only sessions for which this holds, like source=google.com; may be repeated (keys: {', '.join(KEYS)})",
)
MEMORY = option(
    "--memory",
    metavar="SIZE",
    type=checked(parse_memory),
    help='memory for reading files, like "2GB" (default: a quarter of the machine\'s, at least 512MB)',
)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings of a command: of its policy file, or of its options.

    Args:
        arguments: with `policy` and `time_zone`.

    Raises:
        ValueError: there is no such time zone, or a file cannot be read or has wrong goals.
    """
    settings = read_settings(arguments.policy or default_policy())
    return replace(settings, time_zone=arguments.time_zone) if arguments.time_zone else settings


def days_of(arguments: argparse.Namespace, settings: Settings, now: float) -> tuple[date | None, date | None]:
    """Return the first and the last day of a command; None for one that is not named.

    Args:
        arguments: with `since` and `until`, as texts.
        settings: with the time zone in which today is a day.
        now: seconds since 1970.
    """
    today = datetime.fromtimestamp(now, time_zone(settings.time_zone)).date()
    since = parse_day(arguments.since, today) if arguments.since else None
    until = parse_day(arguments.until, today) if arguments.until else None
    return since, until


def report_arguments(arguments: argparse.Namespace, now: float) -> dict[str, Any]:
    """Return the keyword arguments for `report`.

    Args:
        arguments: with since and until (texts or None), host, where, compare, step, limit, threshold, time_zone and
            policy. Without days, the range is the last 30 days.
        now: seconds since 1970.

    Raises:
        ValueError: the time zone, or a setting in the policy file, is wrong.
    """
    settings = settings_of(arguments)
    since, until = days_of(arguments, settings, now)
    until = until or datetime.fromtimestamp(now, time_zone(settings.time_zone)).date()
    return {
        "since": since or date.fromordinal(max(until.toordinal() - LAST_DAYS + 1, 1)),
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


def _report(arguments: argparse.Namespace) -> int:
    if sum(map(bool, (arguments.json, arguments.html, arguments.csv))) > 1:
        raise UnusableError("Name one form: --json, --html FILE, or --csv FOLDER.")
    target = required_store(arguments, "access_log")
    for form in ("html", "csv"):
        if (file := getattr(arguments, form)) and is_of_log(target, file):
            raise UnusableError(f"--{form}: {file} is a file of the access log itself. Name another.")
    with progress("steps", PARTS) as seen:
        figures = report(target, **report_arguments(arguments, time.time()), memory=arguments.memory, seen=seen)
    if arguments.json:
        print_json(figures)
    elif arguments.html:
        from cookie_consent.report.page.page import page  # the other forms need no templates

        with file_errors(arguments.html, "written"):
            arguments.html.write_text(page(figures), "utf-8")
        print(f"{arguments.html} is written.")
    elif arguments.csv:
        with file_errors(arguments.csv, "written"):
            files = write_csv(figures, arguments.csv)
        print(f"{counted(len(files), 'file')} in {arguments.csv}.")
    else:
        from cookie_consent.report.export.terminal import as_text

        print(as_text(figures))
    return print_findings(
        [
            *(f"Left out, with its records: {each['file']}: {each['problem']}" for each in figures["unreadable_files"]),
            *(
                f"Lines that are no records, and were left out: {each['file']}: {each['lines']}"
                for each in figures["unreadable_lines"]
            ),
        ]
    )


REPORT = Command(
    (
        ACCESS_LOG,
        JSON,
        POLICY,
        TIME_ZONE,
        SINCE,
        UNTIL,
        HOST,
        WHERE,
        option(
            "--compare",
            choices=COMPARISONS,
            help="add the figures of as many days, some weeks or a year before, on the same days of the week",
        ),
        option(
            "--step",
            choices=STEPS,
            help="count by this step over time (default: hours for two days, days for three months, weeks for a year "
            "and a half, months beyond)",
        ),
        option(
            "--limit",
            metavar="ROWS",
            type=whole_number(1, LARGEST_LIMIT),
            default=DEFAULT_ROWS,
            help=f"rows in a list, at most {LARGEST_LIMIT:,} (default: %(default)s)",
        ),
        option(
            "--threshold",
            metavar="VISITORS",
            type=whole_number(1, _LARGEST_THRESHOLD),
            default=THRESHOLD,
            help="rows with fewer visitors are joined (default: %(default)s)",
        ),
        MEMORY,
        option("--html", metavar="FILE", type=Path, help="write an HTML page with charts"),
        option("--csv", metavar="FOLDER", type=Path, help="write each figure to a CSV file in this folder"),
    ),
    _report,
    "a file of the access log, or a line, cannot be read, and is left out",
)
