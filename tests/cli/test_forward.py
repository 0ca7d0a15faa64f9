"""`cookie-consent forward`: access records go from a stream on to another place, each once, whatever is killed."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from nats.aio.client import Client
from nats.js.api import StreamInfo

from cookie_consent.cli import forward as forward_command
from cookie_consent.cli.command import FINDING, GOOD, WRONG_USAGE, UnusableError
from cookie_consent.cli.forward import COMMANDS, Stop, forward_messages, summary
from cookie_consent.sinks import MemorySink
from cookie_consent.sinks.nats.address import NatsAddress
from cookie_consent.sinks.nats.forwarder import Forwarder
from cookie_consent.sinks.nats.sink import NatsSink
from cookie_consent.sinks.nats.store import NatsStore
from cookie_consent.sinks.postgresql.store import PostgresqlSink
from cookie_consent.sinks.store import InvalidLinesError
from tests.sinks.test_nats import count, line, lines_in
from tests.support.servers.nats_server import NatsServer, nats_cluster, nats_server
from tests.support.servers.processes import running_program
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from tests.cli.test_forward import serve; serve(*sys.argv[1:])"
SETTLED = 0.5


class Shelf:
    """A store in memory, which may be out of order.

    Attributes:
        broken: it takes nothing.
        holds_on: it erases nothing.
        slow: how long it takes to erase (seconds).
    """

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.counts: list[bytes] = []
        self.broken = self.holds_on = False
        self.slow = 0.0
        self.tries = 0
        self.erased: list[str] = []

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        self.tries += 1
        if self.broken:
            raise OSError("the shelf is broken")
        self.records += [record for record in records if b"never" not in record]
        self.counts += counts
        if refused := sum(b"never" in record for record in records):
            raise InvalidLinesError(refused, "it says never")

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        return (record for line in self.records if (record := json.loads(line))["visitor.id"] == visitor_id)

    def erase(self, visitor_id: str) -> int:
        if self.holds_on:
            raise OSError("it sticks to the shelf")
        time.sleep(self.slow)
        before = len(self.records)
        self.records = [line for line in self.records if json.loads(line)["visitor.id"] != visitor_id]
        self.erased.append(visitor_id)
        return before - len(self.records)

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        raise NotImplementedError

    def close(self) -> None:
        """It has no connections."""


def forward(*argv: str) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser()
    COMMANDS[0].arguments(parser)
    return COMMANDS[0].run(parser.parse_args(argv))


def serve(from_: str, to: str) -> None:
    """Forward as the command does, but with less time for things to settle."""
    source, target, stop = NatsStore(NatsAddress.of(from_)), PostgresqlSink(to), Stop()
    with stop.by_signal(), closing(source), closing(target.store):
        forward_messages(Forwarder(source, target.store, "database", SETTLED), stop, once=False, timeout=0)


@contextmanager
def forwarding(from_: str, to: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a forwarder in a process of its own."""
    with running_program(
        [sys.executable, "-c", PROGRAM, from_, to], env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as process:
        yield process


def kept(database: str) -> tuple[int, int]:
    """Return how many records are in a database, and how many uids."""
    with psycopg.connect(database) as connection:
        there = connection.execute("SELECT to_regclass('access_records')").fetchone()
        if there == (None,):
            return 0, 0
        return connection.execute("SELECT count(*), count(DISTINCT uid) FROM access_records").fetchall()[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def url(server: NatsServer, request: pytest.FixtureRequest) -> str:
    """A stream of the test's own, which is not there yet."""
    return f"nats://{server.address}/{request.node.name[:60]}"


@pytest.fixture
def source(url: str) -> Iterator[NatsStore]:
    with closing(NatsStore(NatsAddress.of(url))) as store:
        yield store


def all_of(forwarder: Forwarder) -> None:
    """Bring all on that is there, as --once does."""
    forward_messages(forwarder, Stop(), once=True, timeout=60)


# What a forwarder does.


def test_records_and_counts_come_to_the_store_in_order_and_only_once(source: NatsStore) -> None:
    records, counts, shelf = [line(number) for number in range(20_000)], [count(1), count(2)], Shelf()
    for start in range(0, 20_000, 500):
        source.write(records[start : start + 500], counts if start == 500 else [])
    forwarder = Forwarder(source, shelf, "shelf")
    wait_until(lambda: forwarder.waiting() == 41, 30)  # a busy server says a moment later how many there are
    all_of(forwarder)
    assert (shelf.records, shelf.counts) == (records, counts)
    assert forwarder.waiting() == 0
    assert forwarder.step() == 0
    assert forwarder.counts == {"records": 20_000, "counts": 2}
    source.write([line(20_000)], [])
    all_of(Forwarder(source, shelf, "shelf"))  # another one goes on where this one ended
    assert shelf.records == [*records, line(20_000)]


def test_each_store_gets_everything(source: NatsStore) -> None:
    shelves = Shelf(), Shelf()
    source.write([line(1)], [])
    for number, shelf in enumerate(shelves):
        all_of(Forwarder(source, shelf, f"shelf {number}"))
    assert [shelf.records for shelf in shelves] == [[line(1)]] * 2


def test_a_forwarder_may_come_before_the_first_record(source: NatsStore) -> None:
    shelf = Shelf()
    forwarder = Forwarder(source, shelf, "shelf")
    assert forwarder.step() == 0
    source.write([line(1)], [])
    all_of(forwarder)
    assert shelf.records == [line(1)]


def test_what_the_store_did_not_keep_comes_again(source: NatsStore) -> None:
    shelf = Shelf()
    shelf.broken = True
    source.write([line(1)], [])
    source.erase("nobody")
    source.write([line(2)], [])
    forwarder = Forwarder(source, shelf, "shelf", SETTLED)
    with pytest.raises(OSError, match="the shelf is broken"):
        forwarder.step()
    assert forwarder.counts == {}
    shelf.broken = False
    all_of(forwarder)
    assert shelf.records == [line(1), line(2)]


def test_lines_that_can_never_be_kept_hold_nothing_up(source: NatsStore) -> None:
    shelf = Shelf()
    source.write([line(1), line(2, text="never"), line(3)], [])
    forwarder = Forwarder(source, shelf, "shelf")
    all_of(forwarder)
    assert shelf.records == [line(1), line(3)]
    assert forwarder.counts["dropped_invalid"] == 1


def test_an_erasure_travels_and_is_done_once_more_when_all_has_settled(source: NatsStore) -> None:
    shelf = Shelf()
    source.write([line(number) for number in range(100)], [])
    forwarder = Forwarder(source, shelf, "shelf", SETTLED)
    assert forwarder.step() == 1
    assert source.erase("visitor-3") == 10
    assert forwarder.step() > 0
    assert list(shelf.read("visitor-3")) == []
    shelf.records.append(line(3))  # what another forwarder had on its way
    all_of(forwarder)
    assert list(shelf.read("visitor-3")) == []
    assert len({json.loads(record)["log.record.uid"] for record in shelf.records}) == 90
    assert shelf.erased == ["visitor-3"] * 2
    assert forwarder.counts["erasures"] == 1


def test_what_waited_behind_a_slow_erasure_is_given_back_since_it_may_have_been_erased_meanwhile(
    source: NatsStore,
) -> None:
    shelf = Shelf()
    source.write([line(1)], [])
    source.erase("nobody")
    source.write([line(2)], [])
    forwarder = Forwarder(source, shelf, "shelf", SETTLED)
    shelf.slow = SETTLED
    assert forwarder.step() == 2
    assert source.erase("visitor-2") == 1
    all_of(forwarder)
    assert shelf.records == [line(1)]


def test_an_erasure_that_fails_is_said_and_comes_again(source: NatsStore, capsys: pytest.CaptureFixture[str]) -> None:
    shelf = Shelf()
    source.write([line(1)], [])
    forwarder = Forwarder(source, shelf, "shelf", SETTLED)
    all_of(forwarder)
    shelf.holds_on = True
    source.erase("visitor-1")
    all_of(forwarder)  # ends, although that order is left
    assert capsys.readouterr().err == "Not erased yet, it is tried again: it sticks to the shelf\n"
    assert list(forwarder.pending_erasures.values()) == ["it sticks to the shelf"]
    assert forwarder.waiting() == 1
    shelf.holds_on = False
    wait_until(lambda: forwarder.step() > 0)
    assert (forwarder.pending_erasures, shelf.records) == ({}, [])
    assert forwarder.counts["erasures"] == 1


def test_a_forwarder_survives_its_server(tmp_path: Path) -> None:
    shelf = Shelf()
    with (
        nats_server(tmp_path / "nats") as server,
        closing(NatsStore(NatsAddress.of(f"nats://{server.address}"))) as source,
    ):
        forwarder = Forwarder(source, shelf, "shelf", SETTLED)
        source.write([line(1)], [])
        all_of(forwarder)
        server.stop()
        with pytest.raises(
            Exception, match=r"refused|no servers|did not answer|connection closed|ended the connection"
        ):
            forwarder.step()
        server.start()
        source.write([line(2)], [])
        all_of(forwarder)
    assert shelf.records == [line(1), line(2)]


# The command.


def test_the_command_brings_a_stream_on_to_a_file_and_says_what_it_did(
    url: str, source: NatsStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "logs" / "access.jsonl"
    source.write([line(number) for number in range(1200)], [count(1)])
    assert forward("--from", url, "--to", str(path), "--once") == GOOD
    assert capsys.readouterr().out == "Brought on: 1,200 records and 1 count. Erasures: 0.\n"
    assert path.read_bytes() == b"".join(line(number) for number in range(1200))
    source.write([line(1200)], [])
    assert forward("--from", url, "--to", f"file://{path}", "--once", "--json") == GOOD
    said = json.loads(capsys.readouterr().out)
    assert said == {"records": 1, "counts": 0, "dropped_invalid": 0, "erasures": 0, "not_erased": 0}
    assert path.read_bytes().count(b"\n") == 1201


def test_one_stream_may_be_brought_on_to_another(
    url: str, source: NatsStore, server: NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    source.write([line(1)], [])
    assert forward("--from", url, "--to", f"nats://me:secret@{server.address}/copy?replicas=1", "--once") == GOOD
    with closing(NatsStore(NatsAddress.of(f"nats://{server.address}/copy"))) as copy:
        assert [record["log.record.uid"] for record in copy.read("visitor-1")] == ["a1b2c3d4e5f6g7h8-1"]


@pytest.mark.parametrize(
    ("from_", "to", "why"),
    [
        ("access.jsonl", "other.jsonl", "--from takes the URL of a NATS stream"),
        ("nats://one/A.B", "other.jsonl", "cannot be the name of a stream"),
        ("nats://one/A", "carrier-pigeon://loft", "there is no sink"),
    ],
)
def test_what_cannot_be_forwarded_is_wrong_usage(
    from_: str, to: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forward("--from", from_, "--to", to, "--once") == WRONG_USAGE
    assert why in capsys.readouterr().err


def test_a_run_that_finds_no_server_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    away = NatsServer(tmp_path)
    assert forward("--from", f"nats://{away.address}", "--to", str(tmp_path / "a.jsonl"), "--once") == WRONG_USAGE
    assert "--from: the stream cannot be read: nats: no servers available" in capsys.readouterr().err


def test_a_run_ends_when_what_it_needs_is_away_for_too_long(
    source: NatsStore, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf()
    shelf.broken = True
    source.write([line(1)], [])
    with pytest.raises(UnusableError, match="could not be brought on: the shelf is broken"):
        forward_messages(Forwarder(source, shelf, "shelf", SETTLED), Stop(), once=True, timeout=0)
    assert capsys.readouterr().err == "Records wait in the stream: the shelf is broken\n"


def test_a_service_goes_on_when_what_it_needs_was_away(source: NatsStore, capsys: pytest.CaptureFixture[str]) -> None:
    shelf, stop = Shelf(), Stop()
    shelf.broken = True
    source.write([line(1)], [])

    def mend_and_stop() -> None:
        wait_until(lambda: shelf.tries > 2)
        shelf.broken = False
        wait_until(lambda: shelf.records)
        stop.ask()

    helper = threading.Thread(target=mend_and_stop)
    helper.start()
    forward_messages(Forwarder(source, shelf, "shelf", SETTLED), stop, once=False, timeout=0)
    helper.join()
    assert shelf.records == [line(1)]
    assert capsys.readouterr().err == "Records wait in the stream: the shelf is broken\n"


def test_the_command_ends_in_peace_when_it_is_asked_to(
    url: str, source: NatsStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "access.jsonl"

    def write_and_ask() -> None:
        source.write([line(1)], [])
        wait_until(lambda: path.exists() and path.read_bytes())
        os.kill(os.getpid(), signal.SIGTERM)

    helper = threading.Thread(target=write_and_ask)
    helper.start()
    before = signal.getsignal(signal.SIGTERM)
    assert forward("--from", url, "--to", str(path)) == GOOD
    helper.join()
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().out == "Brought on: 1 record and 0 counts. Erasures: 0.\n"


def test_lines_left_out_are_said_and_records_not_erased_are_a_finding(
    source: NatsStore, capsys: pytest.CaptureFixture[str]
) -> None:
    forwarder = Forwarder(source, Shelf(), "shelf")
    forwarder.counts["dropped_invalid"] = 2
    forwarder.pending_erasures[7] = "it sticks"
    assert summary(forwarder, json=False) == FINDING
    assert capsys.readouterr().err == "Lines that can never be kept there, and are left out: 2.\n"


# Real processes that are killed.


def write_some(sink: NatsSink, numbers: range) -> None:
    for number in numbers:
        sink.write(line(number))


def leader_of(store: NatsStore) -> str:
    """Return which node leads the stream, which is on all of them."""

    async def info(client: Client) -> StreamInfo:
        return await client.jetstream().stream_info(store.address.stream)

    found = store.connection.run(info)
    assert found.config.num_replicas == 3
    assert found.cluster is not None
    return found.cluster.leader or ""


def test_forwarders_that_are_killed_lose_nothing_and_the_database_has_each_record_once(
    url: str, source: NatsStore, postgres_url: str
) -> None:
    total = 12_000
    for start in range(0, total // 2, 100):
        source.write([line(number) for number in range(start, start + 100)], [])
    with forwarding(url, postgres_url) as first, forwarding(url, postgres_url):
        wait_until(lambda: kept(postgres_url)[0] > 0, 60)
        first.kill()
        for start in range(total // 2, total, 100):
            source.write([line(number) for number in range(start, start + 100)], [])
    assert kept(postgres_url)[0] <= total
    with forwarding(url, postgres_url) as last:
        wait_until(lambda: kept(postgres_url)[0] >= total, 60)
        wait_until(lambda: Forwarder(source, Shelf(), "database", SETTLED).waiting() == 0, 60)
        last.terminate()
        assert last.wait(60) == 0
    assert kept(postgres_url) == (total, total)


def test_a_cluster_that_loses_its_leader_in_the_middle_brings_on_each_record_once(
    tmp_path: Path, postgres_url: str
) -> None:
    total = 4000
    with nats_cluster(tmp_path) as nodes:
        url = f"nats://{','.join(node.address for node in nodes)}"
        sink = NatsSink(url, spill=tmp_path / "spill")
        with closing(sink.store), closing(sink), forwarding(url, postgres_url) as forwarder:
            write_some(sink, range(1000))
            wait_until(lambda: sink.stats().get("written") == 1000, 60)
            (leader,) = [node for node in nodes if node.name == leader_of(sink.store)]
            leader.kill()
            write_some(sink, range(1000, 3000))
            wait_until(lambda: sink.stats()["written"] == 3000, 60)  # by the two that are left
            leader.start()
            write_some(sink, range(3000, total))
            wait_until(lambda: sink.stats()["written"] == total, 60)
            wait_until(lambda: kept(postgres_url)[0] >= total, 60)
            forwarder.terminate()
            assert forwarder.wait(60) == 0
            assert sorted(lines_in(sink.store, sink.store.address.records)) == sorted(map(line, range(total)))
    assert kept(postgres_url) == (total, total)


def test_a_sink_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(forward_command, "open_sink", lambda _: MemorySink())
    assert forward("--from", "nats://host/S", "--to", "shelf://records", "--once") == WRONG_USAGE
    assert "its sink is no BufferedSink" in capsys.readouterr().err
