"""Tests of `cookie-consent forward`: each access record of a stream reaches another store once, also after kills."""

from __future__ import annotations

import argparse
import json
import os
import secrets
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
from cookie_consent.cli.forward import FORWARD, Stop, forward_messages, summary
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


class FaultyStore:
    """A store in memory that can fail.

    Attributes:
        broken: writing fails.
        cannot_erase: erasing fails.
        slow: how long erasing takes, in seconds.
    """

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.counts: list[bytes] = []
        self.broken = self.cannot_erase = False
        self.slow = 0.0
        self.tries = 0
        self.erased: list[str] = []

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        self.tries += 1
        if self.broken:
            raise OSError("the store is broken")
        self.records += [record for record in records if b"never" not in record]
        self.counts += counts
        if refused := sum(b"never" in record for record in records):
            raise InvalidLinesError(refused, "the line says never")

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        return (record for line in self.records if (record := json.loads(line))["visitor.id"] == visitor_id)

    def erase(self, visitor_id: str) -> int:
        if self.cannot_erase:
            raise OSError("the store cannot erase")
        time.sleep(self.slow)
        before = len(self.records)
        self.records = [line for line in self.records if json.loads(line)["visitor.id"] != visitor_id]
        self.erased.append(visitor_id)
        return before - len(self.records)

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        raise NotImplementedError

    def close(self) -> None:
        """Do nothing: there is no connection."""


def forward(*argv: str) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser()
    FORWARD.arguments(parser)
    return FORWARD.run(parser.parse_args(argv))


def serve(from_: str, to: str) -> None:
    """Forward as the command does, but with a shorter settling time."""
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


def stored(database: str) -> tuple[int, int]:
    """Return how many records a database has, and how many distinct uids."""
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
    """The URL of a stream that only this run of the test uses. The stream does not exist yet."""
    return f"nats://{server.address}/{request.node.name[:50]}-{secrets.token_hex(4)}"


@pytest.fixture
def source(url: str) -> Iterator[NatsStore]:
    with closing(NatsStore(NatsAddress.of(url))) as store:
        yield store


def forward_all(forwarder: Forwarder) -> None:
    """Forward everything in the stream, as --once does."""
    forward_messages(forwarder, Stop(), once=True, timeout=60)


# The forwarder


def test_records_and_counts_are_forwarded_once_and_in_order(source: NatsStore) -> None:
    records, counts, store = [line(number) for number in range(20_000)], [count(1), count(2)], FaultyStore()
    for start in range(0, 20_000, 500):
        source.write(records[start : start + 500], counts if start == 500 else [])
    forwarder = Forwarder(source, store, "store")
    wait_until(lambda: forwarder.waiting() == 41, 30)  # a busy server knows the number a moment later
    forward_all(forwarder)
    assert (store.records, store.counts) == (records, counts)
    assert forwarder.waiting() == 0
    assert forwarder.step() == 0
    assert forwarder.counts == {"records": 20_000, "counts": 2}
    source.write([line(20_000)], [])
    forward_all(Forwarder(source, store, "store"))  # another forwarder continues where this one ended
    assert store.records == [*records, line(20_000)]


def test_each_store_gets_all_records(source: NatsStore) -> None:
    stores = FaultyStore(), FaultyStore()
    source.write([line(1)], [])
    for number, store in enumerate(stores):
        forward_all(Forwarder(source, store, f"store {number}"))
    assert [store.records for store in stores] == [[line(1)]] * 2


def test_forwarder_may_start_before_the_first_record(source: NatsStore) -> None:
    store = FaultyStore()
    forwarder = Forwarder(source, store, "store")
    assert forwarder.step() == 0
    source.write([line(1)], [])
    forward_all(forwarder)
    assert store.records == [line(1)]


def test_records_are_forwarded_again_after_failed_write(source: NatsStore) -> None:
    store = FaultyStore()
    store.broken = True
    source.write([line(1)], [])
    source.erase("nobody")
    source.write([line(2)], [])
    forwarder = Forwarder(source, store, "store", SETTLED)
    with pytest.raises(OSError, match="the store is broken"):
        forwarder.step()
    assert forwarder.counts == {}
    store.broken = False
    forward_all(forwarder)
    assert store.records == [line(1), line(2)]


