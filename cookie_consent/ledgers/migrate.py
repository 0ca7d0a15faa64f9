"""Brings the tables of a database up to date, whatever version of this package made them."""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps the migration that runs in globals


def migrate(connection: Connection) -> None:
    """Run the migrations that are missing, in the transaction of a connection that has begun one.

    Raises:
        ValueError: the tables are those of a newer version.
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
