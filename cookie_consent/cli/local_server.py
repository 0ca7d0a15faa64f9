"""Serves an ASGI app from a command, until Ctrl-C."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from cookie_consent.cli.frame import UnusableError, print_text

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def serve(app: ASGIApp, host: str, port: int, *, what: str) -> None:
    """Serve an app until Ctrl-C, and print its address.

    Args:
        app: the app. It gets no lifespan events.
        host: the address to listen on.
        port: the port; 0 for a free one.
        what: what is at the address, as the subject of a sentence.

    Raises:
        UnusableError: it cannot listen there.
        ModuleNotFoundError: uvicorn is not installed.
    """
    import uvicorn

    with listening_socket(host, port) as listening:
        print_text(f"{what} is at {address_of(listening)} (Ctrl-C ends it).")
        sys.stdout.flush()
        config = uvicorn.Config(
            app, ws="none", lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UnusableError: that is not possible.
    """
    try:
        # A socket of our own, so that the chosen port is known before the server runs.
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise UnusableError(f"It cannot listen on {host}, port {port}: {_why(error)}.") from None


def _why(error: OSError) -> str:
    """Return the reason without asyncio's remark about the address, which the message already names."""
    return (error.strerror or str(error)).partition(" (while attempting")[0]


def address_of(listening: socket.socket) -> str:
    """Return the URL of what is served by a socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
