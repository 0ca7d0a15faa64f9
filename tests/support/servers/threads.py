"""Serves an app from a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.waiting import wait_until


@dataclass
class Noted:
    """An app, and the requests that it got.

    Args:
        app: the app.
    """

    app: ASGIApp
    requests: list[Scope] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.requests.append(scope)
        await self.app(scope, receive, send)


@contextmanager
def served(app: ASGIApp, certificate: Path | None = None) -> Iterator[int]:
    """Serve an app on this machine, and yield the port.

    Args:
        app: the app.
        certificate: a file with a key and its certificate, to serve https.
    """
    config = uvicorn.Config(
        app, port=0, ws="none", log_level="warning", timeout_graceful_shutdown=2, ssl_certfile=certificate
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(60)
