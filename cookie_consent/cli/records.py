"""The `records` command: lists consent records, or prints the text that was shown for one."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cookie_consent.cli.frame import (
    CONSENT_ID,
    GOOD,
    JSON,
    LEDGER,
    RECORD_ID,
    Command,
    UnusableError,
    option,
    print_findings,
    print_json,
    print_text,
    progress,
    required_store,
)
from cookie_consent.cli.stores import existing_ledger, records_of
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers.records import digest
from cookie_consent.pages.evidence import explain
from cookie_consent.policy.policy import canonical_json

_COLUMNS = {"decided_at": 20, "event": 9, "status": 7, "source": 8, "language": 8, "policy": 16}
"""Column of the table of records -> width. An id is the last column."""

Records = Iterable[Mapping[str, Any]]


def _records(arguments: argparse.Namespace) -> int:
    if arguments.prevailing and arguments.explain is None:
        raise UnusableError("--prevailing goes with --explain RECORD_ID.")
    with existing_ledger(required_store(arguments, "ledger")) as ledger:
        if arguments.explain is not None:
            return _explain(ledger, arguments)
        records = _all(ledger) if arguments.id is None else records_of(ledger, arguments.id)
        if arguments.json:
            for record in records:
                print_text(canonical_json(record).decode())  # exactly the text that the chain's SHA-256 covers
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


def _print_table(records: Records, last: str) -> None:
    print_text("  ".join([*(name.ljust(width) for name, width in _COLUMNS.items()), last]))
    for record in records:
        cells = (_cell(record.get(name)).ljust(width) for name, width in _COLUMNS.items())
        print_text("  ".join([*cells, _cell(record.get(last))]))


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
    if arguments.json:
        print_json({"record_id": arguments.explain, "html": text})
    else:
        print_text(text)
    return GOOD


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