def test_invalid_lines_do_not_block_other_lines(source: NatsStore) -> None:
    store = FaultyStore()
    source.write([line(1), line(2, text="never"), line(3)], [])
    forwarder = Forwarder(source, store, "store")
    forward_all(forwarder)
    assert store.records == [line(1), line(3)]
    assert forwarder.counts["dropped_invalid"] == 1


def test_erasure_is_forwarded_and_repeated_after_settling(source: NatsStore) -> None:
    store = FaultyStore()
    source.write([line(number) for number in range(100)], [])
    forwarder = Forwarder(source, store, "store", SETTLED)
    assert forwarder.step() == 1
    assert source.erase("visitor-3") == 10
    assert forwarder.step() > 0
    assert list(store.read("visitor-3")) == []
    store.records.append(line(3))  # as if another forwarder had just written it
    forward_all(forwarder)
    assert list(store.read("visitor-3")) == []
    assert len({json.loads(record)["log.record.uid"] for record in store.records}) == 90
    assert store.erased == ["visitor-3"] * 2
    assert forwarder.counts["erasures"] == 1


def test_records_behind_slow_erasure_are_fetched_again(
    source: NatsStore,
) -> None:
    store = FaultyStore()
    source.write([line(1)], [])
    source.erase("nobody")
    source.write([line(2)], [])
    forwarder = Forwarder(source, store, "store", SETTLED)
    store.slow = SETTLED
    assert forwarder.step() == 2
    assert source.erase("visitor-2") == 1
    forward_all(forwarder)
    assert store.records == [line(1)]


def test_failed_erasure_is_reported_and_tried_again(source: NatsStore, capsys: pytest.CaptureFixture[str]) -> None:
    store = FaultyStore()
    source.write([line(1)], [])
    forwarder = Forwarder(source, store, "store", SETTLED)
    forward_all(forwarder)
    store.cannot_erase = True
    source.erase("visitor-1")
    forward_all(forwarder)  # ends although the erasure was not done
    assert capsys.readouterr().err == "Not erased yet, it is tried again: the store cannot erase\n"
    assert list(forwarder.pending_erasures.values()) == ["the store cannot erase"]
    assert forwarder.waiting() == 1
    store.cannot_erase = False
    wait_until(lambda: forwarder.step() > 0)
    assert (forwarder.pending_erasures, store.records) == ({}, [])
    assert forwarder.counts["erasures"] == 1


def test_forwarder_continues_after_server_restart(tmp_path: Path) -> None:
    store = FaultyStore()
    with (
        nats_server(tmp_path / "nats") as server,
        closing(NatsStore(NatsAddress.of(f"nats://{server.address}"))) as source,
    ):
        forwarder = Forwarder(source, store, "store", SETTLED)
        source.write([line(1)], [])
        forward_all(forwarder)
        server.stop()
        with pytest.raises(
            Exception, match=r"refused|no servers|did not answer|connection closed|ended the connection"
        ):
            forwarder.step()
        server.start()
        source.write([line(2)], [])
        forward_all(forwarder)
    assert store.records == [line(1), line(2)]


# The command


