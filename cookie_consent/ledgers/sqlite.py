"""The SQLite database of a ledger: one file, with one writer at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, QueuePool, create_engine, event
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError

from cookie_consent.base.threads import wait_until
from cookie_consent.ledgers.tables import make_tables

_BUSY_TIMEOUT = 3.0
"""How long to wait for another writer (seconds)."""
_RETRY_INTERVAL = 0.001
"""The interval between attempts to become the writer (seconds). A commit takes a few of these."""
_EMPTY_TIMEOUT = 1.0
_EMPTY_INTERVAL = 0.05
"""How long to keep trying to empty the write-ahead log while there are readers, and the interval between attempts
(seconds)."""
_NOT_WAITING = "PRAGMA busy_timeout = 0"
_WAITING = f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1000:.0f}"
_MAX_DAMAGES = 10
"""How many damages of a file to report. More are usually of the same kind."""


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
            with self.changing() as connection:
                make_tables(connection, must_exist=must_exist)
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            why = getattr(error, "orig", None) or error
            raise ValueError(f"ledger: {self._path} cannot be used as an SQLite file: {why}") from None
        finally:
            self.engine.dispose()  # a forked child must not inherit connections

    def reading(self) -> Connection:
        """Connect for reading, short or long."""
        return self.engine.connect()

    scanning = reading

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """Begin a transaction as the only writer."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    writing = changing

    def empty_journal(self) -> None:
        """Empty the write-ahead log, which still contains removed data.

        Readers block this. After a second of attempts the log stays until the next removal.
        """
        with self.engine.connect() as connection:
            sqlite: Any = connection.connection.dbapi_connection
            # SQLite's own wait would block writers.
            sqlite.execute(_NOT_WAITING)
            # The removal is committed already, so an error here must not fail it.
            with suppress(sqlite3.OperationalError):
                wait_until(lambda: _empties_journal(sqlite), _EMPTY_TIMEOUT, _EMPTY_INTERVAL)
            sqlite.execute(_WAITING)

    def damages(self) -> Iterator[str]:
        """Yield what `PRAGMA integrity_check` reports, which includes indexes that only some queries read."""
        with self.engine.connect() as connection:
            reported = connection.exec_driver_sql(f"PRAGMA integrity_check({_MAX_DAMAGES})").scalars().all()
        yield from (damage for damage in reported if damage != "ok")

    def _connect(self) -> _Connection:
        # Fails if there is no file, which must not become an empty ledger.
        file = os.stat(self._path)
        # SQLAlchemy, not sqlite3, begins transactions.
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        connection.file = file
        # Invalid UTF-8 becomes surrogate escapes, so that damage can be reported.
        connection.text_factory = lambda stored: stored.decode(errors="surrogateescape")
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


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN")
        return
    sqlite: Any = connection.connection.dbapi_connection
    # SQLite's own wait sleeps longer each time, up to 0.1 s, and lets newcomers pass: with four busy processes, one
    # write in a hundred took a second.
    sqlite.execute(_NOT_WAITING)
    try:
        wait_until(lambda: _begins_writing(sqlite), _BUSY_TIMEOUT, _RETRY_INTERVAL)
        if not sqlite.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # raises the error as one of SQLAlchemy's
    finally:
        sqlite.execute(_WAITING)


def _begins_writing(connection: sqlite3.Connection) -> bool:
    """Try to begin a write transaction; return False if another writer is active, so that a retry makes sense."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
    return True


def _empties_journal(connection: sqlite3.Connection) -> bool:
    is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not is_busy
