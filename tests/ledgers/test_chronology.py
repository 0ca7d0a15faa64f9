"""Tests of the dates in a chain: early removals and backdated records are found; genuine histories have no findings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.base.clock import rfc3339
from cookie_consent.ledgers import Ledger, MemoryLedger
from cookie_consent.ledgers.chain import removal, verify
from cookie_consent.ledgers.chronology import CLOCK_SKEW, Chronology, shortest_keep_days
from tests.support.ledger_writer import append, entry, new_id
from tests.support.policies import NOW

DAY = 86_400
LIFETIME, KEEP = 184 * DAY, 1095 * DAY
GONE: dict[str, Any] = {}
"""What is left of a removed record."""


def answer(at: int, keep: int = KEEP, **fields: Any) -> dict[str, Any]:
    times = {"decided_at": at, "expires_at": at + LIFETIME, "keep_until": at + LIFETIME + keep}
    return {"event": "granted", **{name: rfc3339(time) for name, time in times.items()}, **fields}


def checked(*documents: dict[str, Any], roots: Any = (), now: int = NOW) -> Chronology:
    """Return the chronology of a chain with these contents."""
    dates = Chronology(roots, now)
    for number, document in enumerate(documents, 1):
        dates.check(number, document)
    return dates


TEN = [answer(NOW - (10 - number) * DAY) for number in range(10)]
"""One answer on each of the last ten days."""


def without(*gone: int) -> list[dict[str, Any]]:
    return [GONE if number in gone else document for number, document in enumerate(TEN, 1)]


def removed(*numbers: int, at: int = NOW, reason: str = "retention", kept_days: Any = None) -> dict[str, Any]:
    return removal("x", reason, numbers, rfc3339(at), kept_days)


# Records removed too early


@pytest.mark.parametrize("claim", [None, 0, 1])
def test_removal_before_the_end_of_retention_is_found(claim: int | None) -> None:
    why = (
        f"Record 6 was removed as due, says record 11 of {rfc3339(NOW)}, but was not there before "
        f"{rfc3339(NOW - 6 * DAY)}: the shortest time for which records are kept here is 1,095 days after the end of "
        "a consent."
    )
    assert checked(*without(6), removed(6, kept_days=claim)).findings() == [(6, why)]
    early = checked(*without(6, 8), removed(6), removed(8, 9)).findings()
    assert early == [(6, f"{why} 2 records in all are removed so.")]


def test_early_removal_of_oldest_record_needs_a_root_to_be_found() -> None:
    documents = [*without(1), removed(1)]
    assert not checked(*documents).findings(), "the chain does not date its first record"
    assert [number for number, _ in checked(*documents, roots=[(0, NOW - 11 * DAY)]).findings()] == [1]
    assert not checked(*documents, roots=[(1, NOW - 11 * DAY)]).findings(), "the root is younger than the record"


@pytest.mark.parametrize("late", [0, 1])
def test_removal_is_early_until_the_shortest_retention_has_passed(late: int) -> None:
    """The time is that of the last record before, plus the retention, less what clocks may differ."""
    at = NOW - 6 * DAY + KEEP - CLOCK_SKEW - 1 + late
    dates = checked(*without(6), removed(6, at=at), now=at)
    assert len(dates.findings()) == 1 - late


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([], [4]),  # a forged removal could claim any retention
        ([removed(9, kept_days=4)], [9]),
        ([removed(kept_days=5)], []),
        ([removed(kept_days=9)], [4]),
        ([removed(kept_days="4")], [4]),
        ([removed(kept_days=4, reason="erasure")], [4]),
    ],
)
def test_stated_retention_counts_if_another_removal_states_one(others: list[dict[str, Any]], found: list[int]) -> None:
    """Record 4 was there for eight days at most before it was removed, and record 9 for three."""
    gone = [4, *(9 for other in others if other["numbers"])]
    dates = checked(*without(*gone), removed(4, kept_days=4), *others)
    assert [number for number, _ in dates.findings()] == found


def test_removed_records_are_counted_by_reason() -> None:
    """A chain cannot show who asked for an erasure, so the operator compares the count with the requests."""
    acts = [removed(6, 7, reason="erasure"), removed(3, reason="mice"), removed(1, 2, 3, 4, at=NOW + KEEP + LIFETIME)]
    dates = checked(*without(1, 3, 6, 7), *acts, now=NOW + KEEP + LIFETIME)
    assert (dates.findings(), dates.removed_by()) == ([], {"retention": 2, "erasure": 2, "other": 1})
    assert checked(*TEN).removed_by() == {"retention": 0, "erasure": 0}


# Dates that do not fit


def test_backdated_record_is_found() -> None:
    date, before = rfc3339(NOW - 30 * DAY), rfc3339(NOW - DAY)
    forged = [*TEN, answer(NOW - 30 * DAY)]
    why = f"Record 11 is dated {date}, but follows record 10, which is dated {before}: one of the dates is wrong."
    assert checked(*forged).findings() == [(11, why)]
    later = f"Record 11 is dated {date}, but was not there yet when a root was signed at {rfc3339(NOW)}."
    assert checked(*forged, roots=[(10, NOW), (3, NOW - 8 * DAY)]).findings() == [(11, why), (11, later)]
    plausible = [*TEN, answer(NOW - DAY)]
    assert not checked(*plausible).findings(), "the last record is as old"
    assert checked(*plausible, roots=[(10, NOW)]).findings()


def test_record_dated_in_the_future_is_found() -> None:
    early = removed(6, at=NOW + 1500 * DAY)
    why = f"Record 11 is dated {rfc3339(NOW + 1500 * DAY)}, which is later than now ({rfc3339(NOW)})."
    assert checked(*without(6), early).findings() == [(11, why)]
    assert [number for number, _ in checked(*without(6), early, answer(NOW)).findings()] == [11, 12]


def test_clock_skew_is_tolerated() -> None:
    documents = [answer(NOW - number % 2 * CLOCK_SKEW) for number in range(6)]
    assert not checked(*documents, roots=[(0, NOW)], now=NOW - CLOCK_SKEW).findings()
    assert len(checked(*documents, now=NOW - CLOCK_SKEW - 1).findings()) == 1
    late = checked(*documents, answer(NOW - CLOCK_SKEW - 1), roots=[(2, NOW), (3, NOW - DAY)])
    assert [number for number, _ in late.findings()] == [7, 7]


def test_records_without_dates_are_no_findings() -> None:
    no_times = [{"event": "granted"}, answer(NOW, expires_at=7), answer(NOW, keep_until=None)]
    dates = checked(*no_times, {"event": "removed", "decided_at": "soon"}, GONE, removed(5, kept_days=3))
    assert dates.findings() == []
    assert dates.removed_by() == {"retention": 1, "erasure": 0}


def test_record_dated_in_the_future_does_not_date_those_after_it() -> None:
    after = NOW + 187 * DAY
    due = removed(1, 3, at=after, kept_days=1)
    dates = checked(GONE, answer(NOW + 900 * DAY), GONE, answer(NOW + 2 * DAY, DAY), due, now=after)
    assert [why.partition(" is dated")[0] for _, why in dates.findings()] == ["Record 2", "Record 4"]


# Histories without findings


HOSTS = st.lists(st.integers(0, CLOCK_SKEW), min_size=1, max_size=4)
"""How many seconds the clocks of the hosts are ahead."""
STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),  # days before the step
        st.sampled_from(["answer", "answer", "answer", "note", "erase", "root"]),
        st.integers(0, 3),  # which host
    ),
    max_size=60,
)


def append_answer(ledger: Ledger, consent_id: str, at: int, keep: int) -> None:
    append(ledger, entry(consent_id, now=at, expires_at=rfc3339(at + LIFETIME), keep_until=at + LIFETIME + keep))


@given(HOSTS, STEPS, st.sampled_from([1, 30, 400]))
def test_genuine_history_has_no_findings(hosts: list[int], steps: list[tuple[int, str, int]], keep_days: int) -> None:
    """A history has answers, notes and erasures; due records go each day."""
    ledger, roots, day = MemoryLedger(), list[tuple[int, int]](), NOW
    keep = keep_days * DAY
    append_answer(ledger, "v0", NOW, keep)
    for days, what, host in steps:
        ahead = hosts[host % len(hosts)]
        for _ in range(days):
            day += DAY
            ledger.remove(now=day + ahead, make_id=new_id)
        if what == "answer":
            append_answer(ledger, f"v{host}", day + ahead, keep)
        elif what == "note":  # about the oldest answer, dated as the endpoint does
            end = max(NOW + LIFETIME, day + ahead)
            append(ledger, entry("v0", event="note", now=day + ahead, keep_until=end + keep))
        elif what == "erase":
            ledger.remove(now=day + ahead, make_id=new_id, consent_id=f"v{host}")
        else:
            roots.append((ledger.size(), day + ahead))
    dates = Chronology(roots, day + CLOCK_SKEW)
    assert verify(ledger.links(), inspect=dates.check).wrong is None
    assert dates.findings() == []


def test_longer_retention_does_not_affect_earlier_removals() -> None:
    ledger = MemoryLedger()
    for day in range(0, 700, 10):
        append_answer(ledger, f"v{day}", NOW + day * DAY, DAY if day < 300 else KEEP)
        ledger.remove(now=NOW + (day + 1) * DAY, make_id=new_id)
    dates = Chronology([], NOW + 700 * DAY)
    assert verify(ledger.links(), inspect=dates.check).removed == 30
    assert dates.findings() == []


def test_shortest_retention_is_in_whole_days() -> None:
    texts = [
        f'{{"expires_at": "{rfc3339(NOW)}", "keep_until": "{rfc3339(NOW + keep)}"}}' for keep in (KEEP, 2 * DAY - 1)
    ]
    assert shortest_keep_days([*texts, None, "{}"]) == 1
    assert shortest_keep_days([None, "{}"]) is shortest_keep_days([]) is None
