"""The `export` command for an id: everything that is stored under it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.frame import UnusableError, print_findings, print_json, print_note, store_of
from cookie_consent.cli.stores import existing_ledger, existing_sink, records_of
from cookie_consent.ledgers.glossary import MEANINGS
from cookie_consent.sinks.store import read_readable

Found: TypeAlias = tuple[list[dict[str, Any]], str]
"""Records, and which cannot be read; "" for none."""


def _consent_records(url: str, id_: str) -> Found:
    with existing_ledger(url) as ledger:
        return records_of(ledger, id_), ""


def _requests(url: str, id_: str) -> Found:
    with existing_ledger(url) as ledger:
        return [request.document() for request in ledger.requests.listed(id_)], ""


def _access_records(target: str, id_: str) -> Found:
    with existing_sink(target) as sink:
        return read_readable(sink.read(id_))


_READERS: Mapping[str, tuple[str, Callable[[str, str], Found]]] = {
    "consent_records": ("ledger", _consent_records),
    "access_records": ("access_log", _access_records),
    "requests": ("ledger", _requests),
}
"""Kind of record, as in MEANINGS -> the option that names its store, and a function that reads the records of an id."""


def export_id(arguments: argparse.Namespace) -> int:
    """Print everything that is stored under an id, and return the exit status.

    Args:
        arguments: with the id, and where to look.

    Raises:
        UnusableError: nothing is named to look into, or something of it cannot be used.
    """
    found, missing = {}, ""
    for kind, (option, read) in _READERS.items():
        target = store_of(arguments, option)
        if target is None:
            shown = option.replace("_", "-")
            print_note(f"Not looked for: {kind.replace('_', ' ')}. --{shown} URL says where they are.")
        else:
            found[kind], unread = read(target, arguments.id)
            missing = missing or unread
    if not found:
        raise UnusableError("Name what to look into: --ledger URL, --access-log URL, or both.")
    if arguments.json:
        for records in found.values():
            for record in records:
                print_json(record)
    else:
        meanings = {kind: dict(MEANINGS[kind]) for kind in found}
        print_json({"id": arguments.id, "exported_at": rfc3339(time.time()), **found, "meanings": meanings}, indent=2)
    return print_findings([missing] if missing else [])
