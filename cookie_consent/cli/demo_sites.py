"""The example site and its partner, each served from a thread; and the site with the policy file of a user."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent import Policy
from cookie_consent.cli.frame import UnusableError, print_note
from cookie_consent.cli.local_server import address_of, listening_socket, serve
from cookie_consent.policy.errors import PolicyError

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "registry", _PACKAGE.parent / "examples" / "registry")
"""The folder of the site in a wheel, and in an editable install."""


def registry_module(name: str) -> Any:
    """Import a module of the example site."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    spec = spec_from_file_location(f"cookie_consent_registry_{name}", folder / f"{name}.py")
    assert spec, "a path"  # noqa: S101
    assert spec.loader, "a Python file"  # noqa: S101
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def serving(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve an app until the block ends, and yield its address for a browser on this machine."""
    with listening_socket(host, port) as listening:
        config = uvicorn.Config(app, ws="none", log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            yield address_of(listening).rstrip("/")
        finally:
            server.should_exit = True
            thread.join()


def as_another_site(address: str) -> str:
    """Return an address whose host is not that of the site: ports alone make no other site for browsers."""
    return address.replace("127.0.0.1", "localhost")


class SiteOfFile:
    """An app that is made anew when its policy file has changed. It shows what is wrong with the file."""

    def __init__(self, file: Path, make: Callable[[Policy], ASGIApp]) -> None:
        self._file = file
        self._make = make
        self._changed_at = -1
        self._read_if_changed()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request by the file as it is now."""
        self._read_if_changed()
        await self._site(scope, receive, send)

    def _read_if_changed(self) -> None:
        changed_at = self._file.stat().st_mtime_ns if self._file.exists() else 0
        if changed_at == self._changed_at:
            return
        self._changed_at = changed_at
        try:
            self._site = self._make(Policy.load(self._file))
        except (OSError, PolicyError) as error:
            print_note(str(error))
            self._site = PlainTextResponse(f"{error}\n", status_code=500, headers={"cache-control": "no-store"})


def serve_policy(file: Path, listen: tuple[str, int]) -> None:
    """Serve the example site with a policy file until Ctrl-C."""
    if not file.is_file():
        raise UnusableError(f"There is no file {file}.")
    with serving(registry_module("analytics").app) as partner:
        # One key for all versions of the file: answers stay, and only what changed is asked again.
        environ = {"REGISTRY_KEY": secrets.token_urlsafe(32), "REGISTRY_PARTNER": as_another_site(partner)}
        create_app = registry_module("app").create_app
        site = SiteOfFile(file, lambda policy: create_app(environ, policy))
        serve(site, *listen, what=f"The site with {file}")
