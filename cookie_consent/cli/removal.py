"""The commands that remove records: `erase` and `purge`.

They import the policy, the ledgers and the tracer only when they need them. What works on an access log alone starts
sooner so.
"""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.frame import (
    ACCESS_LOG,
    EITHER_ID,
    JSON,
    LEDGER,
    WRONG_USAGE,
    Command,
    UnusableError,
    counted,
    file_errors,
    option,
    print_findings,
    print_note,
    print_result,
    required_store,
)
from cookie_consent.cli.stores import existing_ledger, existing_sink, records_of
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.store import IncompleteError, PartlyErasedError

if TYPE_CHECKING:
    from cookie_consent.policy.policy import Policy

_ONE = {
    "records": "record",
    "texts": "text",
    "policies": "policy",
    "requests": "request",
    "addresses": "address",
    "access_records": "access record",
}
_WHY_PROOF = "as proof of what was asked and answered (GDPR Article 7(1))"
_make_id = partial(secrets.token_urlsafe, 16)
_MISFILED = "a consent record is not as it was recorded, and so stays"


def _erase(arguments: argparse.Namespace) -> int:
    if arguments.again == bool(arguments.id) or (arguments.again and arguments.proof):
        raise UnusableError("Name whom to erase: --id ID, or --again alone for all who were erased before.")
    if arguments.again:
        return _erase_again(arguments)
    # Without --proof, the ledger only tells what stays. So it need not be named.
    url = required_store(arguments, "ledger") if arguments.proof else arguments.ledger
    if arguments.access_log is None and not arguments.proof:
        raise UnusableError("Name what to erase from: --access-log URL, or --ledger URL with --proof.")
    erased: dict[str, int | None] = {"access_records": None, "consent_records": 0, "requests": 0}
    misfiled = 0
    # Open both before erasing from either, so that a mistyped name erases nothing.
    with (
        existing_ledger(url) if url else nullcontext() as ledger,
        existing_sink(arguments.access_log) if arguments.access_log else nullcontext() as sink,
    ):
        try:
            erased["access_records"] = sink.erase(arguments.id) if sink else None
        except PartlyErasedError as error:
            return print_findings([str(error)])
        if ledger and arguments.proof:
            removal = ledger.remove(now=time.time(), make_id=_make_id, consent_id=arguments.id)
            misfiled = removal.misfiled
            erased["consent_records"] = removal.records
            erased["requests"] = ledger.requests.erase(arguments.id)
        remaining = records_of(ledger, arguments.id) if ledger else None
    kept = {
        "consent_records": None if remaining is None else len(remaining),
        "why": _WHY_PROOF if remaining else None,
        "until": max((record["keep_until"] for record in remaining or [] if record.get("keep_until")), default=None),
    }
    text = "\n".join(_in_words(arguments.id, erased, kept))
    print_result(arguments, {"id": arguments.id, "erased": erased, "kept": kept}, text)
    return _report_misfiled(misfiled)


def _report_misfiled(misfiled: int) -> int:
    """Report records that could not be removed, and return the exit status."""
    stay = counted(misfiled, "record stays: it is not as it was", "records stay: they are not as they were")
    return print_findings([f"{stay} recorded. Run: cookie-consent verify"] if misfiled else [])


def _in_words(id_: str, erased: Mapping[str, int | None], kept: Mapping[str, Any]) -> Iterator[str]:
    if erased["access_records"] is None:
        yield "Access records were not looked for: --access-log URL says where they are."
    else:
        yield f"Erased: {counted(erased['access_records'], 'access record')} of {id_}."
    if erased["consent_records"]:
        requests = counted(erased["requests"] or 0, "request")
        yield f"Erased: {counted(erased['consent_records'], 'consent record')} and {requests} of {id_}."
        yield "Stays: their hashes, and a record that they were erased, so that all others can still be verified."
    if kept["consent_records"] is None:
        yield "Consent records stay; they were not looked for: --ledger URL says where they are."
    elif kept["consent_records"]:
        until = f"until {kept['until']} at the latest" if kept["until"] else "for ever"
        yield f"Stays: {counted(kept['consent_records'], 'consent record')} of {id_}, {kept['why']}, {until}."
        yield "--proof erases them too."
    elif not erased["consent_records"]:
        yield f"There are no consent records of {id_}."


