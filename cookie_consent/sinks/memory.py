"""Access records in memory, for tests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


class MemorySink:
    """Keeps records in a list.

    Attributes:
        records: the records, oldest first.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def write(self, line: bytes) -> None:
        """Take one record."""
        self.records.append(json.loads(line))

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

    def stats(self) -> Mapping[str, int]:
        """Return counters."""
        return {"written": len(self.records)}
