"""A DuckDB connection that takes one thread, and little memory while that is enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cookie_consent.report.memory import LEAST
from cookie_consent.sinks.optional import duckdb

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_FRUGAL = 150_000_000
"""Bytes for a report from digests. DuckDB would fill any memory that it may with what it has read."""


class FrugalConnection:
    """Runs statements with little memory, and again with all that it may take if one needs more.

    Several threads would take more of the processor's time, and be hardly sooner done.

    Args:
        connection: the connection.
        memory: the bytes that it may take.
    """

    def __init__(self, connection: DuckDBPyConnection, memory: int) -> None:
        self._connection, self._memory, self._is_frugal = connection, memory, False
        self._threads = connection.execute("SELECT current_setting('threads')").fetchall()[0][0]

    def be_frugal(self, *, frugal: bool) -> None:
        """Take one thread and little memory from now on, or all."""
        self._is_frugal = frugal and self._memory > _FRUGAL
        limit = max(_FRUGAL, LEAST) if self._is_frugal else self._memory
        self._connection.execute(f"SET memory_limit = '{limit}B'")
        self._connection.execute(f"SET threads = {1 if frugal else self._threads}")

    def execute(self, text: str, values: Mapping[str, Any] | None = None) -> DuckDBPyConnection:
        """Run a statement."""
        try:
            return self._connection.execute(text, values)
        except duckdb().OutOfMemoryException:
            if not self._is_frugal:
                raise
        self.be_frugal(frugal=False)
        return self._connection.execute(text, values)

    def table(self, name: str) -> DuckDBPyRelation:
        """Return a table."""
        return self._connection.table(name)
