"""An end to waiting, for libraries whose waiting has none."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def cut_off_after(descriptor: int, seconds: float) -> Iterator[None]:
    """Cut a connection off if what is done with it takes longer than that: whoever waits for it gets an error.

    A server that is frozen sends nothing, its host goes on acknowledging what comes, and its own time limits stand
    still with it; so no setting of the connection's ends that.

    Args:
        descriptor: of the connection's socket.
        seconds: how long it may take.
    """
    # A second descriptor of the same connection: the first may have become another file's when the time is up.
    with socket.socket(fileno=os.dup(descriptor)) as wire:
        timer = threading.Timer(seconds, _cut_off, [wire])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _cut_off(wire: socket.socket) -> None:
    with suppress(OSError):  # it has ended by itself
        wire.shutdown(socket.SHUT_RDWR)
