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
BUSY = 5
"""How many times as long a busy machine may take."""


class Log:
    """The access log, in a file, of a running site.

    Args:
        server: serves the site.
        path: the live file.
    """

    def __init__(self, server: Server, path: Path) -> None:
        self.server = server
        self.path = path
        self._number = 0

    def traffic(self, **options: Any) -> Traffic:
        """Return traffic to pages that have no record yet."""
        self._number += 1_000_000
        return Traffic(self.server, first=self._number, **options)

    def pages_recorded(self, traffic: Traffic) -> list[int]:
        """Return the numbers of the pages that have a complete record of this traffic."""
        found: list[int] = []
        for line in self.path.read_bytes().splitlines() if self.path.exists() else ():
            with suppress(ValueError):  # a full disk or a kill cut it off
                record = json.loads(line)
                if record["visitor.id"] in traffic.ids:
                    found.append(number_of(record))
        return sorted(found)


def number_of(record: dict[str, Any]) -> int:
    return int(record["url.path"].rpartition("/")[2])


def served(folder: Path, sink: str) -> AbstractContextManager[Server]:
    """Serve the site with two workers and without a ledger, which a full disk would stop, too."""
    return serving(folder, "--no-access-log", workers=2, sink=sink, environ={"LEDGER": ""})


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """A site with records in a file. Each test repairs what it breaks."""
    folder = tmp_path_factory.mktemp("site")
    with served(folder, str(folder / "access.jsonl")) as server:
        yield Log(server, folder / "access.jsonl")
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
