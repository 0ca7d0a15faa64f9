"""Figures from the tables that are kept beside a log are those of a scan, whatever happened to either."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
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
from tests.report.test_report import assert_same
from tests.support.report_oracle import Oracle
from tests.support.report_records import (
    COUNTS,
    DAYS,
    FIRST,
    LAST,
    RECORDS,
    SECOND,
    THIRD,
    Record,
    day_of,
    line,
    record,
    write_days,
    write_files,
)
from tests.support.waiting import wait_until

ALL: dict[str, Any] = {"since": FIRST, "until": LAST}
ADD = f"""
import sys
from datetime import date
from cookie_consent.report import report
report(sys.argv[1], since=date.fromisoformat("{FIRST}"), until=date.fromisoformat("{LAST}"))
"""


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A log of three closed days and a live file."""
    path = tmp_path / "access.jsonl"
    write_files(path, RECORDS, COUNTS)
    return path


@pytest.fixture
def made(live: Path) -> Path:
    """Such a log, and the tables of its closed days."""
    report(live, **ALL)
    return live


def assert_is_as_wanted(live: Path, records: list[Record] = RECORDS, **asked: Any) -> None:
    question = asked or ALL
    wanted = Oracle(records, COUNTS, **question).report()
    found = report(live, **question)
    assert_same({key: found[key] for key in wanted}, wanted)


def kept(live: Path) -> dict[str, int]:
    """Return the tables, and when each was written."""
    folder = tables_folder(live)
    return {str(table.relative_to(folder)): table.stat().st_mtime_ns for table in sorted(folder.glob("*/*.parquet"))}


def names(*days: date, kind: str) -> list[str]:
    return [f"{kind}/{day}.parquet" for day in days]


@pytest.mark.slow
def test_tables_are_made_once_and_answer_the_next_question(made: Path) -> None:
    before = kept(made)
    assert [*before][:3] == names(FIRST, SECOND, THIRD, kind="records")
    assert len(before) == 6
    assert_is_as_wanted(made, since=SECOND, until=THIRD, where=(("source", "(direct)"), ("page", "/a*")), threshold=1)
    assert kept(made) == before


@pytest.mark.slow
def test_days_that_are_added_one_by_one_give_the_figures_of_a_scan(tmp_path: Path) -> None:
    live = tmp_path / "access.jsonl"
    days = [FIRST + timedelta(days=number) for number in range(-1, DAYS + 1)]
    write_days(counts_path(live), COUNTS, days)
    for number, day in enumerate(days):
        write_days(path_of(live, day, 1, FileFormat.PLAIN), RECORDS, [day])
        write_days(live, RECORDS, days[number + 1 : number + 2])
        assert_is_as_wanted(live, [each for each in RECORDS if day_of(each) in days[: number + 2]])


@pytest.mark.slow
def test_record_that_is_written_late_and_twice_counts_once(made: Path) -> None:
    late = [each for each in RECORDS if day_of(each) == FIRST][:40]
    others = [each for each in RECORDS if each not in late]
    write_days(path_of(made, FIRST, 2, FileFormat.PLAIN), others[:30], [FIRST])
    write_days(path_of(made, THIRD, 2, FileFormat.PLAIN), late, [FIRST])
    assert_is_as_wanted(made)


@pytest.mark.slow
def test_erased_visitor_is_in_no_table(made: Path) -> None:
    closed = [each for each in RECORDS if day_of(each) <= THIRD and "visitor.id" in each]
    visitor = max((each["visitor.id"] for each in closed), key=[each["visitor.id"] for each in closed].count)
    uids = [each["log.record.uid"].encode() for each in closed if each["visitor.id"] == visitor]
    before = kept(made)
    assert all(any(uid in (tables_folder(made) / name).read_bytes() for name in before) for uid in uids)
    JsonLinesSink(made).erase(visitor)
    for file in tables_folder(made).rglob("*"):
        assert file.is_dir() or not any(uid in file.read_bytes() for uid in uids)
    after = kept(made)
    assert [*after] == [*before]
    assert_is_as_wanted(made, [each for each in RECORDS if each.get("visitor.id") != visitor])
    assert kept(made) == after, "they need not be made again"


@pytest.mark.slow
def test_purged_days_are_in_no_table(made: Path) -> None:
    end = datetime.combine(SECOND, datetime.min.time(), UTC).timestamp()
    assert JsonLinesSink(made).purge(end + 86_400, timedelta(days=1))
    assert not [name for name in kept(made) if str(FIRST) in name]
    figures = report(made, **ALL, now=1)
    for name in kept(made):
        (tables_folder(made) / name).unlink()
    assert report(made, **ALL, now=1) == figures


