"""How SQLite is spoken to: a file, written by one process at a time."""

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

from cookie_consent.base.process.waiting import wait_until
from cookie_consent.ledgers.chain import START, chain_hash, record_hash
from cookie_consent.ledgers.entry import Entry
from cookie_consent.ledgers.migrate import migrate
from cookie_consent.ledgers.tables import METADATA, RECORDS, Cited

_BUSY = 3.0
"""How long to wait for another process that writes (seconds)."""
_NEXT_TRY = 0.001
"""How long until it is looked again whether nobody else writes (seconds); a commit takes a few of these."""
_EMPTYING, _NEXT_EMPTYING = 1.0, 0.05
"""For how long it is tried to empty the journal while somebody reads, and how long until the next try (seconds)."""
_MOST_DAMAGES = 10
"""So many damages of a file are told; where there are more, they are of the same kind."""


# Built once: while a transaction is open, others wait.
_END = select(RECORDS.c.number, RECORDS.c.chain_hash).order_by(RECORDS.c.number.desc()).limit(1)
_WITH_KEYS = (
    select(RECORDS.c.repeat_key, RECORDS.c.decided_at, RECORDS.c.document)
    .where(RECORDS.c.repeat_key.in_(bindparam("keys", expanding=True)))
    .order_by(RECORDS.c.number)
)
_ADD = insert(RECORDS)


class SqliteDatabase:
    """An SQLite file: in WAL mode, so that readers wait for nobody, and each commit on the disk (synchronous=FULL).

    Args:
        path: the file; it and its folders are made.

    Raises:
        ValueError: the file cannot be opened or is no SQLite database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        self.engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_timeout=_BUSY, hide_parameters=True
        )
        event.listen(self.engine, "begin", _begin)
        event.listen(self.engine, "checkout", self._check_file)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o640)
            self.migrate()
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            why = getattr(error, "orig", None) or error
            raise ValueError(f"ledger: {self._path} cannot be used as an SQLite file: {why}") from None

    def migrate(self) -> None:
        """Bring the tables up to date."""
        try:
            with self.changing() as connection:
                migrate(connection)
        finally:
            self.engine.dispose()  # a process that forks from this one must not inherit connections

    def ready(self, connection: Connection | None) -> Connection:
        """Return a connection to append with; taken anew each time, so that its file is looked after."""
        if connection is not None:
            connection.close()
        return self.engine.connect().execution_options(writes=True)

    def append(
        self, connection: Connection, entries: Sequence[Entry], new: dict[str, list[dict[str, str]]]
    ) -> list[str]:
        """Keep what is new of what is cited, and the records; return the record kept for each."""
        hashes = [record_hash(entry.text) for entry in entries]
        if connection.in_transaction():
            return _append(connection, entries, hashes, new)
        with connection.begin():
            return _append(connection, entries, hashes, new)

    def reading(self) -> Connection:
        """Begin to read. Readers wait for nobody."""
        return self.engine.connect()

    looking_through = reading

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """Begin a transaction that nobody else writes in."""
        with self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def empty_journal(self) -> None:
        """Empty the write-ahead log, where what was removed can still be read.

        A reader keeps the log from being emptied. After a second of tries it stays until the next removal.
        """
        with self.engine.connect() as pooled:
            connection = pooled.connection.dbapi_connection
            assert isinstance(connection, _Connection)  # noqa: S101 (made here)
            connection.empty_journal()

    def damages(self) -> Iterator[str]:
        """Yield what SQLite finds damaged in its file, also in an index that only some queries read."""
        with self.engine.connect() as connection:
            found = connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST_DAMAGES})").scalars().all()
        yield from (damage for damage in found if damage != "ok")

    def _connect(self) -> _Connection:
        # "rw": a file that went away is an error and no empty ledger. Without isolation_level, transactions are ours.
        address = f"{self._path.as_uri()}?mode=rw"
        file = os.stat(self._path)
        connection = sqlite3.connect(
            address, timeout=_BUSY, isolation_level=None, check_same_thread=False, factory=_Connection, uri=True
        )
        connection.file = file
        connection.text_factory = _text
        # secure_delete overwrites what is removed with zeros. Only some builds of SQLite do that by themselves.
        for pragma in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            connection.execute(f"PRAGMA {pragma}")
        # Of two that open a new file at once, one may be refused at once. Then the next connection brings it about.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        return connection

    def _check_file(self, connection: _Connection, *_: object) -> None:
        """Have a connection replaced where the file's name means another file now; OSError where it means none."""
        if not os.path.samestat(os.stat(self._path), connection.file):
            raise DisconnectionError


