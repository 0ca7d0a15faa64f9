"""Where consent records are kept as proof: append-only."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from cookie_consent.ledgers.memory import MemoryLedger
from cookie_consent.ledgers.sqlite import SqliteLedger
from cookie_consent.policy import Policy
from cookie_consent.record import ConsentRecord

__all__ = ["Ledger", "MemoryLedger", "SqliteLedger", "open_ledger"]


@runtime_checkable
class Ledger(Protocol):
    """Keeps consent records. What it cannot keep it refuses, by raising: then the answer is not taken."""

    async def append(self, record: ConsentRecord, policy: Policy) -> None:
        """Keep a record, and the policy that was answered to. Raises whatever went wrong."""

    async def records(self, consent_id: str) -> list[dict[str, Any]]:
        """Return the records of one consent id, oldest first."""

    async def policy(self, version: str) -> dict[str, Any] | None:
        """Return a policy that somebody answered to, as plain data, or None."""


def open_ledger(url: str) -> Ledger:
    """Return the ledger for a URL.

    Args:
        url: "sqlite:///" and the path of a file.

    Raises:
        ValueError: there is no ledger for such a URL, or it cannot be opened.
    """
    scheme, colon, path = url.partition(":///")
    if not colon or scheme != "sqlite" or not path:
        raise ValueError(f'ledger: there is no ledger for "{url}". Write "sqlite:///consent.db", or pass a Ledger.')
    return SqliteLedger(path)
