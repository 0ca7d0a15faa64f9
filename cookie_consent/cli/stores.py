"""Opens a ledger and an access log that exist, for the commands that work on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cookie_consent.cli.frame import UnusableError, first_line
from cookie_consent.sinks import CannotEraseError, JsonLinesSink, Sink, open_sink
from cookie_consent.sinks.files.closed_files import sources

if TYPE_CHECKING:
    from cookie_consent.ledgers import Ledger
    from cookie_consent.ledgers.sql import SqlLedger


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

    ledger = open_ledger(url, must_exist=True)
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
