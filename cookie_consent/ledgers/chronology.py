"""Checks the dates in a chain against each other and against signed roots.

The hashes show that no record was changed, but not when it was written. Somebody who can write to the database can
append a backdated grant, or remove a record early and append a record of its removal. Both leave dates that do not fit
those around them.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cookie_consent.base.clock import DAY, rfc3339, seconds_of
from cookie_consent.ledgers.chain import REMOVED, listed_ranges

CLOCK_SKEW = 60 * 60
"""How far the clocks of several hosts may differ (seconds). Without NTP a clock drifts by minutes a month, and a
resumed virtual machine is late until it next synchronises."""
_REASONS = ("retention", "erasure")


@dataclass(frozen=True, slots=True)
class SignedRoot:
    """The date of a root that was kept elsewhere. Records after it were written after that date.

    Args:
        number: the number of records at that time.
        signed_at: when the root was signed, as Unix time in seconds.
    """

    number: int
    signed_at: int


@dataclass(slots=True)
class _Emptied:
    """A run of removed records.

    Args:
        first: the number of the first.
        last: the number of the last.
        since: a Unix time before which none of them was written; None if unknown.
    """

    first: int
    last: int
    since: int | None


@dataclass(frozen=True, slots=True)
class _Removal:
    """A record that lists removed records.

    Args:
        number: its number.
        at: its date, as Unix time in seconds.
        reason: why the records were removed.
        ranges: the numbers of the removed records.
        keep: how long they were kept at least after their consents ended, in seconds; None if it does not say.
    """

    number: int
    at: int
    reason: str
    ranges: list[list[int]]
    keep: int | None


@dataclass(slots=True)
class _Anomaly:
    """Records with the same anomaly. The first is described in full; the others are counted."""

    all_are: str
    first: int = 0
    why: str = ""
    count: int = 0

    def add(self, number: int, why: str, count: int = 1) -> None:
        if not self.count:
            self.first, self.why = number, why
        self.count += count

    def findings(self) -> Iterator[tuple[int, str]]:
        if self.count:
            more = f" {self.count:,} records in all are {self.all_are}." if self.count > 1 else ""
            yield self.first, f"{self.why}{more}"


@dataclass(slots=True)
class _Dates:
    """The latest date so far, and the anomalies found in dates."""

    at: int | None = None
    number: int = 0
    backwards: _Anomaly = field(default_factory=lambda: _Anomaly("dated before one that they follow"))
    before_root: _Anomaly = field(default_factory=lambda: _Anomaly("dated before a root that they follow"))
    ahead: _Anomaly = field(default_factory=lambda: _Anomaly("dated later than now"))


class Chronology:
    """Checks the dates of a chain's records, one by one in their order.

    Args:
        roots: roots whose signatures were verified.
        now: Unix time in seconds.
    """

    def __init__(self, roots: Iterable[SignedRoot], now: int) -> None:
        self._roots = sorted(roots, key=lambda root: root.number, reverse=True)
        self._now = now
        self._shortest: int | None = None
        self._signed_at: int | None = None
        self._dates = _Dates()
        self._emptied: list[_Emptied] = []
        self._removals: list[_Removal] = []

    def check(self, number: int, document: Mapping[str, Any]) -> None:
        """Check the next record.

        Args:
            number: its number.
            document: its content; empty if it was removed.
        """
        while self._roots and self._roots[-1].number < number:
            signed_at = self._roots.pop().signed_at
            # Hosts' clocks differ, so a later root may have an earlier date.
            self._signed_at = max(self._signed_at or signed_at, signed_at)
        if not document:
            self._check_emptied(number)
            return
        at = _time(document, "decided_at")
        if at is None:
            return
        if self._emptied and self._emptied[-1].last == number - 1:
            # One record with a fast clock must not date all records after it.
            emptied = self._emptied[-1]
            emptied.since = None if emptied.since is None else min(emptied.since, at)
        self._check_date(number, at)
        self._check_keep(document)
        if document.get("event") == REMOVED:
            reason, days = document.get("reason"), document.get("kept_days")
            keep = days * DAY if isinstance(days, int) else None
            self._removals.append(_Removal(number, at, str(reason), listed_ranges(document, number), keep))

    def findings(self) -> Iterator[tuple[int, str]]:
        """Yield each anomaly: the number of the first affected record, and a description in sentences."""
        yield from self._dates.backwards.findings()
        yield from self._dates.before_root.findings()
        yield from self._dates.ahead.findings()
        yield from self._removed_before_due().findings()

    def removed_by(self) -> dict[str, int]:
        """Return the number of removed records by reason, as recorded at their removal."""
        counts = Counter(dict.fromkeys(_REASONS, 0))
        for removal in self._removals:
            reason = removal.reason if removal.reason in _REASONS else "other"
            counts[reason] += sum(last - first + 1 for _, first, last in self._touched(removal))
        return dict(counts)

    def _check_emptied(self, number: int) -> None:
        if self._emptied and self._emptied[-1].last == number - 1:
            self._emptied[-1].last = number
            return
        known = [at for at in (self._dates.at, self._signed_at) if at is not None]
        self._emptied.append(_Emptied(number, number, max(known, default=None)))

    def _check_date(self, number: int, at: int) -> None:
        dates, dated = self._dates, f"Record {number:,} is dated {rfc3339(at)}"
        if dates.at is not None and at < dates.at - CLOCK_SKEW:
            before = f"record {dates.number:,}, which is dated {rfc3339(dates.at)}"
            dates.backwards.add(number, f"{dated}, but follows {before}: one of the dates is wrong.")
        if self._signed_at is not None and at < self._signed_at - CLOCK_SKEW:
            why = f"{dated}, but was not there yet when a root was signed at {rfc3339(self._signed_at)}."
            dates.before_root.add(number, why)
        if at > self._now + CLOCK_SKEW:
            dates.ahead.add(number, f"{dated}, which is later than now ({rfc3339(self._now)}).")
        if dates.at is None or at > dates.at:
            dates.at, dates.number = at, number

    def _check_keep(self, document: Mapping[str, Any]) -> None:
        """Update the shortest retention seen so far."""
        keep = _keep(document)
        if keep is not None:
            self._shortest = keep if self._shortest is None else min(self._shortest, keep)

    def _removed_before_due(self) -> _Anomaly:
        """Return the records that were removed as due too soon after they were written.

        A record is kept for at least the policy's `[records] keep` from when it is written.
        """
        anomaly = _Anomaly("removed so")
        for removal, keep in self._retentions():
            for since, first, last in self._touched(removal):
                if since is not None and since - CLOCK_SKEW + keep > removal.at:
                    why = (
                        f"Record {first:,} was removed as due, says record {removal.number:,} of {rfc3339(removal.at)},"
                        f" but was not there before {rfc3339(since)}: the shortest time for which records are kept here"
                        f" is {keep // DAY:,} days after the end of a consent."
                    )
                    anomaly.add(first, why, last - first + 1)
        return anomaly

    def _retentions(self) -> Iterator[tuple[_Removal, int]]:
        """Yield the removals of due records, each with the shortest retention that applied to it.

        The retention that a removal states counts only if a remaining record or another removal confirms it. Otherwise
        a forged removal could claim any.
        """
        retentions = [removal for removal in self._removals if removal.reason == "retention"]
        claims = Counter(removal.keep for removal in retentions)
        for removal in retentions:
            others = [keep for keep, times in claims.items() if keep != removal.keep or times > 1]
            known = [keep for keep in (*others, self._shortest) if keep is not None]
            if known:
                yield removal, min(known)

    def _touched(self, removal: _Removal) -> Iterator[tuple[int | None, int, int]]:
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
    keeps = [keep for document in documents if document and (keep := _keep(json.loads(document))) is not None]
    return min(keeps) // DAY if keeps else None


def _keep(document: Mapping[str, Any]) -> int | None:
    """Return how long a record is kept after its consent ends, in seconds; None if it does not say."""
    end, keep_until = _time(document, "expires_at"), _time(document, "keep_until")
    return None if end is None or keep_until is None else keep_until - end


def _time(document: Mapping[str, Any], name: str) -> int | None:
    """Return a time in a record as Unix time in seconds; None if it is missing or invalid."""
    try:
        return seconds_of(document[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
