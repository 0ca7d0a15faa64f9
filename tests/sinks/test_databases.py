"""Tests of what the PostgreSQL and ClickHouse sinks share: each record is stored once, also through outages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from cookie_consent.sinks import Store
from cookie_consent.sinks.clickhouse import ClickHouseSink
from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS
from cookie_consent.sinks.postgresql import PostgresqlSink
from tests.support.sink_databases import DATABASES, Database, Server
from tests.support.sink_lines import (
    TODAY,
    count_invalid_lines,
    count_line,
    line,
    partition_day,
    record,
    to_line,
    wait_for_server,
    write_from_processes,
    write_through_an_outage,
)

pytestmark = pytest.mark.server


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


@pytest.mark.each_value(at_most=1)
def test_concurrent_processes_create_tables_and_store_each_record_once(database: Database, tmp_path: Path) -> None:
    write_from_processes(f"{database.url}?spill={tmp_path}", (0, 600), (300, 900), (600, 1200))
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
    with closing(sink), closing(sink.store):
        write_through_an_outage(sink, getattr(server, end), server.start, database_of_server.uids)


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
        assert (
            count_invalid_lines(partial(store.write, [good[0], bad, *good[1:], bad], [count_line(number, 1), bad])) == 3
        ), bad
    assert len(database.uids()) == 3 * len(database.bad_lines)
    assert database.count_values() == [1] * len(database.bad_lines)


def test_late_record_of_an_erased_visitor_is_not_stored(database: Database) -> None:
    """Another host holds it. What the visitor asks for later is stored."""
    with closing(database.store()) as store, closing(database.store()) as other:
        store.write([line(1, "one"), line(2, "two")], [])
        assert store.erase("one") == 1
        other.write([line(3, "one", days=1), line(4, "two"), line(5, "one", days=-1)], [])
        assert [record["log.record.uid"][-1] for record in store.read("one")] == ["5"]
        assert len([*store.read("two")]) == 2
        assert store.erase("one") == 1
        store.purge(TODAY.timestamp() + 10 * 86_400, timedelta(days=1))
        other.write([line(6, "one")], [])
        assert len([*store.read("one")]) == 1


def test_purge_deletes_old_records_and_drops_their_days(store: Store, database: Database) -> None:
    store.write([*(line(number, days=number) for number in range(6)), line(3, days=3)], [])
    store.write([line(8, days=3)], [count_line(1, 1), count_line(2, 1, days=4)])
    # Tomorrow, so that records that should stay are within the TTL, which follows the server's clock.
    now, keep = TODAY.timestamp() + 24 * 60 * 60, timedelta(days=4, milliseconds=-4)
    assert store.purge(now, keep, dry_run=True) == 3
    assert len(database.uids()) == 7
    assert store.purge(now, keep) == 3
    assert sorted(database.uids()) == sorted(uid(number) for number in (0, 1, 2, 8))
    assert database.days() == [partition_day(3), partition_day(2), partition_day(1), partition_day(0)]
    assert database.count_uids() == ["abcdefghijklmnop-c1"]
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
