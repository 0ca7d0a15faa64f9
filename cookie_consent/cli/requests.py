"""The `requests` command: the help desk's requests, and the answers to them."""

from __future__ import annotations

import argparse
import time

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.frame import (
    FINDING,
    GOOD,
    JSON,
    LEDGER,
    Command,
    UnusableError,
    option,
    print_findings,
    print_json,
    print_text,
    required_store,
)
from cookie_consent.cli.stores import existing_ledger
from cookie_consent.http.forms import clean_text


def _run(arguments: argparse.Namespace) -> int:
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
            print_text("\n".join(f"{name}: {value}" for name, value in shown.items()))
        else:
            state = "OVERDUE" if one["overdue"] else one["state"]
            print_text(f"{one['reference']}  {state:8}  due {one['due_at']}  {one['kind']}")
    return FINDING if arguments.action == "list" and any(one["overdue"] for one in listed) else GOOD


REQUESTS = Command(
    (
        LEDGER,
        JSON,
        option("action", choices=("list", "answer", "close"), help="list: open ones first, or all of REF"),
        option("reference", metavar="REF", nargs="?", default="", help="like R-7K3M-AQFD-2W5Z"),
        option("--text", type=clean_text, help="the answer; mail it to the address that is printed"),
    ),
    _run,
    "a listed request is overdue, or the named one is not open",
)
