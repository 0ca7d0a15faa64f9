"""Tests of the PostgreSQL and ClickHouse sinks: each record is stored once, also through outages.

If TEST_CLICKHOUSE_URL names a server, the tests use databases of their own there. Tests that stop a server start one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from cookie_consent.sinks import CannotEraseError, InvalidLinesError, Store
from cookie_consent.sinks.clickhouse import ClickHouseSink, ClickHouseStore
from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS
from cookie_consent.sinks.postgresql import PostgresqlSink, PostgresqlStore
from tests.support.servers.clickhouse_server import IGNORES_DELETES, ClickHouseServer, ask
from tests.support.servers.postgres import PrivateServer
from tests.support.sink_databases import DATABASES, ClickHouseDatabase, Database, PostgresqlDatabase
from tests.support.sink_lines import ROOT, TODAY, count_line, line, partition_day, record, to_line
from tests.support.waiting import wait_until

pytestmark = pytest.mark.server

NOW = TODAY.timestamp()
LONGEST = 60.0
Server = PrivateServer | ClickHouseServer


@pytest.fixture(params=["postgresql", "clickhouse"])
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def database(kind: str, request: pytest.FixtureRequest) -> Database:
    """An empty database on a server that tests share."""
    url = {"postgresql": "postgres_url", "clickhouse": "clickhouse_url"}[kind]
    return DATABASES[kind](request.getfixturevalue(url))


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> Server:
    """A server that the test may stop and start."""
    server: Server = request.getfixturevalue({"postgresql": "private_postgres"}.get(kind, "private_clickhouse"))
    return server


@pytest.fixture
def database_of_server(kind: str, server: Server) -> Database:
    """An empty database on that server."""
    return DATABASES[kind](server.new_database())


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    with closing(database.store()) as store:
        yield store


def uid(number: int) -> str:
    return str(record(number)["log.record.uid"])


def wait_for_server(holds: Callable[[], object]) -> None:
    """Wait until a condition holds. An exception counts as "not yet": the server may be away for a moment."""
    wait_until(holds, LONGEST, ignoring=(Exception,))


def test_record_reads_back_unchanged(store: Store) -> None:
    short = {key: record(2)[key] for key in ("time", "log.record.uid", "record.version", "visitor.id")}
    store.write([to_line(short), line(1), line(3, "another")], [])
    assert list(store.read("one")) == [record(1), short]
    assert list(store.read("nobody")) == []


def test_tables_have_the_documented_columns(store: Store, database: Database) -> None:
    store.write([], [])
    assert database.columns("access_records") == list(COLUMNS.values())
    assert database.columns("access_counts") == list(COUNT_COLUMNS.values())


def test_lines_written_twice_are_stored_once(store: Store, database: Database) -> None:
    batch = [line(number) for number in range(300)]
    counts = [count_line(number, 2) for number in range(3)]
    store.write(batch, counts)
    store.write([*batch[200:], *batch[200:], line(300)], counts)
    assert len(database.uids()) == len(set(database.uids())) == 301
    assert database.count_sums() == [("registry.example", "en", "degraded", "map", 6)]


WRITER = """
import sys
from cookie_consent.sinks import open_sink
from tests.support.sink_lines import line
url, first, last = sys.argv[1], *map(int, sys.argv[2:])
sink = open_sink(url)
for number in range(first, last):
    for each in (number, number - number % 2):
        sink.write(line(each, f"visitor-{each % 7}", days=each % 3))
