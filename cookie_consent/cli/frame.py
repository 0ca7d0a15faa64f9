"""The frame of all commands: their arguments, exit statuses, errors, findings and output."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

GOOD, FINDING, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
"""The exit statuses. 130 is what shells report for a program that Ctrl-C ended."""
POLICY_FILE = "consent.toml"
"""The default name of the policy file."""

_BAR = 40
"""The width of the progress bar, in characters."""
_CONTROLS = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that JSON leaves unescaped and a terminal acts on: control characters beyond ASCII, and marks that
change the direction of text."""
_STORES = {
    "ledger": ("the ledger", "CONSENT_LEDGER"),
    "access_log": ("the access log", "CONSENT_ACCESS_LOG"),
}
"""Option -> what it names, and the environment variable used in its absence."""


class UnusableError(Exception):
    """A command cannot use its input. The message says why, or how to fix it."""


Option = tuple[tuple[str, ...], dict[str, Any]]
"""An argument of a command: its names, and the other arguments of `ArgumentParser.add_argument`."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a command of the script does. Its name and help are in `cli/main.py`.

    Args:
        options: its arguments.
        run: runs it and returns the exit status; None is good. A ValueError and a missing package are wrong usage.
        finding: when the exit status is 1, as the end of a sentence; "" for a command that finds nothing.
        extra: the extra of packages that it needs.
    """

    options: tuple[Option, ...]
    run: Callable[[argparse.Namespace], int | None]
    finding: str = ""
    extra: str = ""

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments, and the exit statuses as the end of the help."""
        for names, settings in self.options:
            parser.add_argument(*names, **settings)
        found = f" {FINDING} if {self.finding}," if self.finding else ""
        parser.epilog = f"Exit status: {GOOD} good,{found} {WRONG_USAGE} wrong usage."
        parser.set_defaults(command=self, program=parser.prog)


def option(*names: str, **settings: Any) -> Option:
    """Return an argument, written as for `ArgumentParser.add_argument`."""
    return names, settings


def checked(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return the type of an argument whose ValueError is shown as the message of a wrong value."""

    def read(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return the type of an argument that is a whole number."""

    @checked
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is no whole number from {least} to {most:,}")
        return int(text)

    return read


port_number = whole_number(0, 65_535)


@checked
def _id(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("an id has one character at least, and only printable ones")
    return text


# The options that several commands have.

LEDGER = option(
    "--ledger",
    metavar="URL",
    help='the ledger of consent records, like "sqlite:///consent.db" (default: $CONSENT_LEDGER)',
)
ACCESS_LOG = option(
    "--access-log",
    metavar="URL",
    help='the access log, like "logs/access.jsonl" or "postgresql://…" (default: $CONSENT_ACCESS_LOG)',
)
CONSENT_ID = option("--id", metavar="CONSENT_ID", type=_id, help="only records with this consent id")
EITHER_ID = option(
    "--id",
    "--visitor",
    dest="id",
    metavar="ID",
    type=_id,
    help="a visitor's consent id or visitor id; the settings page shows both, and no record connects them",
)
RECORD_ID = option(
    "--explain", metavar="RECORD_ID", type=_id, help="print the exact text that was shown for this record"
)
JSON = option("--json", action="store_true", help="print JSON")


def required_store(arguments: argparse.Namespace, name: str) -> str:
    """Return the URL of the ledger or of the access log.

    Raises:
        UnusableError: none was named.
    """
    what, variable = _STORES[name]
    url: str | None = getattr(arguments, name)
    if url is None:
        raise UnusableError(f"Name {what}: --{name.replace('_', '-')} URL, or the environment variable {variable}.")
    return url


def run_guarded(arguments: argparse.Namespace) -> int:
    """Run a command and return its exit status; what it cannot use becomes a message."""
    command: Command = arguments.command
    for name, (_, variable) in _STORES.items():
        setattr(arguments, name, getattr(arguments, name, None) or os.environ.get(variable) or None)
    try:
        status = command.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has enough, as `head` does after ten lines. Python flushes once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GOOD
    except (UnusableError, ValueError, ModuleNotFoundError) as error:
        why = str(error)
        if isinstance(error, ModuleNotFoundError) and command.extra and error.name:
            why = f'{arguments.program} needs {error.name}: pip install "cookie-consent[{command.extra}]"'
        print_note(why)
        return WRONG_USAGE
    return status or GOOD


@contextmanager
def file_errors(name: object, act: str) -> Iterator[None]:
    """Turn an OSError of the block into an UnusableError: the file `name` cannot be read, or written."""
    try:
        yield
    except OSError as error:
        raise UnusableError(f"{name} cannot be {act}: {error.strerror or error}.") from None


def print_findings(sentences: Iterable[str]) -> int:
    """Print findings on standard error, and return the exit status."""
    status = GOOD
    for sentence in sentences:
        print_note(sentence)
        status = FINDING
    return status


def print_note(sentence: str) -> None:
    """Print a sentence on standard error."""
    print(sentence, file=sys.stderr)


def print_json(document: object, *, indent: int | None = None) -> None:
    """Print plain data as JSON, on one line or indented, with every character escaped that could control a terminal."""
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    print(_CONTROLS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text))


def print_result(arguments: argparse.Namespace, document: object, text: str) -> None:
    """Print what a command did: as JSON if --json asks for it, and else as a text."""
    if arguments.json:
        print_json(document)
    else:
        print(text)


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 record", "2 records"."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def first_line(error: Exception) -> str:
    """Return the first line of a database's error message, with at most 300 characters."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0][:300]


@contextmanager
def progress(what: str, total: int = 0) -> Iterator[Callable[..., object]]:
    """Return a context manager that shows a progress bar on standard error, if that is a terminal.

    It yields a function that takes the number of items done, and how many there are if that was not known before.

    Args:
        what: the items, in the plural.
        total: how many items there are.
    """
    if not sys.stderr.isatty():
        yield lambda number, total=0: None
        return

    def show(number: int, total: int = total) -> None:
        # Records are written meanwhile, so there may be more than were counted at the start.
        done = min(number / total, 1) if total else 1
        bar = "#" * int(done * _BAR)
        sys.stderr.write(f"\r[{bar:<{_BAR}}] {done:4.0%} of {total:,} {what}")
        sys.stderr.flush()

    try:
        yield show
    finally:
        # Clear the line, so that the result does not begin behind the bar.
        sys.stderr.write("\r\x1b[K")
