"""DuckDB, which is an optional library."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from typing import Any

from cookie_consent.base.threads import call_after_fork, wait_until

_DUCKDB_SETTINGS = {
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""DuckDB must not download extensions."""
_LONGEST_END, _PAUSE = 2.0, 0.05
"""How long to keep interrupting DuckDB when Python exits, and the interval between attempts (seconds)."""


class NotInstalledError(ModuleNotFoundError):
    """A library is missing. The message names it and how to install it."""


def duckdb() -> Any:
    """Import DuckDB; raises NotInstalledError."""
    try:
        return import_module("duckdb")
    except ModuleNotFoundError as error:
        raise NotInstalledError(f'Parquet files need {error.name}: pip install "cookie-consent[analytics]"') from None


class Connections:
    """Open DuckDB connections, to be closed when Python exits.

    A daemon thread that still uses one at that time would abort the process.

    Attributes:
        is_over: whether Python is exiting.
    """

    def __init__(self) -> None:
        self._open: dict[object, Any] = {}
        self.is_over = False

    def after_fork(self) -> None:
        """Forget the parent's connections."""
        self._open.clear()

    @contextmanager
    def opened(self, connect: Callable[[], Any]) -> Iterator[Any]:
        """Open a connection and close it after the block.

        Args:
            connect: creates the connection.

        Raises:
            duckdb.InterruptException: Python is exiting.
        """
        key = object()
        self._open[key] = None  # before the check of `is_over`, so that `end` cannot miss this connection
        try:
            if self.is_over:
                raise duckdb().InterruptException("Python ends.")
            with connect() as self._open[key]:
                yield self._open[key]
        finally:
            self._open.pop(key, None)  # after closing: an unclosed connection would abort the process, too

    def end(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Interrupt running queries until all connections are closed, for at most two seconds.

        It repeats, because an interrupt between two queries has no effect.

        Args:
            pause: waits for a number of seconds.
        """
        self.is_over = True
        wait_until(self._are_interrupted, _LONGEST_END, _PAUSE, pause)

    def _are_interrupted(self) -> bool:
        """Interrupt running queries; return whether all connections are closed."""
        for connection in [*self._open.values()]:
            with suppress(Exception):  # not connected yet, or closed already
                connection.interrupt()
        return not self._open


_connections = call_after_fork(Connections())


@cache
def _end_at_exit() -> None:
    """Let `end` run when Python exits, before what DuckDB has registered when it was imported.

    That waits, sometimes for ever, for a query of a daemon thread.
    """
    atexit.register(_connections.end)  # the last registered runs first


@contextmanager
def duckdb_connection(settings: Mapping[str, Any]) -> Iterator[Any]:
    """Connect to a new DuckDB database in memory, which prints nothing.

    It is closed when Python exits, even if a daemon thread uses it.

    Args:
        settings: DuckDB settings to change, like "memory_limit".

    Raises:
        NotInstalledError: DuckDB is not installed.
    """
    connect = partial(duckdb().connect, ":memory:", config={**_DUCKDB_SETTINGS, **settings})
    _end_at_exit()
    with _connections.opened(connect) as connection:
        # DuckDB prints its progress to standard output even if that is no terminal. `config` does not accept this.
        connection.execute("SET enable_progress_bar = false")
        yield connection


def is_interruption(error: Exception) -> bool:
    """Return whether an error means that DuckDB was interrupted, by a signal such as Ctrl-C or by Python's exit."""
    by_signal = isinstance(error, RuntimeError) and str(error) == "Query interrupted"
    # While Python exits, DuckDB raises various errors.
    return by_signal or type(error).__name__ == "InterruptException" or _connections.is_over
