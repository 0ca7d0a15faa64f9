"""The dates in a chain, held against each other and against roots that were kept elsewhere.

The hashes show that no record was changed. They do not show when it was written: who can write the database can append
a grant with an old date, or empty a record before its time and append the record of a removal. Both leave dates that do
not fit those around them.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from cookie_consent.base.clock import DAY
from cookie_consent.base.dates import rfc3339, seconds_of
from cookie_consent.ledgers.chain import REMOVED, said_removed

CLOCK_SKEW = 60 * 60
"""So far the clocks of several hosts may differ (seconds). Without NTP a clock drifts by minutes a month, and a virtual
machine that was paused is late until it has asked; a proof whose hour matters is not made better by less."""
_REASONS = ("retention", "erasure")


@dataclass(frozen=True, slots=True)
class SignedRoot:
    """A root that was kept elsewhere, as far as it dates records: those that follow it were written later.

    Args:
        number: how many records there were.
        signed_at: when it was signed (seconds since 1970).
    """

    number: int
    signed_at: int


@dataclass(slots=True)
class _Emptied:
    """Records side by side that were removed.

    Args:
        first: the number of the first.
        last: the number of the last.
        since: they were all written after that (seconds since 1970); None where nothing says so.
    """

    first: int
    last: int
    since: int | None


@dataclass(frozen=True, slots=True)
class _Removal:
    """A record that says which records were removed.

    Args:
        number: its place.
        at: when it was written, as it says (seconds since 1970).
        reason: why they were removed.
        ranges: their numbers.
        keep: the shortest time for which they were kept after the end of a consent, as it says (seconds); None where it
            does not say.
    """

    number: int
    at: int
    reason: str
    ranges: list[list[int]]
    keep: int | None


@dataclass(slots=True)
class _Oddity:
    """Records of which the same is odd: the first is told at length, the others are counted."""

    all_are: str
    first: int = 0
    why: str = ""
    count: int = 0

    def add(self, number: int, why: str, count: int = 1) -> None:
        if not self.count:
            self.first, self.why = number, why
        self.count += count

    def told(self) -> Iterator[tuple[int, str]]:
        if self.count:
            more = f" {self.count:,} records in all are {self.all_are}." if self.count > 1 else ""
            yield self.first, f"{self.why}{more}"


@dataclass(slots=True)
class _Dates:
    """The latest date so far, and how records are named by theirs."""

    at: int | None = None
    number: int = 0
    backwards: _Oddity = field(default_factory=lambda: _Oddity("dated before one that they follow"))
    before_root: _Oddity = field(default_factory=lambda: _Oddity("dated before a root that they follow"))
    ahead: _Oddity = field(default_factory=lambda: _Oddity("dated later than now"))


class Chronology:
    """Looks at the records of a chain in their order.

    Those that were imported from an earlier system are dated by that, and are only counted.

    Attributes:
        imported: how many they are.

    Args:
        roots: those whose signatures were checked.
        now: seconds since 1970.
        shortest_keep: the shortest time for which an earlier policy kept records after the end of a consent, where
            nothing that is left says it.
    """

    def __init__(self, roots: Iterable[SignedRoot], now: int, shortest_keep: timedelta | None = None) -> None:
        self._roots = sorted(roots, key=lambda root: root.number, reverse=True)
        self._now = now
        self._shortest = None if shortest_keep is None else int(shortest_keep.total_seconds())
        self._signed_at: int | None = None
        self._dates = _Dates()
        self._emptied: list[_Emptied] = []
        self._removals: list[_Removal] = []
        self.imported = 0

    def look(self, number: int, document: Mapping[str, Any]) -> None:
        """Look at the next record.

        Args:
            number: its place.
            document: what it says; nothing where it was removed.
        """
        while self._roots and self._roots[-1].number < number:
            signed_at = self._roots.pop().signed_at
            self._signed_at = max(self._signed_at or signed_at, signed_at)
        if not document:
            self._look_at_emptied(number)
            return
        at = _time(document, "decided_at")
        if at is None or document.get("source") == "imported":
            self.imported += at is not None
            return
        if self._emptied and self._emptied[-1].last == number - 1:
            # A clock that was ahead for one record says nothing of all that come later.
            emptied = self._emptied[-1]
            emptied.since = None if emptied.since is None else min(emptied.since, at)
        self._look_at_date(number, at)
        self._look_at_keep(document)
        if document.get("event") == REMOVED:
            reason, days = document.get("reason"), document.get("kept_days")
            keep = days * DAY if isinstance(days, int) else None
            self._removals.append(_Removal(number, at, str(reason), said_removed(document, number), keep))

    def findings(self) -> Iterator[tuple[int, str]]:
        """Yield what is odd: the number of the first record that it is about, and why, as sentences."""
        yield from self._dates.backwards.told()
        yield from self._dates.before_root.told()
        yield from self._dates.ahead.told()
        yield from self._removed_before_due().told()

    def removed_by(self) -> dict[str, int]:
        """Return how many records were removed for each reason, as the records of their removal say."""
        found = Counter(dict.fromkeys(_REASONS, 0))
        for removal in self._removals:
            reason = removal.reason if removal.reason in _REASONS else "other"
            found[reason] += sum(last - first + 1 for _, first, last in self._touched(removal))
        return dict(found)

    def _look_at_emptied(self, number: int) -> None:
        if self._emptied and self._emptied[-1].last == number - 1:
            self._emptied[-1].last = number
            return
        known = [at for at in (self._dates.at, self._signed_at) if at is not None]
        self._emptied.append(_Emptied(number, number, max(known, default=None)))

    def _look_at_date(self, number: int, at: int) -> None:
        dates, said = self._dates, f"Record {number:,} is dated {rfc3339(at)}"
        if dates.at is not None and at < dates.at - CLOCK_SKEW:
            before = f"record {dates.number:,}, which is dated {rfc3339(dates.at)}"
            dates.backwards.add(number, f"{said}, but follows {before}: one of the dates is wrong.")
        if self._signed_at is not None and at < self._signed_at - CLOCK_SKEW:
            why = f"{said}, but was not there yet when a root was signed at {rfc3339(self._signed_at)}."
            dates.before_root.add(number, why)
        if at > self._now + CLOCK_SKEW:
            dates.ahead.add(number, f"{said}, which is later than now ({rfc3339(self._now)}).")
        if dates.at is None or at > dates.at:
            dates.at, dates.number = at, number

    def _look_at_keep(self, document: Mapping[str, Any]) -> None:
        """Learn for how long records are kept here after the end of a consent."""
        keep = _keep(document)
        if keep is not None:
            self._shortest = keep if self._shortest is None else min(self._shortest, keep)

    def _removed_before_due(self) -> _Oddity:
        """Return the records that were removed as due, and were written too late for that.

        Each record is kept for the policy's `[records] keep` at least, from the time at which it is written.
        """
        found = _Oddity("removed so")
        for removal, keep in self._retentions():
            for since, first, last in self._touched(removal):
                if since is not None and since - CLOCK_SKEW + keep > removal.at:
                    why = (
                        f"Record {first:,} was removed as due, says record {removal.number:,} of {rfc3339(removal.at)},"
                        f" but was not there before {rfc3339(since)}: the shortest time for which records are kept here"
                        f" is {keep // DAY:,} days after the end of a consent."
                    )
                    found.add(first, why, last - first + 1)
        return found

    def _retentions(self) -> Iterator[tuple[_Removal, int]]:
        """Yield the removals of what was due, each with the shortest time for which records were kept.

        What a removal says of itself counts only where a record that is left, or another removal, says the same: else
        it would be enough to append one that claims what suits.
        """
        retentions = [removal for removal in self._removals if removal.reason == "retention"]
        claims = Counter(removal.keep for removal in retentions)
        for removal in retentions:
            others = [keep for keep, times in claims.items() if keep != removal.keep or times > 1]
            known = [keep for keep in (*others, self._shortest) if keep is not None]
            if known:
                yield removal, min(known)

    def _touched(self, removal: _Removal) -> Iterator[tuple[int | None, int, int]]:
        """Yield the records that a removal names and that are gone: since when, the first and the last of a range."""
        for named_first, named_last in removal.ranges:
            place = bisect_left(self._emptied, named_first, key=lambda emptied: emptied.last)
            while place < len(self._emptied) and self._emptied[place].first <= named_last:
                emptied = self._emptied[place]
                yield emptied.since, max(emptied.first, named_first), min(emptied.last, named_last)
                place += 1


def shortest_keep_days(documents: Iterable[str | None]) -> int | None:
    """Return the shortest time for which records are kept after the end of a consent, in whole days.

    Args:
        documents: records that are as they were recorded, as JSON.

    Returns:
        None where no record has both times.
    """
    keeps = [keep for document in documents if document and (keep := _keep(json.loads(document))) is not None]
    return min(keeps) // DAY if keeps else None


def _keep(document: Mapping[str, Any]) -> int | None:
    """Return for how long a record is kept after the end of its consent (seconds); None where it does not say."""
    end, keep_until = _time(document, "expires_at"), _time(document, "keep_until")
    return None if end is None or keep_until is None else keep_until - end


def _time(document: Mapping[str, Any], name: str) -> int | None:
    """Return a time that a record says, in seconds since 1970; None where it says none."""
    try:
        return seconds_of(document[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
