"""Records in a hash chain: one that is changed, left out or slipped in later no longer fits.

Each record has a hash of its own (SHA-256 of its canonical JSON, RFC 8785), and a hash that ties it to all before it. A
record that was removed leaves its hashes, and the chain says in a later record that it was removed, and why.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cookie_consent.base.dates import seconds_of

SCHEMA = 2
"""The version of what a record holds."""
START = bytes(32)
"""What the first record is tied to."""
REMOVED = "removed"
"""The event of a record that says which records were removed."""
TIMES = ("decided_at", "keep_until")
INDEXED_COLUMNS = ("record_id", "consent_id", "policy", "text", "prevailing_text", *TIMES, "repeat_key")
"""What a ledger keeps of a record a second time, in columns: to find it, remove it in time, and know it again."""
_ROOT = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Link:
    """A record's place in the chain.

    Args:
        number: its place, from 1.
        document: the record as canonical JSON; None where it was removed.
        record_hash: the SHA-256 of that text.
        chain_hash: what ties it to all records before it.
        columns: what is kept of it a second time, as `indexed_columns` returns it.
    """

    number: int
    document: str | None
    record_hash: bytes
    chain_hash: bytes
    columns: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Root:
    """The end of a chain at some time: kept elsewhere, it shows when records were cut off or replaced.

    Args:
        number: how many records there were.
        chain_hash: the hash that ties the last of them to all before it.
    """

    number: int
    chain_hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.chain_hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Root:
        """Return the root that a text says.

        Raises:
            ValueError: it says none.
        """
        said = _ROOT.fullmatch(text.strip().lower())
        if not said:
            raise ValueError(f"{text[:100]!r} is no root: it is a number, a colon and 64 hexadecimal digits")
        return cls(int(said[1]), bytes.fromhex(said[2]))


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of a verification.

    Args:
        records: how many records fit, those included that were removed.
        removed: how many of them were removed.
        root: the end of the chain.
        wrong: the number of the first record that does not fit; None where all do.
        why: what is wrong with it; "" where nothing is.
    """

    records: int
    removed: int
    root: Root
    wrong: int | None = None
    why: str = ""


def record_hash(document: str) -> bytes:
    """Return the hash of a record, given as canonical JSON; bytes that are no UTF-8 may stand in it as surrogates."""
    return hashlib.sha256(document.encode(errors="surrogateescape")).digest()


def chain_hash(before: bytes, own: bytes) -> bytes:
    """Return the hash that ties a record to all before it.

    Args:
        before: the chain hash of the record before; `START` for the first.
        own: the record's own hash.
    """
    return hashlib.sha256(before + own).digest()


