"""Checks the dates in a chain against each other and against signed roots.

The hashes show that no record was changed, but not when it was written. Somebody who can write to the database can
append a backdated grant, or remove a record early and append a record of its removal. Both leave dates that do not fit
those around them.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cookie_consent.base.clock import DAY, rfc3339, seconds_of
from cookie_consent.ledgers.chain import REMOVED, listed_ranges

CLOCK_SKEW = 60 * 60
"""How far the clocks of several hosts may differ (seconds). Without NTP a clock drifts by minutes a month, and a
resumed virtual machine is late until it next synchronises."""
_REASONS = ("retention", "erasure")
_NEVER = math.inf
"""In place of a length of time that is unknown; its negative, in place of a date."""


@dataclass(slots=True)
class _Emptied:
    """A run of removed records: the numbers of the first and the last, and a Unix time before which none was there."""

    first: int
    last: int
    since: float


@dataclass(frozen=True, slots=True)
class _Removal:
    """A record that lists removed records.

    Args:
        number: its number.
        at: its date, as Unix time in seconds.
        reason: why the records were removed.
        ranges: the numbers of the removed records.
        keep: how long it says that they were kept at least after their consents ended, in seconds.
    """

    number: int
    at: float
    reason: str
    ranges: list[tuple[int, int]]
    keep: float


class Chronology:
    """Checks the dates of a chain's records, one by one in their order.

    Args:
        roots: for each root whose signature was verified, how many records it covers and when it was signed (Unix time
            in seconds). Records after it were written after that date.
        now: Unix time in seconds.
    """

    def __init__(self, roots: Iterable[tuple[int, int]], now: int) -> None:
        self._roots = sorted(roots, reverse=True)
        self._now = now
        self._signed_at = -_NEVER
        self._latest = -_NEVER
        self._latest_number = 0
        self._shortest_keep = _NEVER
        self._emptied: list[_Emptied] = []
        self._removals: list[_Removal] = []
        # What records are -> the first of them and a sentence about it; and how many there are.
        self._first: dict[str, tuple[int, str]] = {}
        self._counts = Counter[str]()

    def check(self, number: int, document: Mapping[str, Any]) -> None:
        """Check the next record.

        Args:
            number: its number.
            document: its content; empty if it was removed.
        """
        while self._roots and self._roots[-1][0] < number:
            # Hosts' clocks differ, so a later root may have an earlier date.
            self._signed_at = max(self._signed_at, self._roots.pop()[1])
        at = _time(document, "decided_at")
        before = self._emptied[-1] if self._emptied and self._emptied[-1].last == number - 1 else None
        if not document and before:
            before.last = number
        elif not document:
            self._emptied.append(_Emptied(number, number, max(self._latest, self._signed_at)))
        elif at is not None:
            if before:
                # One record with a fast clock must not date all records after it.
                before.since = min(before.since, at)
            self._check_date(number, at)
            self._shortest_keep = min(self._shortest_keep, _keep(document))
            if document.get("event") == REMOVED:
                self._removals.append(_removal(number, at, document))

    def findings(self) -> list[tuple[int, str]]:
        """Return each anomaly: the number of the first affected record, and a description in sentences."""
        self._check_removals()
        found = []
        for all_are, (number, why) in self._first.items():
            count = self._counts[all_are]
            found.append((number, f"{why} {count:,} records in all are {all_are}." if count > 1 else why))
        return found

    def removed_by(self) -> dict[str, int]:
        """Return the number of removed records by reason, as recorded at their removal."""
        counts = Counter(dict.fromkeys(_REASONS, 0))
        for removal in self._removals:
            reason = removal.reason if removal.reason in _REASONS else "other"
            counts[reason] += sum(last - first + 1 for _, first, last in self._touched(removal))
        return dict(counts)

    def _check_date(self, number: int, at: int) -> None:
        dated = f"Record {number:,} is dated {rfc3339(at)}"
        if at < self._latest - CLOCK_SKEW:
            before = f"record {self._latest_number:,}, which is dated {rfc3339(self._latest)}"
            why = f"{dated}, but follows {before}: one of the dates is wrong."
            self._note("dated before one that they follow", number, why)
        if at < self._signed_at - CLOCK_SKEW:
            why = f"{dated}, but was not there yet when a root was signed at {rfc3339(self._signed_at)}."
            self._note("dated before a root that they follow", number, why)
        if at > self._now + CLOCK_SKEW:
            self._note("dated later than now", number, f"{dated}, which is later than now ({rfc3339(self._now)}).")
        if at > self._latest:
            self._latest = at
            self._latest_number = number

    def _note(self, all_are: str, number: int, why: str, count: int = 1) -> None:
        self._first.setdefault(all_are, (number, why))
        self._counts[all_are] += count

    def _check_removals(self) -> None:
        """Find the records that were removed as due too soon after they were written.

        A record is kept for at least the policy's `[records] keep` from when it is written. The retention that a
        removal states counts only if a remaining record or another removal confirms it. Otherwise a forged removal
        could claim any.
        """
        retentions = [removal for removal in self._removals if removal.reason == "retention"]
        claims = Counter(removal.keep for removal in retentions)
        for removal in retentions:
            confirmed = [keep for keep, times in claims.items() if keep != removal.keep or times > 1]
            keep = min(*confirmed, self._shortest_keep, _NEVER)
            for since, first, last in self._touched(removal):
                # Nothing is known of what is kept for ever.
                if removal.at < since - CLOCK_SKEW + keep < _NEVER:
                    why = (
                        f"Record {first:,} was removed as due, says record {removal.number:,} of {rfc3339(removal.at)},"
                        f" but was not there before {rfc3339(since)}: the shortest time for which records are kept here"
                        f" is {keep // DAY:,.0f} days after the end of a consent."
                    )
                    self._note("removed so", first, why, last - first + 1)

    def _touched(self, removal: _Removal) -> Iterator[tuple[float, int, int]]:
        """Yield what is gone of the ranges that a removal lists, as (not written before, first number, last number)."""
        for listed_first, listed_last in removal.ranges:
            index = bisect_left(self._emptied, listed_first, key=lambda emptied: emptied.last)
            while index < len(self._emptied) and self._emptied[index].first <= listed_last:
                emptied = self._emptied[index]
                yield emptied.since, max(emptied.first, listed_first), min(emptied.last, listed_last)
                index += 1


def shortest_keep_days(documents: Iterable[str | None]) -> int | None:
    """Return the shortest time for which records are kept after the end of a consent, in whole days.

    Args:
        documents: intact records as JSON.

    Returns:
        None if no record has both times.
    """
    shortest = min((_keep(json.loads(document)) for document in documents if document), default=_NEVER)
    return None if shortest == _NEVER else int(shortest // DAY)


def _removal(number: int, at: int, document: Mapping[str, Any]) -> _Removal:
    days = document.get("kept_days")
    keep = days * DAY if isinstance(days, int) else _NEVER
    return _Removal(number, at, str(document.get("reason")), listed_ranges(document, number), keep)


def _keep(document: Mapping[str, Any]) -> float:
    """Return how long a record is kept after its consent ends, in seconds."""
    end = _time(document, "expires_at")
    keep_until = _time(document, "keep_until")
    return _NEVER if end is None or keep_until is None else keep_until - end


def _time(document: Mapping[str, Any], name: str) -> int | None:
    """Return a time in a record as Unix time in seconds; None if it is missing or invalid."""
    try:
        return seconds_of(document[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