def _erase_again(arguments: argparse.Namespace) -> int:
    """Erase the visitors again whom the list beside the access log names, and return the exit status."""
    from cookie_consent.report.export.stream import Span, stream  # only this reads whole logs
    from cookie_consent.sinks.erased import hash_of

    target = required_store(arguments, "access_log")
    problems: list[str] = []
    visitors: set[str] = set()
    erased = 0
    with existing_sink(target) as sink:
        listed = sink.erased_visitors if isinstance(sink, BufferedSink) else None
        if listed is None or not listed.path.is_file():
            raise UnusableError("There is no list of erased visitors beside this access log. It begins with the first.")
        hashes = listed.hashes()
        try:
            visitors.update(str(record.get("visitor.id")) for record in stream(target, Span()))
        except IncompleteError as error:
            problems.append(str(error))
        visitors = {visitor_id for visitor_id in visitors if hash_of(visitor_id) in hashes}
        for visitor_id in sorted(visitors):
            try:
                erased += sink.erase(visitor_id)
            except PartlyErasedError as error:
                problems.append(str(error))
    text = f"Erased again: {counted(erased, 'access record')} of {counted(len(visitors), 'visitor')}."
    print_result(arguments, {"again": {"visitors": len(visitors), "access_records": erased}}, text)
    return print_findings(problems[:1])


def _purge(arguments: argparse.Namespace) -> int:
    now = time.time()
    dry_run = arguments.dry_run
    if arguments.access_log is None and arguments.ledger is None:
        raise UnusableError("Name what to purge: --ledger URL, --access-log URL, or both.")
    policy = _load_policy(arguments.policy) if arguments.policy else None
    counts = _purge_ledger(arguments.ledger, policy, now, dry_run=dry_run) if arguments.ledger else {}
    keep = policy.access_records_kept if policy else None
    if arguments.access_log and keep is not None:
        with existing_sink(arguments.access_log) as sink:
            counts["access_records"] = sink.purge(now, keep, dry_run=dry_run)
    elif arguments.access_log:
        print_note("Access records were not looked at: a purpose in --policy FILE says for how long they are kept.")
    if not counts:
        return WRONG_USAGE
    parts = (counted(counts[what], one, what.replace("_", " ")) for what, one in _ONE.items() if what in counts)
    text = f"{rfc3339(now)} {'would remove' if dry_run else 'removed'} {', '.join(parts)}"
    print_result(arguments, {"ran_at": rfc3339(now), "dry_run": dry_run, **counts}, text)
    return _report_misfiled(counts.get("misfiled", 0))


def _purge_ledger(url: str, policy: Policy | None, now: float, *, dry_run: bool) -> dict[str, int]:
    from cookie_consent.ledgers.background import last_removal

    with existing_ledger(url) as ledger:
        last_removal(ledger, now)  # warns if that time is in the future
        counts = asdict(ledger.remove(now=now, make_id=_make_id, dry_run=dry_run))
        if policy is None:
            print_note("Requests were not looked at: --policy FILE says for how long they are kept.")
        else:
            counts |= ledger.requests.purge(now=now, rules=policy.requests, dry_run=dry_run)
    return counts


def _load_policy(path: str) -> Policy:
    from cookie_consent.policy.policy import Policy

    with file_errors(path, "read"):
        return Policy.load(path)


ERASE = Command(
    (
        EITHER_ID,
        option(
            "--again",
            action="store_true",
            help="erase all visitors again who were erased before: after a backup was restored",
        ),
        option(
            "--proof",
            action="store_true",
            help="also erase the consent records and the requests with that consent id",
        ),
        LEDGER,
        ACCESS_LOG,
        JSON,
    ),
    _erase,
    f"access records may stay, or {_MISFILED}",
)
PURGE = Command(
    (
        LEDGER,
        ACCESS_LOG,
        option("--policy", metavar="FILE", help="the policy, which says how long records and requests are kept"),
        option("--dry-run", action="store_true", help="only say what would be removed"),
        JSON,
    ),
    _purge,
    _MISFILED,
)
