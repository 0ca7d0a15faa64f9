"""The SQLite database of a ledger: one file, with one writer at a time."""

from __future__ import annotations

import os
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, QueuePool, bindparam, create_engine, event, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_new
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError

from cookie_consent.base.threads import wait_until
from cookie_consent.ledgers.chain import START, chain_hash, record_hash
from cookie_consent.ledgers.entry import Entry
from cookie_consent.ledgers.tables import METADATA, RECORDS, Cited, make_tables

_BUSY_TIMEOUT = 3.0
"""How long to wait for another writer (seconds)."""
_RETRY_INTERVAL = 0.001
"""The interval between attempts to become the writer (seconds). A commit takes a few of these."""
_EMPTY_TIMEOUT, _EMPTY_INTERVAL = 1.0, 0.05
"""How long to keep trying to empty the write-ahead log while there are readers, and the interval between attempts
(seconds)."""
_MAX_DAMAGES = 10
"""How many damages of a file to report. More are usually of the same kind."""


# Built once, because other writers wait while a transaction is open.
_END = select(RECORDS.c.number, RECORDS.c.chain_hash).order_by(RECORDS.c.number.desc()).limit(1)
_WITH_KEYS = (
    select(RECORDS.c.repeat_key, RECORDS.c.decided_at, RECORDS.c.document)
    .where(RECORDS.c.repeat_key.in_(bindparam("keys", expanding=True)))
    .order_by(RECORDS.c.number)
)
_ADD = insert(RECORDS)


