"""The `digest` command: makes the digests of the closed files of an access log, which reports are computed from."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from cookie_consent.base.process.locking import is_posix
from cookie_consent.cli.closed_log import closed_log
from cookie_consent.cli.command import FINDING, GOOD, Command, UnusableError, guarded, print_problem, progress
from cookie_consent.cli.digest_database import digested_database, has_digests
from cookie_consent.cli.memory_option import add_memory_option
from cookie_consent.cli.options import counted, option_value, print_json, print_text, with_options
from cookie_consent.cli.report_settings import add_settings_options, settings_of
from cookie_consent.report.digests.making import Digested, digest
from cookie_consent.report.engines.engine import UnreadableError
from cookie_consent.sinks.files.closed_files import sources


def _arguments(parser: argparse.ArgumentParser) -> None:
    with_options("--access-log")(parser)
    add_settings_options(parser)
    add_memory_option(parser)


def _digest(arguments: argparse.Namespace) -> int:
    target = option_value(arguments, "access_log")
    if has_digests(target):
        result = digested_database(target, zone_given(arguments))
    else:
        result = digested(closed_log(target), zone_given(arguments), arguments.memory)
    return print_digested(result, as_json=arguments.json)


def print_digested(result: Digested, *, as_json: bool) -> int:
    """Print what was done, and return the exit status."""
    if as_json:
        print_json(asdict(result))
    else:
        print_text(in_words(result))
    for problem in result.damaged:
        print_problem(f"Has no digest: {problem}", FINDING)
    return FINDING if result.damaged else GOOD


def zone_given(arguments: argparse.Namespace) -> str:
    """Return the time zone of --time-zone, or of the policy.

    Raises:
        UnusableError: there is no such time zone, or the policy cannot be read.
    """
    try:
        return settings_of(arguments).time_zone
    except ValueError as error:
        raise UnusableError(str(error)) from None


def digested(path: Path, zone: str, memory: int | None = None) -> Digested:
    """Make the digests of a log, with a progress bar.

    Raises:
        UnusableError: they cannot be made.
    """
    if not is_posix():
        return Digested(0, 0, (f"{path}: on Windows digests cannot be made; do it on Linux or macOS",))
    try:
        with progress("files", sum(source.day is not None for source in sources(path))) as seen:
            return digest(path, zone, memory, seen)
    except UnreadableError as error:
        raise UnusableError(str(error)) from None
    except OSError as error:
        raise UnusableError(f"The digests of {path} cannot be written: {error.strerror or error}.") from None


def in_words(result: Digested) -> str:
    """Return what was done, in a sentence."""
    if result.busy:
        return "Another process makes the digests now."
    if result.blocks is None:
        return f"{counted(result.digests, 'digest')} of days made."
    return f"{counted(result.digests, 'digest')} made, and {counted(result.blocks, 'block')} of days joined."


DIGEST = Command(_arguments, guarded(_digest), "a file cannot be read, and has no digest")
