"""Consent records as proof: append-only stores and what they hold.

What `__all__` names here is public; the modules inside are internal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from cookie_consent.base.files import check_writable
from cookie_consent.ledgers.chain import Link
from cookie_consent.ledgers.entry import Entry, Removal
from cookie_consent.ledgers.memory import MemoryLedger
from cookie_consent.ledgers.requests import Requests

if TYPE_CHECKING:
    from cookie_consent.ledgers.sql import SqlLedger

__all__ = ["Entry", "Ledger", "MemoryLedger", "Removal", "Requests", "open_ledger"]

_POSTGRESQL = ("postgresql", "postgres")
_SQLITE = "sqlite:///"


@runtime_checkable
class Ledger(Protocol):
    """An append-only store of consent records, tied together by a hash chain.

    A ledger that cannot store a record raises. What the answer allows then does not count.
    """

    @property
    def requests(self) -> Requests:
        """The requests to the help desk, stored beside the records."""

    async def append(self, entry: Entry) -> dict[str, Any]:
        """Store a record and everything it cites; return the stored record.

        The stored record is an earlier one if `entry` repeats it.
        """

    async def records(self, consent_id: str, most: int | None = None) -> list[dict[str, Any]]:
        """Return the records of a consent id, oldest first.

        Args:
            consent_id: the visitor's random id.
            most: how many of the newest to return; None for all.
        """

    async def count(self, consent_id: str) -> int:
        """Return the number of records of a consent id."""

    async def last(self, consent_id: str) -> dict[str, Any] | None:
        """Return the newest record of a consent id, or None."""

    async def policy(self, version: str) -> dict[str, Any] | None:
        """Return the policy with this version as plain data, or None if no visitor answered to it."""

    async def text(self, digest: str) -> str | None:
        """Return a text that visitors were shown by its SHA-256 in hexadecimal, or None."""

    def size(self) -> int:
        """Return the length of the chain, removed records included. May block, as do all methods below."""

    def links(self) -> Iterator[Link]:
        """Yield the chain from its first record. Call it in a thread: it may block."""

    def cited(self) -> Iterator[tuple[str, str, str]]:
        """Yield what records cite, as (kind, name, content).

        The kind is "policies" or "texts". A policy's content is JSON.
        """

    def remove(
        self, *, now: float, make_id: Callable[[], str], consent_id: str | None = None, dry_run: bool = False
    ) -> Removal:
        """Remove records, and the texts and policies that no record cites any more.

        The chain stays whole: a new record lists the removed ones.

        Args:
            now: Unix time in seconds.
            make_id: returns a random id for the new record.
            consent_id: whose records to remove; None for all records that are due.
            dry_run: whether to only count what would be removed.
        """

    def last_removal(self, until: float | None = None) -> float | None:
        """Return the Unix time at which due records were last removed, or None.

        Args:
            until: ignore removals after this Unix time.
        """

    def close(self) -> None:
        """Write pending records and release connections."""


def ledger_of(given: Ledger | str | None) -> Ledger | None:
    """Return the ledger for the `ledger` option of the middleware.

    Args:
        given: a ledger, the URL of one, or None for no ledger.

    Raises:
        ValueError: the value is none of these, or the ledger cannot be opened.
    """
    ledger = open_ledger(given) if isinstance(given, str) else given
    if ledger is not None and not isinstance(ledger, Ledger):
        raise ValueError(f'ledger: {ledger!r} is no Ledger. Write a URL like "sqlite:///consent.db".')
    # A file that can only be read opens without an error.
    if isinstance(given, str) and given.startswith(_SQLITE):
        check_writable("ledger", Path(given.removeprefix(_SQLITE)))
    return ledger


def open_ledger(url: str, *, must_exist: bool = False) -> SqlLedger:
    """Open the ledger at a URL.

    Args:
        url: "sqlite:///" and a file path, or "postgresql://user:password@host/database".
        must_exist: whether a database without a ledger is an error. Otherwise its tables are made.

    Raises:
        ValueError: the URL is not supported, the ledger cannot be opened, or a required package is missing.
    """
    scheme, colon, rest = url.partition("://")
    path = rest.removeprefix("/")
    # With ":memory:" each connection would have a database of its own.
    if not colon or not (scheme in _POSTGRESQL or (scheme == "sqlite" and rest != path != ":memory:" and path)):
        raise ValueError(
            f'ledger: there is no ledger for "{_without_secrets(url)}". Write "sqlite:///consent.db" or '
            '"postgresql://user:password@host/database", or pass a Ledger.'
        )
    try:
        # Imported late: SQLAlchemy and the drivers are optional.
        from cookie_consent.ledgers.sql import SqlLedger

        if scheme in _POSTGRESQL:
            from cookie_consent.ledgers.postgresql import PostgresqlDatabase

            return SqlLedger(PostgresqlDatabase(url, must_exist=must_exist))
        from cookie_consent.ledgers.sqlite import SqliteDatabase

        return SqlLedger(SqliteDatabase(path, must_exist=must_exist))
    except ModuleNotFoundError as error:
        extra = "postgresql" if scheme in _POSTGRESQL else "sql"
        raise ValueError(
            f'ledger: {scheme}:// needs {error.name}. Install it with: pip install "cookie-consent[{extra}]"'
        ) from None


def _without_secrets(url: str) -> str:
    """Return the URL, or only its scheme if it may contain a password."""
    scheme, colon, _ = url.partition(":")
    may_have_password = "@" in url or "password" in url.lower()
    return f"{scheme if colon else ''}:…" if may_have_password else url