class _Connection(sqlite3.Connection):
    file: os.stat_result

    def __del__(self) -> None:
        """Close: the connections of a ledger that nobody closes go with it (Python 3.13 warns of open ones)."""
        with suppress(sqlite3.Error):
            self.close()

    def wait_for_others(self) -> None:
        """Begin a transaction once nobody else writes, unless that takes too long, or the file cannot be written."""
        wait_until(self._begins, _BUSY, _NEXT_TRY)

    def empty_journal(self) -> None:
        """Write the log into the file and truncate it; give up where somebody reads all the time."""
        # Without a wait of SQLite's own, during which nobody could write.
        self.execute("PRAGMA busy_timeout = 0")
        # What was removed is removed: an error here does not undo it.
        with suppress(sqlite3.OperationalError):
            wait_until(lambda: not self._is_journal_busy(), _EMPTYING, _NEXT_EMPTYING)
        self.execute(f"PRAGMA busy_timeout = {_BUSY * 1000:.0f}")

    def _is_journal_busy(self) -> bool:
        (is_busy, *_) = self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(is_busy)

    def _begins(self) -> bool:
        """Begin a transaction; return whether it is of no use to try again."""
        try:
            self.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
        return True


def _text(stored: bytes) -> str:
    """Return a text also where somebody put bytes into the file that are none, so that it can be told."""
    return stored.decode(errors="surrogateescape")


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get("writes"):
        connection.exec_driver_sql("BEGIN")
        return
    own = connection.connection.dbapi_connection
    assert isinstance(own, _Connection)  # noqa: S101 (made here)
    # SQLite itself sleeps longer each time, up to 0.1 s, while others come first: of the answers to four busy processes
    # one in a hundred took a second.
    own.execute("PRAGMA busy_timeout = 0")
    try:
        own.wait_for_others()
        if not own.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # its error is one of SQLAlchemy's
    finally:
        own.execute(f"PRAGMA busy_timeout = {_BUSY * 1000:.0f}")


def _append(connection: Connection, entries: Sequence[Entry], hashes: Sequence[bytes], new: Cited) -> list[str]:
    for kind, rows in new.items():
        if rows:
            connection.execute(insert_new(METADATA.tables[f"consent_{kind}"]).on_conflict_do_nothing(), rows)
    number, last = connection.execute(_END).one_or_none() or (0, START)
    kept, rows_to_add = [], list[dict[str, Any]]()
    earlier = _with_keys_of(connection, entries)
    for entry, own in zip(entries, hashes, strict=True):
        since = entry.decided_at - entry.repeat_within
        first = next((text for given_at, text in earlier[entry.idempotency_key] if given_at >= since), None)
        if first is None:
            number += 1
            last = chain_hash(last, own)
            rows_to_add.append(_row(entry, number, own, last))
            earlier[entry.idempotency_key].append((entry.decided_at, entry.text))
        kept.append(first or entry.text)
    if rows_to_add:
        connection.execute(_ADD, rows_to_add)
    return kept


def _with_keys_of(connection: Connection, entries: Sequence[Entry]) -> dict[str, list[tuple[int, str]]]:
    """Return the records that entries may repeat: key -> when each was given, and its text; the first ones first."""
    found = defaultdict[str, list[tuple[int, str]]](list)
    keys = {entry.idempotency_key for entry in entries}
    for key, given_at, text in connection.execute(_WITH_KEYS, {"keys": sorted(keys)}):
        found[key].append((given_at, text))
    return found


def _row(entry: Entry, number: int, own: bytes, tied: bytes) -> dict[str, Any]:
    hashes = {"record_hash": own, "chain_hash": tied}
    return {"number": number, "document": entry.text, **entry.columns, **hashes}
