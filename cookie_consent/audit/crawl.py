"""Visits the pages of a site with a client, and reads what each response stores and loads."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urldefrag, urlsplit

from cookie_consent.audit.document import Document, read_style
from cookie_consent.audit.script import FILE, LINK, Sight, read_script

MAX_PAGES = 500
MAX_SECONDS = 300.0
_LONGEST_READ = 2_000_000
"""Characters of a response that are read."""
_MOST_FILES = 2_000
_SITEMAP_ADDRESS = re.compile(r"<loc>\s*([^<\s]+)")
_ENDS_SESSION = re.compile(r"(?:log|sign)[-_]?(?:out|off)|delete|remove", re.IGNORECASE)
"""A link that a person would not follow by the way. Each visitor would be signed out by it."""


@dataclass(frozen=True, slots=True)
class Page:
    """A response, and what a browser does because of it.

    Args:
        address: its address.
        status: its status.
        cookies: its Set-Cookie fields.
        csp: its Content-Security-Policy fields.
        sights: what the document and its own scripts and style sheets do, each with the address of its file.
        picture: what it looks like, as JPEG; empty without a browser.
    """

    address: str
    status: int
    cookies: tuple[str, ...]
    csp: tuple[str, ...]
    sights: tuple[tuple[str, Sight], ...]
    picture: bytes = b""


@dataclass
class Crawl:
    """Visits pages. It is used once for each visitor; files that were read are shared.

    Args:
        client: a client of httpx that keeps cookies, such as Starlette's `TestClient`.
        base: the address of the site.
        skip: the path of the endpoints, which are not visited.
        headers: further header fields of each request.
        max_pages: how many pages are visited.
        ends_at: when no further page is visited, by the monotonic clock.
        files: address of a file -> what it does.
    """

    client: Any
    base: str
    skip: str
    headers: dict[str, str] = field(default_factory=dict)
    max_pages: int = MAX_PAGES
    ends_at: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)
    files: dict[str, tuple[tuple[str, Sight], ...]] = field(default_factory=dict)

    def run(
        self, starts: Iterable[str], on_page: Callable[[int, int], object] = lambda done, total: None
    ) -> Iterator[Page]:
        """Yield each page that is reached from some addresses, and from the sitemap.

        Args:
            starts: the addresses to begin with.
            on_page: is called after each page with the number of pages visited, and of those known.
        """
        found = dict.fromkeys(self._own(starts))
        found |= dict.fromkeys(self._own(self._read_sitemap()))
        waiting = deque(found)
        visited = 0
        while waiting and visited < self.max_pages and time.monotonic() < self.ends_at:
            page = self._visit(waiting.popleft())
            visited += 1
            for address in self._own(sight.name for _, sight in page.sights if sight.kind == LINK):
                if address not in found and len(found) < 2 * self.max_pages:
                    found[address] = None
                    waiting.append(address)
            yield page
            on_page(visited, min(len(found), self.max_pages))

    def is_own(self, address: str) -> bool:
        """Return whether an address is on the host of the site."""
        return urlsplit(address).netloc == urlsplit(self.base).netloc

    def _own(self, addresses: Iterable[str]) -> Iterator[str]:
        """Yield the addresses on the site that a visitor would open, without what is after "#"."""
        for address in addresses:
            parts = urlsplit(address)
            is_endpoint = parts.path == self.skip or parts.path.startswith(f"{self.skip}/")
            if self.is_own(address) and not is_endpoint and not _ENDS_SESSION.search(parts.path):
                yield urldefrag(address)[0]

    def _read_sitemap(self) -> list[str]:
        response = self._get(f"{self.base}/sitemap.xml")
        is_found = response.status_code == 200 and "xml" in response.headers.get("content-type", "")
        return _SITEMAP_ADDRESS.findall(response.text[:_LONGEST_READ]) if is_found else []

    def _get(self, address: str) -> Any:
        headers = {"accept": "text/html,*/*;q=0.8"} | self.headers
        return self.client.request("GET", address, headers=headers, follow_redirects=False)

    def _visit(self, address: str) -> Page:
        response = self._get(address)
        cookies = [*response.headers.get_list("set-cookie")]
        sights: list[tuple[str, Sight]] = []
        if location := response.headers.get("location"):
            target = str(response.url.join(location))
            sights.append((address, Sight(LINK, target, 0, f"Location: {location}")))
        else:
            sights += self._read(address, response)
        csp = tuple(response.headers.get_list("content-security-policy"))
        return Page(address, response.status_code, tuple(cookies), csp, tuple(sights))

    def _read(self, address: str, response: Any) -> Iterator[tuple[str, Sight]]:
        if "html" not in response.headers.get("content-type", ""):
            return
        for sight in Document(address, response.text[:_LONGEST_READ]).sights:
            yield address, sight
            if sight.kind != FILE or not self.is_own(sight.name):
                continue
            if sight.directive == "frame":
                yield address, sight._replace(kind=LINK)
            elif not urlsplit(sight.name).path.startswith(f"{self.skip}/"):
                for file, done in self._read_file(sight.name):
                    yield file, done._replace(purposes=(*sight.purposes, *done.purposes))

    def _read_file(self, address: str) -> tuple[tuple[str, Sight], ...]:
        """Return what a script or a style sheet does."""
        if address not in self.files:
            if len(self.files) >= _MOST_FILES:
                return ()
            response = self._get(address)
            text = response.text[:_LONGEST_READ] if response.status_code == 200 else ""
            is_style = "css" in response.headers.get("content-type", "")
            found = read_style(text, address) if is_style else read_script(text)
            self.files[address] = tuple((address, sight) for sight in found)
        return self.files[address]
