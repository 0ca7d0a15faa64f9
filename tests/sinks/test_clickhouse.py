"""Access records in ClickHouse: once each, whatever the server does meanwhile; by days, for as long as is wished.

Where TEST_CLICKHOUSE_URL names a server they are kept there, in databases of their own, but for the tests that stop it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError

from cookie_consent.sinks import CannotEraseError
from cookie_consent.sinks.clickhouse.store import ClickHouseSink, ClickHouseStore
from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS
from tests.support.servers.clickhouse_server import (
    IGNORES_DELETES,
    ClickHouseDatabases,
    ClickHouseServer,
    ask,
    clickhouse_databases,
    clickhouse_server,
)
from tests.support.sink_lines import (
    ROOT,
    TODAY,
    as_line,
    count_line,
    invalid,
    line,
    record,
    until,
    write_at_once,
    write_through_an_outage,
)

pytestmark = pytest.mark.server

NOW = TODAY.timestamp()
BAD = (
    b'{"visitor.id": "no JSON"\n',
    b"\xff\xfe visitor\n",
    b"\\.\n",
    b'["visitor"]\n',
    b'{"visitor": "\x01\x02\x00"}\n',
    line(5, but={"time": "visitor's time"}),
    line(5, but={"time": None}),
    line(5, but={"log.record.uid": None}),
    line(5, but={"log.record.uid": ""}),
    line(5, but={"http.response.status_code": "visitor"}),
    line(5, but={"duration_ms": {"visitor": 1}}),
    as_line({"visitor": 1}),
    b'{"visitor":' + b"[" * 100_000 + b"\n",
)


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouseDatabases]:
    """A server."""
    with clickhouse_databases() as server:
        yield server


@pytest.fixture
def clickhouse_url(clickhouse: ClickHouseDatabases) -> Iterator[str]:
    """An empty database of the test's own."""
    yield clickhouse.new_database()
    clickhouse.drop_databases()


@pytest.fixture
def private_clickhouse() -> Iterator[ClickHouseServer]:
    """A server that the test may stop, kill, freeze and start."""
    with clickhouse_server() as server:
        yield server


@contextmanager
def opened(url: str, **options: Any) -> Iterator[ClickHouseStore]:
    with closing(ClickHouseStore(url, **options)) as store:
        yield store


@pytest.fixture
def store(clickhouse_url: str) -> Iterator[ClickHouseStore]:
    with opened(clickhouse_url) as store:
        yield store


def rows(url: str, statement: str, **values: object) -> list[Any]:
    """Return what a statement finds: its first column, if it has but one."""
    return [row[0] if len(row) == 1 else row for row in ask(url, statement, **values)]


def uids(url: str) -> list[str]:
    return rows(url, "SELECT uid FROM access_records FINAL")


def partitions(url: str) -> list[str]:
    return rows(
        url,
        "SELECT DISTINCT partition FROM system.parts WHERE active AND database = currentDatabase() "
        "AND table = 'access_records' AND rows > 0 ORDER BY 1",
    )


def day(ago: int) -> str:
    return f"{TODAY - timedelta(days=ago):%Y%m%d}"


def test_a_record_is_read_as_it_was_written(store: ClickHouseStore) -> None:
    short = {key: record(2)[key] for key in ("time", "log.record.uid", "record.version", "visitor.id")}
    store.write([as_line(short), line(1), line(3, "another")], [])
    assert list(store.read("one")) == [record(1), short]
    assert list(store.read("nobody")) == []


def test_the_columns_are_those_that_are_promised(store: ClickHouseStore, clickhouse_url: str) -> None:
    store.write([], [])
    named = "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
    assert rows(clickhouse_url, named, table="access_records") == list(COLUMNS.values())
    assert rows(clickhouse_url, named, table="access_counts") == list(COUNT_COLUMNS.values())


def test_what_is_written_again_is_kept_once(store: ClickHouseStore, clickhouse_url: str) -> None:
    batch = [line(number) for number in range(300)]
    counts = [count_line(number, 2) for number in range(3)]
    store.write(batch, counts)
    store.write([*batch[200:], *batch[200:], line(300)], counts)
    assert len(uids(clickhouse_url)) == len(set(uids(clickhouse_url))) == 301
    of_counts = "SELECT host, language, name, detail, sum(value) FROM access_counts FINAL GROUP BY 1, 2, 3, 4"
    assert rows(clickhouse_url, of_counts) == [["registry.example", "en", "degraded", "map", 6]]
    ask(clickhouse_url, "OPTIMIZE TABLE access_records FINAL")
    assert len(rows(clickhouse_url, "SELECT uid FROM access_records")) == 301, "the copies go when parts are merged"


