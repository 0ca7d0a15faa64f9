"""Tests of digests in databases: a report from them is what the oracle computes, and changes void them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cookie_consent.cli import main
from cookie_consent.report import report
from cookie_consent.report.digests.postgresql import digest
from cookie_consent.report.engines.dialect import POSTGRESQL
from cookie_consent.report.local_time import day_number
from cookie_consent.sinks import open_sink
from tests.report.test_report import COUNTS, QUESTIONS, RECORDS, assert_same, write_to_store
from tests.support.report_oracle import Oracle
from tests.support.report_records import DAYS, FIRST, HOSTS, Record, day_of, page_view, time_text
from tests.support.servers.postgres import PostgresServer

LAST = FIRST + timedelta(days=DAYS - 1)
THIRD = FIRST + timedelta(days=2)
NOW = datetime(LAST.year, LAST.month, LAST.day, tzinfo=UTC).timestamp() + 3 * 86_400
ALL_DAYS: dict[str, Any] = {"since": FIRST, "until": LAST, "threshold": 2}
WITHOUT_FILTERS = [
    name
    for name, asked in QUESTIONS.items()
    if not {"path", "where"} & set(asked) and asked["since"] <= LAST and "time_zone" not in asked
]


@pytest.fixture(scope="module")
def databases(postgres: PostgresServer) -> Iterator[PostgresServer]:
    yield postgres
    postgres.drop_databases()


@pytest.fixture(scope="module")
def digested(databases: PostgresServer) -> str:
    """A database with digests of all days."""
    url = databases.new_database()
    write_to_store(url, RECORDS, COUNTS)
    assert digest(url, now=NOW).digests == len({day_of(record) for record in RECORDS})
    return url


@pytest.fixture
def copied(digested: str, databases: PostgresServer) -> Iterator[str]:
    """A database with digests that a test may change."""
    url = databases.new_database()
    write_to_store(url, RECORDS, COUNTS)
    digest(url, now=NOW)
    yield url
    databases.take_back(url)


def assert_of_oracle(
    url: str, records: list[Record], asked: dict[str, Any], counts: list[Record] | None = None
) -> None:
    made = report(url, **asked)
    wanted = Oracle(records, COUNTS if counts is None else counts, **asked).report()
    assert_same({key: made[key] for key in wanted}, wanted)


def valid_days(url: str) -> list[int]:
    return [day for (day,) in all_of(url, "SELECT day FROM access_digest_valid ORDER BY day")]


def all_of(url: str, statement: Any) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.parametrize("question", WITHOUT_FILTERS)
def test_report_from_digests_has_the_figures_of_the_oracle(digested: str, question: str, answered: list[int]) -> None:
    asked = QUESTIONS[question]
    assert_of_oracle(digested, RECORDS, asked)
    assert answered == [(min(asked["until"], LAST) - asked["since"]).days + 1]


def test_comparison_is_answered_from_digests(digested: str, answered: list[int]) -> None:
    asked: dict[str, Any] = {
        "since": THIRD,
        "until": THIRD + timedelta(days=1),
        "compare": "previous",
        "host": HOSTS[0],
    }
    made = report(digested, **asked, now=5.0)
    assert answered == [2, 2]
    all_of_it = report(digested, **asked, now=5.0, where=(("page", "/*"),))  # scans, all sessions that saw a page
    assert made["compare"]["sessions"] == all_of_it["compare"]["sessions"]
    assert made["sessions"] == all_of_it["sessions"]


def test_visitors_of_now_are_counted_beside_digests(databases: PostgresServer, answered: list[int]) -> None:
    """Their figure has minutes, and digests have whole days."""
    url = databases.new_database()
    write_to_store(url, RECORDS, COUNTS)
    of_visitors = [str(record["time"]) for record in RECORDS if record.get("visitor.id") and day_of(record) <= LAST]
    now = datetime.fromisoformat(max(of_visitors)).timestamp()
    scanned = report(url, **ALL_DAYS, now=now, count_now=True)
    digest(url, now=NOW)
    assert report(url, **ALL_DAYS, now=now, count_now=True)["now"] == scanned["now"]
    assert scanned["now"]["visitors"] > 0
    assert answered == [0, DAYS]


def test_range_without_records_is_scanned(digested: str, answered: list[int]) -> None:
    day = LAST + timedelta(days=100)
    assert report(digested, since=day, until=day)["visitors"] == 0
    assert answered == [0]


@pytest.mark.parametrize("asked", [{"path": "/a"}, {"where": (("browser", "Firefox"),)}])
def test_question_with_a_filter_is_scanned(digested: str, asked: dict[str, Any], answered: list[int]) -> None:
    assert_of_oracle(digested, RECORDS, {**ALL_DAYS, **asked})
    assert not answered


def test_days_are_those_of_the_time_zone(copied: str, answered: list[int]) -> None:
    asked = QUESTIONS["weeks in Tokyo"]
    assert_of_oracle(copied, RECORDS, asked)
    assert answered == [0]
    digest(copied, "Asia/Tokyo", now=NOW)
    assert_of_oracle(copied, RECORDS, asked)
    assert answered[1] > 0
    assert digest(copied, "Asia/Tokyo", now=NOW).digests == 0


def test_hours_are_those_of_a_clock_that_is_changed_by_half_an_hour(
    databases: PostgresServer, answered: list[int]
) -> None:
    change = datetime(2026, 10, 3, 15, 30, tzinfo=UTC)
    times = [change + timedelta(minutes=minutes) for minutes in range(-90, 120, 15)]
    url = databases.new_database()
    write_to_store(url, [page_view(f"v{number}", time) for number, time in enumerate(times)], [])
    asked: dict[str, Any] = {"since": change.date(), "until": change.date() + timedelta(days=1), "now": 0}
    asked["time_zone"] = "Australia/Lord_Howe"
    scanned = report(url, **asked)
    digest(url, "Australia/Lord_Howe", now=NOW)
    assert report(url, **asked) == scanned
    assert answered == [0, 1]
    databases.take_back(url)


def test_late_record_is_in_the_next_report(copied: str, answered: list[int]) -> None:
    records = [record for record in RECORDS if day_of(record) == THIRD and record.get("visitor.id")]
    late = {**max(records, key=lambda record: str(record["time"])), "log.record.uid": "late", "url.path": "/late"}
    write_to_store(copied, [late], [])
    assert_of_oracle(copied, [*RECORDS, late], ALL_DAYS)
    (used,) = answered
    assert 0 < used < DAYS
    digest(copied, now=NOW)
    assert_of_oracle(copied, [*RECORDS, late], ALL_DAYS)
    assert answered[1] == DAYS


def test_record_that_comes_twice_voids_nothing(copied: str) -> None:
    before = valid_days(copied)
    write_to_store(copied, RECORDS[:1], [])
    assert valid_days(copied) == before


def test_record_that_is_committed_after_the_digest_voids_it(databases: PostgresServer) -> None:
    url = databases.new_database()
    write_to_store(url, RECORDS, COUNTS)
    digest(url, now=NOW)
    with psycopg.connect(url) as writer:
        copy = "INSERT INTO access_records (time, uid, kind) VALUES (%s, 'slow', 'request')"
        writer.execute("DELETE FROM access_digest_days")
        writer.commit()
        writer.execute(copy, (f"{THIRD}T12:00:00Z",))
        digest(url, now=NOW)  # does not see the record
        assert len(valid_days(url)) >= DAYS
        writer.commit()
    day = day_number(THIRD)
    assert day not in valid_days(url)
    digest(url, now=NOW)
    assert day in valid_days(url)
    assert not all_of(url, "SELECT * FROM access_digest_changes")


def test_day_that_is_not_over_has_no_digest(databases: PostgresServer) -> None:
    url = databases.new_database()
    write_to_store(url, RECORDS, COUNTS)
    digest(url, now=datetime(THIRD.year, THIRD.month, THIRD.day, 7, tzinfo=UTC).timestamp())
    assert len(valid_days(url)) == 1  # the second day may still get sessions that began on it


def test_erasure_removes_the_visitor_from_digests(copied: str, answered: list[int]) -> None:
    visitor = next(record["visitor.id"] for record in RECORDS if record.get("visitor.id"))
    keyed = POSTGRESQL.keyed.format("plain", "(SELECT key FROM access_digest_key)")
    number = f"SELECT {keyed} FROM (SELECT hashtextextended('{visitor}', 0) AS plain) AS visitor"  # noqa: S608
    of_visitor = f"SELECT DISTINCT day FROM access_digest_facts WHERE ({number}) = ANY(visitors)"  # noqa: S608
    assert all_of(copied, of_visitor)
    with closing(open_sink(copied)) as sink:
        assert sink.erase(visitor) > 0
    assert not all_of(copied, of_visitor)
    rest = [record for record in RECORDS if record.get("visitor.id") != visitor]
    assert_of_oracle(copied, rest, ALL_DAYS)
    digest(copied, now=NOW)
    assert not all_of(copied, of_visitor)
    assert_of_oracle(copied, rest, ALL_DAYS)
    assert answered[1] == DAYS


def test_purge_removes_digests_of_its_days(copied: str) -> None:
    until = datetime(THIRD.year, THIRD.month, THIRD.day, 9, tzinfo=UTC)
    with closing(open_sink(copied)) as sink:
        assert sink.purge(until.timestamp() + 86_400, timedelta(days=1)) > 0
    rest, counts = ([record for record in kept if record["time"] >= time_text(until)] for kept in (RECORDS, COUNTS))
    oldest = min(day for (day,) in all_of(copied, "SELECT day FROM access_digest_facts"))
    assert oldest > day_number(THIRD)
    assert_of_oracle(copied, rest, ALL_DAYS, counts)
    digest(copied, now=NOW)
    assert_of_oracle(copied, rest, ALL_DAYS, counts)


def test_reader_without_rights_on_digests_scans(copied: str, answered: list[int]) -> None:
    url = f"{copied}{'&' if '?' in copied else '?'}options=-c%20role%3Donly_reads"
    with psycopg.connect(copied, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS only_reads")
        connection.execute("CREATE ROLE only_reads")
        connection.execute("GRANT SELECT ON access_records, access_counts TO only_reads")
        try:
            assert_of_oracle(url, RECORDS, ALL_DAYS)
            assert answered == [0]
        finally:
            connection.execute("DROP OWNED BY only_reads")
            connection.execute("DROP ROLE only_reads")


def test_two_processes_do_not_make_the_same_digests(copied: str) -> None:
    with psycopg.connect(copied) as other:
        other.execute("SELECT pg_advisory_xact_lock(7077283942)")
        assert digest(copied, now=NOW).busy
    assert not digest(copied, now=NOW).busy


def after_day(number: int, act: Callable[[], object]) -> Any:
    """Progress that acts once so many days are done."""

    def seen(made: int) -> None:
        if made == number:
            act()

    @contextmanager
    def progress(what: str, total: int) -> Iterator[Callable[[int], object]]:
        yield seen

    return progress


@pytest.fixture
def undigested(copied: str) -> str:
    with psycopg.connect(copied) as connection:
        connection.execute("DELETE FROM access_digest_days")
    return copied


@pytest.mark.parametrize("last", [False, True], ids=["the first day", "the last day"])
def test_another_process_may_take_over_after(last: bool, undigested: str) -> None:
    days = len({day_of(record) for record in RECORDS})
    with psycopg.connect(undigested) as other:
        lock = after_day(days if last else 1, lambda: other.execute("SELECT pg_advisory_xact_lock(7077283942)"))
        made = digest(undigested, now=NOW, progress=lock)
    assert (made.digests, made.busy) == ((days, False) if last else (1, True))
    assert len(valid_days(undigested)) == made.digests
    assert digest(undigested, now=NOW).digests == days - made.digests


def test_day_that_another_process_made_meanwhile_is_not_made_twice(undigested: str) -> None:
    made = digest(undigested, now=NOW, progress=after_day(1, lambda: digest(undigested, now=NOW)))
    assert (made.digests, made.busy) == (1, True)
    assert_of_oracle(undigested, RECORDS, ALL_DAYS)
    assert digest(undigested, now=NOW).digests == 0


def test_digest_command_without_psycopg_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "cookie_consent.report.digests.postgresql")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert main(["digest", "--access-log", "postgresql://127.0.0.1:1/none"]) == 2
    assert 'this needs psycopg: pip install "cookie-consent[postgresql]"' in capsys.readouterr().err


@pytest.mark.parametrize("command", ["digest", "compact"])
def test_command_makes_digests_of_a_database(
    command: str, databases: PostgresServer, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = databases.new_database()
    write_to_store(url, RECORDS, COUNTS)
    place = f"{url}?spill={tmp_path}"
    assert main([command, "--access-log", place, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["digests"] == len(valid_days(url)) > 0
    assert main([command, "--access-log", place]) == 0
    assert capsys.readouterr().out == "0 digests of days made.\n"


def test_database_without_records_has_no_digests(databases: PostgresServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digest", "--access-log", databases.new_database()]) == 2
    assert "has never kept access records" in capsys.readouterr().err
