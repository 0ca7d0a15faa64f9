"""Tests of blocks of digests to which later files are added: they are as if they were made at once."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cookie_consent.report.digests import making
from cookie_consent.report.digests.blocks import fill_block, goes_on
from cookie_consent.report.digests.making import Digested, digest
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.digest_files import blocks_of
from tests.support.digests import (
    assert_blocks_are_as_if_made_at_once,
    assert_same_report,
    damage_digest,
    number_of,
    stored_numbers,
    write,
)
from tests.support.report_records import DAYS, FIRST, HOSTS, Record, day_of, page_view, random_records, time_of

pytestmark = [pytest.mark.one_python, pytest.mark.slow]


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many digests each block was made from, or was extended by."""
    found: list[int] = []

    def counted(reader: Any, block: int, about: Any, digests: Any, *rest: Any) -> None:
        found.append(len(digests))
        fill_block(reader, block, about, digests, *rest)

    monkeypatch.setattr(making, "fill_block", counted)
    return found


def write_and_digest(live: Path, records: list[Record]) -> None:
    """Write the file of each day, and digest each time."""
    for day in sorted({day_of(record) for record in records}):
        write(live, day, [record for record in records if day_of(record) == day])
        digest(live)


def test_days_one_by_one_make_the_block_of_all(tmp_path: Path, added: list[int]) -> None:
    live = tmp_path / "access.jsonl"
    write_and_digest(live, random_records(seed=8, visitors=60))
    assert added == [1] * (DAYS + 1)
    assert_same_report(live, since=FIRST, until=FIRST + timedelta(days=DAYS), threshold=1)
    assert_blocks_are_as_if_made_at_once(live)


def test_several_days_are_added_at_once(tmp_path: Path, added: list[int]) -> None:
    live = tmp_path / "access.jsonl"
    records = random_records(seed=9, visitors=40)
    days = sorted({day_of(record) for record in records})
    for begin, end in ((0, 3), (3, len(days))):
        for day in days[begin:end]:
            write(live, day, [record for record in records if day_of(record) == day])
        digest(live)
    assert added == [3, len(days) - 3]
    assert_blocks_are_as_if_made_at_once(live)


def test_visitor_of_one_host_comes_to_another(tmp_path: Path, added: list[int]) -> None:
    """Then the visitor has a row for each host, and one for all."""
    live = tmp_path / "access.jsonl"
    begin = time_of(random_records(seed=1, visitors=1)[0]).replace(hour=12)
    visits = [
        ("ann", 0, HOSTS[0]), ("ann", 1, HOSTS[1]), ("ann", 2, HOSTS[0]),
        ("bob", 0, HOSTS[0]), ("bob", 1, HOSTS[0]),
        ("cas", 1, HOSTS[0]), ("cas", 1, HOSTS[1]), ("cas", 2, HOSTS[1]),
    ]  # fmt: skip
    records = [
        {**page_view(visitor, begin + timedelta(days=day)), "server.address": host, "log.record.uid": str(number)}
        for number, (visitor, day, host) in enumerate(visits)
    ]
    write_and_digest(live, records)
    assert added == [1, 1, 1]
    for host in (*HOSTS[:2], ""):
        asked: dict[str, Any] = {"host": host} if host else {}
        assert_same_report(live, since=begin.date(), until=begin.date() + timedelta(days=2), threshold=1, **asked)
    assert_blocks_are_as_if_made_at_once(live)


def test_sessions_go_on_in_later_files(tmp_path: Path, added: list[int]) -> None:
    """Over midnight, for days, after a page that was visible for hours, and until the end of the log."""
    live = tmp_path / "access.jsonl"
    midnight = time_of(random_records(seed=1, visitors=1)[0]).replace(hour=0, minute=0, second=0, microsecond=0)
    midnight += timedelta(days=1)
    visits = [("ann", minute) for minute in (-20, -5, 10, 30)]
    visits += [("bob", minute) for minute in range(-800, 2800, 25)]
    visits += [("cas", -170), ("dan", -100), ("dan", 1400), ("dan", 1460), ("eve", 2000), ("eve", 2870)]
    records = [
        page_view(visitor, midnight + timedelta(minutes=minute), f"/{abs(minute) % 7}") for visitor, minute in visits
    ]
    left = page_view("cas", midnight + timedelta(minutes=40))
    left |= {"record.kind": "event", "event.name": "page_leave", "duration_ms": 205 * 60_000.0}
    write_and_digest(live, [*records, left])
    assert added == [1, 1, 1]
    for days in (0, 1, 2):
        assert_same_report(live, since=midnight.date(), until=midnight.date() + timedelta(days=days), threshold=1)
    assert_blocks_are_as_if_made_at_once(live)


def test_long_session_is_made_of_records_that_only_the_file_has(tmp_path: Path, added: list[int]) -> None:
    """The block no longer has the first record, but keeps no more of it than the digest of its file does."""
    live = tmp_path / "access.jsonl"
    ten = time_of(random_records(seed=1, visitors=1)[0]).replace(hour=10)
    left = page_view("ann", ten + timedelta(hours=14, minutes=30))
    left |= {"record.kind": "event", "event.name": "page_leave", "duration_ms": 14 * 3_600_000.0}
    write_and_digest(live, [page_view("ann", ten), page_view("bob", ten + timedelta(hours=10)), left])
    assert added == [1, 1]
    assert_blocks_are_as_if_made_at_once(live)


