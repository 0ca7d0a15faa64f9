"""Where consent records are kept as proof: append-only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from cookie_consent.ledgers.chain import Link
from cookie_consent.ledgers.entry import Entry, Removal
from cookie_consent.ledgers.memory import MemoryLedger
from cookie_consent.ledgers.requests import Purged, Requests

if TYPE_CHECKING:
    from cookie_consent.ledgers.sql import SqlLedger

__all__ = ["Entry", "Ledger", "MemoryLedger", "Purged", "Removal", "Requests", "open_ledger"]

_POSTGRESQL = ("postgresql", "postgres")


@runtime_checkable
class Ledger(Protocol):
    """Keeps consent records in a hash chain. What it cannot keep it refuses, by raising: then no answer is taken."""

    @property
    def requests(self) -> Requests:
        """What visitors ask of the site, kept beside the records."""

    async def append(self, entry: Entry) -> dict[str, Any]:
        """Keep a record with all that it cites, and return the record that is kept: this, or the one it repeats."""

    async def records(self, consent_id: str, most: int | None = None) -> list[dict[str, Any]]:
        """Return the records of one consent id, oldest first: all, or the newest so many."""

    async def count(self, consent_id: str) -> int:
        """Return how many records one consent id has; notes to them do not count."""

    async def last(self, consent_id: str) -> dict[str, Any] | None:
        """Return the newest record of a consent id, or None."""

    async def policy(self, version: str) -> dict[str, Any] | None:
        """Return a policy that somebody answered to, as plain data, or None."""

    async def text(self, digest: str) -> str | None:
        """Return a text that somebody was shown, by its SHA-256 in hexadecimal digits, or None."""

    def size(self) -> int:
        """Return how many records the chain has, those included that were removed. May block, as all that follows."""

    def links(self) -> Iterator[Link]:
        """Yield the chain, from its first record. May block, as all that follows: call it in a thread."""

    def cited(self) -> Iterator[tuple[str, str, str]]:
        """Yield what records cite: its kind ("policies", "texts"), its name, its content (a policy as JSON)."""

    def remove(
        self, *, now: float, make_id: Callable[[], str], consent_id: str | None = None, dry_run: bool = False
    ) -> Removal:
        """Remove records, and what none cites any longer; a record says so, and the chain goes on.

        Args:
            now: seconds since 1970.
            make_id: returns a random id for the record that says so.
            consent_id: whose records go; None for all those that are due.
            dry_run: whether to remove nothing, and only to say what would be removed.
        """

    def last_removal(self, until: float | None = None) -> float | None:
        """Return when records that were due were last removed (seconds since 1970), or None.

        Args:
            until: leave out what is said to have been later.
        """

    def close(self) -> None:
        """Write what waits, and let go of what is open."""


def ledger_of(given: Ledger | str | None) -> Ledger | None:
    """Return the ledger that an option means.

    Args:
        given: a ledger, the URL of one, or None for none.

    Raises:
        ValueError: it is none of these, or cannot be opened.
    """
    ledger = open_ledger(given) if isinstance(given, str) else given
    if ledger is not None and not isinstance(ledger, Ledger):
        raise ValueError(f'ledger: {ledger!r} is no Ledger. Write a URL like "sqlite:///consent.db".')
    return ledger


def open_ledger(url: str) -> SqlLedger:
    """Return the ledger for a URL.

    Args:
        url: "sqlite:///" and the path of a file, or "postgresql://user:password@host/database".

    Raises:
        ValueError: there is no ledger for such a URL, it cannot be opened, or a package is missing that it needs.
    """
    scheme, colon, rest = url.partition("://")
    path = rest.removeprefix("/")
    if not colon or not (scheme in _POSTGRESQL or (scheme == "sqlite" and rest != path != ":memory:" and path)):
        raise ValueError(
            f'ledger: there is no ledger for "{_without_secrets(url)}". Write "sqlite:///consent.db" or '
            '"postgresql://user:password@host/database", or pass a Ledger.'
        )
    try:
        from cookie_consent.ledgers.sql import SqlLedger

        if scheme in _POSTGRESQL:
            from cookie_consent.ledgers.postgresql import PostgresqlDatabase

            return SqlLedger(PostgresqlDatabase(url))
        from cookie_consent.ledgers.sqlite import SqliteDatabase

        return SqlLedger(SqliteDatabase(path))
    except ModuleNotFoundError as error:
        extra = "postgresql" if scheme in _POSTGRESQL else "sql"
        raise ValueError(
            f'ledger: {scheme}:// needs {error.name}. Install it with: pip install "cookie-consent[{extra}]"'
        ) from None


def _without_secrets(url: str) -> str:
    """Return a URL, or only how it begins where it may hold a password."""
    begin, sign, _ = url.partition(":")
    may_hold = "@" in url or "password" in url.lower()
    return f"{begin if sign else ''}:…" if may_hold else url
