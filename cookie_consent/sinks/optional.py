"""Libraries that only some sites need."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

_DUCKDB_SETTINGS = {
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""Nothing comes from a network."""


class NotInstalledError(Exception):
    """A library is missing; says which, and how to install it."""


def library(name: str, what: str, install: str) -> Any:
    """Return a library.

    Args:
        name: of its module.
        what: what needs it, for the sentence "… need(s) duckdb".
        install: what pip is to install.

    Raises:
        NotInstalledError: it is not there.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise NotInstalledError(f'{what} {error.name}: pip install "{install}"') from None


def duckdb() -> Any:
    """Return DuckDB; raises NotInstalledError."""
    return library("duckdb", "Parquet files need", "cookie-consent[analytics]")


def duckdb_connection(settings: Mapping[str, Any]) -> Any:
    """Return a connection to a new database of DuckDB's in memory, which prints nothing by itself.

    Args:
        settings: those of it that differ, like "memory_limit".

    Raises:
        NotInstalledError: DuckDB is not there.
    """
    connection = duckdb().connect(":memory:", config={**_DUCKDB_SETTINGS, **settings})
    # Its progress goes to standard output, also where that is no terminal. That is no setting to connect with.
    connection.execute("SET enable_progress_bar = false")
    return connection


def is_interruption(error: Exception) -> bool:
    """Tell whether an error is what DuckDB makes of Ctrl-C, or of whatever else a signal raises."""
    return isinstance(error, RuntimeError) and str(error) == "Query interrupted"


def zstandard() -> Any:
    """Return zstandard; raises NotInstalledError."""
    return library("zstandard", "Files compressed by zstd need", "cookie-consent[analytics]")
