"""Tests of what only the ClickHouse sink does. tests/sinks/test_databases.py tests what all databases share.

If TEST_CLICKHOUSE_URL names a server, the tests use databases of their own there. Tests that stop a server start one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from cookie_consent.sinks import CannotEraseError
from cookie_consent.sinks.clickhouse import ClickHouseStore
from tests.support.servers.clickhouse_server import IGNORES_DELETES, ClickHouseServer, ask
from tests.support.sink_databases import ClickHouseDatabase
from tests.support.sink_lines import TODAY, line, partition_day, wait_for_server

pytestmark = pytest.mark.server

NOW = TODAY.timestamp()


@contextmanager
def opened(url: str, **options: Any) -> Iterator[ClickHouseStore]:
    with closing(ClickHouseStore(url, **options)) as store:
        yield store


@pytest.fixture
def database(clickhouse_url: str) -> ClickHouseDatabase:
    return ClickHouseDatabase(clickhouse_url)


@pytest.fixture
def store(database: ClickHouseDatabase) -> Iterator[ClickHouseStore]:
    with opened(database.url) as store:
        yield store


def test_merging_parts_removes_duplicate_records(store: ClickHouseStore, database: ClickHouseDatabase) -> None:
    for last in (200, 300):
        store.write([line(number) for number in range(last)], [])
    ask(database.url, "OPTIMIZE TABLE access_records FINAL")
    assert len(database.rows("SELECT uid FROM access_records")) == 300


def test_frozen_server_times_out(private_clickhouse: ClickHouseServer) -> None:
    database = ClickHouseDatabase(private_clickhouse.new_database())
    with opened(database.url, limit=1) as store:
        store.write([line(1)], [])
        private_clickhouse.freeze()
        for _ in ("on a connection", "to connect"):
            with pytest.raises(OperationalError):
                store.write([line(2)], [])
        private_clickhouse.thaw()
    with opened(database.url) as store:
        store.write([line(2)], [])
    assert len(database.uids()) == 2


def test_failed_table_creation_raises_server_error(store: ClickHouseStore, database: ClickHouseDatabase) -> None:
    ask(database.url, "CREATE TABLE access_records_lines (of_somebody_else String) ENGINE = Null")
    with pytest.raises(DatabaseError, match="UNKNOWN_IDENTIFIER"):
        store.write([line(1)], [])


def test_wrong_password_error_hides_the_password(clickhouse_url: str) -> None:
    parts = urlsplit(clickhouse_url)
    wrong = parts._replace(netloc=f"tester:secret@{parts.netloc.rpartition('@')[2]}").geturl()
    with opened(wrong) as store, pytest.raises(DatabaseError) as error:
        store.write([line(1)], [])
    assert "secret" not in str(error.value)
    assert error.value.code == 516


def test_clickhouses_scheme_uses_tls(private_clickhouse: ClickHouseServer) -> None:
    url = private_clickhouse.address.replace("clickhouse:", "clickhouses:", 1)
    with opened(url) as store, pytest.raises(ClickHouseError, match=r"(?i)ssl"):
        store.write([line(1)], [])


def test_erased_records_are_removed_from_disk(store: ClickHouseStore, database: ClickHouseDatabase) -> None:
    store.write([line(number, visitor) for number, visitor in enumerate(["one", "another"] * 20)], [])
    store.write([line(50, days=3)], [])
    store.erase("one")
    masked = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND has_lightweight_delete"
    wait_for_server(lambda: database.rows(masked) == [0])
    assert database.days() == [partition_day(0)]


def test_records_left_after_erasure_raise_cannot_erase_error(private_clickhouse: ClickHouseServer) -> None:
    with opened(private_clickhouse.new_database()) as store:
        store.write([line(1), line(2)], [])
        (private_clickhouse.folder / IGNORES_DELETES).touch()
        with pytest.raises(CannotEraseError, match="still has 2 records"):
            store.erase("one")


def test_each_day_has_its_own_partition(store: ClickHouseStore, database: ClickHouseDatabase) -> None:
    store.write([line(number, days=number) for number in range(-1, 120)], [])
    store.write([line(500, but={"time": "1970-01-01T00:00:00.000Z"})], [])
    assert len(database.uids()) == 122
    assert len(database.days()) == 122


def test_purge_sets_the_ttl_of_the_tables(store: ClickHouseStore, database: ClickHouseDatabase) -> None:
    limits = "SELECT extract(engine_full, 'TTL [^ ]+ . [^ ]+') FROM system.tables WHERE database = currentDatabase() "
    limits += "AND name IN ('access_records', 'access_counts')"
    store.write([line(1, days=4), line(2)], [])
    for keep in (10, 10, 5):
        assert store.purge(NOW, timedelta(days=keep)) == 0
        assert database.rows(limits) == [f"TTL toDateTime(time) + toIntervalSecond({keep * 86400})"] * 2
    store.purge(NOW, timedelta(days=3), dry_run=True)
    assert database.rows(limits)[0].endswith(f"({5 * 86400})")
