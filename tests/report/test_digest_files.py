"""Tests of the files of digests: late and damaged ones, long ranges, and other processes meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cookie_consent.base.process import locking
from cookie_consent.cli import main
from cookie_consent.report import UnreadableError, report
from cookie_consent.report.digests import engine, making
from cookie_consent.report.digests.database import attach, reading_digests
from cookie_consent.report.digests.engine import DigestedFiles
from cookie_consent.report.digests.facts import FactsReader
from cookie_consent.report.digests.file_facts import read_file
from cookie_consent.report.digests.frugal import FrugalConnection
from cookie_consent.report.digests.key import read_key
from cookie_consent.report.digests.making import Digested, digest
from cookie_consent.report.goals import Goals
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files import queries
from cookie_consent.sinks.files.closed_files import FileFormat, Source, path_of
from cookie_consent.sinks.files.compaction import compact
from cookie_consent.sinks.files.digest_files import block_path, blocks_of, digest_folder, digest_path, making_digests
from cookie_consent.sinks.files.locking import remove
from cookie_consent.sinks.files.queries import erase_visitor, purge
from cookie_consent.sinks.store import PartlyErasedError
from tests.support.digests import answers, assert_same_report, damage_digest, number_of, scanned, stored_numbers, write
from tests.support.report_records import FIRST, Record, line, page_view, time_text

pytestmark = [pytest.mark.one_python, pytest.mark.slow]
START = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
NEXT = FIRST + timedelta(days=1)
DECEMBER_12 = timedelta(days=41)
"""The next day is the first in another block than `FIRST`."""


def view(visitor: str, hours: float, path: str = "/") -> Record:
    """Return the record of a page, some hours after the start."""
    return page_view(visitor, START + timedelta(hours=hours), path)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    return tmp_path / "access.jsonl"


@pytest.fixture
def two_days(live: Path) -> Path:
    """A log with two closed files."""
    write(live, FIRST, [view("ann", 9), view("bob", 12)])
    write(live, NEXT, [view("ann", 33), view("cas", 36)])
    return live


def test_late_and_repeated_records_count_once(live: Path) -> None:
    """Each file has records of the one before, and a page that was left goes on with a session in a closed file."""
    noon = view("ann", 12)
    write(live, FIRST, [view("bob", 9), noon, view("ann", 12.2, "/a"), view("cas", 20)])
    write(
        live, NEXT, [view("bob", 10), view("ann", 12.4, "/b"), noon, view("dan", 32), view("eve", 36), view("fay", 42)]
    )
    left = view("dan", 49) | {"record.kind": "event", "event.name": "page_leave", "duration_ms": 16.9 * 3_600_000}
    live.write_bytes(b"".join(map(line, (view("eve", 36), left))))
    assert digest(live) == Digested(2, 1)
    assert_same_report(live, since=FIRST, until=NEXT + timedelta(days=1), threshold=1, goals=GOALS)


@pytest.mark.parametrize("compacted", [True, False])
def test_files_of_one_time_have_their_own_events(live: Path, compacted: bool) -> None:
    """A late line is in a file of a later day, so that both files have records from one time."""
    sent = {"record.kind": "event", "event.name": "download"}
    write(live, FIRST, [view("ann", 9), view("ann", 9.1) | sent | {"event.properties": {"file": "a.pdf", "size": 1}}])
    late = view("bob", 9.05) | sent | {"event.properties": {"file": "b.pdf", "size": 2.5}}
    write(live, NEXT, [late, view("bob", 33)])
    if compacted:
        compact(live)
    digest(live)
    assert_same_report(live, since=FIRST, until=NEXT, threshold=1)


@pytest.mark.parametrize("compacted", [True, False])
def test_records_of_earlier_versions_count(live: Path, compacted: bool) -> None:
    """They lack the kind, the uid or the visitor. A record without a visitor is one of its own."""
    records = [view("ann", 9), view("bob", 9.1, "/a"), view("cas", 9.2, "/b"), view("cas", 9.3)]
    for record, lacks in zip(records, ("log.record.uid", "visitor.id", "record.kind", "url.path"), strict=True):
        del record[lacks]
    left = {key: value for key, value in view("dan", 10).items() if key not in ("visitor.id", "log.record.uid")}
    asked = [left | {"time": time_text(START + timedelta(hours=hours))} for hours in (10, 10.1, 11)]
    write(live, FIRST, [*records, *asked])
    write(live, NEXT, [view("ann", 33)])
    if compacted:
        compact(live)
    digest(live)
    assert_same_report(live, since=FIRST, until=NEXT, threshold=1)


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
        ("America/Caracas", datetime(2016, 5, 1, 7, tzinfo=UTC)),
        ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_hours_are_those_of_the_clock_when_it_is_changed(live: Path, zone: str, change: datetime) -> None:
    """On Lord Howe, and on that day in Caracas, the clock is changed by half an hour. Apia left out a day."""
    times = [change + timedelta(minutes=minutes) for minutes in range(-90, 120, 15)]
    day = times[0].date()
    write(live, day + timedelta(days=1), [page_view(f"v{number}", time) for number, time in enumerate(times)])
    digest(live, zone)
    asked = {"since": day, "until": day + timedelta(days=1), "threshold": 1, "time_zone": zone}
    assert_same_report(live, **asked, step="hour")
    assert_same_report(live, **asked, step="day")


def test_late_record_that_joins_a_long_session_with_another_reads_no_more_than_a_scan(live: Path) -> None:
    """A report of the first day reads six hours of the next one, and cuts off a session there."""
    long_session = [view("ann", 23 + number * 0.4) for number in range(17)]
    write(live, NEXT, [*long_session, view("ann", 29.95), view("ann", 30.2), view("bob", 45)])
    live.write_bytes(line(view("ann", 29.7)))
    digest(live)
    assert_same_report(live, since=FIRST, until=FIRST, threshold=1)


def test_visitors_of_a_past_moment_are_scanned(two_days: Path) -> None:
    digest(two_days)
    asked: dict[str, Any] = {"since": FIRST, "until": NEXT, "threshold": 1, "count_now": True}
    asked["now"] = (START + timedelta(hours=12)).timestamp()
    made = report(two_days, **asked)
    assert made["now"] == scanned(two_days, **asked)["now"]


@pytest.fixture
def three_blocks(live: Path) -> Path:
    """A log of more than 64 days, with a session over the midnight between two blocks."""
    hours = DECEMBER_12 / timedelta(hours=1)
    write(live, FIRST, [view("ann", 9), view("bob", 12)])
    write(live, FIRST + DECEMBER_12, [view("ann", hours + 9), view("cas", hours + 23.9)])
    write(live, NEXT + DECEMBER_12, [view("cas", hours + 24.1, "/a"), view("bob", hours + 30)])
    write(live, FIRST + timedelta(days=92), [view("ann", 92 * 24 + 9)])
    assert digest(live) == Digested(4, 3)
    return live


GOALS = Goals((("a", "/a"), ("any", "/*")), (("next", ("/", "/a")),))
LONG: dict[str, Any] = {
    "since": FIRST,
    "until": FIRST + timedelta(days=99),
    "threshold": 1,
    "step": "week",
    "goals": GOALS,
}


def test_erasing_leaves_alone_the_blocks_of_other_files(three_blocks: Path) -> None:
    hours = 93 * 24
    write(three_blocks, FIRST + timedelta(days=93), [view("dan", hours + 9), view("eve", hours + 12)])
    assert digest(three_blocks) == Digested(1, 1)
    dan = number_of(three_blocks, "dan")
    erase_visitor(three_blocks, "dan")
    assert sorted(blocks_of(three_blocks)) == [648, 649]
    assert dan not in stored_numbers(three_blocks)
    assert digest(three_blocks) == Digested(1, 1)
    assert_same_report(three_blocks, **LONG)


def test_purging_leaves_alone_the_blocks_of_later_days(three_blocks: Path) -> None:
    later = START + timedelta(days=30)
    purge(three_blocks, later.timestamp(), timedelta(days=10))
    assert sorted(blocks_of(three_blocks)) == [649, 650]
    assert digest(three_blocks) == Digested(0, 0)
    assert_same_report(three_blocks, **LONG)


@pytest.mark.parametrize(
    "known",
    [b"\xff", b"", f"\n{FIRST}-0001".encode(), None],
    ids=["damaged", "empty", "changed", "of an earlier version"],
)
def test_erasing_removes_each_block_that_may_be_of_the_file(three_blocks: Path, known: bytes | None) -> None:
    for block in blocks_of(three_blocks).values():
        names = block.with_suffix(".files")
        names.unlink() if known is None else names.write_bytes(known)
    erase_visitor(three_blocks, "cas")
    assert blocks_of(three_blocks) == {}


def test_block_that_is_joined_while_its_file_is_purged_does_not_stay(
    three_blocks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that joins it has opened the digest before that is removed."""

    def meanwhile(path: Path, source: Source) -> None:
        digest(path)
        digest_path(path, source).unlink()
        remove(path, source)

    bob = number_of(three_blocks, "bob")
    monkeypatch.setattr(queries, "remove", meanwhile)
    purge(three_blocks, (START + timedelta(days=60)).timestamp(), timedelta(days=10))
    assert bob not in stored_numbers(three_blocks)


