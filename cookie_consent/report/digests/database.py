"""Digests as DuckDB databases: attaching them, and what they say about themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cookie_consent.report.digests.about import About
from cookie_consent.report.digests.facts import FactsReader
from cookie_consent.sinks.optional import duckdb

_LEAST = "SELECT used_blocks * block_size FROM pragma_database_size() WHERE database_name = 'asked'"


class DamagedDigestError(OSError):
    """A digest or a block cannot be read: it was cut off, or changed on the disk."""


@contextmanager
def reading_digests() -> Iterator[None]:
    """Raise for what DuckDB cannot read of the digests that the block reads.

    Raises:
        DamagedDigestError: a digest is damaged, or somebody removed it.
    """
    damages = ("Error", "IOException", "SerializationException", "TransactionException")  # the last: at a COMMIT
    try:
        yield
    except duckdb().Error as error:
        if type(error) in [getattr(duckdb(), name) for name in damages]:
            raise DamagedDigestError(str(error).partition("\n")[0]) from error
        raise


@contextmanager
def attached(reader: FactsReader, file: Path, name: str, *, block_size: int | None = None) -> Iterator[None]:
    """Attach a database while the block runs.

    Args:
        reader: has the connection.
        file: the file of the database.
        name: the name for it in SQL.
        block_size: of a database that is written, in bytes; None for one that is only read.
    """
    attach(reader, file, name, block_size=block_size)
    try:
        yield
    except BaseException:
        # Nothing is detached in a transaction that failed. To end one detaches what was attached in it.
        for text in ("ROLLBACK", f"DETACH {name}"):
            with suppress(duckdb().Error):
                reader.execute(text)
        raise
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
            is_cut_off = file.stat().st_size < reader.one(_LEAST)[0]
            return None if is_cut_off else About.of_json(reader.one("SELECT made_of FROM asked.about")[0])
    except (duckdb().Error, OSError, ValueError, TypeError, LookupError):
        return None


def is_undamaged(reader: FactsReader, file: Path) -> bool:
    """Tell whether all of a digest can be read."""
    try:
        with reading_digests(), attached(reader, file, "asked"):
            for (table,) in reader.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'asked'"):
                reader.execute(f"SELECT bit_xor(hash(COLUMNS(*))) FROM asked.{table}")  # noqa: S608
    except DamagedDigestError:
        return False
    return True


def write_about(reader: FactsReader, database: str, about: About) -> None:
    """Write what a digest or block is made of."""
    reader.execute(f"DELETE FROM {database}.about")  # noqa: S608
    reader.execute(f"INSERT INTO {database}.about VALUES ($about)", {"about": about.as_json()})  # noqa: S608
