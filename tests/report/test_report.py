"""Tests of the report's figures: every engine gives what `report_oracle` computes in plain Python."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.records import write_records
from cookie_consent.report import FIGURES, Question, UnreadableError, report
from cookie_consent.report.compute import STEPS
from cookie_consent.report.engines import duckdb_files, postgresql, tables
from cookie_consent.report.engines.engine import default_memory, format_size, parse_memory
from cookie_consent.report.export.stream import Span, stream
from cookie_consent.report.local_time import numbered
from cookie_consent.report.question import parse_day
from cookie_consent.report.settings import Goals
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path
from tests.support.report_oracle import Oracle
from tests.support.report_records import (
    COUNTS,
    FIRST,
    HOSTS,
    LAST,
    NOON,
    RECORDS,
    SECOND,
    THIRD,
    Record,
    line,
    record,
    time_of,
    time_text,
    write_files,
    write_to_store,
)
from tests.support.servers.clickhouse_server import ClickHouseDatabases

COARSE = {
    "median": 0.051, "mean": 0.051, "median_seconds": 0.051, "views_per_session": 0.0051, "routes": 0.0051,
    "slow_pages": 0.0051,
}  # fmt: skip
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
    "many filters": {
        "since": FIRST, "until": LAST, "threshold": 1,
        "where": (
            ("returning", "no"), ("channel", "other site"), ("entry", "/*"), ("event", "page_leave"),
            ("event", "page_view"),
        ),
    },
    "a campaign and a property": {
        "since": FIRST, "until": LAST, "where": (("campaign", "one"), ("property", "download:a key=5")), "threshold": 1,
    },
    "days without counts": {"since": LAST, "until": LAST},
    "days without records": {"since": LAST + timedelta(days=30), "until": LAST + timedelta(days=31), "goals": GOALS},
    "goals of a segment": {
        "since": SECOND, "until": LAST, "where": (("source", "(direct)"), ("page", "/a*")), "threshold": 1,
        "goals": GOALS,
    },
}  # fmt: skip

ON_EACH_ENGINE = (
    "all days", "a day of 25 hours", "goals of a segment", "many filters",
    "a campaign and a property",
)  # fmt: skip
"""Questions to each engine."""
ON_FILES = (
    *ON_EACH_ENGINE, "new visitors of a browser",
    "pages under a path", "goals and funnels", "few rows", "days that begin at half past", "a source",
    "no country", "two pages", "a page that looks like SQL", "a campaign as in a list", "first pages", "weeks in Tokyo",
    "months in New York", "days without records",
)  # fmt: skip
"""Questions that files answer in each run; the others, and those to databases, are for the full matrix."""
ASKED = [
    pytest.param(
        engine,
        question,
        marks=[] if question in (ON_FILES if engine == "files" else ON_EACH_ENGINE) else [pytest.mark.full_matrix],
    )
    for engine in ("files", "postgresql", "clickhouse")
    for question in QUESTIONS
]


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


def named(row: Record) -> str:
    return str([value for value in row.values() if isinstance(value, str)] or row)


def size_of(row: Record) -> float:
    """The first number of a row."""
    return next(value for value in row.values() if isinstance(value, (int, float)))


@pytest.mark.parametrize(("access_log", "question"), ASKED, indirect=["access_log"])
@pytest.mark.slow
def test_every_engine_gives_the_figures_of_the_oracle(access_log: str, question: str) -> None:
    asked = QUESTIONS[question]
    oracle = Oracle(RECORDS, COUNTS, **asked)
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
    assert set(made) == set(wanted)
    assert_same({key: made[key] for key in wanted}, wanted)
    for name, rows in made.items():
        if isinstance(rows, list) and not name.endswith(("_day", "_hour", "_step", "retention", "goals", "funnels")):
            sizes = [size_of(row) for row in rows if "(other)" not in row.values()]
            assert sizes == sorted(sizes, reverse=True), name


@pytest.mark.parametrize("question", ["all days", "goals of a segment"])
@pytest.mark.slow
def test_sessions_computed_in_parts_give_the_same_figures(
    question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "access.jsonl", RECORDS, COUNTS)
    monkeypatch.setattr(tables, "SORTED_AT_ONCE", 1)
    made = report(tmp_path / "access.jsonl", **QUESTIONS[question], memory=64_000_000)
    wanted = Oracle(RECORDS, COUNTS, **QUESTIONS[question]).report()
    assert_same({key: made[key] for key in wanted}, wanted)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("access_log", "threshold"),
    [
        ("files", 1),
        ("files", 2),
        pytest.param("postgresql", 2, marks=pytest.mark.full_matrix),
        pytest.param("clickhouse", 1, marks=pytest.mark.full_matrix),
    ],
    indirect=["access_log"],
)
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


def test_report_is_json_data_with_every_list(access_log: str) -> None:
    steps: list[int] = []
    made = report(access_log, since=FIRST, until=LAST, seen=steps.append)
    assert json.loads(json.dumps(made)) == made
    assert (steps, steps[-1]) == (sorted(steps), STEPS)
    lists = {name for name, figure in made.items() if isinstance(figure, list)}
    rows = {figure.name for figure in FIGURES if not figure.of_goal}
    assert lists == rows | {"unreadable_files", "unreadable_lines"}


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


def test_default_memory_is_at_most_a_quarter_of_the_machine() -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 512_000_000 <= default_memory() <= max(machine * 0.26, 512_000_000)


@pytest.mark.parametrize(("size", "text"), [(512_000_000, "512 MB"), (10**9, "1.0 GB")])
def test_memory_size_is_formatted(size: int, text: str) -> None:
    assert format_size(size) == text


# Days, steps and comparisons


def test_page_has_whole_sessions_also_of_records_without_a_host_or_a_visitor(tmp_path: Path) -> None:
    live = tmp_path / "access.jsonl"
    visited = (("ann", "/a"), ("ann", "/b"), (None, "/a"), (None, "/b"), ("bob", "/b"))
    left_out = {"server.address": None, "duration_ms": None}
    seen = [record(minute, path, visitor__id=who) | left_out for minute, (who, path) in enumerate(visited)]
    live.write_bytes(b"".join(line({key: value for key, value in each.items() if value}) for each in seen))
    made = report(live, since=NOON.date(), until=NOON.date(), where=(("page", "/a"),), threshold=1)
    assert (made["visitors"], made["sessions"], made["bounce_rate"]) == (2, 2, 0.5)
    assert [(row["path"], row["next"], row["times"]) for row in made["next_pages"]] == [("/a", "/b", 1)]


@pytest.mark.parametrize(
    ("zone", "change", "days", "step"),
    [
        ("Africa/Cairo", date(2026, 4, 24), 1, "hour"),  # it begins at one
        ("Africa/Cairo", date(2026, 10, 29), 1, "hour"),  # 25 hours, the last of them twice
        ("America/New_York", date(2026, 3, 8), 3, "day"),
        ("Australia/Lord_Howe", date(2026, 4, 5), 3, "week"),  # half an hour
    ],
)
@pytest.mark.each_value(at_most=2)
def test_days_on_which_clocks_are_set_have_all_their_views(
    zone: str, change: date, days: int, step: str, tmp_path: Path
) -> None:
    records = [{**each, "time": time_text(time_of(each) + (change - THIRD))} for each in RECORDS]
    live = tmp_path / "access.jsonl"
    live.write_bytes(b"".join(map(line, records)))
    asked: dict[str, Any] = {"since": change, "until": change + timedelta(days=days - 1), "time_zone": zone}
    made = report(live, **asked, step=step, threshold=1)
    wanted = Oracle(records, [], **asked, step=step, threshold=1).lists()
    for name in ("by_day", "by_step", "by_hour"):
        assert made[name] == wanted[name]
    assert sum(row["views"] for row in made["by_step"]) == made["views"] > 0


def test_comparison_with_last_year_has_the_same_days(tmp_path: Path) -> None:
    live = tmp_path / "access.jsonl"
    weeks = timedelta(weeks=52)
    last_year = [{**each, "time": time_text(time_of(each) - weeks)} for each in RECORDS]
    live.write_bytes(b"".join(map(line, [*last_year, *RECORDS])))
    made = report(live, since=FIRST, until=LAST, compare="year", threshold=1, limit=1000)
    assert made["compare"]["range"] == {"from": str(FIRST - weeks), "to": str(LAST - weeks), "to_time": None}
    assert [row["views"] for row in made["compare"]["by_step"]] == [row["views"] for row in made["by_step"]]
    assert [row["before"] for row in made["pages"]] == [row["views"] for row in made["pages"]]


@pytest.mark.parametrize(
    ("first", "last", "comparison", "step", "earlier"),
    [
        ("2028-02-29", "2028-03-01", "year", "month", "2027-02-28 2027-03-01"),
        ("2027-03-01", "2028-02-29", "year", "month", "2026-03-01 2027-02-28"),
        ("2026-11-01", "2026-11-30", "previous", "month", "2026-10-02 2026-10-31"),
        ("2026-11-01", "2026-11-01", "previous", None, "2026-10-25 2026-10-25"),
        ("2026-11-01", "2026-11-07", "previous", None, "2026-10-25 2026-10-31"),
        ("2026-11-01", "2026-11-08", "previous", None, "2026-10-18 2026-10-25"),
        ("2026-11-01", "2026-11-30", "year", "day", "2025-11-02 2025-12-01"),
    ],
)
def test_earlier_period_begins_on_the_same_day(
    first: str, last: str, comparison: str, step: str | None, earlier: str
) -> None:
    question = Question(date.fromisoformat(first), date.fromisoformat(last), step=step)
    before = question.earlier(comparison, 0)
    assert (f"{before.since} {before.until}", before.step, before.elapsed) == (earlier, question.steps, None)


@pytest.mark.parametrize(
    ("compare", "later", "views", "said"),
    [
        ("previous", 0, 1, ("2026-11-18", "2026-11-18", "14:02")),
        ("previous", 86_400, 3, ("2026-11-18", "2026-11-18", None)),
        ("year", 0, 0, (None, "2025-11-26", "14:02")),
    ],
)
def test_running_day_is_compared_with_the_same_hours(
    compare: str, later: float, views: int, said: tuple[str, str, str], tmp_path: Path
) -> None:
    now = datetime(2026, 11, 25, 5, 2, tzinfo=UTC)  # 14:02 in Tokyo
    live = tmp_path / "access.jsonl"
    hours = (-1, -2, -169, -167, -166)
    live.write_bytes(b"".join(line(record(60 * hour, at=now, visitor__id=f"v{hour}")) for hour in hours))
    asked: dict[str, Any] = {"since": now.date(), "until": now.date(), "threshold": 1, "time_zone": "Asia/Tokyo"}
    made = report(live, **asked, compare=compare, now=now.timestamp() + later)
    before = made["compare"]
    assert (made["views"], before["views"]) == (2, views)
    assert (before["recorded_from"], before["range"]["from"], before["range"]["to_time"]) == said


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-02-03", "2026-02-03"),
        ("today", "2026-03-01"),
        ("yesterday", "2026-02-28"),
        ("1d", "2026-03-01"),
        ("7d", "2026-02-23"),
        ("365d", "2025-03-02"),
    ],
)
def test_days_are_named(text: str, day: str) -> None:
    assert str(parse_day(text, date(2026, 3, 1))) == day


@pytest.mark.parametrize("text", ["", "0d", "07d", "-1d", "7 d", "d", "\u0667d", "Today", "2026-02-30"])
def test_text_that_names_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no day: write it as 2026-11-25, yesterday, or 7d"):
        parse_day(text, date(2026, 3, 1))


@pytest.mark.parametrize(
    ("days", "step"), [(1, "hour"), (2, "hour"), (3, "day"), (92, "day"), (93, "week"), (549, "week"), (550, "month")]
)
def test_default_step_fits_the_length_of_the_range(days: int, step: str) -> None:
    assert Question(FIRST, FIRST + timedelta(days=days - 1)).steps == step


@pytest.mark.parametrize(
    ("step", "begins"),
    [
        ("week", "2026-01-01 2026-01-05 2026-01-12 2026-01-19 2026-01-26 2026-02-02"),
        ("month", "2026-01-01 2026-02-01"),
    ],
)
def test_steps_begin_within_the_range(step: str, begins: str) -> None:
    question = Question(date(2026, 1, 1), date(2026, 2, 3), step=step)
    steps = numbered(step, question.days, question.local_time, "UTC")
    assert " ".join(begin for _, begin in steps) == begins


# What cannot be reported


def ask_for_figures(access_log: str) -> object:
    return report(access_log, since=FIRST, until=FIRST)


def ask_for_records(access_log: str) -> object:
    return next(stream(access_log, Span()))


BOTH_WAYS = pytest.mark.parametrize("ask", [ask_for_figures, ask_for_records])
Ask = Callable[[str], object]


@BOTH_WAYS
@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "the database cannot be used"),
        ("clickhouse://nobody@127.0.0.1:1/none", "the database cannot be used"),
        ("clickhouse://nobody@127.0.0.1:1/none?max_memory_usage=1", "an option that clickhouse-connect does not know"),
        ("logs/missing.jsonl", "there is no file logs/missing.jsonl"),
        ("mq://127.0.0.1:4222", '"mq://" cannot be read'),
    ],
)
def test_access_log_that_cannot_be_read_is_named(ask: Ask, url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ask(url)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("package", "url"),
    [("duckdb", __file__), ("psycopg", "postgresql://localhost/a"), ("clickhouse_connect", "clickhouse://localhost/a")],
)
def test_missing_package_error_says_how_to_install(
    ask: Ask, package: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnreadableError, match=r'pip install "cookie-consent\[(analytics|postgresql|clickhouse)\]"'):
        ask(url)


@BOTH_WAYS
def test_database_without_access_records_is_named(ask: Ask, postgres_url: str, clickhouse: ClickHouseDatabases) -> None:
    for url in (postgres_url, clickhouse.new_database()):
        with pytest.raises(UnreadableError, match="has never kept access records"):
            ask(url)


def compute(url: str) -> None:
    with postgresql.opened(url, longest=0.3) as engine:
        engine.make("records", Question(FIRST, FIRST).given)


def read(url: str) -> None:
    with postgresql.opened(url, longest=0.3) as engine:
        next(engine.stream(Span().given, of_segment=False))


@pytest.mark.parametrize("ask", [compute, read])
def test_locked_database_times_out(ask: Ask, postgres_url: str, tmp_path: Path) -> None:
    write_to_store(f"{postgres_url}?spill={tmp_path}", RECORDS[:1], COUNTS[:1])
    with psycopg.connect(postgres_url) as another:
        another.execute("LOCK TABLE access_records IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(UnreadableError, match="the database cannot be used"):
            ask(postgres_url)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"since": LAST}, "from: 2026-11-05 is no day before or equal to 2026-11-01"),
        ({"since": date(1969, 12, 31)}, "days from 1970-01-02 to 9999-12-30"),
        ({"since": date(1970, 1, 2), "until": date(1970, 1, 2), "compare": True}, "days from 1970-01-02"),
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


def test_longest_question_is_allowed() -> None:
    Question(FIRST - timedelta(days=3660), FIRST, limit=10_000)
    Question(FIRST - timedelta(days=91), FIRST, step="hour")
