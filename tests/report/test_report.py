"""Tests of the report's figures: every engine gives what `report_oracle` computes in plain Python."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.records import write_records
from cookie_consent.report import FIGURES, Question, UnreadableError, report
from cookie_consent.report.compute import STEPS
from cookie_consent.report.engines import duckdb_files, postgresql, tables
from cookie_consent.report.engines.dialect import sql
from cookie_consent.report.engines.engine import default_memory, format_size, parse_memory
from cookie_consent.report.export.terminal import as_text
from cookie_consent.report.local_time import numbered
from cookie_consent.report.page.page import page
from cookie_consent.report.question import parse_day
from cookie_consent.report.settings import Goals
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of
from cookie_consent.sinks.files.parquet import compact
from tests.support.report_oracle import Oracle
from tests.support.report_records import (
    ALL_LISTS,
    DAYS,
    FIRST,
    HOSTS,
    Record,
    day_of,
    few_lists,
    line,
    page_view,
    random_counts,
    random_records,
    time_of,
    time_text,
)
from tests.support.servers.clickhouse_server import ClickHouseDatabases, clickhouse_databases

LAST = FIRST + timedelta(days=DAYS - 1)
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)
ENGINES = ("files", "postgresql", "clickhouse")
COARSE = {
    "median": 0.051, "mean": 0.051, "median_seconds": 0.051, "views_per_session": 0.0051, "routes": 0.0051,
    "slow_pages": 0.0051,
}  # fmt: skip
RECORDS, COUNTS = random_records(seed=5, visitors=60), random_counts(seed=5)
GOALS = Goals(
    goals=(
        ("signed up", "event:sign_up"),
        ("read", "/a*"),
        ("front page", "/"),
        ("SQL", "/'; DROP TABLE access_records; --"),
        ("訪問", '/"quoted"\\n'),
        ("rare", "/rare/1"),
        ("never", "event:never"),
    ),
    funnels=(
        ("everything", ("/*", "/*", "event:download", "goal:signed up")),
        ("twice", ("goal:read", "/a", "/a/*")),
        ("never", ("event:never", "/")),
        ("long", tuple(["/*", "event:page_leave"] * 5)),
    ),
)
QUESTIONS: dict[str, dict[str, Any]] = {
    "all days": {"since": FIRST, "until": LAST},
    "a day in the middle": {"since": THIRD, "until": THIRD, "threshold": 2},
    "a host": {"since": SECOND, "until": LAST, "host": HOSTS[0], "threshold": 1},
    "pages under a path": {"since": SECOND, "until": LAST, "where": (("page", "/a*"),), "threshold": 1},
    "a path in Japanese": {"since": FIRST, "until": LAST, "where": (("page", "/訪*"),), "threshold": 1},
    "another host": {"since": FIRST, "until": LAST, "host": "münchen.example", "threshold": 2},
    "goals and funnels": {"since": FIRST, "until": LAST, "goals": GOALS},
    "goals of a host": {"since": SECOND, "until": LAST, "host": HOSTS[0], "threshold": 1, "limit": 3, "goals": GOALS},
    "goals of a path": {
        "since": SECOND, "until": THIRD, "where": (("page", "/a*"),), "threshold": 2, "goals": GOALS,
    },
    "few rows": {"since": FIRST, "until": LAST, "limit": 2, "threshold": 3},
    "days in Tokyo": {"since": SECOND, "until": THIRD, "time_zone": "Asia/Tokyo", "threshold": 2},
    "a day of 25 hours": {"since": FIRST, "until": FIRST, "time_zone": "America/New_York", "threshold": 1},
    "days that begin at half past": {"since": FIRST, "until": SECOND, "time_zone": "Asia/Kolkata", "threshold": 1},
    "a source": {"since": FIRST, "until": LAST, "where": (("source", "www.other.example"),), "threshold": 2},
    "a channel": {"since": FIRST, "until": LAST, "where": (("channel", "mail"),), "threshold": 2},
    "visitors of earlier days": {"since": THIRD, "until": LAST, "where": (("returning", "yes"),), "threshold": 2},
    "new visitors of a browser": {
        "since": SECOND, "until": LAST, "host": HOSTS[1], "where": (("returning", "no"), ("browser", "Chrome")),
        "threshold": 1,
    },
    "a source as in a list": {"since": FIRST, "until": LAST, "where": (("source", "http://news.example:81"),)},
    "no source, one device": {
        "since": SECOND, "until": LAST, "where": (("source", "(direct)"), ("device", "pc")), "threshold": 2,
    },
    "a browser": {"since": FIRST, "until": THIRD, "where": (("browser", "Firefox"), ("os", "Linux")), "threshold": 1},
    "a country": {"since": FIRST, "until": LAST, "where": (("country", "JP"), ("device", "pc")), "threshold": 1},
    "one host": {"since": FIRST, "until": LAST, "where": (("host", HOSTS[1]), ("device", "pc")), "threshold": 1},
    "no country": {"since": SECOND, "until": LAST, "where": (("country", "(unknown)"),), "threshold": 2},
    "no browser": {"since": FIRST, "until": LAST, "where": (("browser", "(unknown)"),), "threshold": 1},
    "a property": {"since": FIRST, "until": LAST, "where": (("property", 'sign_up:plan=a "value"'),), "threshold": 1},
    "a truth value": {"since": FIRST, "until": LAST, "where": (("property", "download:paid=true"),), "threshold": 1},
    "a property in Japanese": {
        "since": FIRST, "until": LAST, "where": (("property", "sign_up:訪=x"), ("page", "/a*")), "threshold": 1,
    },
    "a campaign": {"since": FIRST, "until": LAST, "where": (("campaign", "a&b=c d"),), "threshold": 1},
    "a campaign as in a list": {"since": SECOND, "until": LAST, "where": (("campaign", "letter&mail&two"),)},
    "first pages": {"since": FIRST, "until": LAST, "where": (("entry", "/rare/*"),), "threshold": 1},
    "two pages": {
        "since": SECOND, "until": THIRD, "where": (("page", "/a*"), ("page", "/訪問")), "threshold": 1,
    },
    "a page and an event": {
        "since": FIRST, "until": LAST, "where": (("page", "/a/b"), ("event", "sign_up")), "threshold": 1,
    },
    "events and a host": {
        "since": SECOND, "until": LAST, "host": HOSTS[0], "where": (("event", "sign_up"), ("event", "download")),
        "threshold": 1,
    },
    "a page that looks like SQL": {
        "since": FIRST, "until": LAST, "where": (("page", "/'; DROP TABLE access_records; --"),), "threshold": 1,
    },
    "a page with a backslash": {"since": FIRST, "until": LAST, "where": (("entry", '/"quoted"\\n'),), "threshold": 1},
    "a page that looks like a placeholder": {
        "since": FIRST, "until": LAST, "where": (("page", "/{since:Int64}"), ("page", "/%(path)s")), "threshold": 1,
    },
    "weeks in Tokyo": {"since": FIRST, "until": LAST, "time_zone": "Asia/Tokyo", "step": "week", "threshold": 1},
    "months in New York": {
        "since": FIRST - timedelta(days=3),
        "until": LAST,
        "time_zone": "America/New_York",
        "step": "month",
        "threshold": 1,
    },
    "days without counts": {"since": LAST, "until": LAST},
    "days without records": {"since": LAST + timedelta(days=30), "until": LAST + timedelta(days=31), "goals": GOALS},
    "goals of a segment": {
        "since": SECOND, "until": LAST, "where": (("source", "(direct)"), ("page", "/a*")), "threshold": 1,
        "goals": GOALS,
    },
}  # fmt: skip


LISTS = "pages exit_pages next_pages channels events property_values consent_by_host routes"
"""A list of each table, for questions whose other lists come from the same tables in the same way."""
WHOLE = ("all days", "a host", "few rows", "goals of a segment", "a day of 25 hours", "days without counts")
"""Questions of which all lists are compared outside the full matrix, too."""


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouseDatabases]:
    with clickhouse_databases() as databases:
        yield databases


@pytest.fixture(scope="module", params=ENGINES)
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty access log of each kind."""
    if request.param == "files":
        yield str(tmp_path_factory.mktemp("logs") / "access.jsonl")
        return
    databases = request.getfixturevalue("postgres" if request.param == "postgresql" else "clickhouse")
    yield f"{databases.new_database()}?spill={tmp_path_factory.mktemp('spill')}"
    databases.drop_databases()


