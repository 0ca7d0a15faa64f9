"""The `cookie-consent` script: its commands, and what happens around each."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from types import FrameType
from typing import Any, NoReturn

from cookie_consent.base.locking import is_posix
from cookie_consent.cli.command import FINDING, GOOD, INTERRUPTED, WRONG_USAGE, with_ids_joined
from cookie_consent.cli.listed import COMMANDS
from cookie_consent.gone import gone_from_command

__all__ = ["FINDING", "GOOD", "INTERRUPTED", "WRONG_USAGE", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status: 0 good, 1 a finding, 2 wrong usage, 130 interrupted by Ctrl-C.

    Args:
        argv: the arguments after the program's name; None for those of the process.

    Raises:
        SystemExit: the arguments are wrong (2) or ask for help or the version (0), or the process got SIGTERM (143, as
            in shells).
    """
    arguments = _parsed(with_ids_joined(sys.argv[1:] if argv is None else argv))
    run: Callable[[argparse.Namespace], int] = arguments.run
    _write_utf_8()
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return run(arguments)
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


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
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
            command = listed.command()
            command.arguments(subparser)
            subparser.epilog = command.statuses
            subparser.set_defaults(run=command.run)
    return parser.parse_args(argv)


class _Version(argparse.Action):
    """Prints the installed version. argparse's own action would have it read for every command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from importlib.metadata import version

        print(f"cookie-consent {version('cookie-consent')}")
        parser.exit()


def _write_utf_8() -> None:
    """Write UTF-8. Windows uses another encoding for pipes and files, which lacks the characters of some languages."""
    if not is_posix():
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(encoding="utf-8")


def _end(number: int, _: FrameType | None) -> NoReturn:
    """Exit by exception, so that commands remove their temporary files: these contain access records."""
    raise SystemExit(128 + number)
