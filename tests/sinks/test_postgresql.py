"""Tests of what only the PostgreSQL sink does. tests/sinks/test_databases.py tests what all databases share."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from cookie_consent.sinks.postgresql import PostgresqlStore
from tests.support.servers.postgres import PrivateServer
from tests.support.sink_databases import PostgresqlDatabase
from tests.support.sink_lines import TODAY, line, partition_day, record, wait_for_server

pytestmark = pytest.mark.server

NOW = TODAY.timestamp()


@contextmanager
def opened(url: str, **options: Any) -> Iterator[PostgresqlStore]:
    with closing(PostgresqlStore(url, **options)) as store:
        yield store


@pytest.fixture
def database(postgres_url: str) -> PostgresqlDatabase:
    return PostgresqlDatabase(postgres_url)


@pytest.fixture
def store(database: PostgresqlDatabase) -> Iterator[PostgresqlStore]:
    with opened(database.url) as store:
        yield store


def test_frozen_connection_times_out(
    private_postgres: PrivateServer,
) -> None:
    database = PostgresqlDatabase(private_postgres.new_database())
    with opened(database.url, limit=1) as store:
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


def test_connecting_times_out_as_the_url_says(
    private_postgres: PrivateServer,
) -> None:
    url = private_postgres.new_database()
    os.kill(private_postgres.pid, signal.SIGSTOP)
    try:
        with opened(f"{url}?connect_timeout=2") as store, pytest.raises(psycopg.OperationalError, match="timeout"):
            store.write([line(1)], [])
    finally:
        os.kill(private_postgres.pid, signal.SIGCONT)


def test_failed_table_creation_raises_server_error(postgres_url: str) -> None:
    with opened(f"{postgres_url}?options=-csearch_path%3Dnowhere") as store, pytest.raises(psycopg.ProgrammingError):
        store.write([line(1)], [])


def test_each_plausible_day_has_a_partition(store: PostgresqlStore, database: PostgresqlDatabase) -> None:
    wrong = [f"{year}-01-01T00:00:00.000Z" for year in (1970, 2999)] + ["infinity"]
    store.write([*(line(number, days=number * 100) for number in range(3)), line(4, days=-1), line(5, days=900)], [])
    store.write([line(10 + number, but={"time": time}) for number, time in enumerate(wrong)], [])
    assert database.partitions() == [
        partition_day(200),
        partition_day(100),
        partition_day(0),
        partition_day(-1),
        "rest",
    ]
    assert database.rows("SELECT count(*) FROM access_records_rest") == [4]
    assert len(database.uids()) == 8


def test_new_partition_takes_records_from_the_default_partition(
    store: PostgresqlStore, database: PostgresqlDatabase
) -> None:
    store.write([line(1, days=900)], [])
    for number, time in ((2, TODAY), (3, TODAY - timedelta(days=1))):
        database.do("INSERT INTO access_records (time, uid) VALUES (%s, %s)", time, f"early-{number}")
    store.write([line(4)], [])
    partition = f"access_records_{partition_day(0)}"
    assert database.rows("SELECT uid FROM access_records WHERE tableoid = %s::regclass ORDER BY 1", partition) == [
        record(4)["log.record.uid"],
        "early-2",
    ]
    assert database.rows("SELECT count(*) FROM access_records_rest") == [2]


def test_partition_dropped_by_another_host_is_not_counted(store: PostgresqlStore, database: PostgresqlDatabase) -> None:
    store.write([line(1, days=9), line(2)], [])
    purged: list[int] = []
    thread = threading.Thread(target=lambda: purged.append(store.purge(NOW, timedelta(days=3))))
    with psycopg.connect(database.url) as other:
        other.execute("SELECT pg_advisory_xact_lock(7077283941)")
        other.execute(f"DROP TABLE access_records_{partition_day(9)}".encode())
        thread.start()
        wait_for_server(
            lambda: database.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> %s", other.info.backend_pid)
        )
    thread.join(60)
    assert purged == [0]
    assert database.uids() == [record(2)["log.record.uid"]]


def test_purge_also_deletes_from_the_default_partition(store: PostgresqlStore, database: PostgresqlDatabase) -> None:
    store.write([line(8, but={"time": "1970-01-01T00:00:00.000Z"}), line(1)], [])
    assert database.partitions() == [partition_day(0), "rest"]
    assert store.purge(NOW, timedelta(days=3), dry_run=True) == 1
    assert store.purge(NOW, timedelta(days=3)) == 1
    assert database.uids() == [record(1)["log.record.uid"]]
    assert database.partitions() == [partition_day(0), "rest"]
