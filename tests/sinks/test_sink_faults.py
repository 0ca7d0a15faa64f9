"""Tests of a running site whose store fails: no page fails or waits, and no record is lost.

Two workers of a real server answer up to two hundred pages a second. The tests print how long the pages took.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks import open_sink
from cookie_consent.sinks.buffered import LONGEST_HELD
from tests.support.servers.clickhouse_server import clickhouse_server
from tests.support.servers.live_server import Server, serving
from tests.support.servers.noted_store import Notes
from tests.support.servers.postgres import PrivateServer
from tests.support.traffic import VISITORS, Traffic
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

OUTAGE = 2.0
"""How long a store is away (seconds); longer than its sink waits before it spills."""
COUNTS = 10
"""How many lines of counts a killed worker may have held at most."""


class Log:
    """The access log, in files, of a running site.

    Args:
        server: serves the site.
        path: the live file.
        clock: the file with the error of its clock, in seconds.
        notes: the folder in which its workers note their writes.
    """

    def __init__(self, server: Server, path: Path, clock: Path, notes: Path) -> None:
        self.server, self.path, self.clock, self.notes = server, path, clock, notes
        self._number = 0

    def traffic(self, **options: Any) -> Traffic:
        """Return traffic to pages that have no record yet."""
        self._number += 1_000_000
        return Traffic(self.server, first=self._number, **options)

    def records(self, *folders: Path) -> list[dict[str, Any]]:
        """Return the complete records, also those in folders that were moved away."""
        files = (folder / self.path.name for folder in (self.path.parent, *folders))
        return [
            record for file in files if file.exists() for record in map(_read, file.read_bytes().splitlines()) if record
        ]

    def pages_recorded(self, traffic: Traffic, *folders: Path) -> list[int]:
        """Return the numbers of the pages that have a record of this traffic."""
        ids = set(traffic.ids)
        return sorted(number_of(record) for record in self.records(*folders) if record["visitor.id"] in ids)


def _read(line: bytes) -> dict[str, Any] | None:
    """Return the record on a line; None if a full disk or a kill cut the line off."""
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record


def number_of(record: dict[str, Any]) -> int:
    return int(record["url.path"].rpartition("/")[2])


def served(folder: Path, sink: str, **environ: str) -> AbstractContextManager[Server]:
    """Serve the site with two workers and without a ledger, which a full disk would stop, too."""
    return serving(folder, "--no-access-log", workers=2, sink=sink, environ={"LEDGER": "", **environ})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """A site with records in files. Each test repairs what it breaks."""
    folder = tmp_path_factory.mktemp("site")
    path, clock, notes = folder / "logs" / "access.jsonl", folder / "clock", folder / "notes"
    clock.write_text("0", "ascii")
    with served(folder, str(path), CLOCK=str(clock), NOTES=str(notes)) as server:
        yield Log(server, path, clock, notes)
        server.stop()
    assert "Exception in ASGI" not in server.output.read_text("utf-8")


@contextmanager
def outage(traffic: Traffic, what: str) -> Iterator[None]:
    """Let something fail under traffic, and check that no page waits for the end of the outage."""
    traffic.wait_for_pages()
    before, began = time.monotonic() - OUTAGE, time.monotonic()
    yield
    ended = time.monotonic()
    traffic.wait_for_pages()
    say(f"{what}: before {traffic.durations(before, began)}; meanwhile {traffic.durations(began, ended)}")
    meanwhile = [page.ended - page.began for page in traffic.pages if page.began < ended and page.ended > began]
    assert max(meanwhile) < max(OUTAGE, ended - began), "a page waited for the end of the outage"


def say(figures: str) -> None:
    """Print figures. pytest shows them with -s, and if the test fails."""
    sys.stdout.write(f"{figures}\n")


def let_outage_last(traffic: Traffic) -> None:
    """Let the outage last under traffic."""
    end = time.monotonic() + OUTAGE
    wait_until(lambda: time.monotonic() > end)
    traffic.wait_for_pages()


def check_no_page_failed(traffic: Traffic) -> None:
    assert (traffic.failed, traffic.broken) == ([], [])


def check_each_page_has_one_record(traffic: Traffic, pages_recorded: Callable[[], Sequence[int]]) -> None:
    """Wait until each page has a record, and check that no page has two."""
    wait_until(lambda: set(traffic.numbers) <= set(pages_recorded()))
    assert Counter(pages_recorded()) == Counter(traffic.numbers)


def test_killed_worker_loses_at_most_the_records_of_a_second(log: Log) -> None:
    with log.traffic(pause=0) as traffic:
        before = Notes.of(log.notes)
        wait_until(lambda: log.pages_recorded(traffic))
        traffic.wait_for_pages(400)
        wait_until(lambda: len(log.pages_recorded(traffic)) > 400)  # of both workers
        killed, at = traffic.pages[-1].process, time.monotonic()
        os.kill(int(killed), signal.SIGKILL)
        # The server starts another worker.
        wait_until(lambda: len({page.process for page in traffic.pages[-50:]} - {killed}) == 2)
        traffic.wait_for_pages()
    assert traffic.failed == []
    assert len(traffic.broken) <= VISITORS, "the open connections to the killed worker"
    pages_of_killed = {page.number for page in traffic.pages if page.process == killed}
    others = set(traffic.numbers) - pages_of_killed
    wait_until(lambda: others <= set(log.pages_recorded(traffic)))
    recorded = Counter(log.pages_recorded(traffic))
    assert set(recorded.values()) == {1}
    assert set(recorded) <= {*traffic.numbers, *traffic.broken}
    lost = [page for page in traffic.pages if page.number in pages_of_killed - set(recorded)]
    counted = max(reply.json().get("dropped_killed", 0) for reply in log.server.ask_each_worker("/stats").values())
    notes, ages = Notes.of(log.notes)[killed], sorted(at - page.ended for page in lost)
    say(
        f"killed: {len(lost)} of {len(traffic.pages)} records lost, {counted} counted, {notes}; "
        f"the oldest {ages[-1] if ages else 0:.2f} s old"
    )
    # For each visitor, the kill may have come between the answer and its record, or before the answer arrived.
    assert is_count_of(len(lost), counted, notes), "counted by the worker that replaced the killed one"
    assert sum(page.ended < notes.done for page in lost) <= VISITORS, "records from before its last write are not lost"
    assert max(notes.unwritten_for, notes.between_turns(before[killed])) <= LONGEST_HELD
    assert len(lost) < len(pages_of_killed)


def is_count_of(lost: int, counted: int, notes: Notes) -> bool:
    """Return whether a count of lost lines fits the number of lost records.

    The killed worker may not have noted that its last write was done: then the lines of that write are counted too. Or
    it was writing: then a part of that write may be done.
    """
    too_many, give_or_take = counted - lost, VISITORS + COUNTS
    least = 0 if notes.is_writing else notes.lines - give_or_take
    return -VISITORS <= too_many <= give_or_take or least <= too_many <= notes.lines + give_or_take


def test_full_disk_costs_no_page_and_no_record(log: Log) -> None:
    with log.traffic() as traffic, outage(traffic, "disk full"):
        log.server.ask_each_worker(f"/limit?bytes={log.path.stat().st_size + 20_000}")
        let_outage_last(traffic)
        assert all(reply.json()["waiting"] > 0 for reply in log.server.ask_each_worker("/stats").values())
        log.server.ask_each_worker("/limit")
    check_no_page_failed(traffic)
    check_each_page_has_one_record(traffic, lambda: log.pages_recorded(traffic))


def test_moved_folder_costs_no_page_and_no_record(log: Log) -> None:
    gone = log.path.parent.with_name("gone")
    with log.traffic() as traffic, outage(traffic, "folder moved away"):
        wait_until(lambda: log.pages_recorded(traffic))
        log.path.parent.rename(gone)
        let_outage_last(traffic)
    check_no_page_failed(traffic)
    check_each_page_has_one_record(traffic, lambda: log.pages_recorded(traffic, gone))
    assert log.pages_recorded(traffic), "the folder was created again"
    assert len(log.pages_recorded(traffic, gone)) > len(log.pages_recorded(traffic)), (
        "the moved folder has the earlier records"
    )


def test_clock_set_back_costs_no_page_and_no_record(log: Log) -> None:
    day = timedelta(days=1)
    log.clock.write_text(str(-3 * day.total_seconds()), "ascii")
    traffic = log.traffic()  # its visitors accept while the clock is three days behind
    set_clock(log, timedelta(0))
    with traffic, outage(traffic, "clock set back"):
        set_clock(log, -day)
        let_outage_last(traffic)
        set_clock(log, timedelta(0))
    check_no_page_failed(traffic)
    check_each_page_has_one_record(traffic, lambda: log.pages_recorded(traffic))
    days = {record["time"][:10] for record in log.records() if record["visitor.id"] in traffic.ids}
    today = datetime.now(UTC)
    assert {f"{today:%Y-%m-%d}", f"{today - day:%Y-%m-%d}"} <= days


def set_clock(log: Log, ahead: timedelta) -> None:
    """Set the clock, by a rename, so that no process reads half of the file."""
    new = log.clock.with_suffix(".new")
    new.write_text(str(ahead.total_seconds()), "ascii")
    new.rename(log.clock)


@pytest.mark.full_matrix
def test_unwritable_folder_costs_no_page_and_no_record(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.jsonl"
    path.parent.mkdir(mode=0o500)
    with served(tmp_path, str(path)) as server, Traffic(server) as traffic:
        log = Log(server, path, tmp_path, tmp_path)
        with outage(traffic, "unwritable folder"):
            let_outage_last(traffic)
            assert not path.exists()
            path.parent.chmod(0o700)
            wait_until(path.exists)
        traffic.end()
        check_no_page_failed(traffic)
        check_each_page_has_one_record(traffic, lambda: log.pages_recorded(traffic))
        server.stop()


def check_restart_of_store(folder: Path, url: str, stop: Callable[[], object], start: Callable[[], object]) -> None:
    """Stop and start a store under traffic: no page fails or waits, and each page has one record afterwards."""
    sink, spill = f"{url}?spill={folder / 'spill'}", folder / "spill"
    what = url.partition(":")[0]
    with served(folder, sink) as server, Traffic(server) as traffic:
        with outage(traffic, what):
            stop()
            let_outage_last(traffic)
            wait_until(lambda: any(spill.glob("*.spill")))
            start()
        traffic.end()
        check_no_page_failed(traffic)
        reader = open_sink(f"{url}?spill={folder / 'other'}")

        def pages_recorded() -> list[int]:
            return [number_of(record) for visitor in traffic.ids for record in reader.read(visitor)]

        check_each_page_has_one_record(traffic, pages_recorded)
        assert not any(reply.json().get("dropped_full") for reply in server.ask_each_worker("/stats").values())
        server.stop()
        assert Counter(pages_recorded()) == Counter(traffic.numbers), "the end of the server writes nothing again"
        assert "Exception in ASGI" not in server.output.read_text("utf-8")


def test_postgresql_restart_costs_no_page_and_no_record(private_postgres: PrivateServer, tmp_path: Path) -> None:
    check_restart_of_store(tmp_path, private_postgres.new_database(), private_postgres.stop, private_postgres.start)


@pytest.mark.full_matrix
def test_clickhouse_restart_costs_no_page_and_no_record(tmp_path: Path) -> None:
    with clickhouse_server() as clickhouse:
        check_restart_of_store(tmp_path, clickhouse.new_database(), clickhouse.stop, clickhouse.start)
