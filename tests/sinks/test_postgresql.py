"""Access records in PostgreSQL: once each, whatever the server does meanwhile; by days, for as long as is wished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS
from cookie_consent.sinks.postgresql.store import PostgresqlSink, PostgresqlStore
from tests.support.servers.postgres import PrivateServer
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
    b"\n",
    b'["visitor"]\n',
    b'{"visitor": "\x01\x02\x00"}\n',
    as_line(record(5, "visitor \0")),
    line(5, but={"time": "visitor's time"}),
    line(5, but={"time": None}),
    line(5, but={"log.record.uid": None}),
    line(5, but={"http.response.status_code": "visitor"}),
    line(5, but={"log.record.uid": os.urandom(9000).hex()}),
    line(5, but={"event.properties": "visitor \0"}),
    b'{"visitor":' + b"[" * 100_000 + b"\n",
)


@contextmanager
def opened(url: str, **options: Any) -> Iterator[PostgresqlStore]:
    with closing(PostgresqlStore(url, **options)) as store:
        yield store


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresqlStore]:
    with opened(postgres_url) as store:
        yield store


def rows(url: str, statement: str, *values: object) -> list[Any]:
    """Return what a statement finds: its first column, if it has but one."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement.encode(), values).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def do(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode(), values)


def uids(url: str) -> list[str]:
    return rows(url, "SELECT uid FROM access_records")


def days(url: str) -> list[str]:
    """Return which partitions there are, by the ends of their names."""
    return rows(
        url,
        "SELECT replace(inhrelid::regclass::text, 'access_records_', '') FROM pg_inherits "
        "WHERE inhparent = 'access_records'::regclass ORDER BY 1",
    )


def day(ago: int) -> str:
    return f"{TODAY - timedelta(days=ago):%Y%m%d}"


def test_a_record_is_read_as_it_was_written(store: PostgresqlStore) -> None:
    short = {key: record(2)[key] for key in ("time", "log.record.uid", "record.version", "visitor.id")}
    store.write([as_line(short), line(1), line(3, "another")], [])
    assert list(store.read("one")) == [record(1), short]
    assert list(store.read("nobody")) == []


def test_the_columns_are_those_that_are_promised(store: PostgresqlStore, postgres_url: str) -> None:
    store.write([], [])
    named = "SELECT column_name FROM information_schema.columns WHERE table_name = %s ORDER BY ordinal_position"
    assert rows(postgres_url, named, "access_records") == list(COLUMNS.values())
    assert rows(postgres_url, named, "access_counts") == list(COUNT_COLUMNS.values())


def test_what_is_written_again_is_kept_once(store: PostgresqlStore, postgres_url: str) -> None:
    batch = [line(number) for number in range(300)]
    counts = [count_line(number, 2) for number in range(3)]
    store.write(batch, counts)
    store.write([*batch[200:], *batch[200:], line(300)], counts)
    assert len(uids(postgres_url)) == len(set(uids(postgres_url))) == 301
    assert rows(
        postgres_url, "SELECT host, language, name, detail, sum(value) FROM access_counts GROUP BY 1, 2, 3, 4"
    ) == [("registry.example", "en", "degraded", "map", 6)]


def test_processes_that_begin_at_once_make_the_tables_once_and_keep_each_record_once(
    postgres_url: str, tmp_path: Path
) -> None:
    write_at_once(f"{postgres_url}?spill={tmp_path}", (0, 600), (300, 900), (600, 1200))
    assert sorted(uids(postgres_url)) == sorted(record(number)["log.record.uid"] for number in range(1200))
    assert days(postgres_url) == [day(2), day(1), day(0), "rest"]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_is_written_while_the_server_is_ended_and_started_is_kept_once(
    private_postgres: PrivateServer, tmp_path: Path, end: str
) -> None:
    url = private_postgres.new_database()
    sink = PostgresqlSink(url, spill=tmp_path)
    with closing(sink), closing(sink.store):
        write_through_an_outage(sink, getattr(private_postgres, end), private_postgres.start, lambda: uids(url))


