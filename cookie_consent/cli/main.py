"""The `cookie-consent` script: its commands, and what happens around each."""

from __future__ import annotations

import argparse
import re
import signal
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from io import TextIOWrapper
from types import FrameType
from typing import Any, NamedTuple, NoReturn

from cookie_consent.base.locking import is_posix
from cookie_consent.cli.frame import (
    FINDING,
    GOOD,
    INTERRUPTED,
    WRONG_USAGE,
    Command,
    run_guarded,
)
from cookie_consent.gone import gone_from_command

__all__ = ["FINDING", "GOOD", "INTERRUPTED", "WRONG_USAGE", "main"]

_TAKE_IDS = ("--id", "--visitor", "--explain")
_LIKE_AN_OPTION = re.compile(r"-[\w-]{21,}", re.ASCII)
"""An id of 128 bits that begins with a hyphen. No option of this program is as long."""


class Listed(NamedTuple):
    """A command of the script: its name, a line about it, and the module in `cookie_consent.cli` that has it."""

    name: str
    help: str
    module: str

    def load(self) -> Command:
        """Import the command, and return it: it is in its module under its name in capitals."""
        module = import_module(f"cookie_consent.cli.{self.module}")
        command: Command = getattr(module, self.name.upper().replace("-", "_"))
        return command


COMMANDS = (
    Listed("init", "Write a commented policy file to begin with.", "init"),
    Listed("check", "Check a policy file.", "check"),
    Listed("audit", "Visit a site as its visitors do, and compare what it stores and loads with its policy.", "audit"),
    Listed("demo", "Start a small site and walk three visitors through it, or show your policy.", "demo"),
    Listed("records", "List consent records, or print the text that was shown for one.", "ledger"),
    Listed("export", "Print everything that is stored under an id, or the whole access log.", "export"),
    Listed("erase", "Erase the access records of a visitor, and say what stays.", "removal"),
    Listed("purge", "Remove expired records and requests. Run it by cron, on any number of hosts.", "removal"),
    Listed(
        "verify", "Verify that no consent record, and nothing that one cites, was changed, left out or added.", "verify"
    ),
    Listed("move", "Copy a ledger into another database, with its chain intact: from SQLite to PostgreSQL.", "ledger"),
    Listed("requests", "List, answer and close what visitors ask of the site.", "ledger"),
    Listed("report", "Show who came, what they read, and how many say yes.", "report"),
    Listed("serve-report", "Show the report of an access log live, in a browser.", "serve_report"),
    Listed(
        "compact",
        "Turn the closed files of an access log into Parquet files. Run it by cron, while the site runs. In a database,"
        " make views for analysts.",
        "compact",
    ),
)
"""In the order of the help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 good, 1 a finding, 2 wrong usage, 130 interrupted by Ctrl-C.

    Args:
        argv: the arguments after the program's name; None for those of the process.

    Raises:
        SystemExit: the arguments are wrong (2) or ask for help or the version (0), or the process got SIGTERM (143, as
            in shells).
    """
    arguments = _parse(join_ids(sys.argv[1:] if argv is None else argv))
    _write_any_text()
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return run_guarded(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except RuntimeError as error:
        from cookie_consent.sinks.optional import is_interruption  # only then: it takes its time

        if not is_interruption(error):
            raise
        return INTERRUPTED
    finally:
        # A program that calls `main` may have a handler of its own.
        signal.signal(signal.SIGTERM, before)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments, with the `run` of the named command. Only that command is imported."""
    parser = argparse.ArgumentParser(prog="cookie-consent", description="Cookie consent for ASGI apps.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the installed version and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    # No option before the command takes a value.
    named = next((argument for argument in argv if not argument.startswith("-")), None)
    if problem := gone_from_command(named or "", argv):
        parser.error(problem)
    for listed in COMMANDS:
        subparser = commands.add_parser(listed.name, help=listed.help, description=listed.help)
        if listed.name == named:
            listed.load().add_to(subparser)
    return parser.parse_args(argv)


def join_ids(argv: Iterable[str]) -> list[str]:
    """Return arguments with each id joined to its option: "--id", "-x…" -> "--id=-x…".

    One random id in 64 begins with a hyphen, and argparse would take it for an option.
    """
    joined = [""]
    for argument in argv:
        if joined[-1] in _TAKE_IDS and _LIKE_AN_OPTION.fullmatch(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined[1:]


class _Version(argparse.Action):
    """Prints the installed version. argparse's own action would have it read for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version

        print(f"cookie-consent {version('cookie-consent')}")
        parser.exit()


def _write_any_text() -> None:
    """Write texts with what is no text, as a damaged record may have it, and on Windows in UTF-8 to pipes, too."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace", encoding=None if is_posix() else "utf-8")


def _end(number: int, _: FrameType | None) -> NoReturn:
    """Exit by exception, so that commands remove their temporary files: these contain access records."""
    raise SystemExit(128 + number)
