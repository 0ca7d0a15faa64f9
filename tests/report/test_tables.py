"""Figures from the tables that are kept beside a log are those of a scan, whatever happened to either."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cookie_consent.base import locking
from cookie_consent.cli.main import main
from cookie_consent.report import report
from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of
from cookie_consent.sinks.files.parquet import compact
from cookie_consent.sinks.files.tables import SESSIONS, read_origins, table_path, tables_folder, write_table
from tests.report.test_report import (
    COUNTS,
    LAST,
    LISTS,
    QUESTIONS,
    RECORDS,
    assert_same_figures,
    write_days,
    write_files,
)
from tests.support.report_oracle import Oracle
from tests.support.report_records import ALL_LISTS, DAYS, FIRST, Record, day_of, few_lists, line, page_view, time_of
from tests.support.waiting import wait_until

ALL: dict[str, Any] = {"since": FIRST, "until": LAST}
full = pytest.mark.full_matrix
ADD = f"""
import sys
from datetime import date
from pathlib import Path
from cookie_consent.report import report
report(sys.argv[1], since=date.fromisoformat("{FIRST}"), until=date.fromisoformat("{LAST}"))
"""


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A log of three closed days and a live file."""
    path = tmp_path / "access.jsonl"
    write_files(path, RECORDS, COUNTS)
    return path


def assert_is_as_wanted(live: Path, records: list[Record] = RECORDS, lists: str = LISTS, **asked: Any) -> None:
    question = asked or ALL
    with few_lists(lists):
        made = report(live, **question)
    assert_same_figures(made, Oracle(records, COUNTS, **question).report())


def make_tables(live: Path) -> None:
    """Ask a question, which makes the tables of the closed days."""
    with few_lists():
        report(live, **ALL)


def kept(live: Path) -> list[Path]:
    return sorted(tables_folder(live).glob("*/*.parquet"))


def _are_kept(live: Path, number: int) -> bool:
    return len(kept(live)) >= number


def visitors_of(records: list[Record]) -> list[str]:
    return sorted({record["visitor.id"] for record in records if "visitor.id" in record})


def closed_records(visitor: str) -> list[Record]:
    closed = [FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=2)]
    return [record for record in RECORDS if record.get("visitor.id") == visitor and day_of(record) in closed]