def test_a_server_that_is_not_there_at_the_start_is_waited_for(private_postgres: PrivateServer, tmp_path: Path) -> None:
    url = private_postgres.new_database()
    private_postgres.stop()
    sink = PostgresqlSink(url, spill=tmp_path)
    with closing(sink), closing(sink.store):
        sink.write(line(1))
        until(lambda: sink.stats()["spilled"] == 1)
        private_postgres.start()
        until(lambda: uids(url) == [record(1)["log.record.uid"]])


def test_a_server_that_freezes_is_waited_for_no_longer_than_the_limit(
    private_postgres: PrivateServer,
) -> None:
    url = private_postgres.new_database()
    with opened(url, limit=1) as store:
        store.write([line(1)], [])
        (backend,) = rows(
            url, "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        os.kill(backend, signal.SIGSTOP)
        try:
            with pytest.raises(psycopg.OperationalError):
                store.write([line(2)], [])
        finally:
            os.kill(backend, signal.SIGCONT)
        store.write([line(2)], [])
        assert len(uids(url)) == 2


def test_a_server_that_takes_no_connections_is_waited_for_no_longer_than_the_url_says(
    private_postgres: PrivateServer,
) -> None:
    url = private_postgres.new_database()
    os.kill(private_postgres.pid, signal.SIGSTOP)
    try:
        with opened(f"{url}?connect_timeout=2") as store, pytest.raises(psycopg.OperationalError, match="timeout"):
            store.write([line(1)], [])
    finally:
        os.kill(private_postgres.pid, signal.SIGCONT)


def test_tables_that_somebody_dropped_are_made_again(store: PostgresqlStore, postgres_url: str) -> None:
    store.write([line(1)], [])
    do(postgres_url, "DROP TABLE access_records")
    with pytest.raises(psycopg.ProgrammingError):
        store.write([line(2)], [])
    store.write([line(2)], [])
    assert uids(postgres_url) == [record(2)["log.record.uid"]]


def test_where_tables_may_not_be_made_the_server_says_so(postgres_url: str) -> None:
    with opened(f"{postgres_url}?options=-csearch_path%3Dnowhere") as store, pytest.raises(psycopg.ProgrammingError):
        store.write([line(1)], [])


def test_lines_that_the_server_refuses_cost_no_others(store: PostgresqlStore, postgres_url: str) -> None:
    for number, bad in enumerate(BAD):
        good = [line(10 * number + digit) for digit in range(3)]
        assert invalid(partial(store.write, [good[0], bad, *good[1:], bad], [count_line(number, 1), bad])) == 3, bad
    assert len(uids(postgres_url)) == 3 * len(BAD)
    assert rows(postgres_url, "SELECT value FROM access_counts") == [1] * len(BAD)


def test_one_visitor_is_erased_and_no_other(store: PostgresqlStore) -> None:
    store.write([line(number, visitor) for number, visitor in enumerate(["one", "another"] * 20)], [])
    store.write([line(50, days=3)], [])
    assert store.erase("one") == 21
    assert list(store.read("one")) == []
    assert store.erase("one") == 0
    assert len(list(store.read("another"))) == 20


def test_each_day_has_a_partition_but_those_that_only_a_wrong_clock_shows(
    store: PostgresqlStore, postgres_url: str
) -> None:
    wrong = [f"{year}-01-01T00:00:00.000Z" for year in (1970, 2999)] + ["infinity"]
    store.write([*(line(number, days=number * 100) for number in range(3)), line(4, days=-1), line(5, days=900)], [])
    store.write([line(10 + number, but={"time": time}) for number, time in enumerate(wrong)], [])
    assert days(postgres_url) == [day(200), day(100), day(0), day(-1), "rest"]
    assert rows(postgres_url, "SELECT count(*) FROM access_records_rest") == [4]
    assert len(uids(postgres_url)) == 8


def test_what_the_rest_has_of_a_day_moves_to_its_partition(store: PostgresqlStore, postgres_url: str) -> None:
    store.write([line(1, days=900)], [])
    for number, time in ((2, TODAY), (3, TODAY - timedelta(days=1))):
        do(postgres_url, "INSERT INTO access_records (time, uid) VALUES (%s, %s)", time, f"early-{number}")
    store.write([line(4)], [])
    partition = f"access_records_{day(0)}"
    assert rows(postgres_url, "SELECT uid FROM access_records WHERE tableoid = %s::regclass ORDER BY 1", partition) == [
        record(4)["log.record.uid"],
        "early-2",
    ]
    assert rows(postgres_url, "SELECT count(*) FROM access_records_rest") == [2]


def test_what_is_older_than_it_may_be_is_purged_and_its_days_are_dropped(
    store: PostgresqlStore, postgres_url: str
) -> None:
    old = [line(number, days=number) for number in range(6)]
    store.write(
        [*old, line(8, days=3, but={"time": "1970-01-01T00:00:00.000Z"})], [count_line(1, 1), count_line(2, 1, days=4)]
    )
    keep = timedelta(days=3, milliseconds=-4)
    assert store.purge(NOW, keep, dry_run=True) == 4
    assert len(uids(postgres_url)) == 7
    assert store.purge(NOW, keep) == 4
    assert sorted(uids(postgres_url)) == [record(number)["log.record.uid"] for number in range(3)]
    assert days(postgres_url) == [day(3), day(2), day(1), day(0), "rest"]
    assert rows(postgres_url, "SELECT uid FROM access_counts") == ["abcdefghijklmnop-c1"]
    assert store.purge(NOW, keep) == 0


def test_a_day_that_another_host_drops_meanwhile_is_not_counted_twice(
    store: PostgresqlStore, postgres_url: str
) -> None:
    store.write([line(1, days=9), line(2)], [])
    purged: list[int] = []
    thread = threading.Thread(target=lambda: purged.append(store.purge(NOW, timedelta(days=3))))
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(7077283941)")
        other.execute(f"DROP TABLE access_records_{day(9)}".encode())
        thread.start()
        until(
            lambda: rows(postgres_url, "SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> %s", other.info.backend_pid)
        )
    thread.join()
    assert purged == [0]
    assert uids(postgres_url) == [record(2)["log.record.uid"]]


@pytest.mark.parametrize("url", ["postgresql://me:secret@[::1/database", "postgresql://me:secret@/?nonsense=1"])
def test_a_url_that_cannot_be_read_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="access_log: the URL cannot be read") as error:
        PostgresqlSink(url)
    assert "secret" not in str(error.value)


def test_warnings_name_the_database_without_its_password() -> None:
    assert PostgresqlSink("postgres://me:secret@host:99/visits?sslmode=require").place == "postgresql://host/visits"


def test_a_process_that_forks_leaves_the_child_a_connection_of_its_own(
    store: PostgresqlStore, postgres_url: str
) -> None:
    script = """if True:
        import os, sys
        from cookie_consent.sinks.postgresql.store import PostgresqlStore
        from tests.support.sink_lines import line
        store = PostgresqlStore(sys.argv[1])
        store.write([line(1)], [])
        if child := os.fork():
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            store.write([line(3)], [])
            sys.exit(status)
        store.write([line(2)], [])
        store.close()
        os._exit(0)
    """
    subprocess.run([sys.executable, "-c", script, postgres_url], check=True, timeout=60, cwd=ROOT)
    assert sorted(uids(postgres_url)) == [record(number)["log.record.uid"] for number in (1, 2, 3)]
    store.write([line(4)], [])
    inherited = store._connection
    store.after_fork()
    store.write([line(5)], [])
    assert len(uids(postgres_url)) == 5
    assert inherited is not None
    inherited.close()
