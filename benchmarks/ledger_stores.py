"""The databases that ledgers are measured in, and what they do at best: the same through their plain drivers."""

from __future__ import annotations

import asyncio
import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg import sql

from cookie_consent.chain import verify
from cookie_consent.ledgers import Entry, open_ledger
from tests.postgres import PrivateServer

_TOGETHER = 10_000
_CHAIN = "SELECT document, record_hash, chain_hash FROM consent_records ORDER BY number"
_OF_ONE = "SELECT document FROM consent_records WHERE consent_id = {} ORDER BY number"
COLUMNS = (
    *("number", "document", "record_id", "consent_id", "policy", "text", "prevailing_text"),
    *("decided_at", "keep_until", "repeat_key", "record_hash", "chain_hash"),
)
Row = tuple[Any, ...]
Chained = tuple[str, bytes, bytes]
Find = Callable[[str], list[tuple[str]]]


class Store(Protocol):
    """A kind of database."""

    name: str

    def new(self) -> str:
        """Makes an empty database; its URL."""

    def drop(self) -> None:
        """Takes away the databases that were made."""

    def commits(self, seconds: float) -> float:
        """Writes single short rows, each on the disk before the next; how many a second."""

    def fill(self, url: str, first: Entry, rows: Iterable[Row]) -> None:
        """Makes a ledger of a first record, and of rows that cite the same."""

    def read(self, url: str) -> Iterator[Chained]:
        """Reads a ledger from its begin: document, its hash, the chain's hash."""

    def finding(self, url: str) -> AbstractContextManager[Find]:
        """Gives a function that finds the documents of a consent id."""

    def size(self, url: str) -> int:
        """How many bytes a ledger has on the disk."""

    def forget(self) -> bool:
        """Drops the files from the memory of the operating system; whether it can."""


class SqliteStore:
    """SQLite files.

    Args:
        folder: where they are, on a disk.
    """

    name = "SQLite"

    def __init__(self, folder: Path) -> None:
        self._folder, self._made = folder, list[Path]()

    def new(self) -> str:
        """Names a new file."""
        self._made.append(self._folder / f"ledger-{time.monotonic_ns()}.db")
        return f"sqlite:///{self._made[-1]}"

    def drop(self) -> None:
        """Removes the files."""
        for file in self._folder.iterdir():
            file.unlink()
        self._made.clear()

    def commits(self, seconds: float) -> float:
        """Writes in WAL mode, as the ledger does."""
        with closing(sqlite3.connect(self._folder / "commits.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("CREATE TABLE IF NOT EXISTS row (content TEXT)")
            return _rate(lambda: connection.execute("INSERT INTO row VALUES ('x')"), seconds)

    def fill(self, url: str, first: Entry, rows: Iterable[Row]) -> None:
        """Writes with no regard to what a failing machine would leave; the indexes come last."""
        begin(url, first)
        values = ", ".join("?" * len(COLUMNS))
        with closing(sqlite3.connect(_path(url), isolation_level=None)) as connection:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -500000"):
                connection.execute(f"PRAGMA {pragma}")
            wanted = "SELECT name, sql FROM sqlite_master WHERE tbl_name = 'consent_records' AND type = 'index'"
            indexes = [(name, made) for name, made in connection.execute(wanted) if made]
            connection.execute("BEGIN")
            for name, _ in indexes:
                connection.execute(f"DROP INDEX {name}")
            names = ", ".join(COLUMNS)
            connection.executemany(f"INSERT INTO consent_records ({names}) VALUES ({values})", rows)  # noqa: S608
            for _, made in indexes:
                connection.execute(made)
            connection.execute("COMMIT")

    def read(self, url: str) -> Iterator[Chained]:
        """Reads with one statement."""
        with closing(sqlite3.connect(_path(url))) as connection:
            yield from connection.execute(_CHAIN)

    @contextmanager
    def finding(self, url: str) -> Iterator[Find]:
        """Finds over one connection."""
        with closing(sqlite3.connect(_path(url))) as connection:
            yield lambda consent_id: connection.execute(_OF_ONE.format("?"), [consent_id]).fetchall()

    def size(self, url: str) -> int:
        """Its file's size; what is still in the WAL is little."""
        return Path(_path(url)).stat().st_size

    def forget(self) -> bool:
        """Drops the files."""
        return _forget(self._folder)


class PostgresqlStore:
    """Databases of a server of our own, with its settings for tests: fsync on, little memory (shared_buffers 16 MB).

    Args:
        server: the server.
    """

    name = "PostgreSQL"

    def __init__(self, server: PrivateServer) -> None:
        self._server = server

    def new(self) -> str:
        """Makes a database."""
        return self._server.new_database()

    def drop(self) -> None:
        """Drops the databases."""
        self._server.drop_databases()

    def commits(self, seconds: float) -> float:
        """Writes with single statements, over one connection."""
        with psycopg.connect(self.new(), autocommit=True) as connection:
            connection.execute("CREATE TABLE row (content text)")
            return _rate(lambda: connection.execute("INSERT INTO row VALUES ('x')"), seconds)

    def fill(self, url: str, first: Entry, rows: Iterable[Row]) -> None:
        """Copies, without looking up what is cited; the indexes come last."""
        begin(url, first)
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute("SET session_replication_role = replica")
            cursor.execute("SET maintenance_work_mem = '512MB'")
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'consent_records'"
                " AND indexname NOT LIKE '%_pkey'"
            )
            indexes = cursor.fetchall()
            for name, _ in indexes:
                cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
            names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
            with cursor.copy(sql.SQL("COPY consent_records ({}) FROM STDIN").format(names)) as copy:
                for row in rows:
                    copy.write_row(row)
            for _, made in indexes:
                cursor.execute(made)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE consent_records")
            connection.execute("CHECKPOINT")

    def read(self, url: str) -> Iterator[Chained]:
        """Reads with a cursor of the server's."""
        with psycopg.connect(url) as connection, connection.cursor("chain") as cursor:
            cursor.itersize = _TOGETHER
            yield from cursor.execute(_CHAIN)

    @contextmanager
    def finding(self, url: str) -> Iterator[Find]:
        """Finds over one connection."""
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            yield lambda consent_id: connection.execute(_OF_ONE.format("%s"), [consent_id]).fetchall()

    def size(self, url: str) -> int:
        """Its database's size."""
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        assert found, "one row"
        return int(found[0])

    def forget(self) -> bool:
        """Drops the server's files; its own memory is small."""
        return _forget(self._server.folder / "data" / "base")


def check(url: str, records: int) -> None:
    """The ledger has so many records, and its chain is whole."""
    ledger = open_ledger(url)
    found = verify(ledger.links())
    ledger.close()
    assert found.wrong is None, f"record {found.wrong} does not fit: {found.why}"
    assert found.records == records, f"{found.records} records were kept of {records}"


def begin(url: str, first: Entry) -> None:
    """Makes the tables, and keeps the first record with what it cites."""
    ledger = open_ledger(url)
    asyncio.run(ledger.append(first))
    ledger.close()


def _path(url: str) -> str:
    return url.removeprefix("sqlite:///")


def _rate(work: Callable[[], object], seconds: float) -> float:
    began = time.monotonic()
    for number in itertools.count(1):
        work()
        passed = time.monotonic() - began
        if passed >= seconds:
            return number / passed
    raise AssertionError


def _forget(folder: Path) -> bool:
    try:
        for file in folder.rglob("*"):
            if file.is_file():
                descriptor = os.open(file, os.O_RDONLY)
                try:
                    os.fsync(descriptor)  # only what is on the disk is dropped
                    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(descriptor)
    except PermissionError:
        return False
    return True