@pytest.fixture(scope="module")
def access_log(empty: str) -> str:
    """The same records and counts in each kind of store."""
    if "://" in empty:
        write_to_store(empty, RECORDS, COUNTS)
    else:
        write_files(Path(empty), RECORDS, COUNTS)
    return empty


def write_to_store(access_log: str, records: Sequence[Record], counts: Sequence[Record]) -> None:
    with closing(open_sink(access_log)) as sink:
        for record in records:
            sink.write(line(record))
        for count in counts:
            sink.count(line(count))
        sink.close()
        assert sink.stats()["written"] >= len(records), sink.stats()


def write_files(live: Path, records: Sequence[Record], counts: Sequence[Record]) -> None:
    """Write files of all forms: a day in Parquet, a day compressed, a day closed, the rest in the live file."""
    days = [FIRST + timedelta(days=number) for number in range(DAYS + 1)]
    first, second, third, *later = days
    for log, kept in ((live, records), (counts_path(live), counts)):
        write_days(path_of(log, first, 1, FileFormat.PLAIN), kept, [first])
        compact(live)
        gz = path_of(log, second, 1, FileFormat.GZIP)
        write_days(gz, kept, [second])
        gz.write_bytes(gzip.compress(gz.read_bytes()))
        write_days(path_of(log, third, 1, FileFormat.PLAIN), kept, [third])
        write_days(log, kept, later)
        with log.open("ab") as file:
            file.write(b" " * 80 + b'\n[1]\n"text"\n{"time": 5}\n\xff\xfe\n' + line(kept[0])[:40])


