"""Opens a ledger and an access log that exist, for the commands that work on them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cookie_consent.cli.frame import UnusableError, first_line
from cookie_consent.sinks import CannotEraseError, JsonLinesSink, Sink, open_sink
from cookie_consent.sinks.files.closed_files import sources

if TYPE_CHECKING:
    from cookie_consent.ledgers import Ledger
    from cookie_consent.ledgers.sql import SqlLedger

_LONGEST_WAIT = 3
"""How long to wait for a database server, in seconds."""


@contextmanager
def existing_ledger(url: str) -> Iterator[SqlLedger]:
    """Open a ledger that exists. A mistyped name must not create an empty one.

    Args:
        url: the URL of the ledger.

    Raises:
        UnusableError: it does not exist, or cannot be used.
    """
    # Here, because some commands work without a ledger, and need not wait for its packages.
    from rfc8785 import CanonicalizationError

    from cookie_consent.ledgers import open_ledger

    _require(url)
    ledger = open_ledger(url)
    from sqlalchemy.exc import SQLAlchemyError  # an open ledger proves that it is installed

    try:
        yield ledger
    except SQLAlchemyError as error:
        raise UnusableError(f"ledger: it cannot be used: {first_line(error)}") from None
    except (json.JSONDecodeError, CanonicalizationError, RecursionError) as error:
        raise UnusableError(f"ledger: a record is no JSON ({error}). Run: cookie-consent verify") from None
    finally:
        ledger.close()


@contextmanager
def existing_sink(target: str) -> Iterator[Sink]:
    """Open an access log that exists.

    Args:
        target: its path or URL.

    Raises:
        UnusableError: it does not exist, or cannot be used.
    """
    path = target.removeprefix("file://")
    try:
        sink = open_sink(target)
        if isinstance(sink, JsonLinesSink) and not sources(path):
            raise UnusableError(f"access_log: there is no file {path}.")
        yield sink
        sink.close()
    except (UnusableError, ValueError, ModuleNotFoundError):
        raise
    except CannotEraseError as error:
        raise UnusableError(str(error)) from None
    except OSError as error:
        raise UnusableError(f"access_log: {path} cannot be used: {error.strerror or error}.") from None
    except Exception as error:  # noqa: BLE001 (each database client has errors of its own)
        raise UnusableError(f"access_log: the database cannot be used: {first_line(error)}") from None


def records_of(ledger: Ledger, consent_id: str) -> list[dict[str, Any]]:
    """Return the consent records with an id."""
    import asyncio

    return asyncio.run(ledger.records(consent_id))


def _require(url: str) -> None:
    """Check that a ledger exists, without opening it: that would create its tables.

    Raises:
        ValueError: there is no such database, or it has no tables of a ledger.
    """
    scheme, _, rest = url.partition("://")
    has_tables = True
    if scheme == "sqlite":
        path = Path(rest.removeprefix("/"))
        if not path.is_file():
            raise ValueError(f"ledger: there is no file {path}.")
        has_tables = _file_has_tables(path)
    elif scheme in ("postgresql", "postgres"):
        has_tables = _server_has_tables(url)
    if not has_tables:
        raise ValueError("ledger: this database has never kept consent records. Name the one that the site uses.")


def _file_has_tables(path: Path) -> bool:
    try:
        # `mode=rw`, because the default creates a missing file.
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as connection:
            row = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'consent_records'").fetchone()
    except sqlite3.Error as error:
        raise ValueError(f"ledger: {path} cannot be used as an SQLite file: {error}") from None
    return row is not None


def _server_has_tables(url: str) -> bool:
    try:
        from sqlalchemy import create_engine, inspect, make_url
        from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    except ModuleNotFoundError:
        return True  # open_ledger reports what to install
    try:
        address = make_url(url).set(drivername="postgresql+psycopg")
        engine = create_engine(address, connect_args={"connect_timeout": _LONGEST_WAIT})
    except (ModuleNotFoundError, ValueError, ArgumentError):
        return True  # open_ledger reports what is missing, or how to write a URL
    try:
        return inspect(engine).has_table("consent_records")
    except SQLAlchemyError as error:
        raise ValueError(f"ledger: the database cannot be used: {first_line(error)}") from None
    finally:
        engine.dispose()
