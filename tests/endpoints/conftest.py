"""Fixtures of the tests of endpoints/."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cookie_consent.ledgers import Ledger, MemoryLedger, open_ledger
from tests.support.ledger_files import ledger_url


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger, in memory and in a database."""
    ledger: Ledger = MemoryLedger() if request.param == "memory" else open_ledger(ledger_url(tmp_path))
    yield ledger
    ledger.close()