@pytest.fixture(scope="module")
def with_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a log with its tables, which tests leave as they are."""
    path = tmp_path_factory.mktemp("log") / "access.jsonl"
    write_files(path, RECORDS, COUNTS)
    make_tables(path)
    return path


@pytest.mark.slow
@pytest.mark.each_value(all_of="all days", at_most=3)
@pytest.mark.parametrize("question", QUESTIONS)
def test_every_question_has_the_same_answer_from_tables(question: str, with_tables: Path) -> None:
    before = {table: table.stat().st_mtime_ns for table in kept(with_tables)}
    assert len(before) == 6
    assert_is_as_wanted(with_tables, lists=ALL_LISTS, **QUESTIONS[question])
    assert {table: table.stat().st_mtime_ns for table in kept(with_tables)} == before


@pytest.mark.slow
def test_days_that_are_added_one_by_one_give_the_figures_of_a_scan(tmp_path: Path) -> None:
    live = tmp_path / "access.jsonl"
    days = [FIRST + timedelta(days=number) for number in range(-1, DAYS + 1)]
    write_days(counts_path(live), COUNTS, days)
    for number, day in enumerate(days):
        write_days(path_of(live, day, 1, FileFormat.PLAIN), RECORDS, [day])
        write_days(live, RECORDS, days[number + 1 : number + 2])
        known = [record for record in RECORDS if day_of(record) in days[: number + 2]]
        assert_is_as_wanted(live, known)


@pytest.mark.slow
def test_record_that_is_written_late_and_twice_counts_once(live: Path) -> None:
    make_tables(live)
    late = [record for record in RECORDS if day_of(record) == FIRST][:40]
    others = [record for record in RECORDS if record not in late]
    write_days(path_of(live, FIRST, 2, FileFormat.PLAIN), others[:30], [FIRST])
    day = FIRST + timedelta(days=2)
    path_of(live, day, 2, FileFormat.PLAIN).write_bytes(b"")
    write_days(path_of(live, day, 2, FileFormat.PLAIN), late, [FIRST])
    assert_is_as_wanted(live)


@pytest.mark.slow
def test_erased_visitor_is_in_no_table(live: Path) -> None:
    make_tables(live)
    visitor = max(visitors_of(RECORDS), key=lambda visitor: len(closed_records(visitor)))
    uids = [record["log.record.uid"].encode() for record in closed_records(visitor)]
    data = b"".join(table.read_bytes() for table in kept(live))
    assert all(uid in data for uid in uids)
    before = kept(live)
    JsonLinesSink(live).erase(visitor)
    assert kept(live) == before
    for file in tables_folder(live).rglob("*"):
        if file.is_file():
            assert not any(uid in file.read_bytes() for uid in uids)
    times = [table.stat().st_mtime_ns for table in kept(live)]
    assert_is_as_wanted(live, [record for record in RECORDS if record.get("visitor.id") != visitor])
    assert [table.stat().st_mtime_ns for table in kept(live)] == times


@pytest.mark.slow
def test_purged_days_are_in_no_table(live: Path) -> None:
    make_tables(live)
    end = datetime.combine(FIRST + timedelta(days=1), datetime.min.time(), UTC).timestamp()
    assert JsonLinesSink(live).purge(end + 86_400, timedelta(days=1))
    assert str(FIRST) not in {table.stem for table in kept(live)}
    made = report(live, **ALL, now=0)
    for table in kept(live):
        table.unlink()
    assert report(live, **ALL, now=0) == made


@pytest.mark.slow
def test_compacted_files_are_added_once_more(live: Path) -> None:
    make_tables(live)
    assert compact(live).files
    assert_is_as_wanted(live)


def _cut_off(table: Path) -> None:
    table.write_bytes(table.read_bytes()[: table.stat().st_size // 2])


def _change_pages(table: Path) -> None:
    data = table.read_bytes()
    table.write_bytes(data[:4] + b"\xff" * (len(data) // 2) + data[4 + len(data) // 2 :])


def _replace(table: Path) -> None:
    table.write_bytes(b"These are some words, and no table.")


def _remove_all(table: Path) -> None:
    for each in table.parent.glob("*"):
        each.unlink()
    table.parent.rmdir()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["records", "sessions"])
@pytest.mark.parametrize("damage", [Path.unlink, _remove_all, _cut_off, _change_pages, _replace])
def test_damaged_table_is_made_again(damage: Callable[[Path], None], kind: str, live: Path) -> None:
    make_tables(live)
    damage(tables_folder(live) / kind / f"{FIRST + timedelta(days=1)}.parquet")
    assert_is_as_wanted(live)
    assert len(kept(live)) == 6


@pytest.mark.slow
def test_log_that_may_not_be_written_is_reported(live: Path) -> None:
    tables_folder(live).write_bytes(b"no folder can be made here")
    assert_is_as_wanted(live)


@pytest.mark.slow
def test_processes_that_add_at_once_or_are_killed_leave_whole_tables(live: Path) -> None:
    for number in (1, 4):
        for table in kept(live):
            table.unlink()
        running = [subprocess.Popen([sys.executable, "-c", ADD, str(live)]) for _ in range(3)]
        wait_until(partial(_are_kept, live, number))
        os.kill(running[0].pid, signal.SIGKILL)
        assert [each.wait(60) for each in running][1:] == [0, 0]
        assert len(kept(live)) == 6
        assert_is_as_wanted(live)


def test_other_tools_find_views_and_sessions_of_closed_days(live: Path) -> None:
    last = FIRST + timedelta(days=2)
    made = report(live, since=FIRST, until=last)
    for table in kept(live):
        table.unlink()
    assert main(["compact", "--access-log", str(live)]) == 0
    with duckdb.connect(str(live.with_suffix(".duckdb")), read_only=True) as database:
        views, visitors = database.execute(
            "SELECT count(*), count(DISTINCT visitor) FROM views WHERE viewed"
        ).fetchall()[0]
        (errors,) = database.execute("SELECT count(*) FROM views WHERE status >= 400").fetchall()[0]
        (sessions,) = database.execute(
            "SELECT count(*) FROM sessions WHERE began >= $first", {"first": FIRST}
        ).fetchall()[0]
    closed = [record for record in RECORDS if day_of(record) <= last]
    wanted = Oracle(closed, COUNTS, since=date(2026, 1, 1), until=last).report()
    assert (views, visitors) == (wanted["views"], wanted["visitors"])
    failed = [record for record in closed if record.get("http.response.status_code", 0) >= 400]
    assert errors == len({record["log.record.uid"] for record in failed})
    assert 0.8 * made["sessions"] < sessions <= made["sessions"]


def test_day_of_a_report_adds_no_days_before(live: Path) -> None:
    day = FIRST + timedelta(days=2)
    report(live, since=day, until=day)
    assert {table.stem for table in kept(live)} == {str(day - timedelta(days=1)), str(day)}
    assert date.fromisoformat(kept(live)[0].stem) > FIRST


def test_no_tables_are_kept_on_windows(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "is_posix", lambda: False)
    assert_is_as_wanted(live, since=FIRST, until=FIRST)
    assert kept(live) == []


def test_erasure_removes_tables_that_do_not_fit_and_leaves_the_others(live: Path) -> None:
    make_tables(live)
    path_of(live, FIRST, 2, FileFormat.PLAIN).write_bytes(line(page_view("late", time_of(RECORDS[0]))))
    second, third = (str(FIRST + timedelta(days=number)) for number in (1, 2))
    before = {table: table.stat().st_mtime_ns for table in kept(live)}
    assert JsonLinesSink(live, sleep=lambda _: None).erase("nobody") == 0
    assert [(table.parent.name, table.stem) for table in kept(live)] == [
        ("records", second),
        ("records", third),
        ("sessions", third),
    ]
    assert all(before[table] == table.stat().st_mtime_ns for table in kept(live))


@pytest.mark.parametrize("has_database", [False, True])
def test_tables_and_views_of_another_version_are_replaced(live: Path, *, has_database: bool) -> None:
    make_tables(live)
    database = live.with_suffix(".duckdb")
    with duckdb.connect() as connection:
        origins = read_origins(connection, live, SESSIONS)
        for day, origin in origins.items():
            table = table_path(live, SESSIONS, day)
            older = f"SELECT * EXCLUDE channel FROM read_parquet('{table}')"  # noqa: S608 (a path of ours)
            write_table(connection, older, table, {**origin, "sql": 1}, table)
    database.unlink()
    if has_database:
        with duckdb.connect(str(database)) as made:
            tables = f"{tables_folder(live)}/sessions/*.parquet"
            made.execute(f"CREATE VIEW sessions AS SELECT * FROM '{tables}'")  # noqa: S608 (a path of ours)
    assert_is_as_wanted(live, since=max(origins), until=LAST)
    with duckdb.connect(str(database), read_only=True) as made:
        assert made.execute("SELECT count(channel) FROM sessions").fetchall() > [(0,)]