def write_days(path: Path, records: Sequence[Record], days: Collection[date]) -> None:
    path.write_bytes(b"".join(line(record) for record in records if day_of(record) in days))


def assert_same(made: Any, wanted: Any, name: str = "") -> None:
    """Compare figures: rounded numbers approximately, rows of equal size in any order."""
    if isinstance(wanted, dict):
        assert list(made) == list(wanted), name
        for key in wanted:
            assert_same(made[key], wanted[key], key if key in COARSE else name or key)
    elif isinstance(wanted, list):
        assert len(made) == len(wanted), (name, made, wanted)
        for row, other in zip(sorted(made, key=named), sorted(wanted, key=named), strict=True):
            assert_same(row, other, name)
    elif isinstance(wanted, float):
        assert made == pytest.approx(wanted, abs=COARSE.get(name, 0.000051)), name
    else:
        assert made == wanted, name


def assert_same_figures(made: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Compare all figures but the lists that were not computed, and the number of their small groups."""
    missing = {key for key in ALL_LISTS.split() if key not in made}
    missing |= {"small_groups"} if missing else set()
    computed = {key: value for key, value in wanted.items() if key not in missing}
    assert_same({key: made[key] for key in computed}, computed)


def named(row: Record) -> str:
    return str([value for value in row.values() if isinstance(value, str)] or row)


@pytest.mark.each_value(all_of="files")
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.slow
def test_every_engine_gives_the_figures_of_the_oracle(
    access_log: str, question: str, request: pytest.FixtureRequest
) -> None:
    asked = QUESTIONS[question]
    is_whole = question in WHOLE or request.config.getoption("--full-matrix")
    oracle = Oracle(RECORDS, COUNTS, **asked)
    with few_lists(ALL_LISTS if is_whole else LISTS):
        made = report(access_log, **asked, now=1_795_000_000)
    assert made.pop("range") == {
        "from": str(asked["since"]),
        "to": str(asked["until"]),
        "host": asked.get("host"),
        "time_zone": asked.get("time_zone", "UTC"),
        "where": [list(pair) for pair in asked.get("where", ())],
        "step": oracle.step,
        "generated_at": "2026-11-18T11:06:40Z",
    }
    assert made.pop("compare") is None
    others = [(each["file"], each["lines"]) for each in made.pop("unreadable_lines")]
    files = [] if "://" in access_log else [access_log, str(counts_path(Path(access_log)))]
    assert others == [(file, 4) for file in files]
    wanted = oracle.report()
    assert_same_figures(made, wanted)
    assert set(made) == set(wanted) or not is_whole
    for name, rows in made.items():
        if not isinstance(rows, list) or name.endswith(("_day", "_hour", "_step", "retention", "goals", "funnels")):
            continue
        sizes = [size_of(row) for row in rows if "(other)" not in row.values()]
        assert sizes == sorted(sizes, reverse=True), name


@pytest.mark.slow
def test_every_engine_filters_as_the_oracle_does(access_log: str) -> None:
    """Each engine answers these, not only some of them as above."""
    for where in (
        (("source", "other.example"), ("device", "pc")),
        (("campaign", "one"), ("page", "/*"), ("browser", "Firefox")),
        (("country", "JP"), ("channel", "other site")),
        (
            ("returning", "no"),
            ("channel", "other site"),
            ("entry", "/*"),
            ("event", "page_leave"),
            ("event", "page_view"),
        ),
    ):
        asked: dict[str, Any] = {"since": FIRST, "until": LAST, "threshold": 1, "where": where}
        with few_lists(LISTS):
            made = report(access_log, **asked)
        assert_same_figures(made, Oracle(RECORDS, COUNTS, **asked).report())
        assert made["sessions"], where


@pytest.mark.each_value(all_of="all days", at_most=3)
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.slow
def test_sessions_computed_in_parts_give_the_same_figures(
    question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = QUESTIONS[question]
    live = tmp_path / "access.jsonl"
    write_files(live, RECORDS, COUNTS)
    parts = list[Any]()

    def seen(name: str, dialect: Any, **words: object) -> str:
        parts.append(words.get("parts", 0))
        return sql(name, dialect, **words)

    monkeypatch.setattr(tables, "SORTED_AT_ONCE", 1)
    monkeypatch.setattr(tables, "sql", seen)
    with few_lists(LISTS):
        made = report(live, **asked, memory=64_000_000)
    assert_same_figures(made, Oracle(RECORDS, COUNTS, **asked).report())
    assert question != "all days" or max(parts) > 3


@pytest.mark.full_matrix
@pytest.mark.slow
@pytest.mark.no_cover
def test_report_of_a_million_records_fits_in_64_mb(tmp_path: Path) -> None:
    """So many records do not fit into 64 MB if they are sorted at once, or joined in the planner's order."""
    live = write_records(tmp_path, 1_000_000, 3, date(2026, 11, 25), FileFormat.PARQUET)
    made = report(live, since=date(2026, 11, 23), until=date(2026, 11, 25), memory=64_000_000)
    assert made["views"] > 100_000
    assert made["routes"][0]["requests"] > 100_000


@pytest.mark.slow
def test_out_of_memory_error_gives_advice(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    says = (
        r"access_log: this takes more than the 64 MB of memory that it may. Name a narrower time, compact the files "
        r"\(cookie-consent compact\), or allow a report more: --memory 128MB. \(Out of Memory Error: "
    )
    with pytest.raises(UnreadableError, match=says), duckdb_files.connected(path, 64_000_000) as connection:
        connection.execute(
            "SET temp_directory = ''; CREATE TABLE many AS SELECT hash(range) AS h FROM range(20_000_000)"
        )


@pytest.mark.parametrize(
    ("text", "size"),
    [("512MB", 512_000_000), ("1.5 GB", 1_500_000_000), ("2gib", 2**31), ("64MB", 64_000_000), ("1TB", 10**12)],
)
def test_memory_size_is_parsed(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "512", "MB", "-1GB", "1e9GB", "63MB", "0GB", "1 KB", "9" * 1000 + "GB", "512MBx"])
def test_wrong_memory_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"512MB|64MB at least"):
        parse_memory(text)


