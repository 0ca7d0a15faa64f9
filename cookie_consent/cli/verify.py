"""The `verify` command: proves that no consent record, and nothing that one cites, was changed, removed or added."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.frame import (
    FINDING,
    GOOD,
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
    print_text,
    progress,
    required_store,
)
from cookie_consent.cli.stores import existing_ledger
from cookie_consent.decision.tokens import Signer
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers.chain import Link, Root, Verified, verify
from cookie_consent.ledgers.chronology import Chronology, SignedRoot
from cookie_consent.ledgers.records import digest
from cookie_consent.ledgers.roots import KeptRoot, WrongSignatureError, read_root, root_lines, root_signer, write_root
from cookie_consent.policy.policy import VERSION_DIGITS

if TYPE_CHECKING:
    from cookie_consent.ledgers.sql import SqlLedger

_KEYS = "CONSENT_KEY"
"""The environment variable with the site's secret keys, one on each line, oldest first."""
_CITING = {"policy": "policies", "text": "texts", "prevailing_text": "texts"}
"""Field of a record -> the kind of document that it cites."""
_CITED = {"policies": "Policy", "texts": "Text"}

Row = TypeVar("Row")
Name = tuple[str, str]
"""The name of a cited document: its kind, and its hash. For policies: the version (the first digits of the hash), or
the version and the whole hash."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """A problem that the verification found.

    Args:
        record: the number of the first record that it concerns; None if it concerns no record.
        why: the problem, as a sentence.
    """

    record: int | None
    why: str


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of a verification.

    Args:
        verified: the result for the chain.
        removed_by: reason of removal -> number of records.
        root: the end of the chain, for safekeeping.
        roots: the roots that the chain was compared with.
        findings: all problems.
    """

    verified: Verified
    removed_by: Mapping[str, int]
    root: str
    roots: Sequence[KeptRoot]
    findings: Sequence[_Finding]


def _verify(arguments: argparse.Namespace) -> int:
    signer = _signer()
    if arguments.write_root and signer is None:
        raise UnusableError(f"A root is signed with the site's secret key: set the environment variable {_KEYS}.")
    roots, findings = _kept_roots("--root", arguments.root, signer)
    if arguments.write_root and _is_begun(arguments.write_root):
        # The roots in the file have to match before a new one is added.
        more, more_findings = _kept_roots("--write-root", [arguments.write_root], signer)
        roots, findings = [*dict.fromkeys([*roots, *more])], [*dict.fromkeys([*findings, *more_findings])]
    # A root claims that later records are younger than it. So take its time before reading any record.
    now = int(time.time())
    dated = [SignedRoot(one.root.number, one.signed_at) for one in roots if one.signed_at is not None]
    dates = Chronology(dated, now)
    with existing_ledger(required_store(arguments, "ledger")) as ledger, progress("records", _size(ledger)) as seen:
        verified, chain_findings = _verify_all(ledger, [one.root for one in roots], seen, dates)
    findings = sorted([*chain_findings, *findings], key=lambda finding: finding.record or math.inf)
    root = write_root(verified.root, signer, now) if signer else str(verified.root)
    result = _Result(verified, dates.removed_by(), root, roots, findings)
    if arguments.json:
        print_json(_as_json(result))
    else:
        print_text("\n".join(_in_words(result)))
    if arguments.write_root and findings:
        print_findings(["No root was written."])
    elif arguments.write_root:
        _keep_root(arguments.write_root, root)
    return FINDING if findings else GOOD


def _size(ledger: Ledger) -> int:
    """Return the number of records; 0 if it cannot be read.

    The verification itself reports the damage.
    """
    from sqlalchemy.exc import DatabaseError

    try:
        return ledger.size()
    except DatabaseError:
        return 0


def _signer() -> Signer | None:
    keys = os.environ.get(_KEYS, "").splitlines()
    try:
        return root_signer(keys) if keys else None
    except ValueError as error:
        raise UnusableError(f"{_KEYS}: {error}") from None


def _is_begun(path: str) -> bool:
    """Tell whether the file exists and has content."""
    return Path(path).is_file() and Path(path).stat().st_size > 0


def _kept_roots(option: str, names: Iterable[str], signer: Signer | None) -> tuple[list[KeptRoot], list[_Finding]]:
    """Return the roots that were stored elsewhere, and the problems with them."""
    roots, findings = list[KeptRoot](), list[_Finding]()
    for name in names:
        try:
            for line in root_lines(name):
                try:
                    roots.append(read_root(line, signer))
                except WrongSignatureError as error:
                    findings.append(_Finding(None, f"Wrong signature: {error}."))
        except OSError as error:
            raise UnusableError(f"{option}: {name} cannot be read: {error.strerror}.") from None
        except ValueError as error:
            raise UnusableError(f"{option}: {name}: {error}.") from None
    return roots, findings


def _verify_all(
    ledger: SqlLedger, roots: Iterable[Root], seen: Callable[[int], object], dates: Chronology
) -> tuple[Verified, list[_Finding]]:
    """Verify the chain and its dates, the documents that records cite, and the database file."""
    damages, first_citing = list[_Finding](), dict[Name, int]()
    by_hash = dict[Name, int]()
    # Read cited documents before the chain: then documents purged meanwhile are not missed, and ones added later can
    # still be looked up.
    documents = _readable(ledger.cited(), "What records cite", damages)
    hashes = {(kind, name): _sha256(content) for kind, name, content in documents}
    links = _noting_citations(_readable(ledger.links(), "The chain", damages), first_citing)

    def inspect(number: int, document: Mapping[str, Any]) -> None:
        dates.check(number, document)
        if "policy_sha256" in document:
            by_hash.setdefault((str(document.get("policy")), str(document["policy_sha256"])), number)

    verified = verify(links, roots, seen, inspect)
    database_findings = [*_database_findings(ledger, damages)]
    findings = [*damages, *database_findings, *_misnamed(hashes, first_citing), *_replaced(hashes, by_hash)]
    findings += (_Finding(record, why) for record, why in dates.findings())
    if verified.wrong is not None:
        findings.append(_Finding(verified.wrong, f"Record {verified.wrong:,} does not fit: {verified.why}."))
    # In a damaged database, what cannot be read need not be missing.
    if not damages:
        findings += _missing(ledger, hashes, first_citing)
    return verified, findings


