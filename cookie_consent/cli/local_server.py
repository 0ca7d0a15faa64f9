"""Serves an app on this machine until Ctrl-C, for `demo` and `serve-report`."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cookie_consent.cli.frame import UnusableError, option, port_number

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HOST = option("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")


def listen_port(default: int) -> tuple[tuple[str, ...], dict[str, object]]:
    """Return the option that names the port to listen on."""
    return option("--port", type=port_number, default=default, help="the port; 0 for a free one (default: %(default)s)")


@contextmanager
def serving(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an app from a thread until the block ends, and yield its address for a browser on this machine.

    Args:
        app: the app.
        host: the address to listen on.
        port: the port; 0 for a free one.

    Raises:
        UnusableError: it cannot listen there.
        ModuleNotFoundError: uvicorn is not installed.
    """
    import uvicorn

    with _listening_socket(host, port) as listening:
        config = uvicorn.Config(app, ws="none", log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        host, port = listening.getsockname()[:2]
        try:
            yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        finally:
            server.should_exit = True
            thread.join()


def serve(app: ASGIApp, host: str, port: int, what: str) -> None:
    """Serve an app until Ctrl-C, and print its address with `what` as the subject of the sentence."""
    with serving(app, host, port) as address:
        print(f"{what} is at {address}/ (Ctrl-C ends it).", flush=True)
        wait_for_ctrl_c()


def wait_for_ctrl_c(wait: Callable[[float], object] = time.sleep) -> None:
    """Wait until Ctrl-C."""
    with suppress(KeyboardInterrupt):
        while True:
            wait(60)


def _listening_socket(host: str, port: int) -> socket.socket:
    try:
        # A socket of our own, so that the chosen port is known before the server runs.
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        # Without the remark about the address, which the message already names.
        why = (error.strerror or str(error)).partition(" (while attempting")[0]
        raise UnusableError(f"It cannot listen on {host}, port {port}: {why}.") from None