def test_default_memory_is_a_quarter_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4_000_000}
    monkeypatch.setattr("os.sysconf", pages.__getitem__)
    assert default_memory(limit) == 4_096_000_000
    limit.write_text("max\n")
    assert default_memory(limit) == 4_096_000_000
    limit.write_text("8000000000\n")
    assert default_memory(limit) == 2_000_000_000
    limit.write_text("64000000\n")
    assert default_memory(limit) == 512_000_000
    monkeypatch.delattr("os.sysconf")
    limit.unlink()
    assert default_memory(limit) == 512_000_000
    assert format_size(512_000_000) == "512 MB"
    assert format_size(4_096_000_000) == "4.1 GB"


def size_of(row: Record) -> float:
    """The first number of a row."""
    return next(value for value in row.values() if isinstance(value, (int, float)))


@pytest.mark.slow
@pytest.mark.each_value
@pytest.mark.parametrize("threshold", [1, 2])
def test_comparison_has_figures_of_the_days_before(access_log: str, threshold: int) -> None:
    asked: dict[str, Any] = {"threshold": threshold, "limit": 3, "time_zone": "America/New_York", "step": "month"}
    earlier = Oracle(RECORDS, COUNTS, FIRST, SECOND, **{**asked, "limit": 10_000})
    made = report(access_log, since=THIRD, until=THIRD + timedelta(days=1), compare="previous", **asked)
    before = made.pop("compare")
    assert before.pop("range") == {"from": str(FIRST), "to": str(SECOND), "to_time": None}
    assert before.pop("recorded_from") == str(FIRST)
    assert_same(before, {**earlier.totals(), "by_step": earlier.by_step()})
    wanted = Oracle(RECORDS, COUNTS, THIRD, THIRD + timedelta(days=1), **asked, before=earlier).report()
    assert_same({key: made[key] for key in wanted}, wanted)


