"""The `verify` command: proves that no consent record, and nothing that one cites, was changed, removed or added."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.frame import (
    JSON,
    LEDGER,
    Command,
    UnusableError,
    counted,
    file_errors,
    first_line,
    option,
    print_findings,
    print_result,
    progress,
    required_store,
)
from cookie_consent.cli.stores import existing_ledger
from cookie_consent.decision.tokens import Signer
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers.chain import (
    CITING,
    Root,
    Verified,
    WrongSignatureError,
    read_root,
    record_hash,
    root_signer,
    sign_root,
    verify,
)
from cookie_consent.ledgers.chronology import Chronology

if TYPE_CHECKING:
    from cookie_consent.ledgers.sql import SqlLedger

_KEYS = "CONSENT_KEY"
"""The environment variable with the site's secret keys, one on each line, oldest first."""
_CITED = {"policies": "Policy", "texts": "Text"}
_SHOW_EACH = 1000
"""To draw the progress bar takes longer than to verify a record."""

Row = TypeVar("Row")
Name = tuple[str, str]
"""The kind and the name of a document."""
Finding = tuple[int | None, str]
"""The number of the first record that a problem concerns, if it concerns one, and a sentence."""


class _CitedDocuments:
    """Compares policies and texts with the records that cite them.

    Args:
        documents: each document that is kept, as (kind, name, content).
    """

    def __init__(self, documents: Iterable[tuple[str, str, object]]) -> None:
        # An SQLite column accepts any type.
        self._hashes = {
            (kind, name): record_hash(content).hex() if isinstance(content, str) else ""
            for kind, name, content in documents
        }
        # Document -> how its hash has to begin, which is its name or the whole hash -> the first record that says so.
        self._citing: dict[Name, dict[str, int]] = {}

    def cite(self, number: int, record: Mapping[str, Any]) -> None:
        for field, kind in CITING.items():
            if name := record.get(field):
                sha256 = str(record.get(f"{field}_sha256") or name)
                self._citing.setdefault((kind, name), {}).setdefault(sha256, number)

    def find_changes(self) -> Iterator[Finding]:
        """Yield the documents that have not the hash by which they are named, or by which a record cites them."""
        for (kind, name), sha256 in self._hashes.items():
            citing = self._citing.get((kind, name), {})
            wrong = [number for stated, number in citing.items() if not sha256.startswith(stated)]
            if wrong or not sha256.startswith(name):
                first = min(wrong, default=None)
                by = f"Record {first:,} is the first that cites it" if first else "No record cites it"
                yield first, f"{_CITED[kind]} {name} was changed: it has no longer the hash that it is cited by. {by}."

    def find_missing(self, ledger: Ledger) -> Iterator[Finding]:
        missing = {document: min(citing.values()) for document, citing in self._citing.items()}
        # Those that came meanwhile are not missing, nor are those that were purged meanwhile.
        for document in (*self._hashes, *((kind, name) for kind, name, _ in ledger.cited())):
            missing.pop(document, None)
        for (kind, name), first in missing.items():
            yield first, f"{_CITED[kind]} {name} is missing. Record {first:,} is the first that cites it."


def _verify(arguments: argparse.Namespace) -> int:
    signer = _make_signer()
    file = Path(arguments.write_root) if arguments.write_root else None
    if file and signer is None:
        raise UnusableError(f"A root is signed with the site's secret key: set the environment variable {_KEYS}.")
    # The roots in the file have to match before a new one is added.
    begun = [arguments.write_root] if file and file.is_file() and file.stat().st_size else []
    findings: list[Finding] = []
    roots = [root for name in dict.fromkeys([*arguments.root, *begun]) for root in _read_roots(name, signer, findings)]
    # A root claims that later records are younger than it. So take its time before reading any record.
    now = int(time.time())
    dates = Chronology([(root.number, root.signed_at) for root in roots if root.signed_at is not None], now)
    with existing_ledger(required_store(arguments, "ledger")) as ledger:
        verified = _verify_ledger(ledger, roots, dates, findings)
    findings += dates.findings()
    findings.sort(key=lambda finding: finding[0] or math.inf)
    # Nobody may keep the root of a chain that does not fit as a good one.
    root = None if findings else sign_root(verified.root, signer, now) if signer else str(verified.root)
    report = {
        "records": verified.records,
        "removed": verified.removed,
        "removed_by": dates.removed_by(),
        "root": root,
        "roots": [{"root": str(kept), "signed_at": kept.signed_at and rfc3339(kept.signed_at)} for kept in roots],
        "findings": [{"record": record, "why": why} for record, why in findings],
    }
    print_result(arguments, report, "\n".join(_describe(report)))
    if file and root:
        # Append, so that no earlier root is lost.
        with file_errors(file, "written"), file.open("a") as roots_file:
            roots_file.write(f"{root}\n")
    elif file:
        findings.append((None, "No root was written."))
    return print_findings(why for _, why in findings)