def test_processes_that_begin_at_once_make_the_tables_once_and_keep_each_record_once(
    clickhouse_url: str, tmp_path: Path
) -> None:
    write_at_once(f"{clickhouse_url}?spill={tmp_path}", (0, 600), (300, 900), (600, 1200))
    assert sorted(uids(clickhouse_url)) == sorted(record(number)["log.record.uid"] for number in range(1200))
    assert partitions(clickhouse_url) == [day(2), day(1), day(0)]


@pytest.mark.parametrize("end", [pytest.param("stop", marks=pytest.mark.full_matrix), "kill"])
def test_what_is_written_while_the_server_is_ended_and_started_is_kept_once(
    private_clickhouse: ClickHouseServer, tmp_path: Path, end: str
) -> None:
    url = private_clickhouse.new_database()
    sink = ClickHouseSink(url, spill=tmp_path)
    with closing(sink), closing(sink.store):
        write_through_an_outage(sink, getattr(private_clickhouse, end), private_clickhouse.start, lambda: uids(url))


def test_a_server_that_is_not_there_at_the_start_is_waited_for(
    private_clickhouse: ClickHouseServer, tmp_path: Path
) -> None:
    url = private_clickhouse.new_database()
    private_clickhouse.stop()
    sink = ClickHouseSink(url, spill=tmp_path)
    with closing(sink), closing(sink.store):
        sink.write(line(1))
        until(lambda: sink.stats()["spilled"] == 1)
        private_clickhouse.start()
        until(lambda: uids(url) == [record(1)["log.record.uid"]])


def test_a_server_that_freezes_is_waited_for_no_longer_than_the_limit(private_clickhouse: ClickHouseServer) -> None:
    url = private_clickhouse.new_database()
    with opened(url, limit=1) as store:
        store.write([line(1)], [])
        private_clickhouse.freeze()
        for _ in ("on a connection", "to connect"):
            with pytest.raises(OperationalError):
                store.write([line(2)], [])
        private_clickhouse.thaw()
    with opened(url) as store:
        store.write([line(2)], [])
    assert len(uids(url)) == 2


def test_tables_that_somebody_dropped_are_made_again(store: ClickHouseStore, clickhouse_url: str) -> None:
    store.write([line(1)], [])
    for name in ("access_records_view", "access_records_lines", "access_records"):
        ask(clickhouse_url, f"DROP TABLE {name} SYNC")
    with pytest.raises(DatabaseError):
        store.write([line(2)], [])
    store.write([line(2)], [])
    assert uids(clickhouse_url) == [record(2)["log.record.uid"]]


def test_where_tables_cannot_be_made_the_server_says_so(store: ClickHouseStore, clickhouse_url: str) -> None:
    ask(clickhouse_url, "CREATE TABLE access_records_lines (of_somebody_else String) ENGINE = Null")
    with pytest.raises(DatabaseError, match="UNKNOWN_IDENTIFIER"):
        store.write([line(1)], [])


def test_a_wrong_password_is_told_without_it(clickhouse_url: str) -> None:
    parts = urlsplit(clickhouse_url)
    wrong = parts._replace(netloc=f"tester:secret@{parts.netloc.rpartition('@')[2]}").geturl()
    with opened(wrong) as store, pytest.raises(DatabaseError) as error:
        store.write([line(1)], [])
    assert "secret" not in str(error.value)
    assert error.value.code == 516


def test_the_scheme_with_an_s_means_tls(private_clickhouse: ClickHouseServer) -> None:
    url = private_clickhouse.address.replace("clickhouse:", "clickhouses:", 1)
    with opened(url) as store, pytest.raises(ClickHouseError, match=r"(?i)ssl"):
        store.write([line(1)], [])


def test_lines_that_the_server_refuses_cost_no_others(store: ClickHouseStore, clickhouse_url: str) -> None:
    for number, bad in enumerate(BAD):
        good = [line(10 * number + digit) for digit in range(3)]
        assert invalid(partial(store.write, [good[0], bad, *good[1:], bad], [count_line(number, 1), bad])) == 3, bad
    assert len(uids(clickhouse_url)) == 3 * len(BAD)
    assert rows(clickhouse_url, "SELECT value FROM access_counts") == [1] * len(BAD)


