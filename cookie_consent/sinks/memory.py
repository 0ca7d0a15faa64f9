"""A sink in memory, for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any


class MemorySink:
    """Keeps records in a list.

    Attributes:
        records: the records, oldest first.
        counts: the counts, oldest first.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.counts: list[dict[str, Any]] = []
        self._lock = Lock()  # a server removes and erases in threads, while it writes

    def write(self, line: bytes) -> None:
        """Take an access record."""
        with self._lock:
            self.records.append(json.loads(line))

    def count(self, line: bytes) -> None:
        """Take a count."""
        with self._lock:
            self.counts.append(json.loads(line))

    def close(self) -> None:
        """Do nothing: nothing is buffered."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor."""
        return (record for record in self.records if record["visitor.id"] == visitor_id)

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor; return how many."""
        with self._lock:
            before = len(self.records)
            self.records = [record for record in self.records if record["visitor.id"] != visitor_id]
            return before - len(self.records)

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove what is older than `keep`; return how many records."""
        oldest = (datetime.fromtimestamp(now, UTC) - keep).isoformat()
        with self._lock:
            remaining = [record for record in self.records if record["time"] >= oldest]
            due = len(self.records) - len(remaining)
            if not dry_run:
                self.records, self.counts = remaining, [count for count in self.counts if count["time"] >= oldest]
        return due

    def stats(self) -> Mapping[str, int]:
        """Return the number of records "written"."""
        return {"written": len(self.records)}
