"""Requests to the help desk: kept beside the records until they are answered, and for a set time after."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from cookie_consent.base.clock import rfc3339
from cookie_consent.policy.parts import RequestRules

KINDS = ("see", "correct", "erase", "complain")
"""What a request is about: access, rectification or erasure (GDPR Articles 15 to 17), or a complaint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskRequest:
    """A request or complaint. `ledgers/glossary.py` says what its fields mean. Times are Unix time in seconds."""

    reference: str
    kind: str
    text: str
    address: str | None
    language: str
    consent_id: str | None
    created_at: int
    due_at: int
    answer: str | None = None
    ended_at: int | None = None

    def document(self) -> dict[str, Any]:
        """Return everything that is kept, and its state, as plain data for JSON."""
        fields = asdict(self) | {"created_at": rfc3339(self.created_at), "due_at": rfc3339(self.due_at)}
        if self.ended_at is None:
            return fields | {"state": "open"}
        state = "closed" if self.answer is None else "answered"
        return fields | {"ended_at": rfc3339(self.ended_at), "state": state}


class Requests:
    """Requests in memory, for tests and trials. A ledger in a database overrides all methods; they may block."""

    def __init__(self) -> None:
        self._kept: dict[str, DeskRequest] = {}

    def add(self, request: DeskRequest) -> None:
        """Keep a request. One with the same reference stays as it is."""
        self._kept.setdefault(request.reference, request)

    def listed(self, consent_id: str | None = None) -> list[DeskRequest]:
        """Return all requests, or those of a consent id: open ones first, the earliest due date first."""
        found = [request for request in self._kept.values() if consent_id in (None, request.consent_id)]
        return sorted(found, key=lambda request: (request.ended_at is not None, request.due_at, request.reference))

    def end(self, reference: str, now: float, answer: str | None = None) -> bool:
        """Answer an open request, or close it without an answer; return whether there was one."""
        request = self._kept.get(reference)
        if request is None or request.ended_at is not None:
            return False
        self._kept[reference] = replace(request, answer=answer, ended_at=int(now))
        return True

    def erase(self, consent_id: str) -> int:
        """Erase the requests of a consent id, open ones included; return how many."""
        erased = self.listed(consent_id)
        for request in erased:
            del self._kept[request.reference]
        return len(erased)

    def purge(self, *, now: float, rules: RequestRules, dry_run: bool = False) -> dict[str, int]:
        """Delete requests, and mail addresses of others, a set time after their end; return how many of each."""
        left: dict[str, DeskRequest] = {}
        for request in self._kept.values():
            age = -1.0 if request.ended_at is None else now - request.ended_at
            if age < rules.keep.total_seconds():
                is_recent = age < rules.keep_address.total_seconds()
                left[request.reference] = request if is_recent else replace(request, address=None)
        changed = [request for request in left.values() if request != self._kept[request.reference]]
        counts = {"requests": len(self._kept) - len(left), "addresses": len(changed)}
        if not dry_run:
            self._kept = left
        return counts