class SqliteDatabase:
    """An SQLite file in WAL mode, where readers never wait, with each commit flushed to disk (synchronous=FULL).

    Args:
        path: the file. It and its parent folders are created.
        must_exist: whether a file without a ledger is an error.

    Raises:
        ValueError: the file cannot be opened or is not an SQLite database, or there is no ledger in it.
    """

    def __init__(self, path: str | os.PathLike[str], *, must_exist: bool = False) -> None:
        self._path = Path(path).absolute()
        self._must_exist = must_exist
        if must_exist and not self._path.is_file():
            raise ValueError(f"ledger: there is no file {path}.")
        self.engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_timeout=_BUSY_TIMEOUT, hide_parameters=True
        )
        event.listen(self.engine, "begin", _begin)
        event.listen(self.engine, "checkout", self._check_file)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o640)
            self._make_tables()
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            why = getattr(error, "orig", None) or error
            raise ValueError(f"ledger: {self._path} cannot be used as an SQLite file: {why}") from None

    def _make_tables(self) -> None:
        try:
            with self.changing() as connection:
                make_tables(connection, must_exist=self._must_exist)
        finally:
            self.engine.dispose()  # a forked child must not inherit connections

    def ready(self, connection: Connection | None) -> Connection:
        """Return a new connection to append with. A fresh checkout verifies that the file was not replaced.

        Args:
            connection: the one used last, or None.
        """
        if connection is not None:
            connection.close()
        return self.engine.connect().execution_options(writes=True)

    def append(
        self, connection: Connection, entries: Sequence[Entry], new: dict[str, list[dict[str, str]]]
    ) -> list[str]:
        """Store entries and what they cite in one transaction; return the stored record for each entry, as JSON.

        Args:
            connection: from `ready`, or from `changing`.
            entries: the records to store.
            new: kind -> rows of policies or texts to store before.
        """
        hashes = [record_hash(entry.text) for entry in entries]
        # A removal appends its record in its own transaction.
        if connection.in_transaction():
            return _append(connection, entries, hashes, new)
        with connection.begin():
            return _append(connection, entries, hashes, new)

    def reading(self) -> Connection:
        """Connect for reading, short or long."""
        return self.engine.connect()

    scanning = reading

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """Begin a transaction as the only writer."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def empty_journal(self) -> None:
        """Empty the write-ahead log, which still contains removed data.

        Readers block this. After a second of attempts the log stays until the next removal.
        """
        with self.engine.connect() as pooled:
            connection = pooled.connection.dbapi_connection
            assert isinstance(connection, _Connection)  # noqa: S101 (made here)
            connection.empty_journal()

    def damages(self) -> Iterator[str]:
        """Yield what `PRAGMA integrity_check` reports, which includes indexes that only some queries read."""
        with self.engine.connect() as connection:
            reported = connection.exec_driver_sql(f"PRAGMA integrity_check({_MAX_DAMAGES})").scalars().all()
        yield from (damage for damage in reported if damage != "ok")

    def _connect(self) -> _Connection:
        # "rw" makes a missing file an error, not an empty ledger. SQLAlchemy, not sqlite3, begins transactions.
        address = f"{self._path.as_uri()}?mode=rw"
        file = os.stat(self._path)
        connection = sqlite3.connect(
            address, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, factory=_Connection, uri=True
        )
        connection.file = file
        connection.text_factory = _text
        # secure_delete overwrites removed data with zeros. Only some builds of SQLite do so by default.
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        # The file of another program stays as it is; that of a ledger has the mode.
        if not self._must_exist:
            # If two connections open a new file at once, one may fail here at once. The next connection sets the mode.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")
        return connection

    def _check_file(self, connection: _Connection, *_: object) -> None:
        """Replace a pooled connection if the path now names another file; raises OSError if it names none."""
        if not os.path.samestat(os.stat(self._path), connection.file):
            raise DisconnectionError


class _Connection(sqlite3.Connection):
    file: os.stat_result

    def __del__(self) -> None:
        """Close, so that a ledger that is never closed leaks no connection (Python 3.13 warns of open ones)."""
        with suppress(sqlite3.Error):
            self.close()

    def wait_for_others(self) -> None:
        """Begin a write transaction, retrying while another writer is active, up to a time limit."""
        wait_until(self._begins, _BUSY_TIMEOUT, _RETRY_INTERVAL)

    def empty_journal(self) -> None:
        """Checkpoint the write-ahead log and truncate it; give up if readers block it for too long."""
        # SQLite's own wait would block writers.
        self.execute("PRAGMA busy_timeout = 0")
        # The removal is committed already, so an error here must not fail it.
        with suppress(sqlite3.OperationalError):
            wait_until(lambda: not self._is_journal_busy(), _EMPTY_TIMEOUT, _EMPTY_INTERVAL)
        self.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1000:.0f}")

    def _is_journal_busy(self) -> bool:
        (is_busy, *_) = self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(is_busy)

    def _begins(self) -> bool:
        """Try to begin a write transaction; return False if another writer is active, so that a retry makes sense."""
        try:
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
        return True


def _text(stored: bytes) -> str:
    """Decode a stored text. Invalid UTF-8 becomes surrogate escapes, so that damage can be reported."""
    return stored.decode(errors="surrogateescape")


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN")
        return
    sqlite = connection.connection.dbapi_connection
    assert isinstance(sqlite, _Connection)  # noqa: S101 (made here)
    # SQLite's own wait sleeps longer each time, up to 0.1 s, and lets newcomers pass: with four busy processes, one
    # write in a hundred took a second.
    sqlite.execute("PRAGMA busy_timeout = 0")
    try:
        sqlite.wait_for_others()
        if not sqlite.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # raises the error as one of SQLAlchemy's
    finally:
        sqlite.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1000:.0f}")


def _append(connection: Connection, entries: Sequence[Entry], hashes: Sequence[bytes], new: Cited) -> list[str]:
    for kind, rows in new.items():
        if rows:
            # Another process may have added the same policy or text.
            connection.execute(insert_new(METADATA.tables[f"consent_{kind}"]).on_conflict_do_nothing(), rows)
    number, last = connection.execute(_END).one_or_none() or (0, START)
    stored, rows_to_add = [], list[dict[str, Any]]()
    earlier = _with_keys_of(connection, entries)
    for entry, hash_ in zip(entries, hashes, strict=True):
        since = entry.decided_at - entry.repeat_within
        first = next((text for given_at, text in earlier[entry.idempotency_key] if given_at >= since), None)
        if first is None:
            number += 1
            last = chain_hash(last, hash_)
            rows_to_add.append(_row(entry, number, hash_, last))
            earlier[entry.idempotency_key].append((entry.decided_at, entry.text))
        stored.append(first or entry.text)
    if rows_to_add:
        connection.execute(_ADD, rows_to_add)
    return stored


def _with_keys_of(connection: Connection, entries: Sequence[Entry]) -> dict[str, list[tuple[int, str]]]:
    """Return the stored records that entries may repeat: repeat key -> (decided at, JSON), oldest first."""
    earlier = defaultdict[str, list[tuple[int, str]]](list)
    keys = {entry.idempotency_key for entry in entries}
    for key, given_at, text in connection.execute(_WITH_KEYS, {"keys": sorted(keys)}):
        earlier[key].append((given_at, text))
    return earlier


def _row(entry: Entry, number: int, record_hash_: bytes, chain_hash_: bytes) -> dict[str, Any]:
    hashes = {"record_hash": record_hash_, "chain_hash": chain_hash_}
    return {"number": number, "document": entry.text, **entry.columns, **hashes}
