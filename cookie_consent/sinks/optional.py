"""Libraries that only some sites need."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import Any

from cookie_consent.base.process.forking import call_after_fork
from cookie_consent.base.process.waiting import wait_until

_DUCKDB_SETTINGS = {
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""Nothing comes from a network."""
_LONGEST_END, _PAUSE = 2.0, 0.05
"""For how long DuckDB is interrupted when Python ends, and how long until it is looked whether it ended (seconds)."""


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


class Connections:
    """The connections to DuckDB that are open, to be ended with Python.

    What a daemon thread does with one would go on while Python ends, and abort the process.

    Attributes:
        is_over: whether Python ends.
    """

    def __init__(self) -> None:
        self._open: dict[object, Any] = {}
        self.is_over = False

    def after_fork(self) -> None:
        """Have none, in a process that was just forked."""
        self._open.clear()

    @contextmanager
    def opened(self, connect: Callable[[], Any]) -> Iterator[Any]:
        """Give a new connection, and close it.

        Args:
            connect: makes it.

        Raises:
            duckdb.InterruptException: Python ends.
        """
        key = object()
        self._open[key] = None  # before it is looked whether all is over: `end` sees it, or it is over
        try:
            if self.is_over:
                raise duckdb().InterruptException("Python ends.")
            with connect() as self._open[key]:
                yield self._open[key]
        finally:
            self._open.pop(key, None)  # only now: what is not closed yet would abort the process, too

    def end(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Interrupt what goes on until all are closed, or for two seconds: one between two queries is lost.

        Args:
            pause: waits for seconds.
        """
        self.is_over = True
        wait_until(self._are_interrupted, _LONGEST_END, _PAUSE, pause)

    def _are_interrupted(self) -> bool:
        """Interrupt what goes on; return whether all are closed."""
        for connection in [*self._open.values()]:
            with suppress(Exception):  # there is none yet, or it is closed
                connection.interrupt()
        return not self._open


_connections = call_after_fork(Connections())
atexit.register(_connections.end)  # as early as this: it comes after those who wait for what they do to be done


@contextmanager
def duckdb_connection(settings: Mapping[str, Any]) -> Iterator[Any]:
    """Give a connection to a new database of DuckDB's in memory, which prints nothing by itself.

    It is ended with Python, also where a daemon thread uses it.

    Args:
        settings: those of it that differ, like "memory_limit".

    Raises:
        NotInstalledError: DuckDB is not there.
    """
    connect = partial(duckdb().connect, ":memory:", config={**_DUCKDB_SETTINGS, **settings})
    with _connections.opened(connect) as connection:
        # Its progress goes to standard output, also where that is no terminal. That is no setting to connect with.
        connection.execute("SET enable_progress_bar = false")
        yield connection


def is_interruption(error: Exception) -> bool:
    """Tell whether an error is what DuckDB makes of Ctrl-C or what else a signal raises, or of the end of Python."""
    by_signal = isinstance(error, RuntimeError) and str(error) == "Query interrupted"
    # DuckDB interrupts one query itself when Python ends, before all is over; then it has several errors.
    return by_signal or type(error).__name__ == "InterruptException" or _connections.is_over
