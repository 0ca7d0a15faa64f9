"""Tests of the figures that a live report keeps: they are those of a new report, and no change of a file is missed."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.report import report
from cookie_consent.report.live.app import KEPT_FOR, report_app
from cookie_consent.report.live.kept import MOST_ANSWERS, MOST_BYTES, SETTLED, KeptReports, state_of
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.closed_files import FileFormat, Source, path_of
from cookie_consent.sinks.files.parquet import compact
from tests.support.asgi import call
from tests.support.report_records import DAYS, FIRST, Record, line, page_view, random_counts, random_records

LAST = FIRST + timedelta(days=DAYS - 1)
NOON = datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC)
ALL_DAYS: dict[str, Any] = {"since": FIRST, "until": LAST, "threshold": 1}


def assert_same(made: Any, wanted: Any, name: str = "") -> None:
    """Compare figures exactly. Only sums of floating-point numbers may differ as their order does."""
    if name in ("sum", "mean") and wanted is not None:
        assert made == pytest.approx(wanted, rel=1e-9), name
    elif isinstance(wanted, dict):
        assert list(made) == list(wanted), name
        for key in wanted:
            assert_same(made[key], wanted[key], key)
    elif isinstance(wanted, list):
        assert len(made) == len(wanted), (name, made, wanted)
        for row, other in zip(made, wanted, strict=True):
            assert_same(row, other, name)
    else:
        assert made == wanted, name


def write(live: Path, day: date, records: list[Record], number: int = 1) -> Path:
    """Write a closed file."""
    path = path_of(live, day, number, FileFormat.PLAIN)
    path.write_bytes(b"".join(map(line, records)))
    return path


class Asked:
    """Asks `KeptReports` at moments that a test sets, and counts how many reports were computed.

    Args:
        live: the live file.
        meanwhile: is called after each report that was computed.
    """

    def __init__(self, live: Path, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.live, self.computed, self.meanwhile = live, 0, meanwhile
        self.now = datetime.now(UTC).timestamp() + SETTLED + 1
        self._kept = KeptReports(live, lambda: self.now, self._compute)

    def _compute(self, *arguments: Any, **asked: Any) -> dict[str, Any]:
        self.computed += 1
        figures = report(*arguments, **asked)
        self.meanwhile()
        return figures

    def figures(self, **changes: Any) -> dict[str, Any]:
        """Return the figures of a question, after a look whether they are those of a new report."""
        asked = ALL_DAYS | changes
        figures = self._kept(self.live, **asked)
        assert_same(figures, report(self.live, **asked, now=self.now, may_be_new=True))
        return dict(figures)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A log with closed files, with records in the live file at noon of the last day, and with counts."""
    live = tmp_path / "access.jsonl"
    records = random_records(seed=3, visitors=8)
    write(live, FIRST, records[::2])
    write(live, FIRST + timedelta(days=1), records[1::2])
    live.write_bytes(b"".join(line(page_view(name, NOON)) for name in ("ann", "bob")))
    sink = open_sink(str(live))
    for count in random_counts(seed=3):
        sink.count(line(count))
    sink.close()
    return live


@pytest.mark.slow
def test_question_that_is_asked_again_has_the_same_figures_at_a_new_moment(live: Path) -> None:
    asked = Asked(live)
    questions: list[dict[str, Any]] = [
        {},
        {"host": "site.example", "compare": "previous"},
        {"where": (("device", "pc"),)},
        {"until": FIRST},
    ]
    made = [asked.figures(**question) for question in questions]
    asked.now += 100
    for question, before in zip(questions, made, strict=True):
        again = asked.figures(**question)
        assert again["range"].pop("generated_at") != before["range"].pop("generated_at")
        assert again == before
    assert asked.computed == len(questions)


def append(live: Path) -> None:
    live.write_bytes(live.read_bytes() + line(page_view("cas", NOON)))


def erase(live: Path) -> None:
    open_sink(str(live)).erase("ann")


