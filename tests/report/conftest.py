"""Fixtures of the tests of reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cookie_consent.report.engines import duckdb_files
from tests.support.report_records import COUNTS, RECORDS, write_files, write_to_store
from tests.support.servers.clickhouse_server import ClickHouseDatabases, clickhouse_databases


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Compute with one thread: for logs this small, more take a quarter more of the processor."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(duckdb_files, "_MAX_THREADS", 1)
        yield


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouseDatabases]:
    """Databases of a ClickHouse that all tests of reports share."""
    with clickhouse_databases() as databases:
        yield databases


@pytest.fixture(scope="module")
def access_log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same records and counts in a store: the name of its engine is the parameter, by default files."""
    engine = getattr(request, "param", "files")
    if engine == "files":
        path = tmp_path_factory.mktemp("logs") / "access.jsonl"
        write_files(path, RECORDS, COUNTS)
        yield str(path)
        return
    databases = request.getfixturevalue("postgres" if engine == "postgresql" else "clickhouse")
    url = f"{databases.new_database()}?spill={tmp_path_factory.mktemp('spill')}"
    write_to_store(url, RECORDS, COUNTS)
    yield url
    databases.drop_databases()
