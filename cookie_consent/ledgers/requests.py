"""Where requests and complaints are kept until they are answered, and for a set time after: beside the records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cookie_consent.base.clock import DAY, HOUR, is_future
from cookie_consent.ledgers.desk_request import DeskRequest, NotKept
from cookie_consent.policy.declarations import RequestRules

MOST_OPEN = 5
"""So many requests of one consent id may wait for their answers."""
MOST_IN_A_DAY = 10
"""So many requests may come from one consent id within a day."""
MOST_IN_AN_HOUR = 200
"""So many requests may come within an hour, from all visitors together."""
MOST_BEFORE_STRANGERS_WAIT = 100
"""When so many have come within an hour, those who have no answer to show, or a new one, have to wait."""
_ROOM = ((7 * DAY, MOST_IN_AN_HOUR), (DAY, 170), (600, 140), (0, MOST_BEFORE_STRANGERS_WAIT))
"""From which age of an answer on (seconds) -> when so many have come within an hour, its holder has to wait. So what is
prepared within a day leaves room for those who had answered before."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What was deleted because its time had come, or would be.

    Args:
        requests: how many requests.
        addresses: how many mail addresses of requests that stay.
    """

    requests: int
    addresses: int


class Requests(Protocol):
    """Keeps requests and complaints. What it cannot keep it refuses, by raising."""

    async def add(self, request: DeskRequest, *, age: float = 0) -> NotKept | None:
        """Keep a new request, unless its form was used before or too many have come; return why not.

        Args:
            request: what is new.
            age: how long ago the visitor gave the answer that holds, in seconds; 0 where there is none.
        """

    async def find(self, reference: str) -> DeskRequest | None:
        """Return a request by its number, or None."""

    async def of(self, consent_id: str) -> list[DeskRequest]:
        """Return the requests of one consent id, newest first."""

    def listed(self) -> list[DeskRequest]:
        """Return all requests: open ones first, and of those the one that is due first.

        May block, as all that follows: call it in a thread.
        """

    def answer(self, reference: str, text: str, now: float) -> bool:
        """Answer an open request; return whether there was one."""

    def close(self, reference: str, now: float) -> bool:
        """Close a request, answered or not; return whether there was one that was not closed."""

    def export(self, consent_id: str) -> list[dict[str, Any]]:
        """Return all that is kept of the requests of one consent id, as plain data for JSON, newest first."""

    def erase(self, consent_id: str) -> int:
        """Erase the requests of one consent id, open ones too; return how many."""

    def purge(self, *, now: float, rules: RequestRules, dry_run: bool = False) -> Purged:
        """Delete the requests and the mail addresses whose time has come since the answer, or the closing without one.

        Args:
            now: seconds since 1970.
            rules: for how long they are kept.
            dry_run: whether to delete nothing, and only to say what would be.
        """


class MemoryRequests:
    """Keeps requests in a dictionary, for tests and trials: gone with the process."""

    def __init__(self) -> None:
        self._kept: dict[str, DeskRequest] = {}

    async def add(self, request: DeskRequest, *, age: float = 0) -> NotKept | None:
        """Keep a new request, or say why not."""
        if any(kept.form == request.form for kept in self._kept.values()):
            return NotKept(0)
        if request.reference in self._kept:
            raise KeyError(request.reference)
        wait = self._wait(request, age=age)
        if wait:
            return NotKept(wait)
        self._kept[request.reference] = request
        return None

    async def find(self, reference: str) -> DeskRequest | None:
        """Return a request by its number."""
        return self._kept.get(reference)

    async def of(self, consent_id: str) -> list[DeskRequest]:
        """Return the requests of one consent id, newest first."""
        return self._of(consent_id)

    def listed(self) -> list[DeskRequest]:
        """Return all requests, open ones first."""
        order = ("open", "answered", "closed")
        return sorted(self._kept.values(), key=lambda kept: (order.index(kept.state), kept.due_at, kept.reference))

    def answer(self, reference: str, text: str, now: float) -> bool:
        """Answer an open request."""
        kept = self._kept.get(reference)
        if kept is None or kept.state != "open":
            return False
        self._kept[reference] = replace(kept, answer=text, answered_at=int(now))
        return True

    def close(self, reference: str, now: float) -> bool:
        """Close a request."""
        kept = self._kept.get(reference)
        if kept is None or kept.state == "closed":
            return False
        self._kept[reference] = replace(kept, closed_at=int(now))
        return True

    def export(self, consent_id: str) -> list[dict[str, Any]]:
        """Return all that is kept of the requests of one consent id."""
        return [kept.document() for kept in self._of(consent_id)]

    def erase(self, consent_id: str) -> int:
        """Erase the requests of one consent id."""
        gone = self._of(consent_id)
        for kept in gone:
            del self._kept[kept.reference]
        return len(gone)

    def purge(self, *, now: float, rules: RequestRules, dry_run: bool = False) -> Purged:
        """Delete the requests and the mail addresses whose time has come."""
        gone = self._ended_by(now - rules.keep.total_seconds())
        nameless = [
            kept
            for kept in self._ended_by(now - rules.keep_address.total_seconds())
            if kept.address is not None and kept not in gone
        ]
        if not dry_run:
            for kept in gone:
                del self._kept[kept.reference]
            for kept in nameless:
                self._kept[kept.reference] = replace(kept, address=None)
        return Purged(len(gone), len(nameless))

    def _of(self, consent_id: str) -> list[DeskRequest]:
        own = [kept for kept in self._kept.values() if kept.consent_id == consent_id]
        return sorted(own, key=lambda kept: (-kept.created_at, kept.reference))

    def _ended_by(self, then: float) -> list[DeskRequest]:
        ended = (
            (kept, kept.closed_at if kept.answered_at is None else kept.answered_at) for kept in self._kept.values()
        )
        return [kept for kept, end in ended if end is not None and end <= then]

    def _wait(self, request: DeskRequest, *, age: float) -> float:
        own = self._of(request.consent_id) if request.consent_id is not None else []
        return seconds_to_wait(
            request,
            age=age,
            came=lambda after: sorted(kept.created_at for kept in self._kept.values() if kept.created_at > after),
            came_of_own=lambda after: sorted(kept.created_at for kept in own if kept.created_at > after),
            waiting=lambda: sum(kept.state == "open" for kept in own),
        )


def seconds_to_wait(
    request: DeskRequest,
    *,
    age: float,
    came: Callable[[int], list[int]],
    came_of_own: Callable[[int], list[int]],
    waiting: Callable[[], int],
) -> float:
    """Return how long a visitor has to wait before a request can be kept; 0 if it can be now.

    Args:
        request: what is new.
        age: how long ago the visitor gave the answer that holds, in seconds; 0 where there is none.
        came: returns when those came that came after a time, oldest first (seconds since 1970).
        came_of_own: the same of the visitor's consent id.
        waiting: returns how many of that id are open.
    """
    now = request.created_at

    def not_later(times: list[int]) -> list[int]:
        return [then for then in times if not is_future(then, now)]

    most = next(most for least, most in _ROOM if age >= least)
    wait = _until_fewer(most, not_later(came(now - HOUR)), now - HOUR)
    if request.consent_id is None:
        return wait
    # Nobody knows when the desk will have answered one: tomorrow is a good time to look.
    of_own = _until_fewer(MOST_IN_A_DAY, not_later(came_of_own(now - DAY)), now - DAY)
    return max(wait, of_own, DAY if waiting() >= MOST_OPEN else 0)


def _until_fewer(most: int, times: list[int], since: int) -> float:
    """Return in how many seconds fewer than so many of some times will be as young as the oldest of them may be now."""
    return times[-most] - since if len(times) >= most else 0
