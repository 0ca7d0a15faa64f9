"""Uvicorn with the site of `live_site`, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from tests.support.asgi import PHONE
from tests.support.servers.processes import kill_process_group, process_group_options, program_path
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
LONGEST = 45.0
_ROOT_CAPABILITIES = "-dac_override,-dac_read_search"
"""The capabilities that let root write everywhere (capabilities(7))."""
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        host: the address that it listens on.
        port: its port.
        log: the file of access records.
        output: the file of its standard output and error.
        process: its first process.
        workers: how many processes serve.
    """

    host: str
    port: int
    log: Path
    output: Path
    process: subprocess.Popen[bytes]
    workers: int

    @property
    def address(self) -> str:
        """Its origin."""
        return f"http://{self.host}:{self.port}"

    @contextmanager
    def visitor(self, **options: Any) -> Iterator[httpx.Client]:
        """A visitor with a browser of its own."""
        headers = {"user-agent": PHONE, "origin": self.address}
        options = {"headers": headers, "trust_env": False, "timeout": LONGEST, **options}
        with httpx.Client(base_url=self.address, **options) as client:
            yield client

    def ask_each_worker(self, path: str) -> dict[str, httpx.Response]:
        """Return the response of each worker: process -> response."""
        found: dict[str, httpx.Response] = {}
        wait_until(lambda: found.update(self._ask(path)) or len(found) == self.workers)
        return found

    def _ask(self, path: str) -> dict[str, httpx.Response]:
        """Send a request over a new connection, which any worker may take."""
        with self.visitor() as visitor:
            reply = visitor.get(path)
        data = reply.json()
        return {data["process"] if isinstance(data, dict) else str(data): reply}

    def records(self) -> list[dict[str, Any]]:
        """Return the access records so far."""
        text = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        assert text == "" or text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    def stop(self) -> None:
        """Stop the server in an orderly way."""
        self.process.terminate()
        assert self.process.wait(LONGEST) in (0, -15)


@contextmanager
def serving(
    folder: Path, *arguments: str, workers: int = 1, sink: str = "", environ: Mapping[str, str] = _NONE
) -> Iterator[Server]:
    """Serve the site, and end it with the context. File modes apply to the server even if it runs as root.

    Args:
        folder: the folder for the server's output, its ledger and its access log.
        arguments: further arguments of uvicorn.
        workers: how many processes serve.
        sink: where records flow, in place of the access log in the folder.
        environ: further environment variables of the site.
    """
    log = folder / "access.jsonl"
    output = folder / "output.txt"
    server = ["-m", "uvicorn", "--factory", "tests.support.sites.live_site:site", "--port", "0", *arguments]
    command = [*_without_root_capabilities(), sys.executable, *server, "--workers", str(workers)]
    stores = {"ACCESS_LOG": sink or str(log), "LEDGER": f"sqlite:///{folder}/consent.db"}
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=ROOT,
            env={**os.environ, **stores, **environ},
            **process_group_options(),
        )
    try:

        def runs() -> bool:
            text = output.read_text("utf-8")
            assert process.poll() is None, text
            return "Uvicorn running on" in text and text.count("Started server process") == workers

        wait_until(runs)
        found = re.search(r"running on http://(\S+):(\d+)", output.read_text("utf-8"))
        assert found, "it says where it listens"
        running = Server(found[1], int(found[2]), log, output, process, workers)
        wait_until(lambda: _listens(running))
        yield running
    finally:
        kill_process_group(process)
        process.wait(LONGEST)


def _listens(server: Server) -> bool:
    """Return whether a worker accepts connections: it does once its app is made."""
    try:
        socket.create_connection((server.host, server.port), timeout=LONGEST).close()
    except ConnectionRefusedError:
        return False
    return True


def _without_root_capabilities() -> list[str]:
    """Return a prefix for a command that takes root's file capabilities away."""
    if os.geteuid() != 0:
        return []
    return [
        program_path("setpriv", "util-linux"),
        f"--inh-caps={_ROOT_CAPABILITIES}",
        f"--bounding-set={_ROOT_CAPABILITIES}",
    ]
