"""Consent records in memory, for tests and trials: gone with the process."""

from __future__ import annotations

from typing import Any

from cookie_consent.policy import Policy
from cookie_consent.receipt import document
from cookie_consent.record import ConsentRecord


class MemoryLedger:
    """Keeps records in a list.

    Attributes:
        kept: the records as plain data, oldest first.
    """

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self._policies: dict[str, dict[str, Any]] = {}

    async def append(self, record: ConsentRecord, policy: Policy) -> None:
        """Keep a record."""
        self._policies[policy.version] = policy.document()
        self.kept.append(document(record))

    async def records(self, consent_id: str) -> list[dict[str, Any]]:
        """Return the records of one consent id, oldest first."""
        return [record for record in self.kept if record["consent_id"] == consent_id]

    async def policy(self, version: str) -> dict[str, Any] | None:
        """Return a policy that somebody answered to."""
        return self._policies.get(version)
