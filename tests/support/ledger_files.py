"""SQLite files for the tests of ledgers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from cookie_consent.ledgers import open_ledger


def ledger_url(folder: Path) -> str:
    """Make an empty ledger `consent.db` in a folder, and return its URL.

    It is a copy of a file with all tables, which is made faster.
    """
    path = folder / "consent.db"
    path.write_bytes(_empty_ledger())
    path.chmod(0o640)
    return f"sqlite:///{path}"


@cache
def _empty_ledger() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "consent.db")
        open_ledger(f"sqlite:///{path}").close()
        return path.read_bytes()
