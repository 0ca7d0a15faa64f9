"""Consent records in an SQLite file, for sites on one machine."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from cookie_consent.policy import Policy, canonical_json
from cookie_consent.receipt import document
from cookie_consent.record import ConsentRecord

_BUSY = 3.0
"""How long to wait for another process that writes (seconds)."""
_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS policies (version TEXT PRIMARY KEY, document TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY AUTOINCREMENT, consent_id TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS records_of ON records (consent_id);
CREATE TRIGGER IF NOT EXISTS records_stay BEFORE UPDATE ON records
    BEGIN SELECT RAISE(ABORT, 'consent records are append-only'); END;
CREATE TRIGGER IF NOT EXISTS records_remain BEFORE DELETE ON records
    BEGIN SELECT RAISE(ABORT, 'consent records are append-only'); END;
"""


class SqliteLedger:
    """Keeps records in an SQLite file; each is on the disk before `append` returns.

    Args:
        path: the file; it and its folders are made.

    Raises:
        ValueError: the file cannot be opened or is no SQLite database.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._connection() as connection:
                connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ValueError(f"ledger: {self._path} cannot be used as an SQLite file: {error}") from None

    async def append(self, record: ConsentRecord, policy: Policy) -> None:
        """Keep a record, and the policy that was answered to.

        Raises:
            sqlite3.Error: it could not be kept.
        """
        await asyncio.to_thread(self._append, record, policy)

    async def records(self, consent_id: str) -> list[dict[str, Any]]:
        """Return the records of one consent id, oldest first."""
        sql = "SELECT document FROM records WHERE consent_id = ? ORDER BY number"
        return await asyncio.to_thread(self._documents, sql, consent_id)

    async def policy(self, version: str) -> dict[str, Any] | None:
        """Return a policy that somebody answered to."""
        found = await asyncio.to_thread(self._documents, "SELECT document FROM policies WHERE version = ?", version)
        return found[0] if found else None

    def _append(self, record: ConsentRecord, policy: Policy) -> None:
        with self._connection() as connection, connection:
            connection.execute(
                "INSERT OR IGNORE INTO policies VALUES (?, ?)",
                (policy.version, canonical_json(policy.document()).decode()),
            )
            connection.execute(
                "INSERT INTO records (consent_id, document) VALUES (?, ?)",
                (record.consent_id, canonical_json(document(record)).decode()),
            )

    def _documents(self, sql: str, key: str) -> list[dict[str, Any]]:
        with self._connection() as connection:
            return [json.loads(row[0]) for row in connection.execute(sql, (key,))]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_BUSY)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            yield connection
