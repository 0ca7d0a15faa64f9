"""How PostgreSQL is spoken to: a server that several processes and hosts share."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, make_url, text
from sqlalchemy.dialects.postgresql import insert as insert_new
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cookie_consent.ledgers.chain import INDEXED_COLUMNS, TIMES
from cookie_consent.ledgers.entry import Entry
from cookie_consent.ledgers.migrate import migrate
from cookie_consent.ledgers.tables import METADATA

_log = logging.getLogger("cookie_consent")
_WAIT = 3
"""How long to wait for the server, and for others that write (seconds)."""
LOCK = 7_077_283_940
"""The advisory lock of the chain's end. Any number will do that no other program in the same database uses."""
_ARRAYS = {
    "documents": "text",
    **{f"{name}s": "bigint" if name in TIMES else "text" for name in INDEXED_COLUMNS},
    "repeated_sinces": "bigint",
}
_PATIENTLY = text("SET LOCAL statement_timeout = 0")
_SESSION = {
    "statement_timeout": f"{_WAIT * 1100}",
    "lock_timeout": f"{_WAIT * 1000}",
    "default_transaction_isolation": r"read\ committed",  # the end of the chain is read behind its lock
    "synchronous_commit": "on",
}
_ARGUMENTS = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _ARRAYS.items())
_APPEND = text(f"SELECT kept FROM consent_append({_ARGUMENTS}) ORDER BY place")  # noqa: S608 (names of ours)


def _address(url: str) -> URL:
    """Return the address that a URL means; raises ValueError without the password in it."""
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
    """Return how to connect; what the URL says itself comes first."""
    wanted = {
        "connect_timeout": _WAIT,
        "tcp_user_timeout": _WAIT * 1000,
        # A host that vanished while it was waited for is noticed in seconds, and not in the two hours that are usual.
        "keepalives_idle": _WAIT,
        "keepalives_interval": 1,
        "keepalives_count": _WAIT,
        "prepare_threshold": None,  # what stands between us and the server may not keep them (PgBouncer)
    }
    own = {name: value for name, value in wanted.items() if name not in address.query}
    settings = (f"-c {name}={value}" for name, value in _SESSION.items())
    return {**own, "options": " ".join([*settings, *address.normalized_query.get("options", ())])}


class PostgresqlDatabase:
    """A PostgreSQL database.

    Records are appended by a function of the database, a whole batch with one statement: the lock of the chain's end
    is never held over a round trip.

    Args:
        url: like "postgresql://user:password@host/database".

    Raises:
        ValueError: the URL cannot be read. A server that cannot be reached is waited for: answers are refused, and
            the tables are made when it is there.
    """

    def __init__(self, url: str) -> None:
        address = _address(url)
        self._migrated = False
        self.engine = create_engine(
            address,
            pool_timeout=_WAIT,
            pool_pre_ping=True,
            hide_parameters=True,  # in messages, and so in logs: they are what visitors answered
            connect_args=_connect_args(address),
        )
        try:
            self.migrate()
        except SQLAlchemyError as error:
            shown = address.set(query={}).render_as_string(hide_password=True)
            why = str(getattr(error, "orig", None) or error)
            _log.warning("The ledger at %s cannot be used yet, and answers are refused until it can: %s", shown, why)

    def migrate(self) -> None:
        """Bring the tables up to date."""
        try:
            with self._locked() as connection:
                migrate(connection)
        finally:
            self.engine.dispose()  # a process that forks from this one must not inherit connections
        self._migrated = True

    def ready(self, connection: Connection | None) -> Connection:
        """Return a connection to append with; the tables are brought up to date before the first."""
        if connection is not None:
            return connection
        self._make_tables()
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def append(
        self, connection: Connection, entries: Sequence[Entry], new: dict[str, list[dict[str, str]]]
    ) -> list[str]:
        """Keep what is new of what is cited, and the records; return the record kept for each."""
        for kind, rows in new.items():
            if rows:
                connection.execute(insert_new(METADATA.tables[f"consent_{kind}"]).on_conflict_do_nothing(), rows)
        arrays: dict[str, list[Any]] = {
            "documents": [entry.text for entry in entries],
            **{f"{name}s": [entry.columns[name] for entry in entries] for name in INDEXED_COLUMNS},
            "repeated_sinces": [entry.decided_at - entry.repeat_within for entry in entries],
        }
        return list(connection.execute(_APPEND, arrays).scalars())

    def reading(self) -> Connection:
        """Begin to read for a visitor who waits: a statement that takes long fails."""
        self._make_tables()
        # Without a transaction: to begin and to end one are two more round trips.
        return self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    @contextmanager
    def looking_through(self) -> Iterator[Connection]:
        """Begin to read much, however long it takes; all that is found is of one moment."""
        self._make_tables()
        with self.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            connection.execute(_PATIENTLY)
            yield connection

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """Begin a transaction that may remove records, and that nobody else appends or removes in."""
        self._make_tables()
        with self._locked() as connection:
            yield connection

    def empty_journal(self) -> None:
        """Do nothing: the server vacuums its tables, and recycles its write-ahead log."""

    def damages(self) -> Iterator[str]:
        """Yield nothing: looking into the server's files takes its administrator (`pg_amcheck`)."""
        yield from ()

    def _make_tables(self) -> None:
        """Bring the tables up to date, if the server was not there at the start."""
        if not self._migrated:
            self.migrate()

    @contextmanager
    def _locked(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            connection.execute(_PATIENTLY)
            connection.execute(text("SET LOCAL cookie_consent.removing = 'on'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            yield connection
