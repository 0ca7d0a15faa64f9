"""Requests to the help desk: stored beside the records until answered, and for a set time after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cookie_consent.base.clock import DAY, HOUR, is_future
from cookie_consent.ledgers.desk_request import DeskRequest, NotStored
from cookie_consent.policy.declarations import RequestRules

MAX_OPEN = 5
"""The limit of open requests from one consent id."""
MAX_PER_DAY = 10
"""The limit of requests from one consent id within a day."""
MAX_PER_HOUR = 200
"""The limit of requests from all visitors together within an hour."""
MAX_BEFORE_STRANGERS_WAIT = 100
"""The same limit for visitors who have no consent answer, or a new one."""
_HOURLY_LIMITS = ((7 * DAY, MAX_PER_HOUR), (DAY, 170), (600, 140), (0, MAX_BEFORE_STRANGERS_WAIT))
"""Minimum age of the visitor's consent answer (seconds) -> limit of requests within an hour for such visitors. A flood
from freshly made cookies thus leaves room for visitors who answered earlier."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge deleted, or would delete.

    Args:
        requests: the number of requests.
        addresses: the number of mail addresses, of requests that stay.
    """

    requests: int
    addresses: int


class Requests(Protocol):
    """A store of requests to the help desk. A store that cannot keep a request raises."""

    async def add(self, request: DeskRequest, *, age: float = 0) -> NotStored | None:
        """Store a new request; return the reason if it was not stored.

        A request is not stored if its form was used before or too many have come.

        Args:
            request: the new request.
            age: seconds since the visitor gave the current consent answer; 0 without one.
        """

    async def find(self, reference: str) -> DeskRequest | None:
        """Return the request with this reference, or None."""

    async def of(self, consent_id: str) -> list[DeskRequest]:
        """Return the requests of a consent id, newest first."""

    def listed(self) -> list[DeskRequest]:
        """Return all requests: open ones first, the earliest due date first.

        Call it in a thread: this and all methods below may block.
        """

    def answer(self, reference: str, text: str, now: float) -> bool:
        """Answer an open request; return whether there was one with this reference."""

    def close(self, reference: str, now: float) -> bool:
        """Close a request, answered or not; return whether there was one that was not closed yet."""

    def export(self, consent_id: str) -> list[dict[str, Any]]:
        """Return everything stored about the requests of a consent id as plain data for JSON, newest first."""

    def erase(self, consent_id: str) -> int:
        """Erase the requests of a consent id, open ones included; return how many."""

    def purge(self, *, now: float, rules: RequestRules, dry_run: bool = False) -> Purged:
        """Delete the requests and mail addresses whose retention has ended.

        Retention runs from when a request was answered, or closed without one.

        Args:
            now: Unix time in seconds.
            rules: the retention times.
            dry_run: whether to only count what would be deleted.
        """


class MemoryRequests:
    """Requests in a dictionary, for tests and trials. They are lost when the process ends."""

    def __init__(self) -> None:
        self._kept: dict[str, DeskRequest] = {}

    async def add(self, request: DeskRequest, *, age: float = 0) -> NotStored | None:
        """Store a new request, or return the reason if it was not stored."""
        if any(other.form == request.form for other in self._kept.values()):
            return NotStored(0)
        if request.reference in self._kept:
            raise KeyError(request.reference)
        wait = self._wait(request, age=age)
        if wait:
            return NotStored(wait)
        self._kept[request.reference] = request
        return None

    async def find(self, reference: str) -> DeskRequest | None:
        """Return the request with this reference, or None."""
        return self._kept.get(reference)

    async def of(self, consent_id: str) -> list[DeskRequest]:
        """Return the requests of a consent id, newest first."""
        return self._of(consent_id)

    def listed(self) -> list[DeskRequest]:
        """Return all requests, open ones first."""
        order = ("open", "answered", "closed")
        return sorted(
            self._kept.values(), key=lambda request: (order.index(request.state), request.due_at, request.reference)
        )

    def answer(self, reference: str, text: str, now: float) -> bool:
        """Answer an open request; return whether there was one."""
        request = self._kept.get(reference)
        if request is None or request.state != "open":
            return False
        self._kept[reference] = replace(request, answer=text, answered_at=int(now))
        return True

    def close(self, reference: str, now: float) -> bool:
        """Close a request; return whether it was not closed yet."""
        request = self._kept.get(reference)
        if request is None or request.state == "closed":
            return False
        self._kept[reference] = replace(request, closed_at=int(now))
        return True

    def export(self, consent_id: str) -> list[dict[str, Any]]:
        """Return everything stored about the requests of a consent id."""
        return [request.document() for request in self._of(consent_id)]

    def erase(self, consent_id: str) -> int:
        """Erase the requests of a consent id; return how many."""
        erased = self._of(consent_id)
        for request in erased:
            del self._kept[request.reference]
        return len(erased)

    def purge(self, *, now: float, rules: RequestRules, dry_run: bool = False) -> Purged:
        """Delete the requests and mail addresses whose retention has ended."""
        expired = self._ended_by(now - rules.keep.total_seconds())
        without_address = [
            request
            for request in self._ended_by(now - rules.keep_address.total_seconds())
            if request.address is not None and request not in expired
        ]
        if not dry_run:
            for request in expired:
                del self._kept[request.reference]
            for request in without_address:
                self._kept[request.reference] = replace(request, address=None)
        return Purged(len(expired), len(without_address))

    def _of(self, consent_id: str) -> list[DeskRequest]:
        requests = [request for request in self._kept.values() if request.consent_id == consent_id]
        return sorted(requests, key=lambda request: (-request.created_at, request.reference))

    def _ended_by(self, time: float) -> list[DeskRequest]:
        ended = (
            (request, request.closed_at if request.answered_at is None else request.answered_at)
            for request in self._kept.values()
        )
        return [request for request, end in ended if end is not None and end <= time]

    def _wait(self, request: DeskRequest, *, age: float) -> float:
        of_visitor = self._of(request.consent_id) if request.consent_id is not None else []
        return seconds_to_wait(
            request,
            age=age,
            times_after=lambda after: sorted(
                other.created_at for other in self._kept.values() if other.created_at > after
            ),
            own_times_after=lambda after: sorted(other.created_at for other in of_visitor if other.created_at > after),
            waiting=lambda: sum(other.state == "open" for other in of_visitor),
        )


def seconds_to_wait(
    request: DeskRequest,
    *,
    age: float,
    times_after: Callable[[int], list[int]],
    own_times_after: Callable[[int], list[int]],
    waiting: Callable[[], int],
) -> float:
    """Return how many seconds a visitor has to wait before the request can be stored; 0 for none.

    Args:
        request: the new request.
        age: seconds since the visitor gave the current consent answer; 0 without one.
        times_after: returns when requests came after a Unix time, oldest first.
        own_times_after: the same for requests of the visitor's consent id.
        waiting: returns the number of open requests of that id.
    """
    now = request.created_at

    def until_now(times: list[int]) -> list[int]:
        # Times in the future are from a clock that was ahead; they must not lock visitors out.
        return [then for then in times if not is_future(then, now)]

    most = next(most for min_age, most in _HOURLY_LIMITS if age >= min_age)
    wait = _seconds_until_fewer(most, until_now(times_after(now - HOUR)), now - HOUR)
    if request.consent_id is None:
        return wait
    # Nobody knows when the desk will answer an open request, so the visitor is told to come back in a day.
    wait_of_visitor = _seconds_until_fewer(MAX_PER_DAY, until_now(own_times_after(now - DAY)), now - DAY)
    return max(wait, wait_of_visitor, DAY if waiting() >= MAX_OPEN else 0)


def _seconds_until_fewer(most: int, times: list[int], since: int) -> float:
    """Return the seconds until fewer than `most` of the times lie in the window that begins at `since` now."""
    return times[-most] - since if len(times) >= most else 0
