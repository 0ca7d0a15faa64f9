"""Visitors who request page after page from a real server, and the responses."""

from __future__ import annotations

import itertools
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Self

import httpx

from cookie_consent.decision.cookie_settings import CookieSettings
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.place import HTTP
from tests.support.asgi import PHONE, PREFIX
from tests.support.policies import KEY
from tests.support.servers.processes import kill_process_group, process_group_options, program_path
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
LONGEST = 60.0
WORKERS, VISITORS = 2, 4
_PAGES_A_CONNECTION = 20
_ROOT_CAPABILITIES = "-dac_override,-dac_read_search"
"""The capabilities that let root write everywhere (capabilities(7))."""
_NONE: Mapping[str, str] = MappingProxyType({})
_OWN = OwnCookies(CookieSettings([KEY]))


@dataclass(frozen=True)
class Server:
    """A server with several workers.

    Args:
        host: the address that it listens on.
        port: the port.
        output: the file with its output.
        process: its first process.
    """

    host: str
    port: int
    output: Path
    process: subprocess.Popen[bytes]

    def ask_each_worker(self, path: str) -> dict[str, httpx.Response]:
        """Return the response of each worker: process -> response."""
        found: dict[str, httpx.Response] = {}
        wait_until(lambda: found.update(self._ask(path)) or len(found) == WORKERS)
        return found

    def stop(self) -> None:
        """Stop the server in an orderly way."""
        self.process.terminate()
        assert self.process.wait(LONGEST) in (0, -15)

    def _ask(self, path: str) -> dict[str, httpx.Response]:
        """Send a request over a new connection, which any worker may take."""
        reply = httpx.get(f"http://{self.host}:{self.port}{path}", timeout=LONGEST, trust_env=False)
        data = reply.json()
        return {data["process"] if isinstance(data, dict) else str(data): reply}


@contextmanager
def serving(folder: Path, sink: str, environ: Mapping[str, str] = _NONE) -> Iterator[Server]:
    """Serve a site whose records go to a sink. File modes apply to the server even if it runs as root.

    Args:
        folder: the folder for the server's output.
        sink: the path or URL of the sink.
        environ: further environment variables of the site.
    """
    output = folder / "output.txt"
    server = ["-m", "uvicorn", "--factory", "tests.support.sites.analytics_site:site", "--port", "0", "--no-access-log"]
    command = [*_without_root_capabilities(), sys.executable, *server, "--workers", str(WORKERS)]
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=ROOT,
            env={**os.environ, "SINK": sink, **environ},
            **process_group_options(),
        )
    try:

        def runs() -> bool:
            text = output.read_text("utf-8")
            assert process.poll() is None, text
            return "Uvicorn running on" in text and text.count("Application startup complete") == WORKERS

        wait_until(runs)
        found = re.search(r"running on http://(\S+):(\d+)", output.read_text("utf-8"))
        assert found, "it says where it listens"
        yield Server(found[1], int(found[2]), output, process)
    finally:
        kill_process_group(process)
        process.wait(LONGEST)


@dataclass(frozen=True)
class Page:
    """A page that was served.

    Args:
        number: the number of the page.
        process: the worker that served it.
        began: when it was requested (seconds, of `time.monotonic`).
        ended: when the response had come.
    """

    number: int
    process: str
    began: float
    ended: float


@dataclass
class Traffic:
    """Visitors who have allowed tracing; each page is requested once.

    Args:
        server: the server of the site.
        first: the number of the first page.
        pause: how long each of the four visitors waits between two pages (seconds).

    Attributes:
        pages: the pages that were served.
        broken: the numbers of the pages whose connection broke.
        failed: the other responses.
        ids: the visitors' pseudonyms.
    """

    server: Server
    first: int = 0
    pause: float = 0.004
    pages: list[Page] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(self.first)
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(self._consented(),), daemon=True) for _ in range(VISITORS)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop the visitors."""
        self._end.set()
        for thread in self._threads:
            thread.join(LONGEST)

    @property
    def numbers(self) -> list[int]:
        return sorted(page.number for page in self.pages)

    def wait_for_pages(self, count: int = 150) -> None:
        """Wait until this many more pages were served."""
        most = len(self.pages) + count
        wait_until(lambda: len(self.pages) >= most)

    def durations(self, began: float, ended: float) -> str:
        """Return how long the pages took that were requested between two times (`time.monotonic`)."""
        took = sorted((page.ended - page.began) * 1000 for page in self.pages if began <= page.began < ended)
        assert took, "pages were requested in that time"
        return f"{len(took)} pages: median {statistics.median(took):.1f} ms, longest {took[-1]:.1f} ms"

    def _consented(self) -> str:
        """Return the cookies of a visitor who has just accepted."""
        server = self.server
        with httpx.Client(headers={"user-agent": PHONE}, timeout=LONGEST, trust_env=False) as client:
            address = f"http://{server.host}:{server.port}"
            client.post(f"{address}{PREFIX}", json={"choice": "accept_all"}, headers={"origin": address})
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        visitor = _OWN.visitor(cookies.encode(), time.time(), place=HTTP)
        assert visitor, "the visitor has a visitor id"
        self.ids.append(visitor[0])
        return cookies

    def _look(self, cookies: str) -> None:
        headers = {"user-agent": PHONE, "cookie": cookies}
        with closing(HTTPConnection(self.server.host, self.server.port, timeout=LONGEST)) as connection:
            for number in self._numbers:
                if self._end.wait(self.pause):
                    return
                if number % _PAGES_A_CONNECTION == 0:
                    connection.close()  # so that another worker may take the next request
                began = time.monotonic()
                try:
                    connection.request("GET", f"/pages/{number}", headers=headers)
                    reply = connection.getresponse()
                    text = reply.read().decode()
                except (OSError, HTTPException):
                    self.broken.append(number)
                    connection.close()
                    continue
                if reply.status == httpx.codes.OK:
                    self.pages.append(Page(number, text, began, time.monotonic()))
                else:
                    self.failed.append(f"{number}: {reply.status} {text[:200]}")


def _without_root_capabilities() -> list[str]:
    """Return a prefix for a command that takes root's file capabilities away."""
    if os.geteuid() != 0:
        return []
    return [
        program_path("setpriv", "util-linux"),
        f"--inh-caps={_ROOT_CAPABILITIES}",
        f"--bounding-set={_ROOT_CAPABILITIES}",
    ]