def test_one_visitor_is_erased_and_no_other(store: ClickHouseStore, clickhouse_url: str) -> None:
    store.write([line(number, visitor) for number, visitor in enumerate(["one", "another"] * 20)], [])
    store.write([line(0), line(50, days=3)], [])
    assert store.erase("one") == 21, "what was written twice is one record"
    assert list(store.read("one")) == []
    assert store.erase("one") == 0
    assert len(list(store.read("another"))) == 20
    masked = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND has_lightweight_delete"
    until(lambda: rows(clickhouse_url, masked) == [0])  # from then on they are on no disk
    assert partitions(clickhouse_url) == [day(0)]


def test_records_that_stay_are_told(private_clickhouse: ClickHouseServer) -> None:
    with opened(private_clickhouse.new_database()) as store:
        store.write([line(1), line(2)], [])
        (private_clickhouse.folder / IGNORES_DELETES).touch()
        with pytest.raises(CannotEraseError, match="still has 2 records"):
            store.erase("one")


def test_records_of_many_days_are_kept_each_with_its_day(store: ClickHouseStore, clickhouse_url: str) -> None:
    store.write([line(number, days=number) for number in range(-1, 120)], [])
    store.write([line(500, but={"time": "1970-01-01T00:00:00.000Z"})], [])
    assert len(uids(clickhouse_url)) == 122
    assert len(partitions(clickhouse_url)) == 122


def test_what_is_older_than_it_may_be_is_purged_and_its_days_are_dropped(
    store: ClickHouseStore, clickhouse_url: str
) -> None:
    store.write([*(line(number, days=number) for number in range(6)), line(3, days=3)], [])
    store.write([line(8, days=3)], [count_line(1, 1), count_line(2, 1, days=4)])
    # Of tomorrow: what shall stay is within the tables' own time limit, which goes by the server's clock.
    now, keep = NOW + 24 * 60 * 60, timedelta(days=4, milliseconds=-4)
    assert store.purge(now, keep, dry_run=True) == 3
    assert len(uids(clickhouse_url)) == 7
    assert store.purge(now, keep) == 3
    assert sorted(uids(clickhouse_url)) == sorted(record(number)["log.record.uid"] for number in (0, 1, 2, 8))
    assert partitions(clickhouse_url) == [day(3), day(2), day(1), day(0)]
    assert rows(clickhouse_url, "SELECT uid FROM access_counts") == ["abcdefghijklmnop-c1"]
    assert store.purge(now, keep) == 0


def test_the_tables_have_what_was_purged_by_last_as_their_own_time_limit(
    store: ClickHouseStore, clickhouse_url: str
) -> None:
    limits = "SELECT extract(engine_full, 'TTL [^ ]+ . [^ ]+') FROM system.tables WHERE database = currentDatabase() "
    limits += "AND name IN ('access_records', 'access_counts')"
    store.write([line(1, days=4), line(2)], [])
    for keep in (10, 10, 5):
        assert store.purge(NOW, timedelta(days=keep)) == 0
        assert rows(clickhouse_url, limits) == [f"TTL toDateTime(time) + toIntervalSecond({keep * 86400})"] * 2
    store.purge(NOW, timedelta(days=3), dry_run=True)
    assert rows(clickhouse_url, limits)[0].endswith(f"({5 * 86400})")


@pytest.mark.parametrize("url", ["clickhouse://me:secret@host:port/database", "clickhouse:///x?password=secret"])
def test_a_url_that_cannot_be_read_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="access_log: the URL cannot be read") as error:
        ClickHouseSink(url)
    assert "secret" not in str(error.value)


def test_warnings_name_the_database_without_its_password() -> None:
    assert ClickHouseSink("clickhouse://me:secret@host/visits?compress=0").place == "clickhouse://host/visits"


def test_a_process_that_forks_leaves_the_child_a_connection_of_its_own(
    store: ClickHouseStore, clickhouse_url: str
) -> None:
    script = """if True:
        import os, sys
        from cookie_consent.sinks.clickhouse.store import ClickHouseStore
        from tests.support.sink_lines import line
        store = ClickHouseStore(sys.argv[1])
        store.write([line(1)], [])
        if child := os.fork():
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            store.write([line(3)], [])
            sys.exit(status)
        store.write([line(2)], [])
        store.close()
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", script, clickhouse_url], check=True, timeout=60, cwd=ROOT)
    assert sorted(uids(clickhouse_url)) == [record(number)["log.record.uid"] for number in (1, 2, 3)]
    store.write([line(4)], [])
    inherited = store._client
    store.after_fork()
    store.write([line(5)], [])
    assert len(uids(clickhouse_url)) == 5
    assert inherited is not None
    inherited.close()
