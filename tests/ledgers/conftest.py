"""Ledgers and databases for the tests of ledgers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cookie_consent.ledgers import Ledger, MemoryLedger, open_ledger
from tests.support.ledger_files import ledger_url


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of each kind that needs no server."""
    ledger: Ledger = MemoryLedger() if request.param == "memory" else open_ledger(ledger_url(tmp_path))
    yield ledger
    ledger.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def each_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger of each kind."""
    ledger: Ledger = MemoryLedger()
    if request.param != "memory":
        is_file = request.param == "sqlite"
        ledger = open_ledger(ledger_url(tmp_path) if is_file else request.getfixturevalue("postgres_url"))
    yield ledger
    ledger.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/consent.db"