sink.close()
assert sink.stats()["written"] == 2 * (last - first), sink.stats()
"""


@pytest.mark.each_value(at_most=1)
def test_concurrent_processes_create_tables_and_store_each_record_once(database: Database, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, f"{database.url}?spill={tmp_path}"]
    writers = [subprocess.Popen([*command, str(first), str(first + 600)], cwd=ROOT) for first in (0, 300, 600)]
    assert [writer.wait(LONGEST) for writer in writers] == [0, 0, 0]
    assert sorted(database.uids()) == sorted(uid(number) for number in range(1200))
    assert database.days() == [partition_day(2), partition_day(1), partition_day(0)]


@pytest.mark.parametrize(
    ("kind", "end"),
    [
        pytest.param("postgresql", "stop", marks=pytest.mark.full_matrix),
        ("postgresql", "kill"),
        pytest.param("clickhouse", "stop", marks=pytest.mark.full_matrix),
        ("clickhouse", "kill"),
    ],
)
def test_records_written_during_an_outage_are_stored_once(
    server: Server, database_of_server: Database, tmp_path: Path, end: str
) -> None:
    sink = database_of_server.sink(tmp_path)
    kept = database_of_server.uids
    ends = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not ends.wait(0.001):
            number = len(written)
            written.append(uid(number))
            sink.write(line(number, days=number % 2))

    writing = threading.Thread(target=write)
    with closing(sink), closing(sink.store):
        writing.start()
        wait_for_server(lambda: len(kept()) > 100)
        getattr(server, end)()
        wait_for_server(lambda: sink.stats()["spilled"] > 100)
        server.start()
        before = len(written)
        wait_for_server(lambda: written[before] in kept())
        ends.set()
        writing.join(LONGEST)
        wait_for_server(lambda: len(kept()) >= len(written))
    assert sorted(kept()) == sorted(written)
    assert sink.stats()["retried"] > 0
    assert not any(number for name, number in sink.stats().items() if name.startswith("dropped"))


@pytest.mark.each_value(at_most=1)
def test_records_wait_for_a_server_that_is_down_at_the_start(
    server: Server, database_of_server: Database, tmp_path: Path
) -> None:
    server.stop()
    sink = database_of_server.sink(tmp_path)
    with closing(sink), closing(sink.store):
        sink.write(line(1))
        wait_for_server(lambda: sink.stats()["spilled"] == 1)
        server.start()
        wait_for_server(lambda: database_of_server.uids() == [uid(1)])


def test_dropped_tables_are_created_again(store: Store, database: Database) -> None:
    store.write([line(1)], [])
    database.drop_records()
    with pytest.raises(database.table_missing):
        store.write([line(2)], [])
    store.write([line(2)], [])
    assert database.uids() == [uid(2)]


def test_invalid_lines_do_not_block_other_lines(store: Store, database: Database) -> None:
    for number, bad in enumerate(database.bad_lines):
        good = [line(10 * number + digit) for digit in range(3)]
        with pytest.raises(InvalidLinesError) as error:
            store.write([good[0], bad, *good[1:], bad], [count_line(number, 1), bad])
        assert error.value.lines == 3, bad
        assert "visitor" not in str(error.value), "the message must not quote lines"
    assert len(database.uids()) == 3 * len(database.bad_lines)
    assert database.rows("SELECT value FROM access_counts") == [1] * len(database.bad_lines)


def test_late_record_of_an_erased_visitor_is_not_stored(database: Database) -> None:
    """Another host holds it. What the visitor asks for later is stored."""
    with closing(database.store()) as store, closing(database.store()) as other:
        store.write([line(1, "one"), line(2, "two")], [])
        assert store.erase("one") == 1
        other.write([line(3, "one", days=1), line(4, "two"), line(5, "one", days=-1)], [])
        assert [record["log.record.uid"][-1] for record in store.read("one")] == ["5"]
        assert len([*store.read("two")]) == 2
        assert store.erase("one") == 1
        store.purge(NOW + 10 * 86_400, timedelta(days=1))
        other.write([line(6, "one")], [])
        assert len([*store.read("one")]) == 1


def test_purge_deletes_old_records_and_drops_their_days(store: Store, database: Database) -> None:
    store.write([*(line(number, days=number) for number in range(6)), line(3, days=3)], [])
    store.write([line(8, days=3)], [count_line(1, 1), count_line(2, 1, days=4)])
    # Tomorrow, so that records that should stay are within the TTL, which follows the server's clock.
    now, keep = NOW + 24 * 60 * 60, timedelta(days=4, milliseconds=-4)
    assert store.purge(now, keep, dry_run=True) == 3
    assert len(database.uids()) == 7
    assert store.purge(now, keep) == 3
    assert sorted(database.uids()) == sorted(uid(number) for number in (0, 1, 2, 8))
    assert database.days() == [partition_day(3), partition_day(2), partition_day(1), partition_day(0)]
    assert database.rows("SELECT uid FROM access_counts") == ["abcdefghijklmnop-c1"]
    assert store.purge(now, keep) == 0


@pytest.mark.parametrize(
    ("sink", "url"),
    [
        (PostgresqlSink, "postgresql://me:secret@[::1/database"),
        (PostgresqlSink, "postgresql://me:secret@/?nonsense=1"),
        (ClickHouseSink, "clickhouse://me:secret@host:port/database"),
        (ClickHouseSink, "clickhouse:///x?password=secret"),
    ],
)
def test_invalid_url_error_hides_the_password(sink: type[PostgresqlSink | ClickHouseSink], url: str) -> None:
    with pytest.raises(ValueError, match="access_log: the URL cannot be read") as error:
        sink(url)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("sink", "url", "place"),
    [
        (PostgresqlSink, "postgres://me:secret@host:99/visits?sslmode=require", "postgresql://host/visits"),
        (ClickHouseSink, "clickhouse://me:secret@host/visits?compress=0", "clickhouse://host/visits"),
    ],
)
def test_place_names_the_database_without_credentials(
    sink: type[PostgresqlSink | ClickHouseSink], url: str, place: str
) -> None:
    assert sink(url).place == place


# PostgreSQL alone


@pytest.fixture
def postgresql(postgres_url: str) -> PostgresqlDatabase:
    return PostgresqlDatabase(postgres_url)


@pytest.fixture
def postgresql_store(postgresql: PostgresqlDatabase) -> Iterator[PostgresqlStore]:
    with closing(postgresql.store()) as store:
        yield store


def test_frozen_connection_times_out(private_postgres: PrivateServer) -> None:
    database = PostgresqlDatabase(private_postgres.new_database())
    with closing(PostgresqlStore(database.url, limit=1)) as store:
        store.write([line(1)], [])
        (backend,) = database.rows(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(psycopg.OperationalError):
                store.write([line(2)], [])
        finally:
            os.kill(backend, signal.SIGCONT)
        store.write([line(2)], [])
        assert len(database.uids()) == 2


def test_connecting_times_out_as_the_url_says(private_postgres: PrivateServer) -> None:
    store = PostgresqlStore(f"{private_postgres.new_database()}?connect_timeout=2")
    os.kill(private_postgres.pid, signal.SIGSTOP)
    try:
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            store.write([line(1)], [])
    finally:
        os.kill(private_postgres.pid, signal.SIGCONT)


def test_failed_table_creation_raises_error_of_postgresql(postgres_url: str) -> None:
    with pytest.raises(psycopg.ProgrammingError):
        PostgresqlStore(f"{postgres_url}?options=-csearch_path%3Dnowhere").write([line(1)], [])


def test_each_plausible_day_has_a_partition(postgresql_store: PostgresqlStore, postgresql: PostgresqlDatabase) -> None:
    plausible = [line(0), line(1, days=100), line(2, days=200), line(3, days=-1)]
    wrong = ("1970-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z", "infinity")
    others = [line(10 + number, but={"time": time}) for number, time in enumerate(wrong)]
    postgresql_store.write([*plausible, line(5, days=900), *others], [])
    days = [partition_day(ago) for ago in (200, 100, 0, -1)]
    assert postgresql.partitions() == [*days, "rest"]
    assert postgresql.rows("SELECT count(*) FROM access_records_rest") == [4]
    assert len(postgresql.uids()) == 8


def test_new_partition_takes_records_from_the_default_partition(
    postgresql_store: PostgresqlStore, postgresql: PostgresqlDatabase
) -> None:
    postgresql_store.write([line(1, days=900)], [])
    for number, time in ((2, TODAY), (3, TODAY - timedelta(days=1))):
        postgresql.do("INSERT INTO access_records (time, uid) VALUES (%s, %s)", time, f"early-{number}")
    postgresql_store.write([line(4)], [])
    partition = f"access_records_{partition_day(0)}"
    found = postgresql.rows("SELECT uid FROM access_records WHERE tableoid = %s::regclass ORDER BY 1", partition)
    assert found == [uid(4), "early-2"]
    assert postgresql.rows("SELECT count(*) FROM access_records_rest") == [2]


def test_partition_dropped_by_another_host_is_not_counted(
    postgresql_store: PostgresqlStore, postgresql: PostgresqlDatabase
) -> None:
    postgresql_store.write([line(1, days=9), line(2)], [])
    purged: list[int] = []
    thread = threading.Thread(target=lambda: purged.append(postgresql_store.purge(NOW, timedelta(days=3))))
    with psycopg.connect(postgresql.url) as other:
        other.execute("SELECT pg_advisory_xact_lock(7077283941)")
        other.execute(f"DROP TABLE access_records_{partition_day(9)}".encode())
        thread.start()
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> %s"
        wait_for_server(lambda: postgresql.rows(waiting, other.info.backend_pid))
    thread.join(60)
    assert purged == [0]
    assert postgresql.uids() == [uid(2)]


def test_purge_also_deletes_from_the_default_partition(
    postgresql_store: PostgresqlStore, postgresql: PostgresqlDatabase
) -> None:
    postgresql_store.write([line(8, but={"time": "1970-01-01T00:00:00.000Z"}), line(1)], [])
    assert postgresql_store.purge(NOW, timedelta(days=3), dry_run=True) == 1
    assert postgresql_store.purge(NOW, timedelta(days=3)) == 1
    assert postgresql.uids() == [uid(1)]
    assert postgresql.partitions() == [partition_day(0), "rest"]


# ClickHouse alone


@pytest.fixture
def clickhouse_db(clickhouse_url: str) -> ClickHouseDatabase:
    return ClickHouseDatabase(clickhouse_url)


@pytest.fixture
def clickhouse_store(clickhouse_db: ClickHouseDatabase) -> Iterator[ClickHouseStore]:
    with closing(clickhouse_db.store()) as store:
        yield store


def test_merging_parts_removes_duplicate_records(
    clickhouse_store: ClickHouseStore, clickhouse_db: ClickHouseDatabase
) -> None:
    for last in (200, 300):
        clickhouse_store.write([line(number) for number in range(last)], [])
    ask(clickhouse_db.url, "OPTIMIZE TABLE access_records FINAL")
    assert len(clickhouse_db.rows("SELECT uid FROM access_records")) == 300


def test_frozen_server_times_out(private_clickhouse: ClickHouseServer) -> None:
    database = ClickHouseDatabase(private_clickhouse.new_database())
    with closing(ClickHouseStore(database.url, limit=1)) as store:
        store.write([line(1)], [])
        private_clickhouse.freeze()
        for _ in ("on a connection", "to connect"):
            with pytest.raises(OperationalError):
                store.write([line(2)], [])
        private_clickhouse.thaw()
    with closing(database.store()) as store:
        store.write([line(2)], [])
    assert len(database.uids()) == 2


def test_failed_table_creation_raises_error_of_clickhouse(
    clickhouse_store: ClickHouseStore, clickhouse_db: ClickHouseDatabase
) -> None:
    ask(clickhouse_db.url, "CREATE TABLE access_records_lines (of_somebody_else String) ENGINE = Null")
    with pytest.raises(DatabaseError, match="UNKNOWN_IDENTIFIER"):
        clickhouse_store.write([line(1)], [])


def test_wrong_password_error_hides_the_password(clickhouse_url: str) -> None:
    parts = urlsplit(clickhouse_url)
    wrong = parts._replace(netloc=f"tester:secret@{parts.netloc.rpartition('@')[2]}").geturl()
    with pytest.raises(DatabaseError) as error:
        ClickHouseStore(wrong).write([line(1)], [])
    assert "secret" not in str(error.value)
    assert error.value.code == 516


def test_clickhouses_scheme_uses_tls(clickhouse_url: str) -> None:
    url = clickhouse_url.replace("clickhouse:", "clickhouses:", 1)
    with pytest.raises(ClickHouseError, match=r"(?i)ssl"):
        ClickHouseStore(url).write([line(1)], [])


def test_erased_records_are_removed_from_disk(
    clickhouse_store: ClickHouseStore, clickhouse_db: ClickHouseDatabase
) -> None:
    clickhouse_store.write([line(number, visitor) for number, visitor in enumerate(["one", "another"] * 20)], [])
    clickhouse_store.write([line(50, days=3)], [])
    clickhouse_store.erase("one")
    masked = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND has_lightweight_delete"
    wait_for_server(lambda: clickhouse_db.rows(masked) == [0])
    assert clickhouse_db.days() == [partition_day(0)]


def test_records_left_after_erasure_raise_cannot_erase_error(private_clickhouse: ClickHouseServer) -> None:
    with closing(ClickHouseStore(private_clickhouse.new_database())) as store:
        store.write([line(1), line(2)], [])
        (private_clickhouse.folder / IGNORES_DELETES).touch()
        with pytest.raises(CannotEraseError, match="still has 2 records"):
            store.erase("one")


def test_each_day_has_its_own_partition(clickhouse_store: ClickHouseStore, clickhouse_db: ClickHouseDatabase) -> None:
    clickhouse_store.write([line(number, days=number) for number in range(-1, 120)], [])
    clickhouse_store.write([line(500, but={"time": "1970-01-01T00:00:00.000Z"})], [])
    assert (len(clickhouse_db.uids()), len(clickhouse_db.days())) == (122, 122)


def test_purge_sets_the_ttl_of_the_tables(clickhouse_store: ClickHouseStore, clickhouse_db: ClickHouseDatabase) -> None:
    limits = "SELECT extract(engine_full, 'TTL [^ ]+ . [^ ]+') FROM system.tables WHERE database = currentDatabase() "
    limits += "AND name IN ('access_records', 'access_counts')"
    clickhouse_store.write([line(1, days=4), line(2)], [])
    for keep in (10, 10, 5):
        assert clickhouse_store.purge(NOW, timedelta(days=keep)) == 0
        assert clickhouse_db.rows(limits) == [f"TTL toDateTime(time) + toIntervalSecond({keep * 86400})"] * 2
    clickhouse_store.purge(NOW, timedelta(days=3), dry_run=True)
    assert clickhouse_db.rows(limits)[0].endswith(f"({5 * 86400})")
