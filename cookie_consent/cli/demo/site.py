"""Runs the demonstration's sites, each in a process of its own that never outlives the one that started it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

LOOPBACK = "127.0.0.1"
_CHILD = "import sys; from cookie_consent.cli.demo.site import serve; serve(*sys.argv[1:])"
_REACHED_AT = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 (what may be asked for, not what is the default)


class NotStartedError(Exception):
    """A site could not be started; says why."""


@dataclass(frozen=True, slots=True)
class Site:
    """A site that answers.

    Args:
        process: serves it.
        host: the address that it listens on.
        port: the port.
        log: the file of what it says.
    """

    process: subprocess.Popen[str]
    host: str
    port: int
    log: Path

    @property
    def address(self) -> str:
        """Where a browser on this machine finds it."""
        name = _REACHED_AT.get(self.host, self.host)
        return f"http://[{name}]:{self.port}" if ":" in name else f"http://{name}:{self.port}"


@contextmanager
def started(app: str, folder: Path, log: Path, listen: tuple[str, int], environ: Mapping[str, str]) -> Iterator[Site]:
    """Start an app, and end it afterwards.

    Args:
        app: module and name, as in "app:app".
        folder: where the module lies.
        log: a file for what the app says.
        listen: host and port; port 0 for a free one.
        environ: added to the environment.

    Raises:
        NotStartedError: it does not start.
    """
    host, port = listen
    with (
        log.open("wb") as errors,
        # A session of its own: Ctrl-C is for the parent, which then ends its children by closing their input.
        subprocess.Popen(  # noqa: S603 (our own interpreter and code)
            [sys.executable, "-c", _CHILD, str(folder), app, host, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **environ},
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdin, "a pipe"  # noqa: S101
        assert process.stdout, "a pipe"  # noqa: S101
        try:
            got = process.stdout.readline()
            if not got:
                why = log.read_text(encoding="utf-8").strip().rpartition("\n")[2]
                raise NotStartedError(f"The site cannot be started on {host}, port {port}. {why}")
            yield Site(process, host, int(got), log)
        finally:
            process.stdin.close()


def serve(folder: str, app: str, host: str, port: str, *, parent: int = 0) -> None:
    """Serve an app until the process that started this one is gone; writes the port to standard output.

    Args:
        folder: where the app's module lies.
        app: module and name, as in "app:app".
        host: the address to listen on.
        port: the port; "0" for a free one.
        parent: a file descriptor that comes to its end when the parent does, however that ends.
    """
    sys.path.insert(0, folder)
    config = uvicorn.Config(app, host=host, port=int(port), ws="none", log_level="warning", timeout_graceful_shutdown=2)
    config.load()
    listening = config.bind_socket()
    listening.listen()
    server = uvicorn.Server(config)

    def end_with_parent() -> None:
        os.read(parent, 1)
        server.should_exit = True

    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[listening])