def test_page_left_days_later_has_the_block_made_at_once(tmp_path: Path, added: list[int]) -> None:
    """Its session is a fact as all others by then."""
    live = tmp_path / "access.jsonl"
    noon = time_of(random_records(seed=1, visitors=1)[0]).replace(hour=12)
    left = page_view("ann", noon + timedelta(days=3, minutes=1))
    left |= {"record.kind": "event", "event.name": "page_leave", "duration_ms": 3 * 86_400_000.0}
    write_and_digest(live, [page_view("ann", noon), page_view("bob", noon + timedelta(days=2)), left])
    assert added == [1, 1, 3]
    assert_blocks_are_as_if_made_at_once(live)


def test_late_records_have_the_block_made_at_once(tmp_path: Path, added: list[int]) -> None:
    live = tmp_path / "access.jsonl"
    records = random_records(seed=7, visitors=5)
    days = sorted({day_of(record) for record in records})
    write(live, days[0], [record for record in records if day_of(record) == days[0]])
    digest(live)
    write(live, days[1], [record for record in records if day_of(record) <= days[1]])
    digest(live)
    assert added == [1, 2]
    assert_blocks_are_as_if_made_at_once(live)


def test_removed_file_has_the_block_made_at_once(tmp_path: Path, added: list[int]) -> None:
    live = tmp_path / "access.jsonl"
    records = random_records(seed=7, visitors=5)
    days = sorted({day_of(record) for record in records})
    files = [write(live, day, [record for record in records if day_of(record) == day]) for day in days[:3]]
    digest(live)
    files[0].unlink()
    write(live, days[3], [record for record in records if day_of(record) == days[3]])
    assert digest(live) == Digested(1, 1)
    assert added == [3, 3]
    assert_blocks_are_as_if_made_at_once(live)


@pytest.fixture
def two_of_three(tmp_path: Path) -> tuple[Path, list[Record]]:
    """A log with digests of two days, and the records of the third."""
    live = tmp_path / "access.jsonl"
    records = random_records(seed=7, visitors=5)
    days = sorted({day_of(record) for record in records})[:3]
    write_and_digest(live, [record for record in records if day_of(record) in days[:2]])
    write(live, days[2], [record for record in records if day_of(record) == days[2]])
    return live, records


def test_damaged_block_is_made_at_once(two_of_three: tuple[Path, list[Record]], added: list[int]) -> None:
    live, _ = two_of_three
    (block,) = blocks_of(live).values()
    damage_digest(block)
    assert digest(live) == Digested(1, 1)
    assert added[-1] == 3
    assert_blocks_are_as_if_made_at_once(live)


@pytest.mark.parametrize("table", ["sums", "measured", "people"])
def test_block_with_a_damaged_table_is_made_at_once(tmp_path: Path, added: list[int], table: str) -> None:
    """DuckDB reads some tables only when it ends the transaction that adds to them."""
    live = tmp_path / "access.jsonl"
    records = random_records(seed=7, visitors=20)
    days = sorted({day_of(record) for record in records})[:3]
    write_and_digest(live, [record for record in records if day_of(record) in days[:2]])
    (block,) = blocks_of(live).values()
    with duckdb.connect(str(block), read_only=True) as connection:
        ((size,),) = connection.execute("SELECT block_size FROM pragma_database_size()").fetchall()
        place = f"SELECT min(block_id) FROM pragma_storage_info('{table}') WHERE block_id >= 0"  # noqa: S608
        ((number,),) = connection.execute(place).fetchall()
    whole = bytearray(block.read_bytes())
    whole[3 * 4096 + number * size + 1000] ^= 0xFF
    block.write_bytes(whole)
    write(live, days[2], [record for record in records if day_of(record) == days[2]])
    assert digest(live) == Digested(1, 1)
    assert added == [1, 1, 1, 3]
    assert_blocks_are_as_if_made_at_once(live)


def test_what_a_failed_try_wrote_is_not_added_again(
    two_of_three: tuple[Path, list[Record]], added: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB leaves a log of it beside a database if the disk is full at the end."""
    live, _ = two_of_three
    (block,) = blocks_of(live).values()
    copy = tmp_path / "copy.db"
    shutil.copyfile(block, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("INSERT INTO sums FROM sums")
        written = Path(f"{copy}.wal").read_bytes()

    def fail_before(*asked: Any) -> bool:
        block.with_name(f".{block.name}.part.wal").write_bytes(written)
        return goes_on(*asked)

    monkeypatch.setattr(making, "goes_on", fail_before)
    assert digest(live) == Digested(1, 1)
    assert added == [1]
    assert_blocks_are_as_if_made_at_once(live)


def test_block_that_an_erasure_removes_meanwhile_is_made_at_once(
    two_of_three: tuple[Path, list[Record]], added: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, records = two_of_three

    def erase_meanwhile(*asked: Any) -> bool:
        open_sink(str(live)).erase(records[0]["visitor.id"])
        return goes_on(*asked)

    monkeypatch.setattr(making, "goes_on", erase_meanwhile)
    digest(live)
    digest(live)
    assert added[-1] == 3
    assert number_of(live, records[0]["visitor.id"]) not in stored_numbers(live)
    assert_blocks_are_as_if_made_at_once(live)
