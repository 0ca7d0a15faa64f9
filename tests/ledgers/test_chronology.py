"""Tests of the dates in a chain: early removals and backdated records are found; genuine histories have no findings."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.base.clock import rfc3339
from cookie_consent.cli.main import FINDING, GOOD, main
from cookie_consent.ledgers import Ledger, MemoryLedger, open_ledger
from cookie_consent.ledgers.chain import (
    START,
    Root,
    chain_hash,
    indexed_columns,
    record_hash,
    removal,
    root_signer,
    sign_root,
    verify,
)
from cookie_consent.ledgers.chronology import CLOCK_SKEW, Chronology
from cookie_consent.policy.policy import canonical_json
from tests.support.ledger_writer import entry, new_id
from tests.support.policies import KEY, NOW

DAY = 86_400
LIFETIME, KEEP = 184 * DAY, 1095 * DAY
TODAY = int(time.time())
"""The commands take no clock, so the tests date their records relative to the real date."""

Capture = pytest.CaptureFixture[str]


def answer(consent_id: str, at: int, keep: int = KEEP, **fields: Any) -> Any:
    end = at + LIFETIME
    return entry(consent_id, now=at, expires_at=rfc3339(end), keep_until=end + keep, **fields)


def append(ledger: Ledger, *entries: Any) -> None:
    async def each() -> None:
        for one in entries:
            await ledger.append(one)

    asyncio.run(each())


def findings_of(ledger: Ledger, *roots: tuple[int, int], now: int = TODAY) -> list[tuple[int, str]]:
    """Return the findings in a ledger whose chain is valid."""
    dates = Chronology(roots, now)
    assert verify(ledger.links(), inspect=dates.check).wrong is None
    return dates.findings()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of ten answers, one on each of the last ten days."""
    path = tmp_path / "consent.db"
    with closing(open_ledger(f"sqlite:///{path}")) as ledger:
        append(ledger, *(answer(f"v{number}", TODAY - (10 - number) * DAY) for number in range(10)))
    return path


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENT_KEY", KEY)


