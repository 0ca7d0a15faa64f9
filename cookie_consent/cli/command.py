"""What the commands of the command line have in common."""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rfc8785 import CanonicalizationError

from cookie_consent.ledgers import open_ledger

if TYPE_CHECKING:
    from cookie_consent.ledgers.sql import SqlLedger

_BAR = 40
"""How wide the bar of a progress is."""
GOOD, FINDING, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
"""The exit statuses; the last is what shells give a program that Ctrl-C ended."""

_TAKE_IDS = ("--id", "--visitor", "--explain")
_LIKE_AN_OPTION = re.compile(r"-[\w-]{21,}", re.ASCII)
"""An id of 128 bits that begins with a hyphen. No option of ours is as long."""
_LAST_PORT = 65535
_LONGEST_WAIT = 3
"""For a database server (seconds)."""


class UnusableError(Exception):
    """What a command was told to work on cannot be used; says why, or what would be right."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command: what it is called, what it takes and what it does.

    Args:
        name: its name on the command line.
        help: one line about it.
        arguments: adds its arguments.
        run: does it and returns the exit status.
    """

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], object]
    run: Callable[[argparse.Namespace], int]


def port_number(text: str) -> int:
    """Return a port that was given; raises argparse.ArgumentTypeError if it is none."""
    if not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: write a number from 0 to {_LAST_PORT}")
    return int(text)


def complain(text: str, status: int) -> int:
    """Say what is wrong, on standard error, and return the exit status that is given."""
    sys.stderr.write(f"{text}\n")
    return status


def guarded(work: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Return a command that says what it cannot use, and that ends in peace when nobody reads on."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            status = work(arguments)
        except UnusableError as error:
            return complain(str(error), WRONG_USAGE)
        except BrokenPipeError:
            status = GOOD
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes what is left at its end
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
    """Give a function that shows how far a work is, on standard error, where that is a terminal.

    Args:
        what: what is counted, in the plural.
        total: how many there are.
    """
    if not sys.stderr.isatty():
        yield lambda number: None
        return

    def show(number: int) -> None:
        done = min(number / total, 1) if total else 1
        bar = "#" * int(done * _BAR)
        sys.stderr.write(f"\r[{bar:<{_BAR}}] {done:4.0%} of {total:,} {what}")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write("\r\x1b[K")


@contextmanager
def existing_ledger(url: str) -> Iterator[SqlLedger]:
    """Open a ledger that is there: a name that was mistyped makes no empty one.

    Raises:
        UnusableError: there is none, or it cannot be used.
    """
    try:
        _require(url)
        ledger = open_ledger(url)
    except ValueError as error:
        raise UnusableError(str(error)) from None
    from sqlalchemy.exc import SQLAlchemyError  # it is there: the ledger is open

    try:
        yield ledger
    except SQLAlchemyError as error:
        raise UnusableError(f"ledger: it cannot be used: {in_short(error)}") from None
    except (json.JSONDecodeError, CanonicalizationError, RecursionError) as error:
        raise UnusableError(f"ledger: a record is no JSON ({error}). Run: cookie-consent verify") from None
    finally:
        ledger.close()


def in_short(error: Exception) -> str:
    """Return the first line of what a database says."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0][:300]


def _require(url: str) -> None:
    """Raise a ValueError where a database is not there, or has no tables of a ledger: opening it would make them."""
    scheme, _, rest = url.partition("://")
    has_tables = True
    if scheme == "sqlite":
        path = Path(rest.removeprefix("/"))
        if not path.is_file():
            raise ValueError(f"ledger: there is no file {path}.")
        has_tables = _file_has_tables(path)
    elif scheme in ("postgresql", "postgres"):
        has_tables = _server_has_tables(url)
    if not has_tables:
        raise ValueError("ledger: this database has never kept consent records. Name the one that the site uses.")


def _file_has_tables(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'consent_records'").fetchone()
    except sqlite3.Error as error:
        raise ValueError(f"ledger: {path} cannot be used as an SQLite file: {error}") from None
    return found is not None


def _server_has_tables(url: str) -> bool:
    try:
        from sqlalchemy import create_engine, inspect, make_url
        from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    except ModuleNotFoundError:
        return True  # open_ledger says what to install
    try:
        address = make_url(url).set(drivername="postgresql+psycopg")
        engine = create_engine(address, connect_args={"connect_timeout": _LONGEST_WAIT})
    except (ModuleNotFoundError, ValueError, ArgumentError):
        return True  # open_ledger says what is missing, or how to write a URL
    try:
        return inspect(engine).has_table("consent_records")
    except SQLAlchemyError as error:
        raise ValueError(f"ledger: the database cannot be used: {in_short(error)}") from None
    finally:
        engine.dispose()
