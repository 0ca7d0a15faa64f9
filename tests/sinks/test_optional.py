"""Tests of DuckDB connections: none keeps Python from exiting."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pytest

from cookie_consent.sinks import optional
from cookie_consent.sinks.optional import Connections, duckdb_connection, is_interruption

EXIT = """
import atexit
from cookie_consent.sinks import optional
import duckdb
atexit.register(lambda: print(optional.is_interruption(ValueError())))
with optional.duckdb_connection({}):
    pass
"""
"""Prints whether queries have been interrupted when what DuckDB has registered runs."""
ENDLESS = "SELECT count(*) FROM range(1_000_000_000_000) AS a WHERE hash(a.range) = 1"


def test_exit_interrupts_query_and_refuses_new_connection() -> None:
    connections = Connections()
    is_open = threading.Event()
    caught: list[str] = []

    def query() -> None:
        try:
            with connections.opened(duckdb.connect) as connection:
                is_open.set()
                connection.execute(ENDLESS).fetchall()
        except duckdb.Error as error:
            caught.append(str(error))

    thread = threading.Thread(target=query)
    thread.start()
    assert is_open.wait(20)
    connections.end()
    thread.join(60)
    query()
    assert len(caught) == 2
    assert "Python ends" in caught[1]


def test_queries_are_interrupted_before_duckdb_waits_for_them_at_exit() -> None:
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_any_error_during_exit_is_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    error = duckdb.OperationalError("connection is busy with another call")
    assert is_interruption(duckdb.InterruptException("by DuckDB itself"))
    assert is_interruption(RuntimeError("Query interrupted"))
    assert not is_interruption(error)
    ended = Connections()
    ended.end()
    monkeypatch.setattr(optional, "_connections", ended)
    assert is_interruption(error)


def test_exit_waits_at_most_two_seconds_for_a_connection_until_it_is_closed() -> None:
    connections = Connections()
    paused: list[float] = []

    @contextmanager
    def closing() -> Iterator[duckdb.DuckDBPyConnection]:
        connection = duckdb.connect()
        yield connection
        connection.close()
        connections.end(paused.append)

    with connections.opened(closing):
        pass
    assert sum(paused) == pytest.approx(2)
    connections.end(paused.append)
    assert len(paused) == 40


def test_forked_child_does_not_wait_for_queries_of_its_parent() -> None:
    connections = Connections()
    paused: list[float] = []
    with connections.opened(duckdb.connect):
        connections.after_fork()
        connections.end(paused.append)
    assert paused == []


def test_connection_shows_no_progress_and_installs_no_extension() -> None:
    with duckdb_connection({"threads": 1}) as connection:
        names = ("enable_progress_bar", "autoinstall_known_extensions", "autoload_known_extensions", "threads")
        settings = [connection.execute(f"SELECT current_setting('{name}')").fetchone()[0] for name in names]
    assert settings == [False, False, False, 1]