def test_page_has_whole_sessions_also_of_records_without_a_host_or_a_visitor(tmp_path: Path) -> None:
    live = tmp_path / "access.jsonl"
    seen = {"record.version": 1, "record.kind": "view", "http.request.method": "GET", "http.response.status_code": 200}
    visited = (("ann", "/a", 0), ("ann", "/b", 1), (None, "/a", 2), (None, "/b", 3), ("bob", "/b", 4))
    with live.open("wb") as file:
        for visitor, path, minute in visited:
            own = {"visitor.id": visitor} if visitor else {}
            moment = datetime(2026, 11, 2, 9, minute, tzinfo=UTC)
            file.write(
                line({**seen, **own, "time": time_text(moment), "log.record.uid": f"{minute}", "url.path": path})
            )
    made = report(live, since=SECOND, until=SECOND, where=(("page", "/a"),), threshold=1)
    assert (made["visitors"], made["sessions"], made["bounce_rate"]) == (2, 2, 0.5)
    assert [(row["path"], row["next"], row["times"]) for row in made["next_pages"]] == [("/a", "/b", 1)]


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Africa/Cairo", date(2026, 4, 24)),  # it begins at one
        ("Africa/Cairo", date(2026, 10, 29)),  # 25 hours, the last of them twice
        ("America/New_York", date(2026, 3, 8)),
        ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour
    ],
)
@pytest.mark.each_value(at_most=2)
def test_days_on_which_clocks_are_set_have_all_their_views(zone: str, change: date, tmp_path: Path) -> None:
    later = change - THIRD
    records = [{**record, "time": time_text(time_of(record) + later)} for record in RECORDS]
    live = tmp_path / "access.jsonl"
    live.write_bytes(b"".join(map(line, records)))
    over_time = ("by_day", "by_step", "by_hour")
    for days, step in ((1, "hour"), (3, "day"), (3, "week")):
        asked: dict[str, Any] = {"since": change, "until": change + timedelta(days=days - 1), "time_zone": zone}
        with few_lists():
            made = report(live, **asked, step=step, threshold=1)
        oracle = Oracle(records, [], **asked, step=step, threshold=1)
        wanted = oracle.lists()
        assert {name: made[name] for name in over_time} == {name: wanted[name] for name in over_time}
        assert sum(row["views"] for row in made["by_step"]) == made["views"] > 0


def test_comparison_with_last_year_has_the_same_days(tmp_path: Path) -> None:
    live = tmp_path / "access.jsonl"
    weeks = timedelta(weeks=52)
    last_year = [{**record, "time": time_text(time_of(record) - weeks)} for record in RECORDS]
    write_days(live, [*last_year, *RECORDS], {*map(day_of, RECORDS), *map(day_of, last_year)})
    made = report(live, since=FIRST, until=LAST, compare="year", threshold=1, limit=1000)
    assert made["compare"]["range"] == {"from": str(FIRST - weeks), "to": str(LAST - weeks), "to_time": None}
    assert [row["views"] for row in made["compare"]["by_step"]] == [row["views"] for row in made["by_step"]]
    assert [row["before"] for row in made["pages"]] == [row["views"] for row in made["pages"]]


