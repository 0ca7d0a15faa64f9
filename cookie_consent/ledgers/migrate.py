"""Runs the schema migrations of a ledger's database."""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps the running migration in globals


def migrate(connection: Connection) -> None:
    """Run pending migrations in the connection's open transaction.

    Raises:
        ValueError: the tables are from a newer version of this package.
    """
    config = Config()
    config.set_main_option("script_location", "cookie_consent.ledgers:migrations")
    config.attributes["connection"] = connection
    try:
        with _ONE_AT_A_TIME:
            command.upgrade(config, "head")
    except CommandError as error:
        raise ValueError(
            f"ledger: the tables are not those of this version of cookie-consent ({error}). Install the one that made "
            "them, or a newer one."
        ) from None
