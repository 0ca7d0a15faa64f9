"""Tests of digests: a report from them is the report of a scan."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cookie_consent.cli import main
from cookie_consent.report import report
from cookie_consent.report.digests import lists_of_blocks
from cookie_consent.report.digests.kinds import KINDS, OF_COUNTS
from cookie_consent.report.digests.making import Digested, digest
from cookie_consent.report.goals import Goals
from cookie_consent.report.lists import LISTS
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.compaction import compact
from cookie_consent.sinks.files.digest_files import digest_folder
from tests.support.digests import (
    answers,
    assert_blocks_are_as_if_made_at_once,
    assert_same,
    assert_same_report,
    number_of,
    scanned,
    stored_numbers,
    write,
    write_days,
)
from tests.support.report_records import (
    DAYS,
    FIRST,
    HOSTS,
    Record,
    day_of,
    line,
    page_view,
    random_records,
    time_of,
    time_text,
)

pytestmark = pytest.mark.one_python
LAST = FIRST + timedelta(days=DAYS - 1)
EXAMPLES = int(os.environ.get("RANDOM_LOGS", "50" if os.environ.get("FULL_MATRIX") == "1" else "8"))
"""How many random logs are tried. A thousand take a quarter of an hour:
RANDOM_LOGS=1000 pytest --timeout 0 -o faulthandler_timeout=0."""
MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)
PAGES = ("/", "/a", "/b")
STEPS = (*PAGES, "/*", "/a*", "event:page_view", "event:page_leave", "event:download")
GOALS = Goals(
    (("a", "/a*"), ("file", "event:download"), ("rare", "/rare/*"), ("left", "event:page_leave"), ("none", "/none")),
    (("down", ("/*", "/*", "goal:file")), ("back", ("/a", "event:page_view", "event:page_leave", "/"))),
)
QUERIES = ("", "", "", "utm_source=letter", "utm_source=advert&utm_medium=cpc")


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with a closed file for each day in different formats, and the last day in the live file."""
    live = tmp_path_factory.mktemp("days") / "access.jsonl"
    records = random_records(seed=8, visitors=60)
    for number in range(DAYS + 1):
        day = FIRST + timedelta(days=number)
        own = [record for record in records if day_of(record) == day]
        if number < DAYS - 1:
            write(live, day, own)
        else:
            with live.open("ab") as file:
                file.write(b"".join(map(line, own)))
        if number == 1:
            compact(live)
    assert digest(live) == Digested(4, 1)
    return live


QUESTIONS: dict[str, dict[str, Any]] = {
    "goals": {"since": FIRST, "until": LAST, "goals": GOALS, "threshold": 3},
    "goals in few rows": {"since": FIRST, "until": LAST, "goals": GOALS, "threshold": 2, "limit": 2, "compare": True},
    "goals on a host": {"since": FIRST, "until": LAST, "goals": GOALS, "threshold": 1, "host": HOSTS[0]},
    "all days": {"since": FIRST, "until": LAST},
    "closed days": {"since": FIRST, "until": FIRST + timedelta(days=2), "threshold": 1},
    "a day in the middle": {"since": MIDNIGHT.date(), "until": MIDNIGHT.date(), "threshold": 2, "compare": True},
    "a host": {"since": FIRST, "until": LAST, "host": HOSTS[0], "threshold": 1},
    "an unknown host": {"since": FIRST, "until": LAST, "host": "other.example"},
    "few rows": {"since": FIRST, "until": LAST, "limit": 2, "threshold": 3},
    "weeks": {"since": FIRST, "until": LAST, "step": "week", "compare": "year", "threshold": 1},
    "months": {"since": FIRST - timedelta(days=2), "until": LAST, "step": "month", "threshold": 2},
    "hours": {"since": FIRST, "until": LAST, "step": "hour", "threshold": 1},
    "only the live day": {"since": LAST, "until": LAST, "threshold": 1},
    "days around": {"since": FIRST - timedelta(days=40), "until": LAST + timedelta(days=40), "threshold": 1},
    "days without records": {"since": LAST + timedelta(days=3), "until": LAST + timedelta(days=5)},
}


@pytest.mark.each_value(all_of="hours", at_most=6)
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.slow
def test_report_from_digests_is_that_of_a_scan(days: Path, question: str) -> None:
    assert_same_report(days, **QUESTIONS[question])


