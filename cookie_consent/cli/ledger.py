"""The commands on a ledger: `records` lists what it has, `requests` answers visitors, `move` copies it."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.frame import (
    CONSENT_ID,
    FINDING,
    GOOD,
    JSON,
    LEDGER,
    RECORD_ID,
    Command,
    UnusableError,
    counted,
    option,
    print_findings,
    print_json,
    print_result,
    progress,
    required_store,
)
from cookie_consent.cli.stores import existing_ledger, records_of
from cookie_consent.http.forms import clean_text
from cookie_consent.ledgers import Ledger, open_ledger
from cookie_consent.ledgers.records import digest
from cookie_consent.pages.evidence import explain
from cookie_consent.policy.policy import canonical_json

_COLUMNS = {"decided_at": 20, "event": 9, "status": 7, "source": 8, "language": 8, "policy": 16}
"""Column of the table of records -> width. An id is the last column."""


def _records(arguments: argparse.Namespace) -> int:
    if arguments.prevailing and arguments.explain is None:
        raise UnusableError("--prevailing goes with --explain RECORD_ID.")
    with existing_ledger(required_store(arguments, "ledger")) as ledger:
        if arguments.explain is not None:
            return _explain(ledger, arguments)
        records = _all(ledger) if arguments.id is None else records_of(ledger, arguments.id)
        if arguments.json:
            for record in records:
                print(canonical_json(record).decode())  # exactly the text that the chain's SHA-256 covers
        else:
            _print_table(records, "consent_id" if arguments.id is None else "record_id")
    return GOOD


def _all(ledger: Ledger, seen: Callable[[int], object] = lambda number: None) -> Iterator[dict[str, Any]]:
    for link in ledger.links():
        if link.document is not None:
            yield json.loads(link.document)
        # To draw the bar takes longer than to read a record.
        if link.number % 1000 == 0:
            seen(link.number)


def _print_table(records: Iterable[Mapping[str, Any]], last: str) -> None:
    print("  ".join([*(name.ljust(width) for name, width in _COLUMNS.items()), last]))
    for record in records:
        cells = (_cell(record.get(name)).ljust(width) for name, width in _COLUMNS.items())
        print("  ".join([*cells, _cell(record.get(last))]))


def _cell(value: object) -> str:
    """Return a value for a table. Control characters are replaced, so no record can control the terminal."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(value or "-"))


def _explain(ledger: Ledger, arguments: argparse.Namespace) -> int:
    with progress("records", ledger.size()) as seen:
        records = _all(ledger, seen) if arguments.id is None else records_of(ledger, arguments.id)
        record = next((record for record in records if record["record_id"] == arguments.explain), None)
    if record is None:
        return print_findings([f"There is no record {arguments.explain}."])
    explained = asyncio.run(explain(ledger, record))
    if explained is None:
        return print_findings(["No text of the site's was shown for this record: its source or event says why."])
    name = record["prevailing_text" if arguments.prevailing else "text"]
    stored = asyncio.run(ledger.text(name))
    # Never print a text as what was shown unless its hash is the one in the record.
    if stored is None or digest(stored) != name:
        return print_findings([f"Text {name} is missing, or was changed. Run: cookie-consent verify"])
    text = explained.prevailing_html if arguments.prevailing else explained.html
    print_result(arguments, {"record_id": arguments.explain, "html": text}, text)
    return GOOD


def _requests(arguments: argparse.Namespace) -> int:
    reference = arguments.reference.upper()
    now = time.time()
    if (arguments.action != "list" and not reference) or (arguments.action == "answer") != bool(arguments.text):
        raise UnusableError("Write: requests list [REF], requests answer REF --text ANSWER, or requests close REF.")
    with existing_ledger(required_store(arguments, "ledger")) as ledger:
        is_done = arguments.action == "list" or ledger.requests.end(reference, now, arguments.text)
        listed = [one.document() for one in ledger.requests.listed() if reference in ("", one.reference)]
    if reference and not listed:
        return print_findings([f"There is no request {arguments.reference!r}."])
    if not is_done:
        return print_findings([f"{reference} is {listed[0]['state']} already."])
    for one in listed:
        one["overdue"] = one["state"] == "open" and one["due_at"] < rfc3339(now)
        if arguments.json:
            print_json(one)
        elif reference:
            # A visitor wrote it, so it may contain what controls a terminal, or looks like another field.
            shown = {name: clean_text(str(value)).replace("\n", "\n    ") for name, value in one.items()}
            print("\n".join(f"{name}: {value}" for name, value in shown.items()))
        else:
            state = "OVERDUE" if one["overdue"] else one["state"]
            print(f"{one['reference']}  {state:8}  due {one['due_at']}  {one['kind']}")
    return FINDING if arguments.action == "list" and any(one["overdue"] for one in listed) else GOOD


def _move(arguments: argparse.Namespace) -> None:
    with (
        existing_ledger(arguments.source) as source,
        closing(open_ledger(arguments.target)) as target,
        progress("records", source.size()) as seen,
    ):
        moved = target.fill_from(source, seen)
    print_result(
        arguments,
        {"records": moved.records, "removed": moved.removed, "root": str(moved.root)},
        f"Moved: {counted(moved.records, 'record')}, and what they cite. The chain fits.\nRoot: {moved.root}\n"
        "Start the site with the new ledger. The old one stays as it is, until you delete it.",
    )


RECORDS = Command(
    (
        CONSENT_ID,
        LEDGER,
        RECORD_ID,
        option("--prevailing", action="store_true", help="with --explain: the text in the prevailing language"),
        JSON,
    ),
    _records,
    "--explain names a record that does not exist, or whose text is missing or changed",
)
REQUESTS = Command(
    (
        LEDGER,
        JSON,
        option("action", choices=("list", "answer", "close"), help="list: open ones first, or all of REF"),
        option("reference", metavar="REF", nargs="?", default="", help="like R-7K3M-AQFD-2W5Z"),
        option("--text", type=clean_text, help="the answer; mail it to the address that is printed"),
    ),
    _requests,
    "a listed request is overdue, or the named one is not open",
)
MOVE = Command(
    (
        option(
            "source", metavar="FROM", help='the ledger to move, like "sqlite:///consent.db"; no site may write to it'
        ),
        option("target", metavar="TO", help='an empty database, like "postgresql://user@host/database"'),
        JSON,
    ),
    _move,
)
