"""Tests of what only the NATS JetStream sink does. tests/cli/test_forward.py tests how its records are forwarded."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig
from nats.js.errors import APIError

from cookie_consent.sinks import CannotEraseError, open_sink
from cookie_consent.sinks.nats.address import NatsAddress
from cookie_consent.sinks.nats.messages import packed, time_of
from cookie_consent.sinks.nats.sink import NatsSink
from cookie_consent.sinks.nats.store import NatsStore
from cookie_consent.sinks.nats.stream import Stream
from cookie_consent.sinks.store import InvalidLinesError
from tests.support.servers.nats_server import NatsServer, nats_server
from tests.support.servers.processes import program_path
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
DAY = "2026-11-25"
SECRET = "p@ss:word/with%signs"


def line(number: int, visitor: str = "", **more: object) -> bytes:
    record = {
        "time": f"{DAY}T10:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "log.record.uid": f"a1b2c3d4e5f6g7h8-{number:x}",
        "url.path": f"/訪問/{number}",
        "visitor.id": visitor or f"visitor-{number % 10}",
    }
    return json.dumps(record | more, ensure_ascii=False).encode() + b"\n"


def count(number: int) -> bytes:
    return (
        json.dumps({"time": f"{DAY}T10:00:00.000Z", "log.record.uid": f"c-{number}", "count.value": 1}).encode() + b"\n"
    )


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A server that the test may start, stop, kill and freeze. It does not run yet."""
    server = NatsServer(tmp_path / "nats")
    yield server
    server.close()


@pytest.fixture
def opened() -> Iterator[Callable[..., NatsSink]]:
    """Return a function that opens sinks, and close them after the test."""
    sinks: list[NatsSink] = []

    def opened(url: str, spill: Path | None = None) -> NatsSink:
        sinks.append(NatsSink(url, spill=spill))
        return sinks[-1]

    yield opened
    for sink in sinks:
        sink.close()
        sink.store.close()


@pytest.fixture
def store(shared_server: NatsServer, opened: Callable[..., NatsSink], request: pytest.FixtureRequest) -> NatsStore:
    """A store whose stream only this run of the test uses. The stream does not exist yet."""
    name = "".join(sign if sign.isalnum() else "_" for sign in request.node.name)[:50]
    return opened(f"nats://{shared_server.address}/{name}_{secrets.token_hex(4)}").store


def in_stream(store: NatsStore, subject: str) -> list[Msg]:
    async def all_of(client: Client) -> list[Msg]:
        return [message async for message in Stream(client, store.address).messages(subject)]

    return store.connection.run(all_of)


def lines_in(store: NatsStore, subject: str) -> list[bytes]:
    return [line for message in in_stream(store, subject) for line in message.data.splitlines(keepends=True)]


def in_the_year(year: int) -> float:
    return datetime.fromisoformat(f"{year}-11-25T10:00:00Z").timestamp()


# URLs


