"""The hash chain of records: shows whether one was changed, left out or inserted later.

Each record has a hash of its own (SHA-256 of its canonical JSON, RFC 8785), and a chain hash that covers it and all
records before it. A removed record leaves both hashes, and a later record states that it was removed, and why.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cookie_consent.base.clock import seconds_of
from cookie_consent.decision.tokens import Signer

SCHEMA = 2
"""The version of the format of a record."""
START = bytes(32)
"""The chain hash before the first record."""
REMOVED = "removed"
"""The event of a record that lists removed records."""
TIMES = ("decided_at", "keep_until")
INDEXED_COLUMNS = ("record_id", "consent_id", "policy", "text", "prevailing_text", *TIMES, "repeat_key")
"""The fields that a ledger also stores in columns: to find a record, to remove it in time, and to recognise a
repeat."""
CITING = {"policy": "policies", "text": "texts", "prevailing_text": "texts"}
"""Field of a record -> the kind of document that it cites."""
_SALT = "cookie_consent.root"
_ROOT = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Link:
    """A record's place in the chain.

    Args:
        number: its number, from 1.
        document: the record as canonical JSON; None if it was removed.
        record_hash: the SHA-256 of that JSON.
        chain_hash: the hash over this record and all before it.
        columns: the indexed fields as stored, in the form of `indexed_columns`.
    """

    number: int
    document: str | None
    record_hash: bytes
    chain_hash: bytes
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Root:
    """The end of a chain at some time. A copy kept elsewhere shows if records are cut off or replaced later.

    Args:
        number: the number of records.
        chain_hash: the chain hash of the last record.
        signed_at: when it was signed, as Unix time in seconds; None if no signature was checked.
    """

    number: int
    chain_hash: bytes
    signed_at: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.number}:{self.chain_hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Root:
        """Parse a root as `str` writes it.

        Raises:
            ValueError: the text is not a root.
        """
        match = _ROOT.fullmatch(text.strip().lower())
        if not match:
            raise ValueError(f"{text[:100]!r} is no root: it is a number, a colon and 64 hexadecimal digits")
        return cls(int(match[1]), bytes.fromhex(match[2]))


class WrongSignatureError(ValueError):
    """A root has no signature, or a wrong one."""


def root_signer(secret_keys: Sequence[str]) -> Signer:
    """Return the signer that signs and verifies roots.

    Args:
        secret_keys: oldest first; the last one signs.

    Raises:
        ValueError: there is no key, or one is shorter than 32 characters.
    """
    return Signer(secret_keys, _SALT)


def sign_root(root: Root, signer: Signer, now: int) -> str:
    """Return the line to keep for a root: the root, the Unix time and the signature."""
    return signer.sign(str(root).encode(), now).decode()


def read_root(line: str, signer: Signer | None) -> Root:
    """Return the root on a line, which `sign_root` made, or which is a root alone.

    Args:
        line: the line.
        signer: verifies the signature; None to skip the check.

    Raises:
        WrongSignatureError: the signature is wrong or missing.
        ValueError: the line contains no root.
    """
    line = line.strip()
    root = Root.parse(line.partition(".")[0])
    if signer is None:
        return root
    signed = signer.read(line.encode(errors="replace"))
    if signed is None:
        raise WrongSignatureError(f"the root {root} does not bear the site's signature")
    return replace(root, signed_at=signed[1])


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification.

    Args:
        records: the number of valid records, removed ones included.
        removed: the number of those that were removed.
        root: the end of the chain.
        wrong: the number of the first invalid record; None if all are valid.
        why: what is wrong with that record; "" if all are valid.
    """

    records: int
    removed: int
    root: Root
    wrong: int | None = None
    why: str = ""


def record_hash(document: str) -> bytes:
    """Return the hash of a record.

    Args:
        document: the record as canonical JSON. Surrogate escapes stand for bytes that are not UTF-8.
    """
    return hashlib.sha256(document.encode(errors="surrogateescape")).digest()


def chain_hash(before: bytes, record: bytes) -> bytes:
    """Return the chain hash of a record.

    Args:
        before: the chain hash of the record before; `START` for the first.
        record: the record's own hash.
    """
    return hashlib.sha256(before + record).digest()


