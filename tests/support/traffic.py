"""Visitors who request page after page from a real server, and the responses."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Self

import httpx

from cookie_consent.decision.own_cookies import HTTP, OwnCookies
from tests.support.asgi import PHONE, PREFIX
from tests.support.policies import KEY
from tests.support.servers.live_server import LONGEST, Server
from tests.support.waiting import wait_until

VISITORS = 4
_PAGES_A_CONNECTION = 20
_OWN = OwnCookies([KEY])


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
    pause: float = 0.02
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

    def wait_for_pages(self, count: int = 100) -> None:
        """Wait until this many more pages were served."""
        most = len(self.pages) + count
        wait_until(lambda: len(self.pages) >= most)

    def _consented(self) -> str:
        """Return the cookies of a visitor who has just accepted."""
        server = self.server
        with server.visitor() as client:
            client.post(PREFIX, json={"choice": "accept_all"})
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        visitor = _OWN.read_visitor(cookies.encode(), time.time(), place=HTTP)
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
                    self.pages.append(Page(number, text.split()[0], began, time.monotonic()))
                else:
                    self.failed.append(f"{number}: {reply.status} {text[:200]}")
