"""Tests of a running site whose store fails: no page fails or waits, and no record is lost.

Two workers of a real server answer up to two hundred pages a second.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.sinks import open_sink
from cookie_consent.sinks.buffered import LONGEST_HELD
from tests.support.servers.clickhouse_server import clickhouse_server
from tests.support.servers.live_server import Server, serving
from tests.support.servers.postgres import PrivateServer
from tests.support.traffic import VISITORS, Traffic
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

OUTAGE = 2.0
"""How long a store is away (seconds); longer than its sink waits before it spills."""
BUSY = 3
"""How many times as long a busy machine may take."""


class Log:
    """The access log, in files, of a running site.

    Args:
        server: serves the site.
        path: the live file.
        clock: the file with the error of its clock, in seconds.
    """

    def __init__(self, server: Server, path: Path, clock: Path) -> None:
        self.server = server
        self.path = path
        self.clock = clock
        self._number = 0

    def traffic(self, **options: Any) -> Traffic:
        """Return traffic to pages that have no record yet."""
        self._number += 1_000_000
        return Traffic(self.server, first=self._number, **options)

    def records(self, *folders: Path) -> list[dict[str, Any]]:
        """Return the complete records, also those in folders that were moved away."""
        found: list[dict[str, Any]] = []
        for folder in (self.path.parent, *folders):
            file = folder / self.path.name
            for line in file.read_bytes().splitlines() if file.exists() else ():
                with suppress(ValueError):  # a full disk or a kill cut it off
                    found.append(json.loads(line))
        return found

    def pages_recorded(self, traffic: Traffic, *folders: Path) -> list[int]:
        """Return the numbers of the pages that have a record of this traffic."""
        ids = set(traffic.ids)
        return sorted(number_of(record) for record in self.records(*folders) if record["visitor.id"] in ids)


def number_of(record: dict[str, Any]) -> int:
    return int(record["url.path"].rpartition("/")[2])


def served(folder: Path, sink: str, **environ: str) -> AbstractContextManager[Server]:
    """Serve the site with two workers and without a ledger, which a full disk would stop, too."""
    return serving(folder, "--no-access-log", workers=2, sink=sink, environ={"LEDGER": "", **environ})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """A site with records in files. Each test repairs what it breaks."""
    folder = tmp_path_factory.mktemp("site")
    path = folder / "logs" / "access.jsonl"
    clock = folder / "clock"
    clock.write_text("0", "ascii")
    with served(folder, str(path), CLOCK=str(clock)) as server:
        yield Log(server, path, clock)
        server.stop()
    assert "Exception in ASGI" not in server.output.read_text("utf-8")


@contextmanager
def outage(traffic: Traffic) -> Iterator[None]:
    """Let something fail under traffic, and check that no page waits for the end of the outage."""
    traffic.wait_for_pages()
    began = time.monotonic()
    yield
    ended = time.monotonic()
    traffic.wait_for_pages()
    meanwhile = [page.ended - page.began for page in traffic.pages if page.began < ended and page.ended > began]
    assert max(meanwhile) < max(OUTAGE, ended - began), "a page waited for the end of the outage"


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
        traffic.wait_for_pages(400)
        wait_until(lambda: len(log.pages_recorded(traffic)) > 400)  # of both workers
        killed = traffic.pages[-1].process
        at = time.monotonic()
        os.kill(int(killed), signal.SIGKILL)
        # The server starts another worker.
        wait_until(lambda: len({page.process for page in traffic.pages[-50:]} - {killed}) == 2)
        traffic.wait_for_pages()
    assert traffic.failed == []
    assert len(traffic.broken) <= VISITORS, "the open connections to the killed worker"
    of_killed = {page.number for page in traffic.pages if page.process == killed}
    wait_until(lambda: set(traffic.numbers) - of_killed <= set(log.pages_recorded(traffic)))
    recorded = Counter(log.pages_recorded(traffic))
    assert set(recorded.values()) == {1}
    assert set(recorded) <= {*traffic.numbers, *traffic.broken}
    lost = [page for page in traffic.pages if page.number in of_killed - set(recorded)]
    counted = max(reply.json().get("dropped_killed", 0) for reply in log.server.ask_each_worker("/stats").values())
    assert counted >= len(lost) - VISITORS, "counted by the worker that replaced it, but for answers without a record"
    assert len(lost) < len(of_killed)
    assert all(at - page.ended < BUSY * LONGEST_HELD for page in lost)


def test_full_disk_costs_no_page_and_no_record(log: Log) -> None:
    with log.traffic() as traffic, outage(traffic):
        log.server.ask_each_worker(f"/limit?bytes={log.path.stat().st_size + 20_000}")
        let_outage_last(traffic)
        assert all(reply.json()["waiting"] > 0 for reply in log.server.ask_each_worker("/stats").values())
        log.server.ask_each_worker("/limit")
    check_no_page_failed(traffic)
    check_each_page_has_one_record(traffic, lambda: log.pages_recorded(traffic))


def test_moved_folder_costs_no_page_and_no_record(log: Log) -> None:
    gone = log.path.parent.with_name("gone")
    with log.traffic() as traffic, outage(traffic):
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
    with traffic, outage(traffic):
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
        log = Log(server, path, tmp_path)
        with outage(traffic):
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
    spill = folder / "spill"
    with served(folder, f"{url}?spill={spill}") as server, Traffic(server) as traffic:
        with outage(traffic):
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


@pytest.mark.full_matrix
def test_postgresql_restart_costs_no_page_and_no_record(private_postgres: PrivateServer, tmp_path: Path) -> None:
    check_restart_of_store(tmp_path, private_postgres.new_database(), private_postgres.stop, private_postgres.start)


@pytest.mark.full_matrix
def test_clickhouse_restart_costs_no_page_and_no_record(tmp_path: Path) -> None:
    with clickhouse_server() as clickhouse:
        check_restart_of_store(tmp_path, clickhouse.new_database(), clickhouse.stop, clickhouse.start)
