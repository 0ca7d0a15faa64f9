"""The options and the output of the commands that work on records."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from cookie_consent.cli.command import UnusableError

_VARIABLES = {"ledger": "CONSENT_LEDGER", "access_log": "CONSENT_ACCESS_LOG"}
"""Option -> the environment variable used in its absence."""
EITHER_ID = "a visitor's consent id or visitor id; the settings page shows both, and no record connects them"
"""The help of --id, where it takes both."""
_CONTROLS = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that JSON leaves unescaped and a terminal acts on: control characters beyond ASCII, and marks that
change the direction of text."""


def day(text: str) -> date:
    """Return a day from the command line.

    Raises:
        argparse.ArgumentTypeError: the text is no day.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day: write it as 2026-11-25") from None


def _id(text: str) -> str:
    if not text or not text.isprintable():
        raise argparse.ArgumentTypeError("an id has one character at least, and only printable ones")
    return text


_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--ledger": {
        "metavar": "URL",
        "help": 'the ledger of consent records, like "sqlite:///consent.db" (default: $CONSENT_LEDGER)',
    },
    "--access-log": {
        "metavar": "URL",
        "help": 'the access log, like "logs/access.jsonl" or "postgresql://…" (default: $CONSENT_ACCESS_LOG)',
    },
    "--id": {"metavar": "CONSENT_ID", "type": _id, "help": "only records with this consent id"},
    "--policy": {"metavar": "FILE", "help": "the policy, which says how long records and requests are kept"},
    "--explain": {"metavar": "RECORD_ID", "type": _id, "help": "print the exact text that was shown for this record"},
    "--prevailing": {"action": "store_true", "help": "with --explain: the text in the prevailing language"},
    "--proof": {"action": "store_true", "help": "also erase the consent records and the requests with that consent id"},
    "--again": {
        "action": "store_true",
        "help": "erase all visitors again who were erased before: after a backup was restored",
    },
    "--dry-run": {"action": "store_true", "help": "only say what would be removed"},
    "--root": {
        "metavar": "ROOT",
        "action": "append",
        "default": [],
        "help": "a root that was stored elsewhere, or a file with one root on each line; may be repeated. $CONSENT_KEY "
        "checks the signature",
    },
    "--write-root": {
        "metavar": "FILE",
        "help": "append the root of the chain to this file, signed with $CONSENT_KEY (several keys: one on each "
        "line, oldest first; the last one signs)",
    },
}


def with_options(*options: str) -> Callable[[argparse.ArgumentParser], None]:
    """Return a function that adds these options and --json to a command's parser."""

    def add(parser: argparse.ArgumentParser) -> None:
        for option in options:
            parser.add_argument(option, **_OPTIONS[option])
        parser.add_argument("--json", action="store_true", help="print JSON")

    return add


def with_id_option(meaning: str, *options: str) -> Callable[[argparse.ArgumentParser], None]:
    """Return a function that adds --id and these options to a command's parser.

    Args:
        meaning: the help text of --id.
        options: further options.
    """

    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--id", "--visitor", dest="id", metavar="ID", type=_id, help=meaning)
        with_options(*options)(parser)

    return add


def option_value(arguments: argparse.Namespace, option: str) -> str | None:
    """Return the value of an option, or of the environment variable used in its absence."""
    return getattr(arguments, option) or os.environ.get(_VARIABLES[option]) or None


def ledger_of(arguments: argparse.Namespace) -> str:
    """Return the URL of the ledger.

    Raises:
        UnusableError: none was named.
    """
    url = option_value(arguments, "ledger")
    if url is None:
        raise UnusableError("Name the ledger: --ledger URL, or the environment variable CONSENT_LEDGER.")
    return url


def print_text(text: str) -> None:
    """Print a text."""
    # A damaged record can have bytes that are no text.
    sys.stdout.write(text.encode(errors="replace").decode() + "\n")


def print_json(document: object, *, indent: int | None = None) -> None:
    """Print plain data as JSON: on one line, or indented."""
    print_text(as_json(document, indent=indent))


def as_json(document: object, *, indent: int | None = None) -> str:
    """Return plain data as JSON, with every character escaped that could control a terminal."""
    text = json.dumps(document, ensure_ascii=False, indent=indent)
    return _CONTROLS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 record", "2 records"."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