@pytest.mark.parametrize(
    ("first", "last", "earlier"),
    [
        (date(2028, 2, 29), date(2028, 3, 1), (date(2027, 2, 28), date(2027, 3, 1))),
        (date(2027, 3, 1), date(2028, 2, 29), (date(2026, 3, 1), date(2027, 2, 28))),
    ],
)
def test_year_before_a_leap_day(first: date, last: date, earlier: tuple[date, date]) -> None:
    question = Question(first, last, step="month").earlier("year", 0)
    assert (question.since, question.until, question.step) == (*earlier, "month")


@pytest.mark.parametrize(("days", "weeks"), [(1, 1), (7, 1), (8, 2), (30, 5), (365, 53)])
def test_time_before_begins_on_the_same_day_of_the_week(days: int, weeks: int) -> None:
    question = Question(FIRST, FIRST + timedelta(days=days - 1))
    before, year = question.earlier("previous", 0), question.earlier("year", 0)
    assert (before.since, before.days[-1]) == (FIRST - timedelta(weeks=weeks), question.until - timedelta(weeks=weeks))
    assert (year.since, year.elapsed) == (FIRST - timedelta(weeks=52), None)


def test_running_day_is_compared_with_the_same_hours(tmp_path: Path) -> None:
    live, zone = tmp_path / "access.jsonl", "Asia/Tokyo"
    now = datetime(2026, 11, 25, 5, 2, tzinfo=UTC)  # 14:02 in Tokyo
    week_before = now - timedelta(weeks=1)
    moments = [
        *(now - timedelta(hours=hours) for hours in (1, 2)),
        *(week_before + timedelta(hours=hours) for hours in (-1, 1, 2)),
    ]
    seen = [{**page_view(str(number), moment), "log.record.uid": str(number)} for number, moment in enumerate(moments)]
    live.write_bytes(b"".join(map(line, seen)))
    today = date(2026, 11, 25)
    asked: dict[str, Any] = {"until": today, "compare": "previous", "threshold": 1, "time_zone": zone}
    made = report(live, since=today, now=now.timestamp(), **asked)
    assert (made["views"], made["compare"]["views"]) == (2, 1)
    assert made["compare"]["range"] == {"from": "2026-11-18", "to": "2026-11-18", "to_time": "14:02"}
    day_after = report(live, since=today, now=now.timestamp() + 86_400, **asked)
    assert (day_after["compare"]["views"], day_after["compare"]["range"]["to_time"]) == (3, None)
    text = as_text(made)
    assert "Compared with 18 November 2026 until 14:02, since today is not over.\n" in text


@pytest.mark.parametrize(
    ("compare", "first", "said"),
    [
        (
            "previous",
            "2026-11-19",
            "Of those before 19 November 2026 there are no records: there were no visits, or they are purged.",
        ),
        ("year", None, "Of these days there are no records: there were no visits, or they are purged."),
    ],
)
def test_days_without_records_are_named_in_a_comparison(
    compare: str, first: str | None, said: str, tmp_path: Path
) -> None:
    live, day = tmp_path / "access.jsonl", date(2026, 11, 25)
    live.write_bytes(b"".join(line(page_view(str(day), datetime(2026, 11, day, tzinfo=UTC))) for day in (19, 25)))
    made = report(live, since=day, until=day + timedelta(days=1), compare=compare, threshold=1)
    assert made["compare"]["recorded_from"] == first
    assert said in as_text(made)
    assert said in page(made)


def test_days_are_named() -> None:
    today = date(2026, 3, 1)
    texts = ("2026-02-03", "today", "yesterday", "1d", "7d", "365d")
    days = ["2026-02-03", "2026-03-01", "2026-02-28", "2026-03-01", "2026-02-23", "2025-03-02"]
    assert [str(parse_day(text, today)) for text in texts] == days
    for text in ("", "0d", "07d", "-1d", "7 d", "d", "\u0667d", "Today", "2026-02-30"):
        with pytest.raises(ValueError, match="is no day: write it as 2026-11-25, yesterday, or 7d"):
            parse_day(text, today)


@pytest.mark.parametrize(
    ("days", "step"), [(1, "hour"), (2, "hour"), (3, "day"), (92, "day"), (93, "week"), (549, "week"), (550, "month")]
)
def test_default_step_fits_the_length_of_the_range(days: int, step: str) -> None:
    assert Question(FIRST, FIRST + timedelta(days=days - 1)).steps == step


