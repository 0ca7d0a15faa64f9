"""What becomes of pages and records when something fails, with a real server and real stores: no page, and no record.

Two workers answer some hundred pages a second. How long these took is printed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks import open_sink
from cookie_consent.sinks.buffered import LONGEST_HELD
from tests.support.servers.clickhouse_server import clickhouse_server
from tests.support.servers.nats_server import nats_server
from tests.support.servers.noted_store import Notes
from tests.support.servers.postgres import PrivateServer
from tests.support.traffic import VISITORS, Server, Traffic, serving
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

OUTAGE = 2.0
"""How long a store is away (seconds); longer than its sink waits before it spills."""
COUNTS = 10
"""A worker that is killed may have held some counts too, at most so many (lines)."""


class Log:
    """A log of access records in files, of a site that runs.

    Args:
        server: serves the site.
        path: the live file.
        clock: the file that says how wrong its clock is.
        notes: the folder in which its workers note their writes.
    """

    def __init__(self, server: Server, path: Path, clock: Path, notes: Path) -> None:
        self.server, self.path, self.clock, self.notes = server, path, clock, notes
        self._number = 0

    def traffic(self, **options: Any) -> Traffic:
        """Return visitors to pages that nobody has looked at yet."""
        self._number += 1_000_000
        return Traffic(self.server, first=self._number, **options)

    def records(self, *folders: Path) -> list[dict[str, Any]]:
        """Return the whole records, as any reader of lines finds them, also in folders that were moved away."""
        files = (folder / self.path.name for folder in (self.path.parent, *folders))
        return [
            record for file in files if file.exists() for record in map(_read, file.read_bytes().splitlines()) if record
        ]

    def has(self, traffic: Traffic, *folders: Path) -> list[int]:
        """Return the numbers of the pages that these visitors have records of."""
        ids = set(traffic.ids)
        return sorted(number_of(record) for record in self.records(*folders) if record["visitor.id"] in ids)


def _read(line: bytes) -> dict[str, Any] | None:
    """Return the record on a line; None where a full disk or a kill has cut it off."""
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record


def number_of(record: dict[str, Any]) -> int:
    return int(record["url.path"].rpartition("/")[2])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """A site with records in files. What a test breaks it mends."""
    folder = tmp_path_factory.mktemp("site")
    path, clock, notes = folder / "logs" / "access.jsonl", folder / "clock", folder / "notes"
    clock.write_text("0", "ascii")
    with serving(folder, str(path), {"CLOCK": str(clock), "NOTES": str(notes)}) as server:
        yield Log(server, path, clock, notes)
        server.stop()
    assert "Exception in ASGI" not in server.output.read_text("utf-8")


@contextmanager
def outage(traffic: Traffic, what: str) -> Iterator[None]:
    """Let something fail while pages are looked at: it cannot be noticed on any of them."""
    traffic.go_on()
    before, began = time.monotonic() - OUTAGE, time.monotonic()
    yield
    ended = time.monotonic()
    traffic.go_on()
    say(f"{what}: before {traffic.said(before, began)}; meanwhile {traffic.said(began, ended)}")
    meanwhile = [page.ended - page.began for page in traffic.pages if page.began < ended and page.ended > began]
    assert max(meanwhile) < max(OUTAGE, ended - began), "a page waited until it was over"


def say(figures: str) -> None:
    """Print figures; pytest shows them with -s, and where a test fails."""
    sys.stdout.write(f"{figures}\n")


def last(traffic: Traffic) -> None:
    """Let pages be looked at until it has lasted long enough."""
    end = time.monotonic() + OUTAGE
    wait_until(lambda: time.monotonic() > end)
    traffic.go_on()


def nothing_failed(traffic: Traffic) -> None:
    assert (traffic.failed, traffic.broken) == ([], [])


def all_are_there(traffic: Traffic, has: Callable[[], Sequence[int]]) -> None:
    """Wait until each page has a record, and check that it is but one."""
    wait_until(lambda: set(traffic.numbers) <= set(has()))
    assert Counter(has()) == Counter(traffic.numbers)


def test_a_worker_that_is_killed_at_full_load_loses_at_most_what_the_last_second_brought(log: Log) -> None:
    with log.traffic(pause=0) as traffic:
        before = Notes.of(log.notes)
        wait_until(lambda: log.has(traffic))
        traffic.go_on(1000)
        wait_until(lambda: len(log.has(traffic)) > 1000)  # of both workers
        killed, at = traffic.pages[-1].process, time.monotonic()
        os.kill(int(killed), signal.SIGKILL)
        # The server starts another worker.
        wait_until(lambda: len({page.process for page in traffic.pages[-50:]} - {killed}) == 2)
        traffic.go_on()
    assert traffic.failed == []
    assert len(traffic.broken) <= VISITORS, "the connections to it"
    its = {page.number for page in traffic.pages if page.process == killed}
    others = set(traffic.numbers) - its
    wait_until(lambda: others <= set(log.has(traffic)))
    has = Counter(log.has(traffic))
    assert set(has.values()) == {1}
    assert set(has) <= {*traffic.numbers, *traffic.broken}
    lost = [page for page in traffic.pages if page.number in its - set(has)]
    counted = max(reply.json().get("dropped_killed", 0) for reply in log.server.each("/stats").values())
    notes, ages = Notes.of(log.notes)[killed], sorted(at - page.ended for page in lost)
    say(
        f"killed: {len(lost)} of {len(traffic.pages)} records lost, {counted} counted, {notes}; "
        f"the oldest {ages[-1] if ages else 0:.2f} s old"
    )
    # Each visitor may just have been answered, and the record not yet been taken; or not have got the answer.
    assert is_count_of(len(lost), counted, notes), "by the worker that was started in its place"
    assert sum(page.ended < notes.done for page in lost) <= VISITORS, "what came before its last write is there"
    assert max(notes.unwritten_for, notes.between_turns(before[killed])) <= LONGEST_HELD
    assert len(lost) < len(its)


def is_count_of(lost: int, counted: int, notes: Notes) -> bool:
    """Return whether so many lines may have been counted where so many records were lost.

    Of the last write a killed worker may not have known that it was done, so that its lines are counted, too; of one
    that it was at, a part may be done.
    """
    too_many, give_or_take = counted - lost, VISITORS + COUNTS
    least = 0 if notes.is_writing else notes.lines - give_or_take
    return -VISITORS <= too_many <= give_or_take or least <= too_many <= notes.lines + give_or_take


def test_a_full_disk_costs_no_page_and_each_record_is_there_once_when_there_is_room(log: Log) -> None:
    with log.traffic() as traffic, outage(traffic, "disk full"):
        log.server.each(f"/limit?bytes={log.path.stat().st_size + 20_000}")
        last(traffic)
        assert all(reply.json()["waiting"] > 0 for reply in log.server.each("/stats").values())
        log.server.each("/limit")
    nothing_failed(traffic)
    all_are_there(traffic, lambda: log.has(traffic))


def test_a_folder_that_is_taken_away_costs_no_page_and_no_record_that_was_not_in_it(log: Log) -> None:
    gone = log.path.parent.with_name("gone")
    with log.traffic() as traffic, outage(traffic, "folder taken away"):
        wait_until(lambda: log.has(traffic))
        log.path.parent.rename(gone)
        last(traffic)
    nothing_failed(traffic)
    all_are_there(traffic, lambda: log.has(traffic, gone))
    assert log.has(traffic), "the folder was made anew"
    assert len(log.has(traffic, gone)) > len(log.has(traffic)), "what was in it"


def test_a_clock_that_is_set_back_costs_no_page_and_no_record(log: Log) -> None:
    day = timedelta(days=1)
    log.clock.write_text(str(-3 * day.total_seconds()), "ascii")
    traffic = log.traffic()  # who accepts now
    set_clock(log, timedelta(0))
    with traffic, outage(traffic, "clock set back"):
        set_clock(log, -day)
        last(traffic)
        set_clock(log, timedelta(0))
    nothing_failed(traffic)
    all_are_there(traffic, lambda: log.has(traffic))
    days = {record["time"][:10] for record in log.records() if record["visitor.id"] in traffic.ids}
    today = datetime.now(UTC)
    assert {f"{today:%Y-%m-%d}", f"{today - day:%Y-%m-%d}"} <= days


def set_clock(log: Log, ahead: timedelta) -> None:
    """Set the clock; nobody reads half of it."""
    new = log.clock.with_suffix(".new")
    new.write_text(str(ahead.total_seconds()), "ascii")
    new.rename(log.clock)


def test_a_folder_that_may_not_be_written_costs_no_page_and_no_record(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "access.jsonl"
    path.parent.mkdir(mode=0o500)
    with serving(tmp_path, str(path)) as server, Traffic(server) as traffic:
        log = Log(server, path, tmp_path, tmp_path)
        with outage(traffic, "folder not to be written"):
            last(traffic)
            assert not path.exists()
            path.parent.chmod(0o700)
            wait_until(path.exists)
        traffic.end()
        nothing_failed(traffic)
        all_are_there(traffic, lambda: log.has(traffic))
        server.stop()


def goes_on(folder: Path, url: str, stop: Callable[[], object], start: Callable[[], object]) -> None:
    """Serve pages while a store is ended and started: none of them fails or waits, and each has one record after it."""
    sink, spill = f"{url}?spill={folder / 'spill'}", folder / "spill"
    what = url.partition(":")[0]
    with serving(folder, sink) as server, Traffic(server) as traffic:
        with outage(traffic, what):
            stop()
            last(traffic)
            wait_until(lambda: any(spill.glob("*.spill")))
            start()
        traffic.end()
        nothing_failed(traffic)
        reader = open_sink(f"{url}?spill={folder / 'other'}")

        def has() -> list[int]:
            return [number_of(record) for visitor in traffic.ids for record in reader.read(visitor)]

        all_are_there(traffic, has)
        assert not any(reply.json().get("dropped_full") for reply in server.each("/stats").values())
        server.stop()
        assert Counter(has()) == Counter(traffic.numbers), "nothing comes a second time when it ends"
        assert "Exception in ASGI" not in server.output.read_text("utf-8")


def test_postgresql_that_is_stopped_and_started_costs_no_page_and_no_record(
    private_postgres: PrivateServer, tmp_path: Path
) -> None:
    goes_on(tmp_path, private_postgres.new_database(), private_postgres.stop, private_postgres.start)


def test_nats_that_is_killed_and_started_costs_no_page_and_no_record(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as nats:
        goes_on(tmp_path, f"nats://{nats.address}/RECORDS", nats.kill, nats.start)


@pytest.mark.full_matrix
def test_clickhouse_that_is_stopped_and_started_costs_no_page_and_no_record(tmp_path: Path) -> None:
    with clickhouse_server() as clickhouse:
        goes_on(tmp_path, clickhouse.new_database(), clickhouse.stop, clickhouse.start)