class Attacker:
    """Writes to the file directly, with correct hashes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, document: dict[str, Any]) -> None:
        """Append a record with correct hashes."""
        self._run(lambda file: self._append(file, document))

    def remove(self, number: int, document: dict[str, Any]) -> None:
        """Remove a record, and append a removal record."""

        def change(file: sqlite3.Connection) -> None:
            emptied = ", ".join(f"{name} = NULL" for name in ("document", *indexed_columns({})))
            file.execute(f"UPDATE consent_records SET {emptied} WHERE number = ?", [number])  # noqa: S608
            self._append(file, document)

        self._run(change)

    def _run(self, change: Any) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as file:
            change(file)

    @staticmethod
    def _append(file: sqlite3.Connection, document: dict[str, Any]) -> None:
        text = canonical_json(document).decode()
        number, before = file.execute("SELECT number, chain_hash FROM consent_records ORDER BY 1 DESC").fetchone()
        own = record_hash(text)
        columns = {**indexed_columns(document), "document": text, "number": number + 1, "record_hash": own}
        columns["chain_hash"] = chain_hash(before, own)
        marks = ", ".join(f":{name}" for name in columns)
        file.execute(f"INSERT INTO consent_records ({', '.join(columns)}) VALUES ({marks})", columns)  # noqa: S608


@pytest.fixture
def attacker(path: Path) -> Attacker:
    return Attacker(path)


def verified(path: Path, capsys: Capture, *more: str) -> dict[str, Any]:
    status = main(["verify", "--ledger", f"sqlite:///{path}", "--json", *more])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert status == (FINDING if report["findings"] else GOOD)
    return report


def findings(path: Path, capsys: Capture, *more: str) -> list[tuple[int | None, str]]:
    return [(finding["record"], finding["why"]) for finding in verified(path, capsys, *more)["findings"]]


def write_root(path: Path, capsys: Capture) -> str:
    """Write a signed root to a file of its own, and return its path."""
    kept = path.parent / "roots.txt"
    assert main(["verify", "--ledger", f"sqlite:///{path}", "--write-root", str(kept)]) == GOOD
    capsys.readouterr()
    return str(kept)


# Records removed too early


@pytest.mark.parametrize("claim", [None, 0, 1])
@pytest.mark.slow
def test_removal_before_retention_end_is_found(
    claim: int | None, path: Path, attacker: Attacker, capsys: Capture
) -> None:
    attacker.remove(6, removal("x", "retention", [6], rfc3339(TODAY), claim))
    when = rfc3339(TODAY - 6 * DAY)
    why = (
        f"Record 6 was removed as due, says record 11 of {rfc3339(TODAY)}, but was not there before {when}: "
        "the shortest time for which records are kept here is 1,095 days after the end of a consent."
    )
    assert findings(path, capsys) == [(6, why)]
    assert main(["verify", "--ledger", f"sqlite:///{path}"]) == FINDING
    said = "The chain itself fits for 11 records (1 of them removed: 1 by retention).\n"
    assert capsys.readouterr() == (said, f"{why}\n")


@pytest.mark.usefixtures("key")
@pytest.mark.slow
def test_early_removal_of_oldest_record_needs_root_to_be_found(path: Path, attacker: Attacker, capsys: Capture) -> None:
    root = sign_root(Root(0, START), root_signer([KEY]), TODAY - 11 * DAY)
    attacker.remove(1, removal("x", "retention", [1], rfc3339(TODAY)))
    assert not findings(path, capsys), "the chain does not date its first record"
    assert [record for record, _ in findings(path, capsys, "--root", root)] == [1]


@pytest.mark.slow
def test_removal_record_dated_in_future_is_found(path: Path, attacker: Attacker, capsys: Capture) -> None:
    attacker.remove(6, removal("x", "retention", [6], rfc3339(TODAY + 1500 * DAY)))
    assert findings(path, capsys)[0][0] == 11
    assert "is later than now" in findings(path, capsys)[0][1]
    attacker.append(answer("next", TODAY).document)
    assert [record for record, _ in findings(path, capsys)] == [11, 12]


@pytest.mark.slow
def test_erasures_are_counted_and_not_findings(path: Path, attacker: Attacker, capsys: Capture) -> None:
    """A chain cannot show who asked for an erasure, so the operator compares the count with the requests."""
    attacker.remove(6, removal("x", "erasure", [6], rfc3339(TODAY)))
    report = verified(path, capsys)
    assert (report["findings"], report["removed_by"]) == ([], {"retention": 0, "erasure": 1})
    attacker.remove(7, removal("y", "mice", [7], rfc3339(TODAY)))
    assert verified(path, capsys)["removed_by"] == {"retention": 0, "erasure": 1, "other": 1}


@pytest.mark.slow
def test_findings_of_same_kind_are_counted_together(path: Path, attacker: Attacker, capsys: Capture) -> None:
    attacker.remove(6, removal("x", "retention", [6], rfc3339(TODAY)))
    attacker.remove(8, removal("y", "retention", [8], rfc3339(TODAY)))
    ((record, why),) = findings(path, capsys)
    assert record == 6
    assert why.endswith(" 2 records in all are removed so.")


# Backdated records


@pytest.mark.usefixtures("key")
@pytest.mark.slow
def test_backdated_grant_is_found(path: Path, attacker: Attacker, capsys: Capture) -> None:
    root = write_root(path, capsys)
    signed = verified(path, capsys, "--root", root)["roots"][0]["signed_at"]
    forged = answer("v3", TODAY - 30 * DAY)
    attacker.append(forged.document)
    date = rfc3339(TODAY - 30 * DAY)
    before = rfc3339(TODAY - DAY)
    why = f"Record 11 is dated {date}, but follows record 10, which is dated {before}: one of the dates is wrong."
    assert findings(path, capsys) == [(11, why)]
    later = f"Record 11 is dated {date}, but was not there yet when a root was signed at {signed}."
    assert findings(path, capsys, "--root", root) == [(11, why), (11, later)]


@pytest.mark.usefixtures("key")
@pytest.mark.slow
def test_backdated_grant_with_plausible_date_needs_root_to_be_found(
    path: Path, attacker: Attacker, capsys: Capture
) -> None:
    root = write_root(path, capsys)
    attacker.append(answer("v3", TODAY - DAY).document)
    assert not findings(path, capsys), "the last record is as old"
    assert [record for record, _ in findings(path, capsys, "--root", root)] == [11]


# Histories without findings


def test_clock_skew_is_tolerated() -> None:
    ledger = MemoryLedger()
    append(ledger, *(answer(f"{number}", NOW - number % 2 * CLOCK_SKEW) for number in range(6)))
    assert not findings_of(ledger, (0, NOW), now=NOW - CLOCK_SKEW)
    append(ledger, answer("later", NOW - CLOCK_SKEW - 1))
    assert [record for record, _ in findings_of(ledger, (2, NOW), (3, NOW - DAY), now=NOW)] == [
        7,
        7,
    ]


def test_records_without_dates_are_not_findings() -> None:
    ledger = MemoryLedger()
    append(ledger, answer("a", NOW), entry("b", now=NOW, expires_at=7), entry("c", now=NOW, expires_at=None))
    assert not findings_of(ledger)
    dates = Chronology([], NOW)
    dates.check(1, {"event": "granted"})
    dates.check(2, {"event": "removed", "decided_at": "soon"})
    dates.check(3, {})
    dates.check(4, removal("x", "retention", [3], rfc3339(NOW), 3))
    assert dates.findings() == []
    assert dates.removed_by() == {"retention": 1, "erasure": 0}


def test_record_dated_in_future_does_not_affect_later_removals() -> None:
    ledger = MemoryLedger()
    append(ledger, answer("a", NOW, DAY), answer("b", NOW + 900 * DAY, KEEP))
    append(ledger, answer("c", NOW + DAY, DAY), answer("d", NOW + 2 * DAY, DAY))
    ledger.remove(now=NOW + 186 * DAY, make_id=new_id)
    append(ledger, answer("e", NOW + 186 * DAY, DAY))
    assert [why.partition(" is dated")[0] for _, why in findings_of(ledger)] == ["Record 2", "Record 4"]


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


@given(HOSTS, STEPS, st.sampled_from([1, 30, 400]))
def test_genuine_history_has_no_findings(hosts: list[int], steps: list[tuple[int, str, int]], keep_days: int) -> None:
    """A history has answers, notes and erasures; due records go each day."""
    ledger, roots, day = MemoryLedger(), list[tuple[int, int]](), NOW
    keep = keep_days * DAY
    append(ledger, answer("v0", NOW, keep))
    for days, what, host in steps:
        for _ in range(days):
            day += DAY
            ledger.remove(now=day + hosts[host % len(hosts)], make_id=new_id)
        now = day + hosts[host % len(hosts)]
        if what == "answer":
            append(ledger, answer(f"v{host}", now, keep))
        elif what == "note":  # about the oldest answer, dated as the endpoint does
            end = max(NOW + LIFETIME, now)
            append(ledger, entry("v0", event="note", now=now, keep_until=end + keep))
        elif what == "erase":
            ledger.remove(now=now, make_id=new_id, consent_id=f"v{host}")
        else:
            roots.append((ledger.size(), now))
    assert findings_of(ledger, *roots, now=day + CLOCK_SKEW) == []


def test_longer_retention_does_not_affect_earlier_removals() -> None:
    ledger, keep = MemoryLedger(), DAY
    for day in range(0, 700, 10):
        keep = DAY if day < 300 else KEEP
        append(ledger, answer(f"v{day}", NOW + day * DAY, keep))
        ledger.remove(now=NOW + (day + 1) * DAY, make_id=new_id)
    assert sum(link.document is None for link in ledger.links()) == 30
    assert findings_of(ledger, now=NOW + 700 * DAY) == []