@pytest.mark.parametrize("zone", [pytest.param("Asia/Tokyo", marks=pytest.mark.full_matrix), "America/New_York"])
@pytest.mark.slow
def test_days_are_those_of_the_time_zone(days: Path, tmp_path: Path, zone: str) -> None:
    """Clocks in New York were set back on the first of these days."""
    copytree(days.parent, tmp_path, dirs_exist_ok=True)
    live = tmp_path / days.name
    asked: dict[str, Any] = {"since": FIRST, "until": LAST, "threshold": 1, "time_zone": zone, "step": "hour"}
    with answers() as found:
        report(live, **asked)
    assert not any(found), "the digests have days in UTC"
    digest(live, zone)
    assert_same_report(live, **asked)


@pytest.mark.parametrize("question", ["all days", "closed days"])
@pytest.mark.slow
def test_quantiles_of_many_values_are_those_of_a_scan(
    days: Path, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are found by rank, because so many values would not fit into the memory."""
    monkeypatch.setattr(lists_of_blocks, "FEW_VALUES", 10)
    assert_same_report(days, **QUESTIONS[question])


@pytest.mark.slow
def test_visitors_of_now_are_those_of_a_scan(days: Path) -> None:
    newest = max(time_of(record) for record in random_records(seed=8, visitors=60) if day_of(record) < LAST)
    for minutes in (0, 10, 19, 60):
        now = (newest + timedelta(minutes=minutes)).timestamp()
        asked: dict[str, Any] = {"since": FIRST, "until": LAST, "threshold": 1, "now": now, "count_now": True}
        with answers() as found:
            made = report(days, **asked)["now"]
        assert found == [True]
        assert made == scanned(days, **asked)["now"]


def test_digests_have_every_list_that_is_not_of_counts() -> None:
    """A list that digests lack has each report scanned. It is an entry of `kinds_in`."""
    of_counts = {figure.name for figure in LISTS if figure.name.startswith(OF_COUNTS)}
    assert {figure.name for figure in LISTS} - of_counts <= {kind.figure for kind in KINDS}


@pytest.mark.slow
def test_digests_are_made_once(days: Path) -> None:
    before = {file: file.stat().st_ino for file in digest_folder(days).iterdir()}
    assert digest(days) == Digested(0, 0)
    assert {file: file.stat().st_ino for file in digest_folder(days).iterdir()} == before


@pytest.mark.parametrize("asked", [{"path": "/a"}, {"where": (("device", "pc"),)}])
@pytest.mark.slow
def test_questions_with_filters_are_scanned(days: Path, asked: dict[str, Any]) -> None:
    with answers() as found:
        report(days, since=FIRST, until=LAST, **asked)
    assert not any(found)


@st.composite
def logs(draw: st.DrawFn) -> dict[int, list[Record]]:
    """Return records by the day of their file, counted from the midnight; the last file is the live one.

    Visits are near midnights. Some lines are late: they are in a file of a later day. Some are twice in the log.
    """
    files: dict[int, list[Record]] = {number: [] for number in range(4)}
    for number in range(draw(st.integers(1, 6))):
        visitor = draw(st.sampled_from(("ann", "bob", "cas")))
        moment = MIDNIGHT + timedelta(
            days=draw(st.integers(0, 2)), minutes=draw(st.sampled_from((-50, -31, -29, -1, 0, 5, 700)))
        )
        for step in range(draw(st.integers(1, 4))):
            record = draw(visited(visitor, moment, f"{number}-{step}"))
            file = max((moment - MIDNIGHT).days + 1, 0)
            late = draw(st.sampled_from((0, 0, 0, 0, 1, 2)))
            files[min(file + late, 3)].append(record)
            if draw(st.integers(0, 9)) == 0:
                files[min(file + late + draw(st.integers(0, 1)), 3)].append(record)
            moment += timedelta(minutes=draw(st.sampled_from((0, 1, 20, 30, 30, 31, 45))))
    return files


@st.composite
def visited(draw: st.DrawFn, visitor: str, moment: datetime, uid: str) -> Record:
    kind = draw(st.sampled_from(("view", "view", "view", "request", "event")))
    record: Record = {
        "time": time_text(moment),
        "log.record.uid": uid,
        "record.version": 1,
        "record.kind": kind,
        "visitor.id": visitor,
        "server.address": draw(st.sampled_from((HOSTS[0], HOSTS[0], HOSTS[1]))),
        "url.path": draw(st.sampled_from(PAGES)),
        "user_agent.device": "pc",
    }
    if kind == "event":
        record["event.name"] = draw(st.sampled_from(("page_leave", "page_view", "download")))
        record["event.properties"] = {"file": draw(st.sampled_from(("a.pdf", "b.pdf"))), "size": 3}
        if record["event.name"] == "page_leave":
            record["duration_ms"] = draw(st.sampled_from((1500.0, 2_000_000.0, 9_000_000.0)))
    else:
        status = draw(st.sampled_from((200, 200, 200, 404, 500)))
        record |= {"http.request.method": "GET", "http.route": "/{page}", "http.response.status_code": status}
        record["duration_ms"] = draw(st.sampled_from((1.5, 2.0, 1_000_000.0)))
        if draw(st.booleans()):
            record["http.request.referrer"] = "https://other.example"
        if query := draw(st.sampled_from(QUERIES)):
            record["url.query"] = query
    return record


@st.composite
def goals(draw: st.DrawFn) -> Goals:
    """Return goals of pages, beginnings of paths and events, and funnels of them."""
    wanted = [(f"goal-{step}", step) for step in draw(st.lists(st.sampled_from(STEPS), max_size=3, unique=True))]
    steps = st.sampled_from((*STEPS, *(f"goal:{name}" for name, _ in wanted)))
    ways = draw(st.lists(st.lists(steps, min_size=2, max_size=4), max_size=2))
    return Goals(tuple(wanted), tuple((f"funnel-{number}", tuple(way)) for number, way in enumerate(ways)))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    files=logs(),
    since=st.integers(-1, 2),
    length=st.integers(0, 3),
    goals=goals(),
    compacted=st.booleans(),
    day_by_day=st.booleans(),
)
@pytest.mark.slow
@pytest.mark.no_cover
def test_random_logs_give_the_report_of_a_scan(
    tmp_path_factory: pytest.TempPathFactory,
    files: dict[int, list[Record]],
    since: int,
    length: int,
    goals: Goals,
    compacted: bool,
    day_by_day: bool,
) -> None:
    live = tmp_path_factory.mktemp("log") / "access.jsonl"
    first = MIDNIGHT.date() - timedelta(days=1)
    for number, records in files.items():
        if number < 3 and records:
            write(live, first + timedelta(days=number), records)
            if compacted:
                compact(live)
            if day_by_day:
                digest(live)
    live.write_bytes(b"".join(map(line, files[3])))
    digest(live)
    begin = MIDNIGHT.date() + timedelta(days=since)
    asked: dict[str, Any] = {"since": begin, "until": begin + timedelta(days=length), "threshold": 1, "now": 0}
    asked["goals"] = goals
    with answers():
        made = report(live, **asked)
    assert_blocks_are_as_if_made_at_once(live)
    folder = digest_folder(live)
    if folder.is_dir():
        folder.rename(folder.with_suffix(".away"))
    wanted = report(live, **asked)
    assert_same(made, wanted)


@pytest.mark.slow
def test_erased_visitor_is_in_no_digest_and_in_no_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = random_records(seed=3, visitors=8)
    live, other = tmp_path / "access.jsonl", tmp_path / "other" / "access.jsonl"
    other.parent.mkdir()
    visitor = next(record["visitor.id"] for record in records if day_of(record) == FIRST)
    write_days(live, records)
    write_days(other, [record for record in records if record["visitor.id"] != visitor])
    assert main(["compact", "--access-log", str(live)]) == 0
    assert "6 digests made" in capsys.readouterr().out
    number = number_of(live, visitor)
    assert number in stored_numbers(live)
    asked: dict[str, Any] = {"since": FIRST, "until": LAST, "threshold": 1, "now": 0}
    open_sink(str(live)).erase(visitor)
    assert number not in stored_numbers(live)
    assert not any(file.name.startswith(("days", "firsts")) for file in digest_folder(live).iterdir())
    assert main(["digest", "--access-log", str(live)]) == 0
    with answers() as found:
        assert_same(report(live, **asked), report(other, **asked))
    assert all(found)
    assert found
    assert number not in stored_numbers(live)
    for file in digest_folder(live).iterdir():
        assert visitor.encode() not in file.read_bytes()


@pytest.mark.slow
def test_commands_that_remove_records_make_digests_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = tmp_path / "access.jsonl"
    records = random_records(seed=4, visitors=5)
    write_days(live, records)
    assert main(["digest", "--access-log", str(live), "--time-zone", "Asia/Tokyo"]) == 0
    made = capsys.readouterr().out
    assert made == "6 digests made, and 1 block of days joined.\n"
    visitor = records[0]["visitor.id"]
    assert main(["erase", "--id", visitor, "--access-log", str(live)]) == 0
    assert digest(live, "Asia/Tokyo") == Digested(0, 0)
    with answers() as found:
        report(live, since=FIRST, until=LAST, time_zone="Asia/Tokyo")
    assert all(found)
    assert found
    oldest = path_of(live, FIRST, 1, FileFormat.PLAIN)
    oldest.unlink()  # as `purge` does
    with answers() as found:
        report(live, since=FIRST, until=LAST, time_zone="Asia/Tokyo")
    assert not any(found)
    digest(live, "Asia/Tokyo")
    assert not (digest_folder(live) / f"{FIRST}-0001.db").exists()


@pytest.mark.parametrize(("minutes", "answered"), [(300, True), (2400, False)])
@pytest.mark.slow
def test_page_left_after_midnight_goes_on_with_a_digested_session(tmp_path: Path, minutes: int, answered: bool) -> None:
    """The page was visible for five hours, or for longer than a block keeps sessions by themselves."""
    live = tmp_path / "access.jsonl"
    began = MIDNIGHT - timedelta(hours=2 if minutes == 300 else 32)
    before = [
        page_view("ann", began),
        page_view("bob", MIDNIGHT - timedelta(hours=10)),
        page_view("cas", MIDNIGHT - timedelta(minutes=6)),
    ]
    left = page_view("ann", began + timedelta(minutes=minutes))
    left |= {"record.kind": "event", "event.name": "page_leave", "duration_ms": (minutes - 1) * 60_000.0}
    for record in before:
        write(live, day_of(record), [other for other in before if day_of(other) == day_of(record)])
    live.write_bytes(line(left))
    digest(live)
    asked: dict[str, Any] = {"since": FIRST, "until": LAST, "threshold": 1}
    with answers() as found:
        made = report(live, **asked, now=0)
    assert all(found) == answered
    assert_same(made, scanned(live, **asked))
    assert made["sessions"] == 3


@pytest.mark.parametrize("since", [0, 1, 2])
@pytest.mark.slow
def test_long_session_is_cut_off_as_in_a_scan(tmp_path: Path, since: int) -> None:
    """A report on a part of its days reads some hours around them. Another session goes on from the day before."""
    live = tmp_path / "access.jsonl"
    records = [
        page_view(visitor, MIDNIGHT + timedelta(minutes=20 * step), PAGES[step % 3])
        for visitor, steps in (("ann", range(-30, 100)), ("bob", range(-2, 2)), ("cas", range(70, 75)))
        for step in steps
    ]
    for day in sorted({day_of(record) for record in records}):
        write(live, day, [record for record in records if day_of(record) == day])
    digest(live)
    begin = MIDNIGHT.date() + timedelta(days=since - 1)
    assert_same_report(live, since=begin, until=begin, threshold=1)
    assert_same_report(live, since=begin, until=begin + timedelta(days=1), threshold=1)


_KILLED = """
import os, sys
from pathlib import Path
from cookie_consent.report.digests import making

left = int(sys.argv[2])
replace = os.rename

def rename(*names):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), 9)
    replace(*names)

os.rename = rename
making.digest(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("files", [pytest.param(1, marks=pytest.mark.full_matrix), 7])
@pytest.mark.slow
@pytest.mark.no_cover
def test_killed_process_leaves_nothing_wrong(tmp_path: Path, files: int) -> None:
    live = tmp_path / "access.jsonl"
    records = random_records(seed=5, visitors=5)
    write_days(live, records)
    assert subprocess.run([sys.executable, "-c", _KILLED, live, str(files)], check=False).returncode == -9
    asked: dict[str, Any] = {"since": FIRST, "until": LAST, "threshold": 1, "now": 0}
    before = report(live, **asked)
    assert digest(live).busy is False
    with answers() as found:
        assert_same(report(live, **asked), before)
    assert all(found)
    assert not list(digest_folder(live).glob(".*part*"))
