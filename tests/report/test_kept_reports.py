"""Tests of the pages that a live report keeps: they are made anew when a file changes, and none is missed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cookie_consent.report.live.app import report_app
from cookie_consent.report.live.pages import GOOD, KEPT_FOR, MOST_PAGES, SETTLED, Page, Pages, State, state_of
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.parquet import compact
from tests.support.asgi import call
from tests.support.report_records import DAYS, FIRST, Record, line, page_view, random_counts, random_records

LAST = FIRST + timedelta(days=DAYS - 1)
NOON = datetime(LAST.year, LAST.month, LAST.day, 12, tzinfo=UTC)


def write(live: Path, day: date, records: list[Record], number: int = 1) -> Path:
    """Write a closed file."""
    path = path_of(live, day, number, FileFormat.PLAIN)
    path.write_bytes(b"".join(map(line, records)))
    return path


def write_counts(live: Path, *counts: Record) -> None:
    sink = open_sink(str(live))
    for count in counts:
        sink.count(line(count))
    sink.close()


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A log with closed files, with records in the live file at noon of the last day, and with counts."""
    live = tmp_path / "access.jsonl"
    records = random_records(seed=3, visitors=8)
    write(live, FIRST, records[::2])
    write(live, FIRST + timedelta(days=1), records[1::2])
    live.write_bytes(b"".join(line(page_view(name, NOON)) for name in ("ann", "bob")))
    write_counts(live, *random_counts(seed=3))
    return live


def append(live: Path) -> None:
    live.write_bytes(live.read_bytes() + line(page_view("cas", NOON)))


def erase(live: Path) -> None:
    open_sink(str(live)).erase("ann")


def change_counts(live: Path) -> None:
    write_counts(live, {**random_counts(seed=3)[0], "log.record.uid": "new", "count.name": "views"})


def remove(live: Path) -> None:
    path_of(live, FIRST, 1, FileFormat.PLAIN).unlink()


def settled() -> float:
    return datetime.now(UTC).timestamp() + SETTLED + 1


@pytest.mark.slow
@pytest.mark.parametrize("change", [append, erase, change_counts, remove, compact])
def test_change_of_a_file_changes_the_state(live: Path, change: Callable[[Path], object]) -> None:
    before = state_of(live, settled)
    assert before
    assert state_of(live, settled) == before
    change(live)
    assert state_of(live, settled) not in (None, before)


def test_file_that_has_just_changed_may_change_again_unseen(live: Path) -> None:
    changed = max(file.stat().st_mtime for file in live.parent.iterdir())
    assert state_of(live, lambda: changed + SETTLED - 0.1) is None
    assert state_of(live, lambda: changed + SETTLED + 0.1) is not None


def test_database_has_no_state_and_a_new_log_an_empty_one(tmp_path: Path) -> None:
    assert state_of(None, settled) is None
    assert state_of(tmp_path / "access.jsonl", settled) == {}


class Made:
    """Makes pages, with the state of files and the time that a test sets."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.now = 0.0
        self.states: Iterator[State | None] | None = None
        self.state: State | None = {"file": (1, 1, 1)}
        self.status = GOOD
        self.pages = Pages(self._make, self._state, lambda: self.now)

    def _make(self, asked: tuple[tuple[str, str], ...]) -> Page:
        self.asked.append(asked[0][1])
        return Page(self.status, f"{len(self.asked)}")

    def _state(self) -> State | None:
        return self.state if self.states is None else next(self.states)

    def get(self, host: str = "a") -> str | None:
        page = asyncio.run(self.pages.get((("host", host),)))
        return page.html if page else None


def test_page_is_kept_while_no_file_changes() -> None:
    made = Made()
    assert [made.get(), made.get("b")] == ["1", "2"]
    made.now = 10 * KEPT_FOR
    assert [made.get(), made.get("b")] == ["1", "2"]
    made.state = {"file": (2, 1, 1)}
    assert made.get() == "1", "it counts for some seconds"
    made.now += KEPT_FOR
    assert [made.get(), made.get("b")] == ["3", "4"]


def test_page_of_unknown_files_counts_for_some_seconds() -> None:
    made = Made()
    made.state = None
    assert [made.get(), made.get()] == ["1", "1"]
    made.now = KEPT_FOR
    assert made.get() == "2"


def test_page_of_files_that_changed_meanwhile_is_not_kept() -> None:
    made = Made()
    made.states = iter([{"file": (1, 1, 1)}, {"file": (2, 1, 1)}] + [{"file": (2, 1, 1)}] * 3)
    assert made.get() == "1"
    made.now += KEPT_FOR
    assert made.get() == "2"
    made.now += KEPT_FOR
    assert made.get() == "2"


def test_error_is_not_kept() -> None:
    made = Made()
    made.status = 503
    made.get()
    made.now += KEPT_FOR
    assert made.get() == "2"


def test_number_of_kept_pages_is_limited() -> None:
    made = Made()
    for number in range(MOST_PAGES + 5):
        made.get(str(number))
    assert len(made.pages._pages) == MOST_PAGES
    made.get(str(MOST_PAGES + 4))
    assert len(made.asked) == MOST_PAGES + 5


@pytest.mark.slow
def test_live_page_has_figures_of_files_that_changed(live: Path) -> None:
    now = settled()
    app = report_app(live, authorize=lambda request: True, clock=lambda: now)
    query = f"from={FIRST}&to={LAST}".encode()
    before = call(app, query=query).text
    os.utime(live, (0, 0))
    now += KEPT_FOR
    live.unlink()
    remove(live)
    assert call(app, query=query).text != before
