"""The `move` command: copies a ledger into another database."""

from __future__ import annotations

import argparse
from contextlib import closing

from cookie_consent.cli.frame import GOOD, JSON, Command, counted, option, print_json, print_text, progress
from cookie_consent.cli.stores import existing_ledger
from cookie_consent.ledgers import open_ledger


def _move(arguments: argparse.Namespace) -> int:
    with (
        existing_ledger(arguments.source) as source,
        closing(open_ledger(arguments.target)) as target,
        progress("records", source.size()) as seen,
    ):
        moved = target.fill_from(source, seen)
    if arguments.json:
        print_json({"records": moved.records, "removed": moved.removed, "root": str(moved.root)})
    else:
        print_text(
            f"Moved: {counted(moved.records, 'record')}, and what they cite. The chain fits.\nRoot: {moved.root}\n"
            "Start the site with the new ledger. The old one stays as it is, until you delete it."
        )
    return GOOD


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
