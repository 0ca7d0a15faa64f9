"""Access records in memory, for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any


class MemorySink:
    """Keeps records in a list.

    Attributes:
        records: the records, oldest first.
        counts: the counts, likewise.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.counts: list[dict[str, Any]] = []

    def write(self, line: bytes) -> None:
        """Take one record."""
        self.records.append(json.loads(line))

    def count(self, line: bytes) -> None:
        """Take one count."""
        self.counts.append(json.loads(line))

    def close(self) -> None:
        """Nothing is held back."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor."""
        return (record for record in self.records if record["visitor.id"] == visitor_id)

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor and return how many there were."""
        before = len(self.records)
        self.records = [record for record in self.records if record["visitor.id"] != visitor_id]
        return before - len(self.records)

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove what is older than `keep` and return how many records that are."""
        first = (datetime.fromtimestamp(now, UTC) - keep).isoformat()
        young = [record for record in self.records if record["time"] >= first]
        due = len(self.records) - len(young)
        if not dry_run:
            self.records, self.counts = young, [count for count in self.counts if count["time"] >= first]
        return due

    def stats(self) -> Mapping[str, int]:
        """Return counters."""
        return {"written": len(self.records)}
