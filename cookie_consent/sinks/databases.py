"""What the stores of databases share: one connection for writing, refused lines, and limits of time."""

from __future__ import annotations

import os
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Generic, Protocol, TypeVar

from cookie_consent.base.threads import call_after_fork, leave_to_parent
from cookie_consent.sinks.store import InvalidLinesError

RECORDS = "access_records"
COUNTS = "access_counts"
"""The tables."""
CONNECT_TIMEOUT = 3
WRITE_TIMEOUT = 10
LOOK_UP_TIMEOUT = 30
PURGE_TIMEOUT = 600
"""Time limits (seconds). A purge scans everything."""


class Connection(Protocol):
    """A connection of a database client."""

    def close(self) -> None:
        """Close it."""


C = TypeVar("C", bound=Connection)


class DatabaseStore(ABC, Generic[C]):
    """Writes lines over one connection, opened on first use and replaced after any failure.

    The server parses the lines, so that Python only copies bytes.

    Args:
        place: the URL without credentials.
        limit: the time limit of each statement, or transaction, of `write` (seconds).
    """

    def __init__(self, place: str, limit: float) -> None:
        self.place = place
        self._limit = limit
        self._connection: C | None = None
        call_after_fork(self)

    def after_fork(self) -> None:
        """Drop the connection without closing it: it belongs to the parent process."""
        leave_to_parent(self._connection)
        self._connection = None

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Store lines, one for each uid.

        Raises:
            InvalidLinesError: the server refuses some lines; all others are stored.
            Exception: an error of the client: the lines may not be stored.
        """
        try:
            connection = self._connection = self._connection or self._connect(self._limit)
            refusals = [
                *refused(records, lambda lines: self._insert(connection, RECORDS, lines)),
                *refused(counts, lambda lines: self._insert(connection, COUNTS, lines)),
            ]
        except BaseException:
            self.close()
            raise
        if refusals:
            raise InvalidLinesError(len(refusals), refusals[0])

    def close(self) -> None:
        """Close the connection. The store may be written to again."""
        connection = self._connection
        self._connection = None
        if connection is not None:
            connection.close()

    @abstractmethod
    def _connect(self, limit: float) -> C:
        """Connect, and create missing tables.

        Args:
            limit: the time limit (seconds).
        """

    @abstractmethod
    def _insert(self, connection: C, table: str, lines: Sequence[bytes]) -> None:
        """Insert lines, all or none.

        Raises:
            RefusedError: the server can never accept one of them. It gives only the error's name, because its text
                contains data.
        """


class RefusedError(Exception):
    """A store stored none of the lines, because it can never accept some of them."""


def refused(lines: Sequence[bytes], keep: Callable[[Sequence[bytes]], None]) -> list[str]:
    """Store all lines except those that are refused; return the reason for each of these.

    A refused batch is halved until single lines are left. One bad line in a thousand costs about twenty calls.
    """
    if not lines:
        return []
    try:
        keep(lines)
    except RefusedError as error:
        half = len(lines) // 2
        return [*refused(lines[:half], keep), *refused(lines[half:], keep)] if half else [str(error)]
    return []


def url_error(example: str) -> ValueError:
    """Return the error for an invalid URL. It leaves out the URL, which may contain a password."""
    return ValueError(
        f'access_log: the URL cannot be read. Write "{example}"; in a name or password, "@" is written "%40", '
        '":" "%3A", "/" "%2F" and "%" "%25".'
    )


@contextmanager
def cut_off_after(descriptor: int, seconds: float) -> Iterator[None]:
    """Shut down a connection if the block takes too long, so that whoever waits on it gets an error.

    No setting of a connection covers a frozen server: its host still acknowledges packets, and its own time limits are
    frozen too.

    Args:
        descriptor: the file descriptor of the connection's socket.
        seconds: the time limit.
    """
    # A duplicate, because the descriptor may be closed and reused before the timer fires.
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        timer = threading.Timer(seconds, _cut_off, [connection])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _cut_off(connection: socket.socket) -> None:
    with suppress(OSError):  # already disconnected
        connection.shutdown(socket.SHUT_RDWR)
