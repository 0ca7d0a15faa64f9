"""The PostgreSQL database of a ledger: a server that several processes and hosts share."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cookie_consent.ledgers.chain import INDEXED_COLUMNS, TIMES
from cookie_consent.ledgers.tables import make_tables

_log = logging.getLogger("cookie_consent")
_WAIT = 3
"""How long to wait for the server, and for other writers (seconds)."""
LOCK = 7_077_283_940
"""The advisory lock on the end of the chain. Any number works that no other program uses in the same database."""
_ARRAYS = {
    "documents": "text",
    **{f"{name}s": "bigint" if name in TIMES else "text" for name in INDEXED_COLUMNS},
    "repeated_sinces": "bigint",
}
_NO_TIMEOUT = text("SET LOCAL statement_timeout = 0")
_SESSION = {
    # Longer than the lock timeout, which would never apply otherwise.
    "statement_timeout": f"{_WAIT * 1100}",
    "lock_timeout": f"{_WAIT * 1000}",
    "default_transaction_isolation": r"read\ committed",  # so that a query after the lock sees the latest commit
    "synchronous_commit": "on",
}
_ARGUMENTS = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _ARRAYS.items())
_APPEND = text(f"SELECT kept FROM consent_append({_ARGUMENTS}) ORDER BY place")  # noqa: S608 (constant names)


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

    A function in the database appends a whole batch with one statement, so that the lock on the end of the chain is
    never held during a round trip.

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
        options: dict[str, Any] = {
            "pool_timeout": _WAIT,
            "hide_parameters": True,  # errors are logged, and the parameters are personal data
            "connect_args": _connect_args(address),
        }
        self.engine = create_engine(address, pool_pre_ping=True, **options)
        # An append is tried again if its connection was lost, so that asking first would be a round trip for nothing.
        self._appender = create_engine(address, isolation_level="AUTOCOMMIT", **options)
        self.engines = (self.engine, self._appender)
        try:
            self._make_tables()
        except SQLAlchemyError as error:
            why = str(getattr(error, "orig", None) or error)
            if must_exist:
                first_line = why.strip().partition("\n")[0]
                raise ValueError(f"ledger: the database cannot be used: {first_line}") from None
            shown = address.set(query={}).render_as_string(hide_password=True)
            _log.warning("The ledger at %s cannot be used yet, and nothing can be allowed until it can: %s", shown, why)

    def append(self, connection: Connection, rows: Sequence[Mapping[str, Any]], since: Sequence[int]) -> list[str]:
        """Store records; return the stored one for each, as JSON. `SqliteDatabase.append` describes the arguments."""
        arrays = {f"{name}s": [row[name] for row in rows] for name in ("document", *INDEXED_COLUMNS)}
        return list(connection.execute(_APPEND, {**arrays, "repeated_sinces": since}).scalars())

    def reading(self) -> Connection:
        """Connect for a short statement while a visitor waits. Slow ones fail."""
        self._make_tables()
        # A transaction would cost two more round trips.
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def appending(self) -> Connection:
        """Connect to append."""
        self._make_tables()
        return self._appender.connect()

    @contextmanager
    def scanning(self) -> Iterator[Connection]:
        """Connect for a long read of one consistent snapshot, with no limit of time."""
        self._make_tables()
        with self.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.execute(_NO_TIMEOUT)
            yield connection

    def changing(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that may remove records, and that excludes all other writers."""
        self._make_tables()
        return self._locked()

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
            with self._locked() as connection:
                make_tables(connection, must_exist=self._must_exist)
        finally:
            self.engine.dispose()  # a forked child must not inherit connections
        self._has_tables = True

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            connection.execute(_NO_TIMEOUT)
            connection.execute(text("SET LOCAL cookie_consent.removing = 'on'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield connection