def test_command_forwards_stream_to_file_and_prints_summary(
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


def test_command_forwards_stream_to_another_stream(
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
def test_wrong_source_or_target_is_wrong_usage(
    from_: str, to: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forward("--from", from_, "--to", to, "--once") == WRONG_USAGE
    assert why in capsys.readouterr().err


def test_unreachable_server_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    away = NatsServer(tmp_path)
    assert forward("--from", f"nats://{away.address}", "--to", str(tmp_path / "a.jsonl"), "--once") == WRONG_USAGE
    assert "--from: the stream cannot be read: nats: no servers available" in capsys.readouterr().err


def test_run_once_gives_up_when_store_stays_broken(source: NatsStore, capsys: pytest.CaptureFixture[str]) -> None:
    store = FaultyStore()
    store.broken = True
    source.write([line(1)], [])
    with pytest.raises(UnusableError, match="could not be brought on: the store is broken"):
        forward_messages(Forwarder(source, store, "store", SETTLED), Stop(), once=True, timeout=0)
    assert capsys.readouterr().err == "Records wait in the stream: the store is broken\n"


def test_service_continues_when_store_works_again(source: NatsStore, capsys: pytest.CaptureFixture[str]) -> None:
    store, stop = FaultyStore(), Stop()
    store.broken = True
    source.write([line(1)], [])

    def mend_and_stop() -> None:
        wait_until(lambda: store.tries > 2)
        store.broken = False
        wait_until(lambda: store.records)
        stop.ask()

    helper = threading.Thread(target=mend_and_stop)
    helper.start()
    forward_messages(Forwarder(source, store, "store", SETTLED), stop, once=False, timeout=0)
    helper.join()
    assert store.records == [line(1)]
    assert capsys.readouterr().err == "Records wait in the stream: the store is broken\n"


def test_command_ends_cleanly_on_sigterm(
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


def test_summary_reports_invalid_lines_and_failed_erasures(
    source: NatsStore, capsys: pytest.CaptureFixture[str]
) -> None:
    forwarder = Forwarder(source, FaultyStore(), "store")
    forwarder.counts["dropped_invalid"] = 2
    forwarder.pending_erasures[7] = "the store cannot erase"
    assert summary(forwarder, json=False) == FINDING
    assert capsys.readouterr().err == "Lines that can never be kept there, and are left out: 2.\n"


# Killed processes


def write_some(sink: NatsSink, numbers: range) -> None:
    for number in numbers:
        sink.write(line(number))


def leader_of(store: NatsStore) -> str:
    """Return which node leads the stream. The stream is on all three nodes."""

    async def info(client: Client) -> StreamInfo:
        return await client.jetstream().stream_info(store.address.stream)

    found = store.connection.run(info)
    assert found.config.num_replicas == 3
    assert found.cluster is not None
    return found.cluster.leader or ""


def test_killed_forwarder_loses_and_duplicates_no_record(url: str, source: NatsStore, postgres_url: str) -> None:
    total = 12_000
    for start in range(0, total // 2, 100):
        source.write([line(number) for number in range(start, start + 100)], [])
    with forwarding(url, postgres_url) as first, forwarding(url, postgres_url):
        wait_until(lambda: stored(postgres_url)[0] > 0, 60)
        first.kill()
        for start in range(total // 2, total, 100):
            source.write([line(number) for number in range(start, start + 100)], [])
    assert stored(postgres_url)[0] <= total
    with forwarding(url, postgres_url) as last:
        wait_until(lambda: stored(postgres_url)[0] >= total, 60)
        wait_until(lambda: Forwarder(source, FaultyStore(), "database", SETTLED).waiting() == 0, 60)
        last.terminate()
        assert last.wait(60) == 0
    assert stored(postgres_url) == (total, total)


def test_cluster_without_its_leader_forwards_each_record_once(tmp_path: Path, postgres_url: str) -> None:
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
            wait_until(lambda: sink.stats()["written"] == 3000, 60)  # by the other two nodes
            leader.start()
            write_some(sink, range(3000, total))
            wait_until(lambda: sink.stats()["written"] == total, 60)
            wait_until(lambda: stored(postgres_url)[0] >= total, 60)
            forwarder.terminate()
            assert forwarder.wait(60) == 0
            assert sorted(lines_in(sink.store, sink.store.address.records)) == sorted(map(line, range(total)))
    assert stored(postgres_url) == (total, total)


def test_sink_that_is_not_buffered_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(forward_command, "open_sink", lambda _: MemorySink())
    assert forward("--from", "nats://host/S", "--to", "store://records", "--once") == WRONG_USAGE
    assert "its sink is no BufferedSink" in capsys.readouterr().err
