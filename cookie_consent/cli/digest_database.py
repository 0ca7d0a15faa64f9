"""Makes the digests of an access log in a database, for `digest` and `compact`."""

from __future__ import annotations

from typing import TypeGuard

from cookie_consent.cli.command import UnusableError, progress
from cookie_consent.report.digests.choice import SERVERS
from cookie_consent.report.digests.making import Digested
from cookie_consent.report.engines.engine import UnreadableError, missing, reader


def has_digests(target: str | None) -> TypeGuard[str]:
    """Tell whether an access log is in a database that keeps digests.

    Args:
        target: the path or URL of the access log.
    """
    scheme, colon, _ = (target or "").partition("://")
    return bool(colon) and scheme in SERVERS


def digested_database(target: str, zone: str) -> Digested:
    """Make the digests of the days of a database, with a progress bar.

    Raises:
        UnusableError: they cannot be made.
    """
    try:
        module, url = reader(target, "cookie_consent.report.digests")
        made: Digested = module.digest(url, zone, progress=progress)
    except ModuleNotFoundError:
        package = ("psycopg", "postgresql") if target.startswith("postgres") else ("clickhouse-connect", "clickhouse")
        raise UnusableError(str(missing(*package))) from None
    except (UnreadableError, ValueError) as error:
        raise UnusableError(str(error)) from None
    return made