def indexed_columns(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a ledger keeps of a record a second time: times in seconds since 1970; without a key, its id is one.

    Args:
        document: the record as plain data; empty where it was removed.

    Raises:
        TypeError, ValueError, OverflowError: a time of it is none.
    """
    said: dict[str, Any] = {name: document.get(name) for name in INDEXED_COLUMNS}
    for name in TIMES:
        if said[name] is not None:
            said[name] = seconds_of(said[name])
    said["repeat_key"] = said["repeat_key"] or said["record_id"]
    return said


def agrees(link: Link) -> bool:
    """Return whether a record is the one that was recorded, and is filed under what it says."""
    return not _disagreement(link, _read(link.document))


def removal(
    record_id: str, reason: str, numbers: Iterable[int], decided_at: str, kept_days: int | None = None
) -> dict[str, Any]:
    """Return the record that says which records were removed.

    Args:
        record_id: its own id.
        reason: "retention" or "erasure".
        numbers: the places of the records that were removed.
        decided_at: when (RFC 3339).
        kept_days: the shortest time for which the policies of records that were due kept them after the end of a
            consent; None where that is not known.
    """
    said = {} if kept_days is None else {"kept_days": kept_days}
    return {
        "schema": SCHEMA,
        "record_id": record_id,
        "event": REMOVED,
        "decided_at": decided_at,
        "reason": reason,
        "numbers": ranges(numbers),
        **said,
    }


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Return numbers as ranges with both their ends: 1, 2, 3, 7 -> [[1, 3], [7, 7]]."""
    return _joined([number, number] for number in numbers)


def verify(
    links: Iterable[Link],
    roots: Iterable[Root] = (),
    progress: Callable[[int], object] = lambda number: None,
    look: Callable[[int, Mapping[str, Any]], object] = lambda number, document: None,
) -> Verified:
    """Verify a chain from its first record to its last.

    Args:
        links: all of them, in their order.
        roots: ends of the chain that were kept elsewhere.
        progress: is told, now and then, how many records were looked at.
        look: is told each record that fits: its number, and what it says; nothing where it was removed.
    """
    known = _by_number(roots)
    last, removed = Root(0, START), 0
    gone: list[list[int]] = []
    said: list[list[int]] = []
    for link in links:
        document = _read(link.document)
        why = _what_is_wrong(last, link, document) or _who_knows_better(link, known.get(link.number, set()))
        if why:
            return Verified(last.number, removed, last, last.number + 1, why)
        if link.document is None:
            removed += 1
            _add(gone, link.number, link.number)
        elif document.get("event") == REMOVED:
            said += said_removed(document, link.number)
        look(link.number, document)
        last = Root(link.number, link.chain_hash)
        if link.number % 1000 == 0:
            progress(link.number)
    progress(last.number)
    missing = max((number for number in known if number > last.number), default=0)
    if missing:
        why = f"the chain ends here, but a root that was kept elsewhere says that it had {missing} records"
        return Verified(last.number, removed, last, last.number + 1, why)
    unsaid = _first_outside(gone, said)
    if unsaid is not None:
        why = "it was removed, and no record says by whose right"
        return Verified(last.number, removed, last, unsaid, why)
    return Verified(last.number, removed, last)


def _by_number(roots: Iterable[Root]) -> dict[int, set[bytes]]:
    known: dict[int, set[bytes]] = {}
    for root in roots:
        known.setdefault(root.number, set()).add(root.chain_hash)
    return known


def _read(document: str | None) -> dict[str, Any]:
    """Return what a record says; nothing where it was removed or is none."""
    try:
        said = json.loads(document or "{}")
    except (TypeError, ValueError, RecursionError):  # no text, no JSON, no end of brackets
        return {}
    return said if isinstance(said, dict) else {}


def said_removed(document: Mapping[str, Any], own: int) -> list[list[int]]:
    """Return the places that a record says were removed, as ranges; only those before its own can have been.

    Args:
        document: the record; one that says no numbers as they should be says none.
        own: its place.
    """
    try:
        return [[int(first), min(int(last), own - 1)] for first, last in document["numbers"]]
    except (LookupError, TypeError, ValueError):
        return []


def _what_is_wrong(last: Root, link: Link, document: Mapping[str, Any]) -> str:
    """Return what is wrong with the record after the last that fits; "" where it fits too."""
    if link.number != last.number + 1:
        return f"it is missing; the next is {link.number}"
    why = _disagreement(link, document)
    if not why and chain_hash(last.chain_hash, link.record_hash) != link.chain_hash:
        why = "it is not tied to the records before it"
    return why


def _disagreement(link: Link, document: Mapping[str, Any]) -> str:
    """Return what is wrong with a record by itself; "" where nothing is."""
    if not _is_of_its_hash(link.document, link.record_hash):
        return "its text is not the one that was recorded"
    try:
        said = indexed_columns(document)
    except (TypeError, ValueError, OverflowError):
        return "a time that it says is none"
    for name, value in link.columns.items():
        if said[name] != value:
            as_a_whole = f"it is filed under another {name} than it says"
            return "it was removed, but not as a whole" if link.document is None else as_a_whole
    return ""


def _is_of_its_hash(document: object, own: object) -> bool:
    """Return whether a record is the one that was recorded. SQLite takes values of any kind in place of both."""
    if document is None:
        return isinstance(own, bytes)
    return isinstance(document, str) and record_hash(document) == own


def _who_knows_better(link: Link, known: set[bytes]) -> str:
    """Return what a root that was kept elsewhere has against a record; "" where it knows the same."""
    if known <= {link.chain_hash}:
        return ""
    return "a root that was kept elsewhere knows another record here, or others before it"


def _add(to: list[list[int]], first: int, last: int) -> None:
    """Add a range behind those that are there; joined where they touch."""
    if to and first <= to[-1][1] + 1:
        to[-1][1] = max(to[-1][1], last)
    else:
        to.append([first, last])


def _joined(found: Iterable[list[int]]) -> list[list[int]]:
    joined: list[list[int]] = []
    for first, last in sorted(found):
        _add(joined, first, last)
    return joined


def _first_outside(gone: list[list[int]], said: list[list[int]]) -> int | None:
    """Return the first number of some ranges that is in none of the others."""
    covering = _joined(said)
    begins = [first for first, _ in covering]
    for first, last in gone:
        place = bisect_right(begins, first) - 1
        end = covering[place][1] if place >= 0 else 0
        if end < last:
            return max(first, end + 1)
    return None
