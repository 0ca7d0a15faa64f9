"""What is given to a ledger to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from cookie_consent.policy import canonical_json
from cookie_consent.timestamps import seconds_of

SAID_TWICE = ("record_id", "consent_id", "policy", "text", "prevailing_text")
"""What a ledger keeps of a record a second time, so that it can be found."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A record to keep, and what it cites.

    No text of it has half a character (a lone surrogate), which has no bytes in UTF-8; and what records are found by
    and what they cite has no NUL, which PostgreSQL cannot keep.

    Args:
        document: the record as plain data for JSON, with at least "record_id", "event" and "decided_at" (RFC 3339).
        policies: version -> policy as plain data, for each that the record cites.
        texts: SHA-256 in hexadecimal digits -> text that was shown, for each that the record cites.
        keep_until: when it may be removed, in seconds since 1970; None for never.
        repeat_key: two records with the same key are one, if the second comes while the first is new; "" for none.
        repeat_within: for how long the first counts as new, in seconds.

    Raises:
        ValueError: it cannot be kept; says which text, and why.
    """

    document: Mapping[str, Any]
    policies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    keep_until: int | None = None
    repeat_key: str = ""
    repeat_within: int = 0

    def __post_init__(self) -> None:
        named = {name: self.document.get(name) for name in SAID_TWICE}
        for name, text in {**named, "repeat_key": self.repeat_key, **self.texts}.items():
            if not (text is None or can_be_kept(text)):
                raise ValueError(
                    f"ledger: {name!r} cannot be kept: it is no text, or a NUL or half a character is in it"
                )

    def with_key(self) -> Entry:
        """Return it with a key to repeat it by, so that it is kept once, however often it is tried."""
        return self if self.repeat_key else replace(self, repeat_key=self.document["record_id"])

    @cached_property
    def text(self) -> str:
        """The record as canonical JSON; raises ValueError where JSON cannot say it."""
        try:
            return canonical_json(self.document).decode()
        except ValueError as error:
            raise ValueError(f"ledger: the record cannot be kept: {error}") from None

    @cached_property
    def decided_at(self) -> int:
        """When it was given, in seconds since 1970."""
        return seconds_of(self.document["decided_at"])


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
    """

    records: int
    texts: int
    policies: int
