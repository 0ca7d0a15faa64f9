"""The interface between a buffered sink and its store, with their errors, and what stores of servers share."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Protocol


class Store(Protocol):
    """Where a buffered sink writes its lines.

    Only one thread at a time calls `write`. The other methods may be called at the same time. Every method has a time
    limit, and raises if it cannot finish.
    """

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Store all lines, or raise. Storing a line again changes nothing (by `log.record.uid`)."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor."""

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor; return how many."""

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove what is older than `keep`; return how many records."""

    def close(self) -> None:
        """Close connections. The store may be written to again."""


def url_error(example: str) -> ValueError:
    """Return the error for an invalid URL. It leaves out the URL, which may contain a password."""
    return ValueError(
        f'access_log: the URL cannot be read. Write "{example}"; in a name or password, "@" is written "%40", '
        '":" "%3A", "/" "%2F" and "%" "%25".'
    )


class CannotEraseError(Exception):
    """Some records of a visitor may remain. The message says where, and what would remove them."""


class PartlyErasedError(CannotEraseError):
    """Some records of a visitor are erased, others may remain in files that cannot be read. The message names them."""


class IncompleteError(Exception):
    """Some records cannot be read. All others were yielded before. The message says which, and why."""


def read_readable(records: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """Return the records that can be read, and which cannot; "" for none.

    Args:
        records: from a sink's `read`.
    """
    found: list[dict[str, Any]] = []
    try:
        for record in records:
            found.append(record)
    except IncompleteError as error:
        return found, str(error)
    return found, ""


class InvalidLinesError(Exception):
    """A store stored all lines except some that it can never accept.

    Args:
        lines: the number of those lines.
        why: the store's reason.
    """

    def __init__(self, lines: int, why: str) -> None:
        super().__init__(why)
        self.lines = lines


class RefusedError(Exception):
    """A store stored none of the lines, because it can never accept some of them."""


def refused(lines: Sequence[bytes], keep: Callable[[Sequence[bytes]], None]) -> list[str]:
    """Store all lines except those that are refused; return the reason for each of these.

    A refused batch is halved until single lines are left. One bad line in a thousand costs about twenty calls.

    Args:
        lines: the lines to store.
        keep: stores all given lines, or raises. Storing a line again changes nothing.

    Raises:
        Exception: any error of `keep` other than RefusedError.
    """
    if not lines:
        return []
    try:
        keep(lines)
    except RefusedError as error:
        half = len(lines) // 2
        return [*refused(lines[:half], keep), *refused(lines[half:], keep)] if half else [str(error)]
    return []


def report(refusals: Sequence[str]) -> None:
    """Raise an error if lines were refused.

    Raises:
        InvalidLinesError: some lines were refused. It gives the first reason.
    """
    if refusals:
        raise InvalidLinesError(len(refusals), refusals[0])


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
