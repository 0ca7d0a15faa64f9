"""A ledger in memory, for tests and trials. Its records are lost when the process ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from cookie_consent.base.clock import rfc3339
from cookie_consent.ledgers.chain import START, Link, chain_hash, record_hash, removal
from cookie_consent.ledgers.chronology import shortest_keep_days
from cookie_consent.ledgers.entry import Entry, Removal
from cookie_consent.ledgers.requests import Requests
from cookie_consent.policy.policy import canonical_json

_CITING = ("policy", "text", "prevailing_text")


@dataclass(frozen=True, slots=True)
class _Row:
    link: Link
    entry: Entry | None


class MemoryLedger:
    """A ledger that keeps records in a list."""

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._changes = threading.Lock()
        self._policies: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._looked: list[int] = []
        self.requests = Requests()

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The stored records as plain data, oldest first."""
        return [json.loads(row.entry.text) for row in self._rows if row.entry]

    async def append(self, entry: Entry) -> dict[str, Any]:
        """Store a record; return the stored one, or the earlier one that it repeats."""
        with self._changes:
            stored = self._first(entry) or self._add(entry)
        return dict(json.loads(stored.text))

    async def records(self, consent_id: str, most: int | None = None) -> list[dict[str, Any]]:
        """Return the records of a consent id, oldest first; only the newest `most` if given."""
        records = [record for record in self.kept if record.get("consent_id") == consent_id]
        return records if most is None else records[-most:]

    async def count(self, consent_id: str) -> int:
        """Return the number of records of a consent id."""
        return len(await self.records(consent_id))

    async def last(self, consent_id: str) -> dict[str, Any] | None:
        """Return the newest record of a consent id, or None."""
        return next(reversed(await self.records(consent_id)), None)

    async def policy(self, version: str) -> dict[str, Any] | None:
        """Return the policy with this version, or None."""
        text = self._policies.get(version)
        return None if text is None else dict(json.loads(text))

    async def text(self, digest: str) -> str | None:
        """Return the shown text with this SHA-256, or None."""
        return self._texts.get(digest)

    def size(self) -> int:
        """Return the length of the chain."""
        return len(self._rows)

    def links(self) -> Iterator[Link]:
        """Yield the chain from its first record."""
        # A copy, because the list may grow while the caller reads the chain.
        return iter([row.link for row in self._rows])

    def cited(self) -> Iterator[tuple[str, str, str]]:
        """Yield what records cite, as (kind, name, content)."""
        yield from (("policies", version, policy) for version, policy in sorted(self._policies.items()))
        yield from (("texts", digest, text) for digest, text in sorted(self._texts.items()))

    def remove(
        self, *, now: float, make_id: Callable[[], str], consent_id: str | None = None, dry_run: bool = False
    ) -> Removal:
        """Remove the records of a consent id, or those that are due."""
        with self._changes:
            numbers = [row.link.number for row in self._rows if row.entry and _is_due(row.entry, now, consent_id)]
            remaining = (row.entry for row in self._rows if row.entry and not _is_due(row.entry, now, consent_id))
            cited = {name for entry in remaining for name in _cited(entry)}
            policies, texts = self._policies.keys() - cited, self._texts.keys() - cited
            if not dry_run:
                kept_days = (
                    None
                    if consent_id
                    else shortest_keep_days(self._rows[number - 1].link.document for number in numbers)
                )
                self._empty(numbers, policies | texts)
                reason = "retention" if consent_id is None else "erasure"
                if reason == "retention":
                    self._looked.append(int(now))
                if numbers:
                    self._add(Entry(document=removal(make_id(), reason, numbers, rfc3339(now), kept_days)))
        return Removal(len(numbers), len(texts), len(policies))

    def last_removal(self, until: float | None = None) -> float | None:
        """Return the Unix time at which due records were last removed, or None."""
        return max((time for time in self._looked if until is None or time <= until), default=None)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _first(self, entry: Entry) -> Entry | None:
        since = entry.decided_at - entry.repeat_within
        for row in self._rows:
            first = row.entry
            if first and first.idempotency_key == entry.idempotency_key and first.decided_at >= since:
                return first
        return None

    def _add(self, entry: Entry) -> Entry:
        before = self._rows[-1].link.chain_hash if self._rows else START
        hash_ = record_hash(entry.text)
        link = Link(len(self._rows) + 1, entry.text, hash_, chain_hash(before, hash_), entry.columns)
        policies = {version: canonical_json(policy).decode() for version, policy in entry.policies.items()}
        unknown = _cited(entry) - {*policies, *entry.texts, *self._policies, *self._texts}
        if unknown:
            raise ValueError(f"ledger: the record cites what is neither kept nor given: {', '.join(sorted(unknown))}")
        self._rows.append(_Row(link, entry))
        self._policies = policies | self._policies
        self._texts = {**entry.texts, **self._texts}
        return entry

    def _empty(self, numbers: list[int], names: set[str]) -> None:
        for number in numbers:
            self._rows[number - 1] = _Row(replace(self._rows[number - 1].link, document=None, columns={}), None)
        self._policies = {name: policy for name, policy in self._policies.items() if name not in names}
        self._texts = {name: text for name, text in self._texts.items() if name not in names}


def _cited(entry: Entry) -> set[str]:
    return {name for column in _CITING if (name := entry.document.get(column))}


def _is_due(entry: Entry, now: float, consent_id: str | None) -> bool:
    if consent_id is not None:
        return entry.document.get("consent_id") == consent_id
    return entry.keep_until is not None and entry.keep_until <= now