def test_steps_of_long_range_begin_within_it() -> None:
    question = Question(date(2026, 1, 1), date(2026, 3, 1), step="week")  # a Thursday, a Sunday
    weeks = [begin for _, begin in numbered("week", question.days, question.local_time, "UTC")]
    assert weeks == ["2026-01-01", *(str(date(2026, 1, 5) + timedelta(weeks=week)) for week in range(8))]
    months = [begin for _, begin in numbered("month", question.days, question.local_time, "UTC")]
    assert months == ["2026-01-01", "2026-02-01", "2026-03-01"]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "the database cannot be used"),
        ("clickhouse://nobody@127.0.0.1:1/none", "the database cannot be used"),
        ("clickhouse://nobody@127.0.0.1:1/none?max_memory_usage=1", "an option that clickhouse-connect does not know"),
        ("logs/missing.jsonl", "there is no file logs/missing.jsonl"),
    ],
)
def test_missing_access_log_raises_unreadable_error(url: str, says: str) -> None:
    with pytest.raises(UnreadableError, match=says):
        report(url, since=FIRST, until=FIRST)


def test_database_without_access_records_raises_unreadable_error(
    postgres_url: str, clickhouse: ClickHouseDatabases, tmp_path: Path
) -> None:
    for url in (postgres_url, clickhouse.new_database()):
        with pytest.raises(UnreadableError, match="has never kept access records"):
            report(url, since=FIRST, until=FIRST)


def test_locked_database_times_out(postgres_url: str, tmp_path: Path) -> None:
    write_to_store(f"{postgres_url}?spill={tmp_path}", RECORDS[:1], COUNTS[:1])
    given = Question(FIRST, FIRST).given
    with psycopg.connect(postgres_url) as another:
        another.execute("LOCK TABLE access_records IN ACCESS EXCLUSIVE MODE")
        with (
            pytest.raises(UnreadableError, match="the database cannot be used"),
            postgresql.opened(postgres_url, longest=0.3) as engine,
        ):
            engine.make("records", given)


def test_report_of_access_log_with_unknown_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match='"mq://" cannot be read'):
        report("mq://127.0.0.1:4222", since=FIRST, until=FIRST)


@pytest.mark.parametrize(
    ("package", "url"),
    [
        ("duckdb", "access.jsonl"),
        ("psycopg", "postgresql://127.0.0.1:1/none"),
        ("clickhouse_connect", "clickhouse://127.0.0.1:1/none"),
    ],
)
def test_missing_package_error_says_how_to_install(package: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnreadableError, match=r'pip install "cookie-consent\[(analytics|postgresql|clickhouse)\]"'):
        report(url, since=FIRST, until=FIRST)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"since": LAST}, "from: 2026-11-05 is no day before or equal to 2026-11-01"),
        ({"since": date(1969, 12, 31)}, "days from 1970-01-02 to 9999-12-30"),
        ({"since": date(1990, 1, 1)}, "ten years at most"),
        ({"limit": 0}, "limit, threshold: a whole number"),
        ({"threshold": 0}, "limit, threshold: a whole number"),
        ({"limit": 10_001}, "limit: 10,000 rows at most"),
        ({"step": "minute"}, "step: one of hour, day, week, month."),
        ({"since": FIRST - timedelta(days=92), "step": "hour"}, "step: hours are for 92 days at most"),
        ({"time_zone": "Tokyo"}, 'there is no time zone "Tokyo"'),
        ({"compare": "month"}, "compare: one of previous, year."),
        ({"host": "a\0b"}, "host: a text without NUL"),
    ],
)
def test_wrong_question_is_refused_with_advice(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        report("missing.jsonl", **{"since": FIRST, "until": FIRST, **wrong})


def test_comparison_with_days_before_1970_is_refused() -> None:
    with pytest.raises(ValueError, match="days from 1970-01-02"):
        report("missing.jsonl", since=date(1970, 1, 2), until=date(1970, 1, 2), compare="previous")


@pytest.mark.slow
def test_report_is_json_data_with_every_list(access_log: str) -> None:
    steps: list[int] = []
    made = report(access_log, since=FIRST, until=LAST, seen=steps.append)
    assert json.loads(json.dumps(made)) == made
    assert steps == sorted(steps)
    assert steps[-1] == STEPS
    assert {name for name, figure in made.items() if isinstance(figure, list)} == {
        *(figure.name for figure in FIGURES if not figure.of_goal),
        "unreadable_files",
        "unreadable_lines",
    }
