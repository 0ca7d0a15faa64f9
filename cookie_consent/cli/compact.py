"""The `compact` command: turns the closed files of an access log into Parquet files."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from cookie_consent.cli.closed_log import closed_log
from cookie_consent.cli.command import FINDING, GOOD, Command, UnusableError, guarded, print_problem, progress
from cookie_consent.cli.digest import digested, in_words, print_digested, zone_given
from cookie_consent.cli.digest_database import digested_database, has_digests
from cookie_consent.cli.options import counted, option_value, print_json, print_text, with_options
from cookie_consent.cli.report_settings import add_settings_options
from cookie_consent.sinks.files.compaction import Compacted, compact, waiting
from cookie_consent.sinks.files.parquet import LEVEL
from cookie_consent.sinks.optional import NotInstalledError

_LEVELS = range(1, 23)


def _level(text: str) -> int:
    if not text.isdecimal() or int(text) not in _LEVELS:
        raise argparse.ArgumentTypeError(f"a level is a number from {_LEVELS[0]} to {_LEVELS[-1]}")
    return int(text)


def _arguments(parser: argparse.ArgumentParser) -> None:
    with_options("--access-log")(parser)
    add_settings_options(parser)
    parser.add_argument(
        "--level",
        metavar="NUMBER",
        type=_level,
        default=LEVEL,
        help=f"zstd compression level, {_LEVELS[0]} to {_LEVELS[-1]} (default: %(default)s)",
    )


def _compact(arguments: argparse.Namespace) -> int:
    target, zone = option_value(arguments, "access_log"), zone_given(arguments)
    if has_digests(target):  # a database compresses its records itself
        return print_digested(digested_database(target, zone), as_json=arguments.json)
    path = closed_log(target)
    try:
        with progress("files", waiting(path)) as seen:
            result = compact(path, arguments.level, seen)
    except NotInstalledError as error:
        raise UnusableError(str(error)) from None
    made = digested(path, zone)
    if arguments.json:
        print_json({**asdict(result), "digests": made.digests, "blocks": made.blocks})
    else:
        print_text(f"{_in_words(result)}\n{in_words(made)}")
    for problem in result.unreadable:
        print_problem(f"Stays as it is: {problem}", FINDING)
    return FINDING if result.unreadable else GOOD


def _in_words(result: Compacted) -> str:
    counts = f" and {counted(result.counts, 'count')}" if result.counts else ""
    busy = f" {counted(result.busy, 'file')} in use by other processes: next time." if result.busy else ""
    return (
        f"{counted(result.files, 'closed file')} compacted: {counted(result.records, 'access record')}{counts}.{busy}"
    )


COMPACT = Command(
    _arguments,
    guarded(_compact),
    "a file cannot be read, and stays as it is",
)
