"""The `requests` command: the help desk's requests, and the answers to them."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from cookie_consent.base.forms import readable
from cookie_consent.cli.command import FINDING, GOOD, Command, UnusableError, guarded, print_problem
from cookie_consent.cli.existing_ledger import existing_ledger
from cookie_consent.cli.options import ledger_of, print_json, print_text, with_options
from cookie_consent.ledgers import Requests
from cookie_consent.ledgers.desk_request import LONGEST_ANSWER, DeskRequest, as_reference

_COLUMNS = {"reference": 11, "state": 8, "due_at": 20, "created_at": 20, "kind": 8}
"""Column of the table of requests -> width."""

Do = Callable[[Requests, argparse.Namespace], int]


def _arguments(parser: argparse.ArgumentParser) -> None:
    common = argparse.ArgumentParser(add_help=False)
    with_options("--ledger")(common)
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION")

    def action(name: str, do: Do, about: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=about, description=about, parents=[common])
        added.set_defaults(do=do)
        return added

    listing = action("list", _list, "List requests: open ones first, of them the overdue ones. 1 if any is overdue.")
    listing.add_argument("--open", action="store_true", help="only requests that wait for an answer")
    answering = action("answer", _answer, "Answer a request. The visitor looks the answer up; it is not mailed.")
    answering.add_argument("--text", help="the answer (default: read from standard input)")
    for added in (
        action("show", _show, "Print a request."),
        answering,
        action("close", _close, "Close a request, answered or not."),
    ):
        added.add_argument("reference", metavar="REF", help="its reference, like R-7K3M-9QFD")


def _run(arguments: argparse.Namespace) -> int:
    with existing_ledger(ledger_of(arguments)) as ledger:
        do: Do = arguments.do
        return do(ledger.requests, arguments)


def _list(store: Requests, arguments: argparse.Namespace) -> int:
    now = time.time()
    listed = [request for request in store.listed() if request.state == "open" or not arguments.open]
    if arguments.json:
        for request in listed:
            print_json(_document(request, now))
    elif listed:
        print_text("  ".join(name.ljust(width) for name, width in _COLUMNS.items()).rstrip())
        for request in listed:
            cells = request.progress() | {"state": _state(request, now)}
            print_text("  ".join(str(cells[name]).ljust(width) for name, width in _COLUMNS.items()).rstrip())
    else:
        print_text("There are no requests.")
    return FINDING if any(request.is_overdue(now) for request in listed) else GOOD


def _show(store: Requests, arguments: argparse.Namespace) -> int:
    request, now = _find(store, arguments.reference), time.time()
    if request is None:
        return _no_such(arguments.reference)
    if arguments.json:
        print_json(_document(request, now))
    else:
        print_text("\n".join(_in_words(request, now)))
    return GOOD


def _answer(store: Requests, arguments: argparse.Namespace) -> int:
    request = _find(store, arguments.reference)
    if request is None:
        return _no_such(arguments.reference)
    text = _written(arguments.text)
    if not store.answer(request.reference, text, time.time()):
        return _too_late(store, request.reference)
    _print_done(store, request, arguments)
    return GOOD


def _close(store: Requests, arguments: argparse.Namespace) -> int:
    request = _find(store, arguments.reference)
    if request is None:
        return _no_such(arguments.reference)
    if not store.close(request.reference, time.time()):
        return _too_late(store, request.reference)
    _print_done(store, request, arguments)
    return GOOD


def _find(store: Requests, typed: str) -> DeskRequest | None:
    return asyncio.run(store.find(as_reference(typed)))


def _written(text: str | None) -> str:
    """Return the text of an answer, from the argument or else from standard input."""
    if text is None:
        if sys.stdin.isatty():
            sys.stderr.write("Write the answer; an empty line with Ctrl-D ends it.\n")
        try:
            text = sys.stdin.read()
        except UnicodeDecodeError:
            raise UnusableError("The answer is no text in the encoding of this terminal.") from None
    text = readable(text)
    if not 0 < len(text) <= LONGEST_ANSWER:
        raise UnusableError(f"An answer has between 1 and {LONGEST_ANSWER} characters; this one has {len(text)}.")
    return text


def _no_such(typed: str) -> int:
    return print_problem(f"There is no request {typed!r}.", FINDING)


def _too_late(store: Requests, reference: str) -> int:
    # Somebody else was faster, or retention has deleted the request.
    request = _find(store, reference)
    return print_problem(f"{reference} is {request.state} already." if request else f"{reference} is gone.", FINDING)


def _print_done(store: Requests, request: DeskRequest, arguments: argparse.Namespace) -> None:
    # Read it again: the store has set the times.
    request = _find(store, request.reference) or request
    if arguments.json:
        print_json(_document(request, time.time()))
        return
    print_text(f"{request.reference} is {request.state}.")
    if request.state == "answered":
        print_text(
            f"Mail the answer to {request.address}, as the visitor wishes."
            if request.address
            else "The visitor looks the answer up and gave no mail address."
        )


def _in_words(request: DeskRequest, now: float) -> list[str]:
    document = request.document()
    lines = [
        f"{request.reference}: {request.kind}, {_state(request, now)}",
        f"Sent:       {document['created_at']}, in the language {request.language!r}",
        f"Due:        {document['due_at']}",
        f"Mail to:    {request.address or 'nobody: the visitor looks the answer up'}",
        f"Consent id: {request.consent_id or 'none: there was no consent cookie'}",
        # A visitor wrote it, so it may contain what controls a terminal.
        *("", readable(request.text)),
    ]
    if request.answer is not None:
        lines += ["", f"Answered:   {document['answered_at']}", "", readable(request.answer)]
    return [*lines, *(["", f"Closed:     {document['closed_at']}"] if request.closed_at is not None else [])]


def _state(request: DeskRequest, now: float) -> str:
    return "OVERDUE" if request.is_overdue(now) else request.state


def _document(request: DeskRequest, now: float) -> dict[str, Any]:
    return {**request.document(), "overdue": request.is_overdue(now)}


REQUESTS = Command(
    _arguments,
    guarded(_run),
    "a listed request is overdue, or the named one does not exist or is closed already",
)
