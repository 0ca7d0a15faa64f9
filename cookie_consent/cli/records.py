"""The commands on stored records: `records`, `export`, `erase` and `purge`."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from cookie_consent.base.dates import rfc3339
from cookie_consent.cli.command import (
    FINDING,
    GOOD,
    WRONG_USAGE,
    Command,
    UnusableError,
    existing_ledger,
    guarded,
    print_problem,
    progress,
)
from cookie_consent.cli.export import export_access, refuse_span, with_export_options
from cookie_consent.cli.options import (
    counted,
    existing_sink,
    ledger_of,
    option_value,
    print_json,
    print_text,
    with_id_option,
    with_options,
)
from cookie_consent.decision.cookie_settings import new_id
from cookie_consent.ledgers import Ledger, Removal
from cookie_consent.ledgers.glossary import MEANINGS
from cookie_consent.ledgers.records import digest
from cookie_consent.ledgers.retention import last_removal
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.policy import Policy, canonical_json
from cookie_consent.tracing.access_log import daily_salt_of
from cookie_consent.visitors.pages.evidence import explain

_COLUMNS = {"decided_at": 20, "event": 9, "status": 7, "source": 8, "language": 8, "policy": 16}
"""Column of the table of records -> width. An id is the last column."""
_ONE = {
    "records": "record",
    "texts": "text",
    "policies": "policy",
    "requests": "request",
    "addresses": "address",
    "access_records": "access record",
}
_WHY_PROOF = "as proof of what was asked and answered (GDPR Article 7(1))"

Records = Iterable[Mapping[str, Any]]


# records


def _records(arguments: argparse.Namespace) -> int:
    if arguments.prevailing and arguments.explain is None:
        raise UnusableError("--prevailing goes with --explain RECORD_ID.")
    with existing_ledger(ledger_of(arguments)) as ledger:
        if arguments.explain is not None:
            return _explain(ledger, arguments)
        records = _all(ledger) if arguments.id is None else _of(ledger, arguments.id)
        if arguments.json:
            for record in records:
                print_text(canonical_json(record).decode())  # exactly the text that the chain's SHA-256 covers
        else:
            _print_table(records, "consent_id" if arguments.id is None else "record_id")
    return GOOD


def _of(ledger: Ledger, consent_id: str) -> list[dict[str, Any]]:
    return asyncio.run(ledger.records(consent_id))


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
        records = _all(ledger, seen) if arguments.id is None else _of(ledger, arguments.id)
        record = next((record for record in records if record["record_id"] == arguments.explain), None)
    if record is None:
        return print_problem(f"There is no record {arguments.explain}.", FINDING)
    explained = asyncio.run(explain(ledger, record))
    if explained is None:
        return print_problem("No text of the site's was shown for this record: its source or event says why.", FINDING)
    name = record["prevailing_text" if arguments.prevailing else "text"]
    stored = asyncio.run(ledger.text(name))
    # Never print a text as what was shown unless its hash is the one in the record.
    if stored is None or digest(stored) != name:
        return print_problem(f"Text {name} is missing, or was changed. Run: cookie-consent verify", FINDING)
    text = explained.prevailing_html if arguments.prevailing else explained.html
    if arguments.json:
        print_json({"record_id": arguments.explain, "html": text})
    else:
        print_text(text)
    return GOOD


# export


def _consent_records(url: str, id_: str) -> list[dict[str, Any]]:
    with existing_ledger(url) as ledger:
        return _of(ledger, id_)


def _requests(url: str, id_: str) -> list[dict[str, Any]]:
    with existing_ledger(url) as ledger:
        return ledger.requests.export(id_)


def _access_records(target: str, id_: str) -> list[dict[str, Any]]:
    with existing_sink(target) as sink:
        return list(sink.read(id_))


_READERS: Mapping[str, tuple[str, Callable[[str, str], list[dict[str, Any]]]]] = {
    "consent_records": ("ledger", _consent_records),
    "access_records": ("access_log", _access_records),
    "requests": ("ledger", _requests),
}
"""Kind of record, as in MEANINGS -> the option that names its store, and a function that reads the records of an id."""


def _export(arguments: argparse.Namespace) -> int:
    if arguments.id is None:
        return export_access(arguments)
    refuse_span(arguments)
    found = {}
    for kind, (option, read) in _READERS.items():
        target = option_value(arguments, option)
        if target is None:
            shown = option.replace("_", "-")
            print_problem(f"Not looked for: {kind.replace('_', ' ')}. --{shown} URL says where they are.", GOOD)
        else:
            found[kind] = read(target, arguments.id)
    if not found:
        raise UnusableError("Name what to look into: --ledger URL, --access-log URL, or both.")
    if arguments.json:
        for records in found.values():
            for record in records:
                print_json(record)
    else:
        meanings = {kind: dict(MEANINGS[kind]) for kind in found}
        print_json({"id": arguments.id, "exported_at": rfc3339(time.time()), **found, "meanings": meanings}, indent=2)
    return GOOD


# erase


def _erase(arguments: argparse.Namespace) -> int:
    target = option_value(arguments, "access_log")
    # Without --proof, the ledger only tells what stays. So it need not be named.
    url = ledger_of(arguments) if arguments.proof else option_value(arguments, "ledger")
    if target is None and not arguments.proof:
        raise UnusableError("Name what to erase from: --access-log URL, or --ledger URL with --proof.")
    # Open both before erasing from either, so that a mistyped name erases nothing.
    with (
        existing_ledger(url) if url else nullcontext() as ledger,
        existing_sink(target) if target else nullcontext() as sink,
    ):
        access_records = sink.erase(arguments.id) if sink else None
        removal = _erase_proof(ledger, arguments.id) if ledger and arguments.proof else Removal(0, 0, 0)
        asked = ledger.requests.erase(arguments.id) if ledger and arguments.proof else 0
        remaining = _of(ledger, arguments.id) if ledger else None
    erased = {"access_records": access_records, "consent_records": removal.records, "requests": asked}
    left = {
        "consent_records": None if remaining is None else len(remaining),
        "why": _WHY_PROOF if remaining else None,
        "until": _until(remaining or []),
    }
    if arguments.json:
        print_json({"id": arguments.id, "erased": erased, "kept": left})
    else:
        print_text("\n".join(_in_words(arguments.id, erased, left)))
    return _report_misfiled(removal.misfiled)


def _policy(path: str) -> Policy:
    try:
        return Policy.load(path)
    except PolicyError as error:
        raise UnusableError(str(error)) from None
    except OSError as error:
        raise UnusableError(f"{path} cannot be read: {error.strerror}.") from None


def _erase_proof(ledger: Ledger, consent_id: str) -> Removal:
    return ledger.remove(now=time.time(), make_id=new_id, consent_id=consent_id)


def _until(records: Records) -> str | None:
    return max((record["keep_until"] for record in records if record.get("keep_until")), default=None)


def _report_misfiled(misfiled: int) -> int:
    """Report records that could not be removed, and return the exit status."""
    if not misfiled:
        return GOOD
    stay = counted(misfiled, "record stays: it is not as it was", "records stay: they are not as they were")
    return print_problem(f"{stay} recorded. Run: cookie-consent verify", FINDING)


def _in_words(id_: str, erased: Mapping[str, int | None], left: Mapping[str, Any]) -> Iterator[str]:
    if erased["access_records"] is None:
        yield "Access records were not looked for: --access-log URL says where they are."
    else:
        yield f"Erased: {counted(erased['access_records'], 'access record')} of {id_}."
    if erased["consent_records"]:
        requests = counted(erased["requests"] or 0, "request")
        yield f"Erased: {counted(erased['consent_records'], 'consent record')} and {requests} of {id_}."
        yield "Stays: their hashes, and a record that they were erased, so that all others can still be verified."
    if left["consent_records"] is None:
        yield "Consent records stay; they were not looked for: --ledger URL says where they are."
    elif left["consent_records"]:
        until = f"until {left['until']} at the latest" if left["until"] else "for ever"
        yield f"Stays: {counted(left['consent_records'], 'consent record')} of {id_}, {left['why']}, {until}."
        yield "--proof erases them too."
    elif not erased["consent_records"]:
        yield f"There are no consent records of {id_}."


# purge


def _purge(arguments: argparse.Namespace) -> int:
    now, policy = time.time(), _policy(arguments.policy) if arguments.policy else None
    target, url = option_value(arguments, "access_log"), option_value(arguments, "ledger")
    if target is None and url is None:
        raise UnusableError("Name what to purge: --ledger URL, --access-log URL, or both.")
    counts = _purged_ledger(url, policy, now, dry_run=arguments.dry_run) if url else {}
    if target:
        counts |= _purged_access_log(target, policy, now, dry_run=arguments.dry_run)
    if not counts:
        return WRONG_USAGE
    if arguments.json:
        print_json({"ran_at": rfc3339(now), "dry_run": arguments.dry_run, **counts})
    else:
        verb = "would remove" if arguments.dry_run else "removed"
        parts = (counted(counts[what], one, what.replace("_", " ")) for what, one in _ONE.items() if what in counts)
        print_text(f"{rfc3339(now)} {verb} {', '.join(parts)}")
    return _report_misfiled(counts.get("misfiled", 0))


def _purged_ledger(url: str, policy: Policy | None, now: float, *, dry_run: bool) -> dict[str, int]:
    with existing_ledger(url) as ledger:
        last_removal(ledger, now)  # warns if that time is in the future
        counts = asdict(ledger.remove(now=now, make_id=new_id, dry_run=dry_run))
        if policy is None:
            print_problem("Requests were not looked at: --policy FILE says for how long they are kept.", GOOD)
        else:
            counts |= asdict(ledger.requests.purge(now=now, rules=policy.requests, dry_run=dry_run))
    return counts


def _purged_access_log(target: str, policy: Policy | None, now: float, *, dry_run: bool) -> dict[str, int]:
    keep = policy.access_records_kept if policy else None
    if keep is None:
        print_problem(
            "Access records were not looked at: a purpose in --policy FILE says for how long they are kept.", GOOD
        )
        return {}
    if policy and policy.exempt and not dry_run:
        # A site without visitors would keep the salt of an earlier day, with which ids can be computed again.
        daily_salt_of(target).expire(now)
    with existing_sink(target) as sink:
        return {"access_records": sink.purge(now, keep, dry_run=dry_run)}


_EITHER_ID = "a visitor's consent id or visitor id; the settings page shows both, and no record connects them"
_MISFILED = "a consent record is not as it was recorded, and so stays"
COMMANDS = (
    Command(
        "records",
        "List consent records, or print the text that was shown for one.",
        with_options("--id", "--ledger", "--explain", "--prevailing"),
        guarded(_records),
        "--explain names a record that does not exist, or whose text is missing or changed",
    ),
    Command(
        "export",
        "Print everything that is stored under an id, or the whole access log.",
        with_export_options(_EITHER_ID),
        guarded(_export),
    ),
    Command(
        "erase",
        "Erase the access records of a visitor, and say what stays.",
        # Each record has its own end date. --policy is accepted only so that all commands take the same options.
        with_id_option(_EITHER_ID, "--proof", "--ledger", "--access-log", "--policy"),
        guarded(_erase),
        _MISFILED,
    ),
    Command(
        "purge",
        "Remove expired records and requests. Run it by cron, on any number of hosts.",
        with_options("--ledger", "--access-log", "--policy", "--dry-run"),
        guarded(_purge),
        _MISFILED,
    ),
)
