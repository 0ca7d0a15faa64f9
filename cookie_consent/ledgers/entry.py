"""What a ledger stores: a consent record with what it cites, and the result of a removal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cookie_consent.ledgers.chain import INDEXED_COLUMNS, TIMES, Link, chain_hash, indexed_columns, record_hash
from cookie_consent.policy.policy import canonical_json


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A consent record to store, with the policies and texts it cites.

    The consent id, the other indexed fields and the texts must be storable in every database: no lone surrogates, which
    UTF-8 cannot encode, and no NUL, which PostgreSQL rejects.

    Args:
        document: the record as plain data for JSON, with at least "record_id", "event" and "decided_at". Times are
            strings as in RFC 3339. A record with the "repeat_key" of a recent one counts as a repeat and is not stored.
            A record with a "keep_until" is removed at that time.
        policies: version -> policy as plain data, for each policy that the record cites.
        texts: SHA-256 in hexadecimal -> text, for each shown text that the record cites.
        repeat_within: how long a record counts as recent, in seconds.

    Raises:
        ValueError: a field or text cannot be stored; the message names it.
    """

    document: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    repeat_within: int = 0

    def __post_init__(self) -> None:
        indexed = {name: self.document.get(name) for name in INDEXED_COLUMNS if name not in TIMES}
        for name, text in {**indexed, **self.texts}.items():
            if not (text is None or can_be_kept(text)):
                raise ValueError(
                    f"ledger: {name!r} cannot be kept: it is no text, or a NUL or half a character is in it"
                )

    @cached_property
    def text(self) -> str:
        """The record as canonical JSON (RFC 8785).

        Raises:
            ValueError: the record cannot be expressed in JSON.
        """
        try:
            return canonical_json(self.document).decode()
        except ValueError as error:
            raise ValueError(f"ledger: the record cannot be kept: {error}") from None

    @cached_property
    def columns(self) -> Mapping[str, Any]:
        """The fields that a ledger indexes in columns, with times as Unix time in seconds."""
        return indexed_columns(self.document)

    @property
    def repeated_since(self) -> int:
        """The Unix time since which a record with the same "repeat_key" counts as this one, in seconds."""
        return int(self.columns["decided_at"]) - self.repeat_within


def extend_chain(
    number: int, last: bytes, stored: Iterable[tuple[str, int, str]], entries: Sequence[Entry]
) -> tuple[list[str], list[Link]]:
    """Return the JSON of the record that each entry becomes, which is an earlier one if it repeats that; and new links.

    Args:
        number: the number of the last record.
        last: its chain hash.
        stored: the repeat key, time and JSON of stored records, oldest first; at least of those with the entries' keys.
        entries: the records to append.
    """
    known = defaultdict[str, list[tuple[int, str]]](list)
    for key, decided_at, document in stored:
        known[key].append((decided_at, document))
    kept = list[str]()
    links = list[Link]()
    for entry in entries:
        alike = known[entry.columns["repeat_key"]]
        first = next((document for decided_at, document in alike if decided_at >= entry.repeated_since), None)
        if first is None:
            first = entry.text
            own = record_hash(first)
            last = chain_hash(last, own)
            links.append(Link(number + len(links) + 1, first, own, last, entry.columns))
            alike.append((entry.columns["decided_at"], first))
        kept.append(first)
    return kept, links


def can_be_kept(text: object) -> bool:
    """Return whether every supported database can store this value as text."""
    try:
        return isinstance(text, str) and b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True, slots=True)
class Removal:
    """The result of a removal, or of its dry run.

    Args:
        records: the number of records removed.
        texts: the number of texts removed because no record cites them any more.
        policies: the number of policies removed for the same reason.
        misfiled: the number of due records that were left in place because their content or index does not match what
            was recorded. `cookie-consent verify` names the first.
    """

    records: int
    texts: int
    policies: int
    misfiled: int = 0
