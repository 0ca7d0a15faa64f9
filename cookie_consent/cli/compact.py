"""The `compact` command: turns the closed files of an access log into Parquet files."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from cookie_consent.cli.command import FINDING, GOOD, Command, UnusableError, guarded, print_problem, progress
from cookie_consent.cli.options import counted, option_value, print_json, print_text, with_options
from cookie_consent.sinks import JsonLinesSink, open_sink
from cookie_consent.sinks.files.closed_files import sources
from cookie_consent.sinks.files.parquet import Compacted, compact, waiting
from cookie_consent.sinks.optional import NotInstalledError


def _compact(arguments: argparse.Namespace) -> int:
    path = _log_in_files(option_value(arguments, "access_log"))
    try:
        with progress("files", waiting(path)) as seen:
            result = compact(path, seen)
    except NotInstalledError as error:
        raise UnusableError(str(error)) from None
    if arguments.json:
        print_json(asdict(result))
    else:
        print_text(_in_words(result))
    for problem in result.unreadable:
        print_problem(f"Stays as it is: {problem}", FINDING)
    return FINDING if result.unreadable else GOOD


def _log_in_files(target: str | None) -> Path:
    """Return the live file of the access log.

    Raises:
        UnusableError: no access log is named, it is not in files, or there are no files.
    """
    if target is None:
        raise UnusableError("Name the access log: --access-log FILE, or the environment variable CONSENT_ACCESS_LOG.")
    try:
        sink = open_sink(target)
    except ValueError as error:
        raise UnusableError(str(error)) from None
    if not isinstance(sink, JsonLinesSink):
        raise UnusableError("access_log: only a log in files is compacted. A database compresses its records itself.")
    if not sources(sink.path):
        raise UnusableError(f"access_log: there is no file {sink.path}, and none that was closed.")
    return sink.path


def _in_words(result: Compacted) -> str:
    counts = f" and {counted(result.counts, 'count')}" if result.counts else ""
    busy = f" {counted(result.busy, 'file')} in use by other processes: next time." if result.busy else ""
    return (
        f"{counted(result.files, 'closed file')} compacted: {counted(result.records, 'access record')}{counts}.{busy}"
    )


COMPACT = Command(
    with_options("--access-log"),
    guarded(_compact),
    "a file cannot be read, and stays as it is",
)