def change_counts(live: Path) -> None:
    sink = open_sink(str(live))
    sink.count(
        line({**random_counts(seed=3)[0], "log.record.uid": "new", "count.day": str(FIRST), "count.name": "views"})
    )
    sink.close()


def remove(live: Path) -> None:
    path_of(live, FIRST, 1, FileFormat.PLAIN).unlink()


@pytest.mark.slow
@pytest.mark.parametrize("change", [append, erase, change_counts, remove, compact])
def test_change_of_a_file_drops_all_answers(live: Path, change: Callable[[Path], object]) -> None:
    asked = Asked(live)
    before = asked.figures()
    asked.figures(until=FIRST)
    change(live)
    asked.now += 100
    after = asked.figures()
    assert asked.computed == 3
    assert len(asked._kept._answers) == 1
    assert change is compact or {**after, "range": None} != {**before, "range": None}


@pytest.mark.slow
def test_file_that_has_just_changed_may_change_again_unseen(live: Path) -> None:
    asked = Asked(live)
    asked.now = max(file.stat().st_mtime for file in live.parent.glob("*.jsonl")) + SETTLED - 0.1
    asked.figures()
    asked.figures()
    assert asked.computed == 2
    asked.now += 0.2
    asked.figures()
    asked.figures()
    assert asked.computed == 3


@pytest.mark.slow
def test_figures_of_files_that_changed_meanwhile_are_not_kept(live: Path) -> None:
    asked = Asked(live)
    asked.meanwhile = lambda: os.utime(live, (asked.computed, 0))
    asked.figures()
    asked.meanwhile = lambda: None
    asked.figures()
    asked.figures()
    assert asked.computed == 2


def test_moved_file_and_database_have_no_state(tmp_path: Path) -> None:
    live = tmp_path / "access.jsonl"
    assert state_of(live) == {}
    assert state_of(live, lambda path: [Source(path, FileFormat.LIVE)]) is None
    assert state_of(None) is None


class Given:
    """Returns figures of a size, and counts how often."""

    def __init__(self, size: int = 10) -> None:
        self.size, self.made = size, 0

    def __call__(self, access_log: object, **asked: Any) -> dict[str, Any]:
        self.made += 1
        return {"range": {"from": asked.get("since")}, "more": "x" * self.size}


def test_figures_of_a_database_are_not_kept() -> None:
    make = Given()
    kept = KeptReports("postgresql://localhost/site", lambda: 0, make)
    assert kept("postgresql://localhost/site") == kept("postgresql://localhost/site")
    assert make.made == 2


@pytest.mark.parametrize(("size", "most"), [(10, MOST_ANSWERS), (MOST_BYTES // 3, 2), (MOST_BYTES, 0)])
def test_answers_are_limited_in_number_and_in_size(tmp_path: Path, size: int, most: int) -> None:
    """What was not asked for longest is given up first."""
    make = Given(size)
    kept = KeptReports(tmp_path / "access.jsonl", lambda: 5, make)
    for number in range(MOST_ANSWERS + 1):
        kept("", since=number)
        kept("", since=0)
    assert make.made == MOST_ANSWERS + 1 + (0 if most else MOST_ANSWERS + 1)
    assert len(kept._answers) == most
    kept("", since=MOST_ANSWERS)
    assert make.made == MOST_ANSWERS + 1 + (0 if most else MOST_ANSWERS + 2)


@pytest.mark.slow
def test_page_from_memory_is_that_of_its_moment(live: Path) -> None:
    for file in live.parent.glob("*.jsonl*"):
        os.utime(file, (0, 0))
    moment = NOON

    def page() -> str:
        return call(report_app(live, authorize=lambda request: True, clock=lambda: moment.timestamp())).text

    app = report_app(live, authorize=lambda request: True, clock=lambda: moment.timestamp())
    assert call(app).text == page()
    moment += timedelta(minutes=20, seconds=KEPT_FOR)
    later = call(app).text
    assert later == page()
    assert "12:20" in later
