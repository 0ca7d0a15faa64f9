"""Time limits for libraries that have none."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


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
