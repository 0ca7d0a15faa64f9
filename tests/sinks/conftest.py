"""Fixtures of the tests of sinks: ClickHouse servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers.clickhouse_server import (
    ClickHouseDatabases,
    ClickHouseServer,
    clickhouse_databases,
    clickhouse_server,
)


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickHouseDatabases]:
    """A server that all tests of sinks in this process share."""
    with clickhouse_databases() as server:
        yield server


@pytest.fixture
def clickhouse_url(clickhouse: ClickHouseDatabases) -> Iterator[str]:
    """The URL of an empty database for one test."""
    yield clickhouse.new_database()
    clickhouse.drop_databases()


@pytest.fixture
def private_clickhouse() -> Iterator[ClickHouseServer]:
    """A server that the test may stop, kill, freeze and start."""
    with clickhouse_server() as server:
        yield server
