"""Digests as DuckDB databases: attaching them, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cookie_consent.report.digests.about import About
from cookie_consent.report.digests.facts import FactsReader
from cookie_consent.sinks.optional import duckdb


@contextmanager
def attached(reader: FactsReader, file: Path, name: str, *, block_size: int | None = None) -> Iterator[None]:
    """Attach a database while the block runs.

    Args:
        reader: has the connection.
        file: the file of the database.
        name: the name for it in SQL.
        block_size: of a new database, in bytes; None for one that is only read.
    """
    attach(reader, file, name, block_size=block_size)
    try:
        yield
    finally:
        reader.execute(f"DETACH {name}")


def attach(reader: FactsReader, file: Path, name: str, *, block_size: int | None = None) -> None:
    """Attach a database, as `attached` does, until the connection ends."""
    how = "READ_ONLY" if block_size is None else f"BLOCK_SIZE {block_size}"
    quoted = str(file).replace("'", "''")
    reader.execute(f"ATTACH '{quoted}' AS {name} ({how})")


def read_about(reader: FactsReader, file: Path) -> About | None:
    """Return what a digest or block is made of; None if there is none that can be read."""
    try:
        with attached(reader, file, "asked"):
            return About.of_json(reader.one("SELECT made_of FROM asked.about")[0])
    except (duckdb().Error, OSError, ValueError, TypeError, LookupError):
        return None


def write_about(reader: FactsReader, database: str, about: About) -> None:
    """Write what a digest or block is made of."""
    reader.execute(f"INSERT INTO {database}.about VALUES ($about)", {"about": about.as_json()})  # noqa: S608