def test_url_names_servers_credentials_and_stream() -> None:
    address = NatsAddress.of("nats://me:p%40ss%3Aword@one:4222,two,[::1]:4223/WWW_RECORDS?replicas=2")
    assert address.servers == ("nats://one:4222", "nats://two", "nats://[::1]:4223")
    assert (address.user, address.password, address.token) == ("me", "p@ss:word", None)
    assert (address.stream, address.replicas) == ("WWW_RECORDS", 2)
    assert (address.records, address.counts) == ("WWW_RECORDS.records", "WWW_RECORDS.counts")
    assert NatsAddress.of("tls://secret@one") == NatsAddress(("tls://one",), token="secret")
    assert NatsAddress.of("nats://one/") == NatsAddress(("nats://one",), "ACCESS_RECORDS")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nats://", "no URL of NATS servers"),
        ("nats://me:secret@", "no URL of NATS servers"),
        ("nats://me:secret@one,,two", "no URL of NATS servers"),
        ("nats://me:secret@one:port", "no URL of NATS servers"),
        ("nats://me:secret@one,me:secret@two", "no URL of NATS servers"),
        ("nats://me:secret@one:0", "no URL of NATS servers"),
        ("http://me:secret@one", "no URL of NATS servers"),
        ("nats://me:secret@one/A.B", "cannot be the name of a stream"),
        ("nats://me:secret@one/A?replicas=9", "replicas=1 to replicas=5"),
        ("nats://me:secret@one/A?days=3", "replicas=1 to replicas=5"),
    ],
)
def test_wrong_url_error_gives_advice_and_hides_the_password(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        NatsSink(url)
    assert "secret" not in str(raised.value)


def test_place_of_sink_hides_the_password() -> None:
    assert NatsSink("nats://me:secret@one/A").place == "nats://one/A"


def test_open_sink_takes_nats_and_tls_urls(tmp_path: Path) -> None:
    for scheme in ("nats", "tls"):
        assert isinstance(open_sink(f"{scheme}://one:4222/A?spill={tmp_path}"), NatsSink)


# Messages


def test_lines_are_packed_into_messages_with_headers() -> None:
    lines = [line(number) for number in (3, 1, 2)]
    (message,) = packed(lines, 10_000)
    assert message.data == b"".join(lines)
    assert message.headers["Consent-Lines"] == "3"
    assert message.headers["Consent-Oldest"] == f"{DAY}T10:00:01.000Z"
    assert message.headers["Consent-Newest"] == f"{DAY}T10:00:03.000Z"
    assert [message.data for message in packed(lines, len(lines[0]) + 1)] == lines
    assert list(packed([], 10_000)) == []


def test_same_lines_have_same_message_id_unless_marked() -> None:
    def id_of(*numbers: int, mark: str = "") -> str:
        return next(packed([line(number) for number in numbers], 10_000, mark)).headers["Nats-Msg-Id"]

    assert id_of(1, 2) == id_of(1, 2)
    assert len({id_of(1, 2), id_of(2, 1), id_of(1), id_of(1, 2, mark="-7")}) == 4


def test_lines_without_time_make_message_without_time_headers() -> None:
    assert time_of(b'{"visitor.id": "a"}\n') == ""
    (message,) = packed([b'{"visitor.id": "a"}\n'], 10_000)
    assert set(message.headers) == {"Nats-Msg-Id", "Consent-Lines"}


# Writing


def test_records_and_counts_have_their_own_subjects(store: NatsStore) -> None:
    records, counts = [line(number) for number in range(3000)], [count(number) for number in range(5)]
    store.write(records, counts)
    assert lines_in(store, store.address.records) == records
    assert lines_in(store, store.address.counts) == counts
    assert len(in_stream(store, store.address.records)) < 10


def test_lines_written_twice_are_read_once(store: NatsStore) -> None:
    for _ in range(3):
        store.write([line(1), line(2)], [count(1)])
    assert len(lines_in(store, f"{store.address.stream}.*")) == 3
    store.write([line(2)], [])  # as after a long outage: another message with the same line
    assert [record["log.record.uid"] for record in store.read("visitor-2")] == ["a1b2c3d4e5f6g7h8-2"]


def test_lines_without_uid_are_all_read(store: NatsStore) -> None:
    store.write([b'{"visitor.id": "a", "n": 1}\n', b'{"visitor.id": "a", "n": 2}\n'], [])
    assert [record["n"] for record in store.read("a")] == [1, 2]


def test_line_over_max_payload_is_left_out(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats", {"max_payload": 4096}) as server:
        store = NatsStore(NatsAddress.of(f"nats://{server.address}"))
        short = [line(number) for number in range(100)]
        with pytest.raises(InvalidLinesError, match="longer than max_payload") as raised:
            store.write([*short[:50], line(100, text="x" * 4000), *short[50:]], [])
        assert raised.value.lines == 1
        assert lines_in(store, store.address.records) == short
        store.close()


def test_existing_stream_is_used_unchanged(store: NatsStore) -> None:
    name = store.address.stream

    async def make(client: Client) -> None:
        await client.jetstream().add_stream(StreamConfig(name=name, subjects=[f"{name}.*"], max_age=3600))
        await Stream(client, store.address).make()

    store.connection.run(make)
    store.write([line(1)], [])
    assert lines_in(store, store.address.records) == [line(1)]


def test_failed_stream_creation_raises_server_error(store: NatsStore, opened: Callable[..., NatsSink]) -> None:
    async def take_its_subject(client: Client) -> None:
        await client.jetstream().add_stream(StreamConfig(name="other", subjects=[store.address.counts]))

    store.connection.run(take_its_subject)
    with pytest.raises(APIError, match="subjects overlap"):
        store.write([line(1)], [])
    alone = NatsStore(replace(store.address, stream="alone", replicas=3))
    with pytest.raises(APIError, match="replicas > 1 not supported"):
        alone.write([line(1)], [])
    alone.close()


# Outages


def test_records_wait_for_a_server_that_is_down_at_the_start(
    own_server: NatsServer, opened: Callable[..., NatsSink], tmp_path: Path
) -> None:
    sink = opened(f"nats://{own_server.address}", tmp_path / "spill")
    for number in range(500):
        sink.write(line(number))
    sink.count(count(1))
    wait_until(lambda: sink.stats().get("spilled") == 501, 60)
    own_server.start()
    wait_until(lambda: sink.stats().get("written") == 501, 60)
    assert sorted(lines_in(sink.store, sink.store.address.records)) == sorted(line(number) for number in range(500))
    assert sink.stats()["retried"] > 0


def test_killed_and_restarted_server_has_each_record_once(
    own_server: NatsServer, opened: Callable[..., NatsSink]
) -> None:
    own_server.start()
    sink = opened(f"nats://{own_server.address}")
    for number in range(3000):
        sink.write(line(number))
        if number == 1500:
            wait_until(lambda: sink.stats().get("written", 0) > 0)
            own_server.kill()
    wait_until(lambda: sink.stats().get("retried", 0) > 0)
    own_server.start()
    wait_until(lambda: sink.stats().get("written") == 3000, 60)
    assert sorted(lines_in(sink.store, sink.store.address.records)) == sorted(line(number) for number in range(3000))


def test_frozen_server_times_out(own_server: NatsServer) -> None:
    own_server.start()
    store = NatsStore(NatsAddress.of(f"nats://{own_server.address}"))
    store.write([line(1)], [])
    own_server.freeze()
    with pytest.raises(Exception, match="did not answer in time"):  # on the open connection
        store.write([line(2)], [])
    with pytest.raises(TimeoutError, match="did not answer in time"):  # on a new connection
        store.write([line(2)], [])
    own_server.thaw()
    store.write([line(2)], [])
    assert lines_in(store, store.address.records) == [line(1), line(2)]
    store.close()


def test_running_work_ends_at_time_limit_or_disconnect(own_server: NatsServer) -> None:
    started = threading.Event()

    async def never_end(_: Client) -> None:
        started.set()
        await asyncio.Event().wait()

    def stop() -> None:
        started.wait()
        own_server.stop()

    own_server.start()
    store = NatsStore(NatsAddress.of(f"nats://{own_server.address}"))
    with pytest.raises(TimeoutError, match="did not answer in time"):
        store.connection.run(never_end, 1)
    started.clear()
    helper = threading.Thread(target=stop)
    helper.start()
    with pytest.raises(ConnectionError, match="ended the connection"):
        store.connection.run(never_end, None)
    helper.join()
    store.close()


def test_closed_store_can_be_written_to_again(store: NatsStore) -> None:
    store.close()
    store.write([line(1)], [])
    store.close()
    store.close()
    store.write([line(2)], [])
    assert lines_in(store, store.address.records) == [line(1), line(2)]


def test_ending_process_writes_waiting_records(store: NatsStore) -> None:
    script = "import sys; from cookie_consent.sinks.nats import NatsSink; NatsSink(sys.argv[1]).write(b'{}\\n')"
    url = f"{store.address.servers[0]}/{store.address.stream}"
    subprocess.run([sys.executable, "-c", script, url], check=True, timeout=60, cwd=ROOT)
    assert lines_in(store, store.address.records) == [b"{}\n"]


# Credentials and TLS


def test_only_correct_password_or_token_is_accepted(tmp_path: Path) -> None:
    for number, settings in enumerate(({"user": "me", "password": SECRET}, {"token": SECRET})):
        quoted = SECRET.replace("%", "%25").replace("@", "%40").replace(":", "%3A").replace("/", "%2F")
        right, wrong = (f"me:{quoted}", "me:wrong") if "user" in settings else (quoted, "wrong")
        with nats_server(tmp_path / str(number), {"authorization": settings}) as server:
            store = NatsStore(NatsAddress.of(f"nats://{wrong}@{server.address}"))
            with pytest.raises(Exception, match="Authorization Violation"):
                store.write([line(1)], [])
            store.close()
            store = NatsStore(NatsAddress.of(f"nats://{right}@{server.address}"))
            store.write([line(1)], [])
            assert lines_in(store, store.address.records) == [line(1)]
            store.close()


def test_tls_url_requires_tls_and_checks_certificate(tmp_path: Path, shared_server: NatsServer) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    openssl = [
        program_path("openssl", "openssl"),
        "req",
        "-x509",
        *new_key,
        "-days",
        "2",
        *names,
        "-out",
        str(certificate),
    ]
    subprocess.run(openssl, check=True, capture_output=True)

    def wrote(url: str, **surroundings: str) -> str:
        script = """if True:
            import sys
            from cookie_consent.sinks.nats.address import NatsAddress
            from cookie_consent.sinks.nats.store import NatsStore
            NatsStore(NatsAddress.of(sys.argv[1])).write([b"{}\\n"], [])
        """
        command = [sys.executable, "-c", script, url]
        environment = {**os.environ, **surroundings}
        return subprocess.run(command, check=False, timeout=60, cwd=ROOT, env=environment, stderr=-1, text=True).stderr

    with nats_server(tmp_path / "nats", {"tls": {"cert_file": str(certificate), "key_file": str(key)}}) as server:
        assert "CERTIFICATE_VERIFY_FAILED" in wrote(f"tls://{server.address}")
        assert "Error" not in wrote(f"tls://{server.address}", SSL_CERT_FILE=str(certificate))
    store = NatsStore(NatsAddress.of(f"tls://me:secret@{shared_server.address}"))
    with pytest.raises(ConnectionError, match="The server does not ask for TLS"):
        store.write([line(1)], [])
    store.close()


# Reading, erasing and purging


def test_erase_removes_only_the_visitor_and_publishes_the_erasure(store: NatsStore) -> None:
    records = [line(number) for number in range(2000)]
    store.write(records[:1000], [])
    store.write(records[1000:], [count(1)])
    store.write([line(2000, "somebody"), line(2001, "somebody")], [])
    assert store.erase("visitor-3") == 200
    assert list(store.read("visitor-3")) == []
    assert len(list(store.read("visitor-4"))) == 200
    assert sorted(lines_in(store, store.address.records)) == sorted(
        [record for number, record in enumerate(records) if number % 10 != 3]
        + [line(2000, "somebody"), line(2001, "somebody")]
    )
    assert store.erase("somebody") == 2
    assert store.erase("nobody") == 0
    orders = [json.loads(message.data) for message in in_stream(store, store.address.erasures)]
    assert orders == [{"visitor.id": "visitor-3"}, {"visitor.id": "somebody"}, {"visitor.id": "nobody"}]
    assert lines_in(store, store.address.counts) == [count(1)]


def test_erased_records_are_not_in_the_servers_files(tmp_path: Path) -> None:
    with nats_server(tmp_path / "nats") as server:
        store = NatsStore(NatsAddress.of(f"nats://{server.address}"))
        store.write([line(1, "somebody-to-forget"), line(2)], [])
        store.erase("somebody-to-forget")
        store.purge(in_the_year(2026), timedelta(days=365))
        store.close()
        server.stop()
        files = [file.read_bytes() for file in (tmp_path / "nats" / "data").rglob("*") if file.is_file()]
        assert any("/訪問/2".encode() in data for data in files)
        assert not any("/訪問/1".encode() in data for data in files)


def test_missing_stream_has_nothing_to_erase_read_or_purge(store: NatsStore) -> None:
    assert store.erase("visitor-1") == 0
    assert list(store.read("visitor-1")) == []
    assert store.purge(in_the_year(2027), timedelta(days=1)) == 0
    assert store.purge(in_the_year(2027), timedelta(days=1), dry_run=True) == 0


def test_failed_erasure_raises_cannot_erase_error(store: NatsStore, own_server: NatsServer) -> None:
    away = NatsStore(NatsAddress.of(f"nats://{own_server.address}/A"))
    with pytest.raises(CannotEraseError, match="/A: records of this visitor may stay"):
        away.erase("visitor-1")
    away.close()

    async def make(client: Client) -> None:
        name = store.address.stream
        await client.jetstream().add_stream(StreamConfig(name=name, subjects=[f"{name}.*"], deny_delete=True))

    store.connection.run(make)
    store.write([line(1)], [])
    with pytest.raises(CannotEraseError, match="message delete not permitted"):
        store.erase("visitor-1")


def test_concurrent_changes_of_a_message_leave_one_result(store: NatsStore) -> None:
    store.write([line(1), line(2), line(3)], [])

    async def both(client: Client) -> list[object]:
        stream = Stream(client, store.address)
        (message,) = [message async for message in stream.messages(store.address.records)]
        return [
            await stream.keep_only(message, message.data, lambda kept: kept != line(1), dry_run=False),
            await stream.keep_only(message, message.data, lambda kept: kept != line(2), dry_run=False),
            await stream.keep_only(message, message.data, lambda kept: kept != line(1), dry_run=False),
            await stream.remove(message, dry_run=False),
            await stream.remove_older(message, "3", dry_run=False),
        ]

    assert store.connection.run(both) == [1, 0, 0, 0, 0]
    assert lines_in(store, store.address.records) == [line(2), line(3)]


def test_purge_removes_old_lines_from_mixed_messages(store: NatsStore) -> None:
    now = datetime.fromisoformat(f"{DAY}T10:10:00Z").timestamp()
    old, mixed, young = ([line(number) for number in range(n, n + 60)] for n in (0, 90, 240))
    store.write(old, [count(1)])
    store.write(mixed, [])
    store.write([*young, b'{"visitor.id": "no-time"}\n'], [])
    keep = timedelta(minutes=8)
    assert store.purge(now, keep, dry_run=True) == 60 + 30
    assert len(lines_in(store, store.address.records)) == 181
    assert store.purge(now, keep) == 60 + 30
    assert sorted(lines_in(store, store.address.records)) == sorted(
        [*mixed[30:], *young, b'{"visitor.id": "no-time"}\n']
    )
    assert lines_in(store, store.address.counts) == []
    assert store.purge(now, keep) == 0


def test_purge_only_shortens_max_age_of_the_stream(store: NatsStore) -> None:
    def age() -> Any:
        async def info(client: Client) -> float | None:
            return (await client.jetstream().stream_info(store.address.stream)).config.max_age

        return store.connection.run(info)

    store.write([line(1)], [])
    now = in_the_year(2026)
    assert age() == 395 * 86400
    store.purge(now, timedelta(days=30), dry_run=True)
    assert age() == 395 * 86400
    store.purge(now, timedelta(days=30))
    assert age() == 30 * 86400
    store.purge(now, timedelta(days=60))
    assert age() == 30 * 86400
    store.purge(now - 7200, timedelta(seconds=1))
    assert age() == 120  # JetStream allows no max_age below its duplicate window


def test_concurrent_purges_remove_each_line_once(store: NatsStore, opened: Callable[..., NatsSink]) -> None:
    for start in range(0, 3000, 10):
        store.write([line(number) for number in range(start, start + 10)], [])
    other = opened(f"{store.address.servers[0]}/{store.address.stream}").store

    async def both() -> list[int]:
        works = (asyncio.to_thread(each.purge, in_the_year(2030), timedelta(days=1)) for each in (store, other))
        return await asyncio.gather(*works)

    removed = asyncio.run(both())
    assert sum(removed) == 3000
    assert lines_in(store, store.address.records) == []


def test_sink_erases_waiting_and_stored_records(shared_server: NatsServer, opened: Callable[..., NatsSink]) -> None:
    sink = opened(f"nats://{shared_server.address}/whole_sink")
    for number in range(40):
        sink.write(line(number))
    assert sink.erase("visitor-1") == 4
    assert len(list(sink.read("visitor-2"))) == 4
    assert sink.stats()["written"] == 40
