"""The PostgreSQL database of a ledger: a server that several processes and hosts share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cookie_consent.ledgers.tables import make_tables

_log = logging.getLogger("cookie_consent")
_WAIT = 3
"""How long to wait for the server, and for other writers (seconds)."""
LOCK = 7_077_283_940
"""The advisory lock on the end of the chain. Any number works that no other program uses in the same database."""
_LOCK_END = text(f"SELECT pg_advisory_xact_lock({LOCK})")
_NO_TIMEOUT = text("SET LOCAL statement_timeout = 0")
_MAY_REMOVE = text("SET LOCAL cookie_consent.removing = 'on'")
_SESSION = {
    # Longer than the lock timeout, which would never apply otherwise.
    "statement_timeout": f"{_WAIT * 1100}",
    "lock_timeout": f"{_WAIT * 1000}",
    "default_transaction_isolation": r"read\ committed",  # so that a query after the lock sees the latest commit
    "synchronous_commit": "on",
}


def _address(url: str) -> URL:
    """Parse the URL of a database; raises a ValueError that does not contain the password."""
    try:
        address = make_url(url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        address = None
    if address is None or "@" in (address.host or ""):
        raise ValueError(
            'ledger: the URL cannot be read. Write "postgresql://user:password@host:5432/database"; in a name or '
            'password, "@" is written "%40", ":" "%3A", "/" "%2F" and "%" "%25".'
        )
    return address


def _connect_args(address: URL) -> dict[str, Any]:
    """Return the arguments for psycopg. Parameters in the URL take precedence."""
    preferred = {
        "connect_timeout": _WAIT,
        "tcp_user_timeout": _WAIT * 1000,
        # Notice within seconds that the host has vanished; the system's default is two hours.
        "keepalives_idle": _WAIT,
        "keepalives_interval": 1,
        "keepalives_count": _WAIT,
        "prepare_threshold": None,  # PgBouncer may not support prepared statements
    }
    defaults = {name: value for name, value in preferred.items() if name not in address.query}
    settings = (f"-c {name}={value}" for name, value in _SESSION.items())
    # The last of equal options wins, so those in the URL come last.
    return {**defaults, "options": " ".join([*settings, *address.normalized_query.get("options", ())])}


class PostgresqlDatabase:
    """A PostgreSQL database.

    Args:
        url: like "postgresql://user:password@host/database".
        must_exist: whether a database without a ledger, or one that cannot be reached, is an error.

    Raises:
        ValueError: the URL cannot be parsed, or there is no ledger. An unreachable server is no error by itself:
            nothing can be allowed until it is up. The tables are created then.
    """

    def __init__(self, url: str, *, must_exist: bool = False) -> None:
        address = _address(url)
        self._must_exist = must_exist
        self._has_tables = False
        self.engine = create_engine(
            address,
            pool_pre_ping=True,
            pool_timeout=_WAIT,
            hide_parameters=True,  # errors are logged, and the parameters are personal data
            connect_args=_connect_args(address),
        )
        try:
            self._make_tables()
        except SQLAlchemyError as error:
            why = str(getattr(error, "orig", None) or error)
            if must_exist:
                first_line = why.strip().partition("\n")[0]
                raise ValueError(f"ledger: the database cannot be used: {first_line}") from None
            shown = address.set(query={}).render_as_string(hide_password=True)
            _log.warning("The ledger at %s cannot be used yet, and nothing can be allowed until it can: %s", shown, why)

    def reading(self) -> Connection:
        """Connect for a short statement while a visitor waits. Slow ones fail."""
        self._make_tables()
        # A transaction would cost two more round trips.
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def scanning(self) -> Iterator[Connection]:
        """Connect for a long read of one consistent snapshot, with no limit of time."""
        self._make_tables()
        with self.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.execute(_NO_TIMEOUT)
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin a transaction that excludes all other writers, while a visitor waits."""
        self._make_tables()
        with self.engine.begin() as connection:
            connection.execute(_LOCK_END)
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """Begin a transaction that excludes all other writers and may remove records, with no limit of time."""
        with self.writing() as connection:
            connection.execute(_NO_TIMEOUT)
            connection.execute(_MAY_REMOVE)
            yield connection

    def empty_journal(self) -> None:
        """Do nothing: the server vacuums its tables and recycles its write-ahead log."""

    def damages(self) -> Iterator[str]:
        """Yield nothing: only the server's administrator can check its files (`pg_amcheck`)."""
        yield from ()

    def _make_tables(self) -> None:
        """Make the tables, unless they are there; again if the server was unreachable at the start."""
        if self._has_tables:
            return
        try:
            with self.engine.begin() as connection:
                connection.execute(_NO_TIMEOUT)
                connection.execute(_LOCK_END)
                make_tables(connection, must_exist=self._must_exist)
        finally:
            self.engine.dispose()  # a forked child must not inherit connections
        self._has_tables = True