def _readable(rows: Iterator[Row], what: str, damages: list[_Finding]) -> Iterator[Row]:
    """Yield rows until the database is damaged. The damage becomes a finding."""
    from sqlalchemy.exc import DatabaseError

    try:
        yield from rows
    except DatabaseError as error:
        if not _is_damage(error.orig):
            raise
        damages.append(_Finding(None, f"{what} cannot be read to the end: {first_line(error)}."))


def _database_findings(ledger: SqlLedger, damages: list[_Finding]) -> Iterator[_Finding]:
    """Yield problems that the database finds itself.

    The queries here do not use every index, but export and erase do.
    """
    for damage in _readable(ledger.damages(), "The database", damages):
        yield _Finding(None, f"The database is damaged: {' '.join(damage.split())}.")


def _is_damage(error: BaseException | None) -> bool:
    # Other errors, such as a locked file, say nothing about the records.
    return isinstance(error, sqlite3.DatabaseError) and getattr(error, "sqlite_errorname", "").startswith(
        "SQLITE_CORRUPT"
    )


def _noting_citations(links: Iterable[Link], first_citing: dict[Name, int]) -> Iterator[Link]:
    """Yield links, and record the first one that cites each document."""
    for link in links:
        for field, kind in _CITING.items():
            name = link.columns.get(field)
            if name is not None:
                first_citing.setdefault((kind, name), link.number)
        yield link


def _sha256(content: object) -> str:
    """Return the hash of a document; "" if it is no text, since an SQLite column accepts any type."""
    try:
        return digest(content) if isinstance(content, str) else ""
    except UnicodeEncodeError:
        return ""


def _name_of(kind: str, sha256: str) -> str:
    """Return the name that a document with this hash has: the hash, or for a policy its first digits."""
    return sha256 if kind == "texts" else sha256[:VERSION_DIGITS]


def _misnamed(hashes: Mapping[Name, str], first_citing: Mapping[Name, int]) -> Iterator[_Finding]:
    for (kind, name), sha256 in hashes.items():
        if _name_of(kind, sha256) != name:
            record = first_citing.get((kind, name))
            by = f"Record {record:,} is the first that cites it" if record else "No record cites it"
            what = _CITED[kind]
            yield _Finding(record, f"{what} {name} was changed: it has no longer the hash that it is named by. {by}.")


def _replaced(hashes: Mapping[Name, str], by_hash: Mapping[Name, int]) -> Iterator[_Finding]:
    """Yield policies with the right version but another hash than the records say, which know the whole hash."""
    for (version, sha256), record in by_hash.items():
        stored = hashes.get(("policies", version), sha256)
        if stored != sha256 and _name_of("policies", stored) == version:
            yield _Finding(record, f"Policy {version} is another than the one that record {record:,} was given to.")


def _missing(ledger: Ledger, hashes: Mapping[Name, str], first_citing: Mapping[Name, int]) -> Iterator[_Finding]:
    for (kind, name), record in first_citing.items():
        if (kind, name) not in hashes and asyncio.run(_lookup(ledger, kind, name)) is None:
            yield _Finding(record, f"{_CITED[kind]} {name} is missing. Record {record:,} is the first that cites it.")


async def _lookup(ledger: Ledger, kind: str, name: str) -> object:
    return await (ledger.text(name) if kind == "texts" else ledger.policy(name))


def _as_json(result: _Result) -> dict[str, Any]:
    findings = [asdict(finding) for finding in result.findings]
    return {
        "records": result.verified.records,
        "removed": result.verified.removed,
        "removed_by": result.removed_by,
        # Nobody may keep the root of a chain that does not fit as a good one.
        "root": None if findings else result.root,
        "roots": [
            {"root": str(kept.root), "signed_at": None if kept.signed_at is None else rfc3339(kept.signed_at)}
            for kept in result.roots
        ],
        "findings": findings,
    }


def _in_words(result: _Result) -> Iterator[str]:
    yield from (finding.why for finding in result.findings)
    for kept in result.roots:
        if kept.signed_at is None:
            yield f"The signature of root {kept.root} was not checked: there is no key in {_KEYS}."
        else:
            yield f"Root {kept.root} was signed at {rfc3339(kept.signed_at)}."
    why = ", ".join(f"{count:,} by {reason}" for reason, count in result.removed_by.items() if count)
    removed = f" ({result.verified.removed:,} of them removed{why and ': '}{why})" if result.verified.removed else ""
    if result.findings:
        yield f"The chain itself fits for {counted(result.verified.records, 'record')}{removed}."
    else:
        yield f"All fits: {counted(result.verified.records, 'record')}{removed}, and what they cite."
        yield f"Root: {result.root}"


def _keep_root(path: str, root: str) -> None:
    # Append, so that no earlier root is lost.
    with file_errors(f"--write-root: {path}", "written"), Path(path).open("a", encoding="utf-8") as file:
        file.write(f"{root}\n")


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