@pytest.mark.parametrize(("move", "made"), [("compact", Digested(2, 1)), ("purge", Digested(1, 1))])
def test_digests_are_made_although_files_move_meanwhile(
    two_days: Path, move: str, made: Digested, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []

    def meanwhile(*values: Any) -> Any:
        if not moved:
            moved.append(move)
            if move == "compact":
                compact(two_days)
            else:
                purged(two_days)
        return read_file(*values)

    monkeypatch.setattr(making, "read_file", meanwhile)
    assert digest(two_days) == made
    assert_same_report(two_days, since=FIRST, until=NEXT, threshold=1)


_FEW_FILES = """
import resource, sys
from pathlib import Path
from cookie_consent.report.digests.making import digest

resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
assert digest(Path(sys.argv[1])).blocks == 5
"""


@pytest.mark.no_cover
def test_log_may_have_more_files_than_a_process_may_open(live: Path) -> None:
    for number in range(30):
        write(live, FIRST + timedelta(days=5 * number), [view("ann", 120 * number + 9)])
    subprocess.run([sys.executable, "-c", _FEW_FILES, live], check=True)
    assert_same_report(live, since=FIRST + timedelta(days=70), until=FIRST + timedelta(days=90), threshold=1)


def test_long_range_is_in_several_blocks(three_blocks: Path) -> None:
    assert_same_report(three_blocks, **LONG)


@pytest.mark.parametrize("since", [0, 46])
def test_range_of_several_blocks_is_compared_with_one_of_a_single_block(three_blocks: Path, since: int) -> None:
    """Either may be the earlier one."""
    days = {"since": FIRST + timedelta(days=since), "until": FIRST + timedelta(days=since + 45)}
    assert_same_report(three_blocks, **LONG | days | {"compare": True})


def test_damaged_blocks_are_not_read_and_made_anew(three_blocks: Path) -> None:
    block_path(three_blocks, 650).write_bytes(b"no database")
    assert_same_report(three_blocks, **LONG)  # the records of its last file are read
    block_path(three_blocks, 649).write_bytes(b"no database")
    with answers() as found:
        made = report(three_blocks, **LONG, now=0)
    assert found == [False]
    assert made == scanned(three_blocks, **LONG)
    assert digest(three_blocks) == Digested(0, 2)
    assert_same_report(three_blocks, **LONG)


def cut_off(file: Path) -> None:
    """Keep the first half of a file."""
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 2)