@pytest.mark.slow
def test_compacted_files_are_added_once_more(made: Path) -> None:
    assert compact(made).files
    assert_is_as_wanted(made)


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
@pytest.mark.each_value
@pytest.mark.parametrize("kind", ["records", "sessions"])
@pytest.mark.parametrize("damage", [Path.unlink, _remove_all, _cut_off, _change_pages, _replace])
def test_damaged_table_is_made_again(damage: Callable[[Path], None], kind: str, made: Path) -> None:
    damage(tables_folder(made) / names(SECOND, kind=kind)[0])
    assert_is_as_wanted(made)
    assert len(kept(made)) == 6


@pytest.mark.slow
def test_log_that_may_not_be_written_is_reported(live: Path) -> None:
    tables_folder(live).write_bytes(b"no folder can be made here")
    assert_is_as_wanted(live, since=SECOND, until=LAST)


@pytest.mark.slow
@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("number", [1, 4])
def test_processes_that_add_at_once_or_are_killed_leave_whole_tables(number: int, live: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", ADD, str(live)]) for _ in range(3)]
    wait_until(lambda: len(kept(live)) >= number)
    os.kill(running[0].pid, signal.SIGKILL)
    assert [each.wait(60) for each in running][1:] == [0, 0]
    assert len(kept(live)) == 6
    assert_is_as_wanted(live)


def test_other_tools_find_the_views_and_errors_of_closed_days(live: Path) -> None:
    assert main(["compact", "--access-log", str(live)]) == 0
    with duckdb.connect(str(live.with_suffix(".duckdb")), read_only=True) as database:
        numbers = database.execute(
            "SELECT count() FILTER (viewed), count(DISTINCT visitor) FILTER (viewed), count() FILTER (status >= 400)"
            " FROM views"
        ).fetchall()
    closed = [each for each in RECORDS if day_of(each) <= THIRD]
    wanted = Oracle(closed, COUNTS, since=date(2026, 1, 1), until=THIRD).totals()
    failed = {each["log.record.uid"] for each in closed if each.get("http.response.status_code", 0) >= 400}
    assert numbers == [(wanted["views"], wanted["visitors"], len(failed))]


def test_report_of_a_day_adds_no_days_before(live: Path) -> None:
    report(live, since=THIRD, until=THIRD)
    assert [*kept(live)] == [*names(SECOND, THIRD, kind="records"), *names(THIRD, kind="sessions")]


def test_no_tables_are_kept_on_windows(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "is_posix", lambda: False)
    assert_is_as_wanted(live, since=FIRST, until=FIRST)
    assert kept(live) == {}


def test_erasure_removes_tables_that_do_not_fit_and_leaves_the_others(made: Path) -> None:
    before = kept(made)
    path_of(made, FIRST, 2, FileFormat.PLAIN).write_bytes(line(record(0, visitor__id="late")))
    assert JsonLinesSink(made, sleep=lambda _: None).erase("nobody") == 0
    left = [*names(SECOND, THIRD, kind="records"), *names(THIRD, kind="sessions")]
    assert kept(made) == {name: before[name] for name in left}


@pytest.mark.parametrize("has_database", [False, True])
def test_tables_and_views_of_another_version_are_replaced(made: Path, *, has_database: bool) -> None:
    database = made.with_suffix(".duckdb")
    with duckdb.connect() as connection:
        origins = read_origins(connection, made, SESSIONS)
        for day, origin in origins.items():
            table = table_path(made, SESSIONS, day)
            older = f"SELECT * EXCLUDE channel FROM read_parquet('{table}')"  # noqa: S608 (a path of ours)
            write_table(connection, older, table, {**origin, "sql": 1}, table)
    database.unlink()
    if has_database:
        with duckdb.connect(str(database)) as views:
            tables = f"{tables_folder(made)}/sessions/*.parquet"
            views.execute(f"CREATE VIEW sessions AS SELECT * FROM '{tables}'")  # noqa: S608 (a path of ours)
    assert_is_as_wanted(made, since=max(origins), until=LAST)
    with duckdb.connect(str(database), read_only=True) as views:
        assert views.execute("SELECT count(channel) FROM sessions").fetchall() > [(0,)]
