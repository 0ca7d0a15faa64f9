"""What is given to a ledger to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cookie_consent.ledgers.chain import INDEXED_COLUMNS, TIMES, indexed_columns
from cookie_consent.policy.policy import canonical_json


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A record to keep, and what it cites.

    No text of it has half a character (a lone surrogate), which has no bytes in UTF-8; and what records are found by
    and what they cite has no NUL, which PostgreSQL cannot keep.

    Args:
        document: the record as plain data for JSON, with at least "record_id", "event" and "decided_at"; times as in
            RFC 3339. Two records with the same "repeat_key" are one, if the second comes while the first is new; and
            one with a "keep_until" is removed then.
        policies: version -> policy as plain data, for each that the record cites.
        texts: SHA-256 in hexadecimal digits -> text that was shown, for each that the record cites.
        repeat_within: for how long the first of two with the same key counts as new, in seconds.

    Raises:
        ValueError: it cannot be kept; says which text, and why.
    """

    document: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    repeat_within: int = 0

    def __post_init__(self) -> None:
        named = {name: self.document.get(name) for name in INDEXED_COLUMNS if name not in TIMES}
        for name, text in {**named, **self.texts}.items():
            if not (text is None or can_be_kept(text)):
                raise ValueError(
                    f"ledger: {name!r} cannot be kept: it is no text, or a NUL or half a character is in it"
                )

    @cached_property
    def text(self) -> str:
        """The record as canonical JSON; raises ValueError where JSON cannot say it."""
        try:
            return canonical_json(self.document).decode()
        except ValueError as error:
            raise ValueError(f"ledger: the record cannot be kept: {error}") from None

    @cached_property
    def columns(self) -> Mapping[str, Any]:
        """What a ledger keeps of the record a second time: times in seconds since 1970."""
        return indexed_columns(self.document)

    @property
    def decided_at(self) -> int:
        """When it was given, in seconds since 1970."""
        return int(self.columns["decided_at"])

    @property
    def keep_until(self) -> int | None:
        """When it is removed, in seconds since 1970; None for never."""
        until: int | None = self.columns["keep_until"]
        return until

    @property
    def idempotency_key(self) -> str:
        """What it is known again by, so that it is kept once, however often it is tried; stored as "repeat_key"."""
        return str(self.columns["repeat_key"])


def can_be_kept(text: object) -> bool:
    """Return whether every database can keep a text as it is."""
    try:
        return isinstance(text, str) and b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, or would be.

    Args:
        records: how many records.
        texts: how many texts that no record cites any longer.
        policies: how many policies, likewise.
        misfiled: how many records stay whose time it is, since they are not as they were recorded, or are filed under
            something else than they say; `cookie-consent verify` names the first.
    """

    records: int
    texts: int
    policies: int
    misfiled: int = 0