def indexed_columns(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the indexed fields of a record, with times as Unix time in seconds.

    A record without a "repeat_key" has its id as the key.

    Args:
        document: the record as plain data; empty if it was removed.

    Raises:
        TypeError, ValueError, OverflowError: one of its times is invalid.
    """
    columns: dict[str, Any] = {name: document.get(name) for name in INDEXED_COLUMNS}
    for name in TIMES:
        if columns[name] is not None:
            columns[name] = seconds_of(columns[name])
    columns["repeat_key"] = columns["repeat_key"] or columns["record_id"]
    return columns


def is_intact(link: Link) -> bool:
    """Return whether a record matches its hash and is indexed under its own fields."""
    return not _find_content_fault(link, _read(link.document))


def removal(
    record_id: str, reason: str, numbers: Iterable[int], decided_at: str, kept_days: int | None = None
) -> dict[str, Any]:
    """Return the record that lists removed records.

    Args:
        record_id: the id of this record.
        reason: "retention" or "erasure".
        numbers: the numbers of the removed records.
        decided_at: when they were removed, as in RFC 3339.
        kept_days: for how many days at least the removed records were kept after their consents ended; None if unknown.
    """
    keep = {} if kept_days is None else {"kept_days": kept_days}
    return {
        "schema": SCHEMA,
        "record_id": record_id,
        "event": REMOVED,
        "decided_at": decided_at,
        "reason": reason,
        "numbers": ranges(numbers),
        **keep,
    }


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Return numbers as inclusive ranges: 1, 2, 3, 7 -> [[1, 3], [7, 7]]."""
    joined: list[list[int]] = []
    for number in sorted(numbers):
        if joined and number <= joined[-1][1] + 1:
            joined[-1][1] = number
        else:
            joined.append([number, number])
    return joined


def listed_ranges(document: Mapping[str, Any], number: int) -> list[tuple[int, int]]:
    """Return the ranges of numbers that a record lists as removed; empty if they are malformed.

    Args:
        document: the record.
        number: its number. Only earlier records can have been removed.
    """
    try:
        listed = [(max(int(first), 1), min(int(last), number - 1)) for first, last in document["numbers"]]
    except (LookupError, TypeError, ValueError, OverflowError):
        return []
    return [(first, last) for first, last in listed if first <= last]


def verify(
    links: Iterable[Link],
    roots: Iterable[Root] = (),
    inspect: Callable[[int, Mapping[str, Any]], object] = lambda number, document: None,
) -> Verified:
    """Verify a chain from its first record to its last.

    Args:
        links: all links, in order.
        roots: roots of the chain that were kept elsewhere.
        inspect: is called with the number and content of each valid record; the content of a removed one is empty.
    """
    known_hashes: dict[int, set[bytes]] = {}
    for root in roots:
        known_hashes.setdefault(root.number, set()).add(root.chain_hash)
    last = Root(0, START)
    removed = 0
    # For each record, whether it was removed and no later record says so.
    undeclared = bytearray()
    for link in links:
        document = _read(link.document)
        why = _find_fault(last, link, document, known_hashes.get(link.number, set()))
        if why:
            return Verified(last.number, removed, last, last.number + 1, why)
        undeclared.append(link.document is None)
        removed += undeclared[-1]
        if document.get("event") == REMOVED:
            for first, end in listed_ranges(document, link.number):
                undeclared[first - 1 : end] = bytes(end - first + 1)
        inspect(link.number, document)
        last = Root(link.number, link.chain_hash)
    # Cutting off the newest records leaves a valid chain. Only a root that was kept elsewhere shows it.
    longest = max(known_hashes, default=0)
    if longest > last.number:
        why = f"the chain ends here, but a root that was kept elsewhere says that it had {longest} records"
        return Verified(last.number, removed, last, last.number + 1, why)
    if 1 in undeclared:
        why = "it was removed, and no record says by whose right"
        return Verified(last.number, removed, last, undeclared.index(1) + 1, why)
    return Verified(last.number, removed, last)


def _read(document: str | None) -> dict[str, Any]:
    """Return the content of a record; empty if it was removed or is not a JSON object."""
    try:
        content = json.loads(document or "{}")
    except (TypeError, ValueError, RecursionError):  # not text, not JSON, nested too deeply
        return {}
    return content if isinstance(content, dict) else {}


def _find_fault(last: Root, link: Link, document: Mapping[str, Any], known_hashes: set[bytes]) -> str:
    """Return what is wrong with the record after the last valid one; "" if it is valid too."""
    if link.number != last.number + 1:
        return f"it is missing; the next is {link.number}"
    why = _find_content_fault(link, document)
    if not why and chain_hash(last.chain_hash, link.record_hash) != link.chain_hash:
        why = "it is not tied to the records before it"
    if not why and not known_hashes <= {link.chain_hash}:
        why = "a root that was kept elsewhere knows another record here, or others before it"
    return why


def _find_content_fault(link: Link, document: Mapping[str, Any]) -> str:
    """Return what is wrong with a record on its own; "" if nothing is."""
    # SQLite lets a column hold any type.
    stored: object = link.document
    if stored is None:
        matches = isinstance(link.record_hash, bytes)
    else:
        matches = isinstance(stored, str) and record_hash(stored) == link.record_hash
    if not matches:
        return "its text is not the one that was recorded"
    try:
        expected = indexed_columns(document)
    except (TypeError, ValueError, OverflowError):
        return "a time that it says is none"
    for name, value in link.columns.items():
        if expected[name] != value:
            misfiled = f"it is filed under another {name} than it says"
            return "it was removed, but not as a whole" if stored is None else misfiled
    return ""
