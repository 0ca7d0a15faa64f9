"""The ledger of tests that need one which fails, hangs, or says how it was called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from inspect import isawaitable
from typing import Any

from cookie_consent.ledgers import Entry, MemoryLedger, Removal

Fault = Exception | Callable[[], Any] | None


class FaultyLedger(MemoryLedger):
    """A ledger in memory that notes its calls, and has a fault in some methods.

    Args:
        fault: an error to raise, or a function to call and await before the method does its work; None for no fault.
        methods: the names of the methods that have the fault.

    Attributes:
        loses_replies: whether a record is kept, while the reply that says so is lost.
    """

    def __init__(self, fault: Fault = None, methods: Collection[str] = ("append", "records")) -> None:
        super().__init__()
        self.fault = fault
        self.methods = methods
        self.calls: list[tuple[str, Any]] = []
        self.loses_replies = False

    def arguments(self, method: str) -> list[Any]:
        """Return the first argument of each call of a method."""
        return [argument for name, argument in self.calls if name == method]

    async def append(self, entry: Entry) -> dict[str, Any]:
        await self._call("append", entry)
        kept = await super().append(entry)
        if self.loses_replies:
            raise ConnectionError("the connection is gone")
        return kept

    async def records(self, consent_id: str, most: int | None = None) -> list[dict[str, Any]]:
        await self._call("records", consent_id)
        return await super().records(consent_id, most)

    async def last(self, consent_id: str) -> dict[str, Any] | None:
        await self._call("last", consent_id)
        return next(reversed(await super().records(consent_id)), None)

    async def policy(self, version: str) -> dict[str, Any] | None:
        await self._call("policy", version)
        return await super().policy(version)

    async def text(self, digest: str) -> str | None:
        await self._call("text", digest)
        return await super().text(digest)

    def remove(
        self, *, now: float, make_id: Callable[[], str], consent_id: str | None = None, dry_run: bool = False
    ) -> Removal:
        self._begin("remove", now)
        return super().remove(now=now, make_id=make_id, consent_id=consent_id, dry_run=dry_run)

    async def _call(self, method: str, argument: Any) -> None:
        waits = self._begin(method, argument)
        if isawaitable(waits):
            await waits

    def _begin(self, method: str, argument: Any) -> Awaitable[Any] | None:
        self.calls.append((method, argument))
        if method not in self.methods or self.fault is None:
            return None
        if isinstance(self.fault, Exception):
            raise self.fault
        done: Awaitable[Any] | None = self.fault()
        return done
