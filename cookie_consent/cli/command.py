"""What all commands share: exit statuses, errors and progress."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_BAR = 40
"""The width of the progress bar, in characters."""
GOOD, FINDING, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
"""The exit statuses. 130 is what shells report for a program that Ctrl-C ended."""

POLICY_FILE = "consent.toml"
"""The default name of the policy file."""

_TAKE_IDS = ("--id", "--visitor", "--explain")
_LIKE_AN_OPTION = re.compile(r"-[\w-]{21,}", re.ASCII)
"""An id of 128 bits that begins with a hyphen. No option of this program is as long."""
_LAST_PORT = 65535


class UnusableError(Exception):
    """A command cannot use its input. The message says why, or how to fix it."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a command of the script does. Its name and help are in `cli/listed.py`.

    Args:
        arguments: adds its arguments to a parser.
        run: runs it and returns the exit status.
        finding: when the exit status is 1, as the end of a sentence; "" for a command that finds nothing.
    """

    arguments: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.Namespace], int]
    finding: str = ""

    @property
    def statuses(self) -> str:
        """The exit statuses, in a line for its help."""
        found = f" {FINDING} if {self.finding}," if self.finding else ""
        return f"Exit status: {GOOD} good,{found} {WRONG_USAGE} wrong usage."


def port_number(text: str) -> int:
    """Return a port from the command line.

    Raises:
        argparse.ArgumentTypeError: the text is no port number.
    """
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: write a number from 0 to {_LAST_PORT}")
    return int(text)


def print_problem(text: str, status: int) -> int:
    """Print a problem on standard error, and return the given exit status."""
    sys.stderr.write(f"{text}\n")
    return status


def guarded(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Wrap a command: an UnusableError becomes a message, and a closed output pipe a normal end."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            status = work(arguments)
        except UnusableError as error:
            return print_problem(str(error), WRONG_USAGE)
        except BrokenPipeError:
            # The reader has enough, as `head` does after ten lines.
            status = GOOD
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at exit
        return status

    return run


def with_ids_joined(argv: Sequence[str]) -> list[str]:
    """Return arguments with each id joined to its option: "--id", "-x…" -> "--id=-x…".

    One random id in 64 begins with a hyphen, and argparse would take it for an option.
    """
    joined: list[str] = []
    for argument in argv:
        if joined and joined[-1] in _TAKE_IDS and _LIKE_AN_OPTION.fullmatch(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """Return a context manager that shows a progress bar on standard error, if that is a terminal.

    It yields a function that takes the number of items done.

    Args:
        what: the items, in the plural.
        total: how many items there are.
    """
    if not sys.stderr.isatty():
        yield lambda number: None
        return

    def show(number: int) -> None:
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


def first_line(error: Exception) -> str:
    """Return the first line of a database's error message, with at most 300 characters."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0][:300]
