"""Fixtures of the tests of reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cookie_consent.report.engines import duckdb_files


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Compute with one thread: for logs this small, more take a quarter more of the processor."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(duckdb_files, "_MAX_THREADS", 1)
        yield
