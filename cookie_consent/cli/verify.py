"""The `verify` command: proves that no consent record, and nothing that one cites, was changed, removed or added."""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
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
    print_json,
    progress,
    required_store,
)
from cookie_consent.cli.stores import existing_ledger
from cookie_consent.decision.tokens import Signer
from cookie_consent.ledgers.chain import (
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
from cookie_consent.policy.policy import VERSION_DIGITS

if TYPE_CHECKING:
    from cookie_consent.ledgers.sql import SqlLedger

_KEYS = "CONSENT_KEY"
"""The environment variable with the site's secret keys, one on each line, oldest first."""
_CITING = {"policy": "policies", "text": "texts", "prevailing_text": "texts"}
"""Field of a record -> the kind of document that it cites."""
_CITED = {"policies": "Policy", "texts": "Text"}
_DIGITS = {"policies": VERSION_DIGITS, "texts": 64}
"""Kind of document -> how many digits of its hash are its name."""

Row = TypeVar("Row")
Name = tuple[str, str]
"""The kind and the name of a document."""
Finding = tuple[int | None, str]
"""The number of the first record that a problem concerns, if it concerns one, and a sentence."""


def _verify(arguments: argparse.Namespace) -> int:
    signer = _signer()
    file = Path(arguments.write_root) if arguments.write_root else None
    if file and signer is None:
        raise UnusableError(f"A root is signed with the site's secret key: set the environment variable {_KEYS}.")
    # The roots in the file have to match before a new one is added.
    begun = [arguments.write_root] if file and file.is_file() and file.stat().st_size else []
    findings: list[Finding] = []
    roots = [root for name in dict.fromkeys([*arguments.root, *begun]) for root in _roots(name, signer, findings)]
    # A root claims that later records are younger than it. So take its time before reading any record.
    now = int(time.time())
    dates = Chronology([(one.number, one.signed_at) for one in roots if one.signed_at is not None], now)
    with existing_ledger(required_store(arguments, "ledger")) as ledger, progress("records", _size(ledger)) as seen:
        verified = _verify_ledger(ledger, roots, seen, dates, findings)
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
    if arguments.json:
        print_json(report)
    else:
        print("\n".join(_in_words(report)))
    if file and root:
        # Append, so that no earlier root is lost.
        with file_errors(file, "written"), file.open("a") as roots_file:
            roots_file.write(f"{root}\n")
    elif file:
        findings.append((None, "No root was written."))
    return print_findings(why for _, why in findings)


def _signer() -> Signer | None:
    keys = os.environ.get(_KEYS, "").splitlines()
    try:
        return root_signer(keys) if keys else None
    except ValueError as error:
        raise UnusableError(f"{_KEYS}: {error}") from None


def _roots(name: str, signer: Signer | None, findings: list[Finding]) -> Iterator[Root]:
    """Yield the roots that an argument names. One with a wrong signature becomes a finding."""
    try:
        for line in _root_lines(name):
            try:
                yield read_root(line, signer)
            except WrongSignatureError as error:
                findings.append((None, f"Wrong signature: {error}."))
    except ValueError as error:
        raise UnusableError(f"{name}: {error}.") from None


def _root_lines(name: str) -> list[str]:
    """Return the root that an argument is, or the lines of the file that it names."""
    if ":" in name and not Path(name).exists():
        return [name]
    with file_errors(name, "read"):
        lines = [line for line in Path(name).read_text(encoding="utf-8").splitlines() if line.strip()]
    if not lines:
        raise ValueError("it is empty")
    return lines


def _size(ledger: SqlLedger) -> int:
    from sqlalchemy.exc import DatabaseError

    with suppress(DatabaseError):  # the verification itself reports the damage
        return ledger.size()
    return 0


def _verify_ledger(
    ledger: SqlLedger,
    roots: Iterable[Root],
    seen: Callable[[int], object],
    dates: Chronology,
    findings: list[Finding],
) -> Verified:
    """Verify the chain and its dates, the documents that records cite, and the database file."""
    damages: list[Finding] = []
    cited: dict[Name, dict[str, int]] = {}
    # Read cited documents before the chain: then those that are purged meanwhile are not missed.
    documents = _readable(ledger.cited(), "What records cite", damages)
    hashes = {(kind, name): _sha256(content) for kind, name, content in documents}

    def inspect(number: int, document: Mapping[str, Any]) -> None:
        dates.check(number, document)
        for field, kind in _CITING.items():
            if name := document.get(field):
                whole = str(document.get(f"{field}_sha256", ""))
                cited.setdefault((kind, name), {}).setdefault(whole, number)

    verified = verify(_readable(ledger.links(), "The chain", damages), roots, seen, inspect)
    # The queries here do not use every index, but export and erase do.
    for damage in _readable(ledger.damages(), "The database", damages):
        findings.append((None, f"The database is damaged: {' '.join(damage.split())}."))
    if verified.wrong is not None:
        findings.append((verified.wrong, f"Record {verified.wrong:,} does not fit: {verified.why}."))
    findings += _changed(hashes, cited)
    # In a damaged database, what cannot be read need not be missing.
    if not damages:
        findings += _missing(ledger, hashes, cited)
    findings += damages
    return verified


def _readable(rows: Iterator[Row], what: str, damages: list[Finding]) -> Iterator[Row]:
    """Yield rows until the database is damaged. The damage becomes a finding."""
    from sqlalchemy.exc import DatabaseError

    try:
        yield from rows
    except DatabaseError as error:
        # Other errors, such as a locked file, say nothing about the records.
        if not getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_CORRUPT"):
            raise
        damages.append((None, f"{what} cannot be read to the end: {first_line(error)}."))


def _sha256(content: object) -> str:
    """Return the hash of a document; "" if it is no text, since an SQLite column accepts any type."""
    return record_hash(content).hex() if isinstance(content, str) else ""


def _changed(hashes: Mapping[Name, str], cited: Mapping[Name, Mapping[str, int]]) -> Iterator[Finding]:
    """Yield the documents whose content is not that of their name, or not the one whose whole hash a record knows."""
    for (kind, name), sha256 in hashes.items():
        citing = cited.get((kind, name), {})
        if sha256[: _DIGITS[kind]] != name:
            first = min(citing.values(), default=None)
            by = f"Record {first:,} is the first that cites it" if first else "No record cites it"
            yield first, f"{_CITED[kind]} {name} was changed: it has no longer the hash that it is named by. {by}."
            continue
        for whole, number in citing.items():
            if whole not in ("", sha256):
                yield number, f"{_CITED[kind]} {name} is another than the one that record {number:,} was given to."


def _missing(
    ledger: SqlLedger, hashes: Mapping[Name, str], cited: Mapping[Name, Mapping[str, int]]
) -> Iterator[Finding]:
    missing = [document for document in cited if document not in hashes]
    # A record may have come meanwhile, with what it cites.
    come = {(kind, name) for kind, name, _ in ledger.cited()} if missing else set()
    for kind, name in missing:
        if (kind, name) in come:
            continue
        first = min(cited[kind, name].values())
        yield first, f"{_CITED[kind]} {name} is missing. Record {first:,} is the first that cites it."


def _in_words(report: Mapping[str, Any]) -> Iterator[str]:
    for kept in report["roots"]:
        if kept["signed_at"]:
            yield f"Root {kept['root']} was signed at {kept['signed_at']}."
        else:
            yield f"The signature of root {kept['root']} was not checked: there is no key in {_KEYS}."
    why = ", ".join(f"{count:,} by {reason}" for reason, count in report["removed_by"].items() if count)
    removed = f" ({report['removed']:,} of them removed: {why})" if report["removed"] else ""
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
