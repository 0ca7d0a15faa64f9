"""Fixtures: PostgreSQL servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.servers.postgres import (
    NoPostgresError,
    PostgresServer,
    PrivateServer,
    postgres_server,
    private_server,
)
from tests.support.servers.processes import without


@contextmanager
def needs_postgres() -> Iterator[None]:
    """Skip a test if there is no server; with CI=true fail it."""
    try:
        yield
    except NoPostgresError as error:
        raise without(str(error)) from None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server, started for the first test that needs it."""
    with needs_postgres(), postgres_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database of the test's own."""
    url = postgres.new_database()
    yield url
    postgres.take_back(url)
    postgres.drop_databases()


@pytest.fixture(scope="session")
def stoppable_postgres() -> Iterator[PrivateServer]:
    """The server of `private_postgres`, in the state that the last test left."""
    with needs_postgres(), private_server() as server:
        yield server


@pytest.fixture
def private_postgres(stoppable_postgres: PrivateServer) -> Iterator[PrivateServer]:
    """A running server that the test may stop, kill and start. No other test uses it at the same time."""
    yield stoppable_postgres
    if not stoppable_postgres.running:
        stoppable_postgres.start()
    stoppable_postgres.drop_databases()
