"""Runs sites, each in a child process that never outlives its parent."""

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

from tests.support.servers.processes import end_process, first_line

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).parents[3]
_CHILD = "import sys; from tests.support.servers.child_site import serve; serve(*sys.argv[1:])"


@dataclass(frozen=True, slots=True)
class Site:
    """A running site.

    Args:
        process: the process that serves it.
        host: the address that it listens on.
        port: its port.
        log: the file with its log.
    """

    process: subprocess.Popen[str]
    host: str
    port: int
    log: Path

    @property
    def address(self) -> str:
        """The URL of the site."""
        return f"http://{self.host}:{self.port}"


@contextmanager
def started(app: str, folder: Path, log: Path, listen: tuple[str, int], environ: Mapping[str, str]) -> Iterator[Site]:
    """Start an app, and end it with the context.

    Args:
        app: module and name, as in "app:app".
        folder: the folder of the module.
        log: the file for the app's log.
        listen: host and port; port 0 for a free one.
        environ: variables to add to the environment.

    Raises:
        RuntimeError: it does not start.
    """
    host, port = listen
    with (
        log.open("wb") as errors,
        # A session of its own: Ctrl-C reaches only the parent, which ends its children by closing their input.
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(folder), app, host, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            text=True,
            start_new_session=True,
        ) as process,
    ):
        assert process.stdin, "a pipe"
        try:
            port_line = first_line(process)
            if not port_line:
                why = log.read_text(encoding="utf-8").strip().rpartition("\n")[2]
                raise RuntimeError(f"The site cannot be started on {host}, port {port}. {why}")
            yield Site(process, host, int(port_line), log)
        finally:
            process.stdin.close()
            end_process(process)


def serve(folder: str, app: str, host: str, port: str, *, parent: int = 0) -> None:
    """Serve an app until the parent process is gone. The port is written to standard output.

    Args:
        folder: the folder of the app's module.
        app: module and name, as in "app:app".
        host: the address to listen on.
        port: the port; "0" for a free one.
        parent: a file descriptor that reaches its end when the parent ends, in whatever way.
    """
    sys.path.insert(0, folder)
    config = uvicorn.Config(app, host=host, port=int(port), ws="none", log_level="warning", timeout_graceful_shutdown=2)
    # Before the port is told, so that an app which cannot be imported never names one.
    config.load()
    listening = config.bind_socket()
    # Before the port is told, because whoever reads it may connect at once.
    listening.listen()
    server = uvicorn.Server(config)

    def end_with_parent() -> None:
        # It returns even if the parent is killed, because the system closes the pipe.
        os.read(parent, 1)
        server.should_exit = True

    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[listening])
