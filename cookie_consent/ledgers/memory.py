"""A ledger in memory, for tests and trials. Its records are lost when the process ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from cookie_consent.base.clock import rfc3339
from cookie_consent.ledgers.chain import CITING, START, Link, indexed_columns, removal
from cookie_consent.ledgers.chronology import shortest_keep_days
from cookie_consent.ledgers.entry import Entry, Removal, extend_chain
from cookie_consent.ledgers.requests import Requests
from cookie_consent.policy.policy import canonical_json


class MemoryLedger:
    """A ledger that keeps records in a list."""

    def __init__(self) -> None:
        self._links: list[Link] = []
        self._changes = threading.Lock()
        self._cited: dict[str, dict[str, str]] = {"policies": {}, "texts": {}}
        self._retention_ran: list[int] = []
        self.requests = Requests()

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The stored records as plain data, oldest first."""
        return [json.loads(link.document) for link in self._links if link.document]

    async def append(self, entry: Entry) -> dict[str, Any]:
        """Store a record; return the stored one, or the earlier one that it repeats."""
        with self._changes:
            stored = self._append(entry)
        return dict(json.loads(stored))

    async def records(self, consent_id: str, most: int | None = None) -> list[dict[str, Any]]:
        """Return the records of a consent id, oldest first; only the newest `most` if given."""
        links = [link for link in self._links if link.document and link.columns["consent_id"] == consent_id]
        return [json.loads(link.document or "") for link in links[-(most or len(links)) :]]

    async def count(self, consent_id: str) -> int:
        """Return the number of records of a consent id."""
        return len(await self.records(consent_id))

    async def last(self, consent_id: str) -> dict[str, Any] | None:
        """Return the newest record of a consent id, or None."""
        return next(reversed(await self.records(consent_id)), None)

    async def policy(self, version: str) -> dict[str, Any] | None:
        """Return the policy with this version, or None."""
        document: dict[str, Any] | None = json.loads(self._cited["policies"].get(version, "null"))
        return document

    async def text(self, digest: str) -> str | None:
        """Return the shown text with this SHA-256, or None."""
        return self._cited["texts"].get(digest)

    def size(self) -> int:
        """Return the length of the chain."""
        return len(self._links)

    def links(self) -> Iterator[Link]:
        """Yield the chain from its first record."""
        # A copy, because the list may grow while the caller reads the chain.
        return iter([*self._links])

    def cited(self) -> Iterator[tuple[str, str, str]]:
        """Yield what records cite, as (kind, name, content)."""
        for kind, documents in self._cited.items():
            yield from ((kind, name, content) for name, content in sorted(documents.items()))

    def remove(
        self, *, now: float, make_id: Callable[[], str], consent_id: str | None = None, dry_run: bool = False
    ) -> Removal:
        """Remove the records of a consent id, or those that are due."""
        with self._changes:
            links = [_empty(link) if _is_due(link.columns, now, consent_id) else link for link in self._links]
            gone = [link for link, left in zip(self._links, links, strict=True) if link is not left]
            names = {link.columns[name] for link in links for name in CITING}
            cited = {
                kind: {name: content for name, content in documents.items() if name in names}
                for kind, documents in self._cited.items()
            }
            removed = {kind: len(self._cited[kind]) - len(cited[kind]) for kind in cited}
            if not dry_run:
                self._links = links
                self._cited = cited
                self._note_removal(gone, int(now), "retention" if consent_id is None else "erasure", make_id)
        return Removal(len(gone), **removed)

    def last_removal(self, until: float | None = None) -> float | None:
        """Return the Unix time at which due records were last removed, or None."""
        return max((time for time in self._retention_ran if until is None or time <= until), default=None)

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _append(self, entry: Entry) -> str:
        last = self._links[-1].chain_hash if self._links else START
        stored = (
            (entry.columns["repeat_key"], link.columns["decided_at"], link.document)
            for link in self._links
            if link.document and link.columns["repeat_key"] == entry.columns["repeat_key"]
        )
        (kept,), links = extend_chain(len(self._links), last, stored, [entry])
        policies = {version: canonical_json(policy).decode() for version, policy in entry.policies.items()}
        given = {"policies": policies, "texts": entry.texts}
        cited = {kind: {**given[kind], **documents} for kind, documents in self._cited.items()}
        for name, kind in CITING.items():
            if links and entry.columns[name] not in {None, *cited[kind]}:
                raise ValueError(f"ledger: the record cites what is neither kept nor given: {entry.columns[name]}")
        self._links += links
        self._cited = cited
        return kept

    def _note_removal(self, gone: list[Link], now: int, reason: str, make_id: Callable[[], str]) -> None:
        if reason == "retention":
            self._retention_ran.append(now)
        if gone:
            kept_days = shortest_keep_days(link.document for link in gone) if reason == "retention" else None
            numbers = [link.number for link in gone]
            self._append(Entry(document=removal(make_id(), reason, numbers, rfc3339(now), kept_days)))


def _is_due(columns: Mapping[str, Any], now: float, consent_id: str | None) -> bool:
    if consent_id is not None:
        return bool(columns["consent_id"] == consent_id)
    return columns["keep_until"] is not None and bool(columns["keep_until"] <= now)


def _empty(link: Link) -> Link:
    return replace(link, document=None, columns=indexed_columns({}))