def _make_signer() -> Signer | None:
    keys = os.environ.get(_KEYS, "").splitlines()
    try:
        return root_signer(keys) if keys else None
    except ValueError as error:
        raise UnusableError(f"{_KEYS}: {error}") from None


def _read_roots(name: str, signer: Signer | None, findings: list[Finding]) -> Iterator[Root]:
    """Yield the root that an argument is, or those in the file that it names. A wrong signature becomes a finding."""
    try:
        lines = [name]
        if ":" not in name or Path(name).exists():
            with file_errors(name, "read"):
                lines = [line for line in Path(name).read_text(encoding="utf-8").splitlines() if line.strip()]
        if not lines:
            raise ValueError("it is empty")
        for line in lines:
            try:
                yield read_root(line, signer)
            except WrongSignatureError as error:
                findings.append((None, f"Wrong signature: {error}."))
    except ValueError as error:
        raise UnusableError(f"{name}: {error}.") from None


def _verify_ledger(ledger: SqlLedger, roots: Iterable[Root], dates: Chronology, findings: list[Finding]) -> Verified:
    """Verify the chain and its dates, the documents that records cite, and the database file."""
    damages: dict[str, None] = {}
    # Before the chain: a document that is purged meanwhile is not missed then.
    documents = _CitedDocuments(_read(ledger.cited(), damages))
    size = next(_read((read() for read in [ledger.size]), damages), 0)
    with progress("records", size) as show:

        def inspect(number: int, record: Mapping[str, Any]) -> None:
            dates.check(number, record)
            documents.cite(number, record)
            if number % _SHOW_EACH == 0:
                show(number)

        verified = verify(_read(ledger.links(), damages), roots, inspect)
    # The queries here do not use every index, but export and erase do.
    damages |= dict.fromkeys(_read(ledger.damages(), damages))
    findings += [(None, f"The database is damaged: {' '.join(damage.split())}.") for damage in damages]
    if verified.wrong is not None:
        findings.append((verified.wrong, f"Record {verified.wrong:,} does not fit: {verified.why}."))
    findings += documents.find_changes()
    # In a damaged database, what cannot be read need not be missing.
    findings += [] if damages else documents.find_missing(ledger)
    return verified


def _read(rows: Iterator[Row], damages: dict[str, None]) -> Iterator[Row]:
    """Yield rows as far as the database is not damaged. The damage is added."""
    from sqlalchemy.exc import DatabaseError

    try:
        yield from rows
    except DatabaseError as error:
        # Other errors, such as a locked file, say nothing about the records.
        if not getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_CORRUPT"):
            raise
        damages[first_line(error)] = None


def _describe(report: Mapping[str, Any]) -> Iterator[str]:
    for kept in report["roots"]:
        if kept["signed_at"]:
            yield f"Root {kept['root']} was signed at {kept['signed_at']}."
        else:
            yield f"The signature of root {kept['root']} was not checked: there is no key in {_KEYS}."
    why = ", ".join(f"{count:,} by {reason}" for reason, count in report["removed_by"].items() if count)
    reasons = f": {why}" if why else ""  # the record that says why may lie after the end of what fits
    removed = f" ({report['removed']:,} of them removed{reasons})" if report["removed"] else ""
    records = f"{counted(report['records'], 'record')}{removed}"
    if report["findings"]:
        yield f"The chain itself fits for {records}."
    else:
        yield f"All fits: {records}, and what they cite."
        yield f"Root: {report['root']}"


VERIFY = Command(
    (
        LEDGER,
        option(
            "--root",
            metavar="ROOT",
            action="append",
            default=[],
            help="a root that was stored elsewhere, or a file with one root on each line; may be repeated. "
            "$CONSENT_KEY checks the signature",
        ),
        option(
            "--write-root",
            metavar="FILE",
            help="append the root of the chain to this file, signed with $CONSENT_KEY (several keys: one on each "
            "line, oldest first; the last one signs)",
        ),
        JSON,
    ),
    _verify,
    "something was changed, left out or added",
)