@pytest.mark.parametrize("name", [f"{FIRST}-0001.db", "days-649.db"])
@pytest.mark.parametrize("damage", [cut_off, damage_digest])
def test_damaged_digest_is_not_read(three_blocks: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(digest_folder(three_blocks) / name)
    assert report(three_blocks, **LONG, now=0) == scanned(three_blocks, **LONG)


@pytest.mark.parametrize("damage", [cut_off, damage_digest])
def test_damaged_digest_of_a_file_is_made_anew(three_blocks: Path, damage: Callable[[Path], None]) -> None:
    damage(digest_folder(three_blocks) / f"{NEXT + DECEMBER_12}-0001.db")
    for block in blocks_of(three_blocks).values():
        block.unlink()
    write(three_blocks, FIRST + timedelta(days=93), [view("bob", 93 * 24 + 9)])
    assert digest(three_blocks).digests == 2
    assert_same_report(three_blocks, **LONG)


def test_figure_of_a_damaged_block_is_scanned(two_days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB notices damage when it reads the part that has it."""

    def damaged(*values: object) -> None:
        raise duckdb.IOException("Could not read enough bytes")

    digest(two_days)
    monkeypatch.setattr(engine, "ListsOfBlocks", damaged)
    asked: dict[str, Any] = {"since": FIRST, "until": NEXT, "threshold": 1, "now": 0}
    assert report(two_days, **asked) == scanned(two_days, **asked)


def test_block_that_is_cut_off_is_made_anew(three_blocks: Path) -> None:
    cut_off(block_path(three_blocks, 649))
    assert digest(three_blocks) == Digested(0, 1)
    assert_same_report(three_blocks, **LONG)


def test_block_that_is_replaced_meanwhile_is_not_read(two_days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new block has a file that the report reads, too, because the block that it knows lacks it."""
    digest(two_days)
    replaced: list[Path] = []

    def attach_later(reader: FactsReader, file: Path, name: str) -> None:
        if not replaced:
            replaced.append(write(two_days, NEXT, [view("dan", 40)], number=2))
            digest(two_days)
        attach(reader, file, name)

    monkeypatch.setattr(engine, "attach", attach_later)
    asked: dict[str, Any] = {"since": FIRST, "until": NEXT, "threshold": 1, "now": 0}
    made = report(two_days, **asked)
    assert replaced
    assert made == scanned(two_days, **asked)


@pytest.mark.parametrize("erasing", [True, False], ids=["erased", "another file"])
def test_files_may_change_when_a_report_from_digests_is_nearly_done(
    two_days: Path, erasing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins again, perhaps without digests, and finds the tables that it made before."""
    digest(two_days)
    two_days.write_bytes(line(view("ann", 47.9)))  # so it makes tables of what digests lack
    original, tried = DigestedFiles._find_earlier, list[bool]()

    def meanwhile(*values: Any) -> Any:
        found = original(*values)
        if not tried:
            tried.append(True)
            if erasing:
                erase_visitor(two_days, "bob")
            write(two_days, NEXT, [view("dan", 40)], number=2)
        return found

    monkeypatch.setattr(DigestedFiles, "_find_earlier", meanwhile)
    asked: dict[str, Any] = {"since": FIRST, "until": NEXT, "threshold": 1, "now": 0}
    assert report(two_days, **asked) == scanned(two_days, **asked)
    assert tried


def test_only_errors_of_reading_are_damage() -> None:
    with pytest.raises(duckdb.BinderException), reading_digests(), duckdb.connect() as connection:
        connection.execute("SELECT nothing")


def test_full_disk_is_told_when_digests_are_made(two_days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*values: object) -> None:
        (digest_folder(two_days) / ".firsts.db.part.wal").touch()  # as DuckDB does
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(making, "fill_firsts", full)
    with pytest.raises(UnreadableError, match="No space left"):
        digest(two_days)
    assert not [file for file in digest_folder(two_days).iterdir() if ".part" in file.name]
    monkeypatch.undo()
    assert digest(two_days) == Digested(0, 0)
    assert_same_report(two_days, since=FIRST, until=NEXT, threshold=1)


def test_damaged_file_has_no_digest_and_harms_no_other(two_days: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = path_of(two_days, FIRST, 2, FileFormat.GZIP)
    damaged.write_bytes(b"no gzip")
    assert main(["digest", "--access-log", str(two_days)]) == 1
    said = capsys.readouterr()
    assert said.out == "2 digests made, and 1 block of days joined.\n"
    assert f"Has no digest: {damaged}: " in said.err
    assert not (digest_folder(two_days) / f"{FIRST}-0002.db").exists()


@pytest.mark.parametrize("day", [FIRST, NEXT], ids=["before the range", "in the range"])
def test_damaged_file_is_left_out_of_a_report_from_digests(two_days: Path, day: date) -> None:
    path_of(two_days, day, 2, FileFormat.GZIP).write_bytes(b"no gzip")
    digest(two_days)
    assert_same_report(two_days, since=NEXT, until=NEXT, threshold=1, compare=True)
    assert len(report(two_days, since=NEXT, until=NEXT)["unreadable_files"]) == 1


def test_log_without_closed_files_keeps_no_digest(two_days: Path) -> None:
    digest(two_days)
    for day in (FIRST, NEXT):
        path_of(two_days, day, 1, FileFormat.PLAIN).unlink()
    assert digest(two_days) == Digested(0, 0)
    assert not [*digest_folder(two_days).glob("*.db")]


def test_log_of_damaged_files_keeps_no_digest(two_days: Path) -> None:
    digest(two_days)
    for day in (FIRST, NEXT):
        path = path_of(two_days, day, 1, FileFormat.PLAIN)
        path.with_name(f"{path.name}.gz").write_bytes(b"no gzip")
        path.unlink()
    assert len(digest(two_days).damaged) == 2
    assert not [*digest_folder(two_days).glob("*.db")]


def test_one_process_at_a_time_makes_digests(two_days: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest_folder(two_days).mkdir()
    left = digest_folder(two_days) / f".{FIRST}-0001.db.part"
    left.touch()
    with locking.opened(digest_folder(two_days) / ".lock", os.O_RDWR | os.O_CREAT):
        assert main(["digest", "--access-log", str(two_days)]) == 0
        assert capsys.readouterr().out == "Another process makes the digests now.\n"
        assert left.exists(), "the other process may be writing it"
    assert digest(two_days) == Digested(2, 1)
    assert not left.exists()


def test_lost_key_makes_all_digests_anew(two_days: Path) -> None:
    digest(two_days)
    before = read_key(two_days)
    (digest_folder(two_days) / "key").write_text("cut off")
    with answers() as found:
        report(two_days, since=FIRST, until=NEXT)
    assert found == [False]
    assert digest(two_days) == Digested(2, 1)
    assert read_key(two_days) not in (None, before)
    assert_same_report(two_days, since=FIRST, until=NEXT, threshold=1)


def erased(live: Path) -> None:
    open_sink(str(live)).erase("bob")


def purged(live: Path) -> None:
    """Remove the first file."""
    open_sink(str(live)).purge((START + timedelta(days=2)).timestamp(), timedelta(days=1))


@pytest.mark.parametrize(
    ("remove", "step", "made_then"),
    [
        (erased, "write_about", Digested(1, 1)),
        (erased, "fill_block", Digested(1, 1)),
        (erased, "fill_firsts", Digested(1, 1)),
        (purged, "write_about", Digested(0, 0)),
    ],
)
def test_records_removed_meanwhile_are_in_no_digest(
    two_days: Path,
    remove: Callable[[Path], None],
    step: str,
    made_then: Digested,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next run makes what is missing."""
    original: Callable[..., None] = getattr(making, step)
    removed: list[int] = []

    def meanwhile(*values: Any) -> None:
        original(*values)
        if not removed:
            removed.append(number_of(two_days, "bob"))
            remove(two_days)

    monkeypatch.setattr(making, step, meanwhile)
    digest(two_days)
    assert removed
    assert removed[0] not in stored_numbers(two_days)
    assert not (digest_folder(two_days) / f"{FIRST}-0001.db").exists()
    assert digest(two_days) == made_then
    assert removed[0] not in stored_numbers(two_days)


def left_half_made(live: Path) -> None:
    """Do as `digest` does when it is killed."""
    written = (digest_folder(live) / f"{FIRST}-0001.db").read_bytes()
    for name in (f".{FIRST}-0001.db.part", ".days-647.db.part", ".days-647.db.part.wal"):
        (digest_folder(live) / name).write_bytes(written)


def left_of_a_lost_file(live: Path) -> None:
    """Remove a file, as nobody should."""
    write(live, NEXT, [view("bob", 34)], number=2)
    digest(live)
    path_of(live, NEXT, 2, FileFormat.PLAIN).unlink()


def left_alone(live: Path) -> None:
    """Remove all files."""
    for day in (FIRST, NEXT):
        path_of(live, day, 1, FileFormat.PLAIN).unlink()


@pytest.mark.parametrize("leave", [left_half_made, left_of_a_lost_file, left_alone])
@pytest.mark.parametrize("remove", [erased, purged])
def test_erasing_and_purging_remove_what_was_left(
    two_days: Path, leave: Callable[[Path], None], remove: Callable[[Path], None]
) -> None:
    """The site itself does this, and waits for no digest."""
    digest(two_days)
    leave(two_days)
    number = number_of(two_days, "bob")
    remove(two_days)
    assert number not in stored_numbers(two_days)
    assert not [file for file in digest_folder(two_days).iterdir() if file.name.startswith(".") and "part" in file.name]


def test_erasing_leaves_alone_what_another_process_makes_now(two_days: Path) -> None:
    digest(two_days)
    left_half_made(two_days)
    with making_digests(two_days):
        erased(two_days)
    assert len([*digest_folder(two_days).glob(".*.part")]) == 2


def test_leftovers_that_stay_are_named(two_days: Path) -> None:
    digest(two_days)
    left_half_made(two_days)
    lock = digest_folder(two_days) / ".lock"
    lock.unlink()
    lock.mkdir()
    with pytest.raises(PartlyErasedError, match="digests: "):
        erased(two_days)


def test_statement_that_needs_more_memory_gets_all() -> None:
    """The statement takes 192 MB; a report from digests begins with 150 MB."""
    wanted = "SELECT len(list(number)) FROM range(12_000_000) AS numbers (number)"
    with duckdb.connect(config={"threads": 1, "temp_directory": ""}) as connection:
        frugal = FrugalConnection(connection, 700_000_000)
        frugal.be_frugal(frugal=True)
        assert frugal.execute(wanted).fetchall() == [(12_000_000,)]
        little = FrugalConnection(connection, 100_000_000)
        little.be_frugal(frugal=True)
        with pytest.raises(duckdb.OutOfMemoryException):
            little.execute(wanted)
