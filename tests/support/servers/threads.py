"""Serves an app from a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from tests.support.waiting import wait_until


@contextmanager
def served(app: ASGIApp, certificate: Path | None = None) -> Iterator[int]:
    """Serve an app on this machine, and yield the port.

    Args:
        app: the app. It gets no lifespan events.
        certificate: a file with a key and its certificate, to serve https.
    """
    config = uvicorn.Config(app, port=0, ws="none", lifespan="off", log_level="warning", ssl_certfile=certificate)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(60)
