"""Serves apps on this machine for commands: the live report, and the example site."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cookie_consent.cli.frame import UnusableError, print_text

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "registry", _PACKAGE.parent / "examples" / "registry")
"""The folder of the example site in a wheel, and in an editable install."""


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
        print_text(f"{what} is at {address}/ (Ctrl-C ends it).")
        sys.stdout.flush()
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


def registry_module(name: str) -> Any:
    """Import a module of the example site."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    spec = spec_from_file_location(f"cookie_consent_registry_{name}", folder / f"{name}.py")
    assert spec, "a path"  # noqa: S101
    assert spec.loader, "a Python file"  # noqa: S101
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_another_site(address: str) -> str:
    """Return an address whose host is not that of the site: ports alone make no other site for browsers."""
    return address.replace("127.0.0.1", "localhost")
