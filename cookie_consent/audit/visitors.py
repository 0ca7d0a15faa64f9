"""Visits a site as five kinds of visitors: unknown, refused, granted, each purpose alone, and with GPC."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cookie_consent.audit.answers import answer, refuse
from cookie_consent.audit.crawl import MAX_PAGES, MAX_SECONDS, Crawl, Page
from cookie_consent.audit.findings import FAILS, Findings, Place, Visitor
from cookie_consent.audit.prefix import app_of, prefix_of
from cookie_consent.audit.process import Wanted, list_paths, watch_app
from cookie_consent.policy.policy import Policy

_GPC = {"sec-gpc": "1"}
_ERROR = 500


class NotOursError(ValueError):
    """What answers is not the middleware. The message says what to do."""


@contextmanager
def opened(
    client: Any, prefix: str = "", max_pages: int = MAX_PAGES, max_seconds: float = MAX_SECONDS, *, app: Any = None
) -> Iterator[Audit]:
    """Yield the audit of the site that a client calls. After the block, the client has the cookies that it had before.

    Args:
        client: a client of httpx that keeps cookies, with a base URL, such as Starlette's `TestClient`.
        prefix: the path of the endpoints; "" to find it in the app.
        max_pages: how many pages each visitor opens.
        max_seconds: how long all visits take together.
        app: the app behind the client, if it runs in this process; None to ask the client.
    """
    app = app or app_of(client)
    base = str(client.base_url).rstrip("/")
    before = client.cookies
    client.cookies = None
    client.request("GET", f"{base}/", follow_redirects=False)  # frameworks make their middlewares for the first request
    paths = dict.fromkeys(["/", *list_paths(app)])
    try:
        with watch_app(app) as wanted:
            starts = [f"{base}{path}" for path in paths]
            yield Audit(client, base, prefix or prefix_of(client), starts, wanted, max_pages, max_seconds)
    finally:
        client.cookies = before


@dataclass
class Audit:
    """One audit of a site.

    Args:
        client: the client that all visitors share.
        base: the address of the site.
        prefix: the path of the endpoints.
        starts: the addresses to begin with.
        wanted: what the app's own code sets, if it runs in this process.
        max_pages: how many pages each visitor opens.
        max_seconds: how long all visits take together.
    """

    client: Any
    base: str
    prefix: str
    starts: list[str]
    wanted: list[Wanted]
    max_pages: int
    max_seconds: float
    browser: Any = None

    def run(self, on_page: Callable[[int, int], object] = lambda done, total: None) -> Findings:
        """Visit the site as all visitors, and return what was found.

        Args:
            on_page: is called after each page with the number of pages visited, and of those known.

        Raises:
            NotOursError: the middleware does not answer.
        """
        policy = self._read_policy()
        findings = Findings(policy, urlsplit(self.base).netloc, self._own_prefix())
        ends_at = time.monotonic() + self.max_seconds
        files: dict[str, Any] = {}
        failing: dict[str, set[str]] = {}
        for name, purposes, headers in _visitors(policy):
            visitor = Visitor(name, self._begin(purposes, headers))
            failing[name] = set()
            crawl = Crawl(self.client, self.base, self.prefix, headers, self.max_pages, ends_at, files)
            with self._opening(crawl) as opening:
                for page in opening.run(self.starts, on_page):
                    self._look(findings, visitor, page)
                    if page.status >= _ERROR:
                        failing[name].add(page.address)
            if name == "granted":
                self._withdraw(findings)
        for address in sorted(failing["refused"] - failing["granted"]):
            place = Place(address, address, "an error of the server")
            findings.add(FAILS, urlsplit(address).path, "refused", place)
        findings.note_unseen()
        return findings

    @contextmanager
    def _opening(self, crawl: Crawl) -> Iterator[Crawl]:
        """Yield what opens pages for a visitor: the client, or a browser. The client has the browser's cookies then."""
        if self.browser is None:
            yield crawl
            return
        from cookie_consent.audit.browser import BrowserCrawl, as_visitor

        with as_visitor(self.browser, self.base, self.client.cookies.jar, crawl.headers) as context:
            yield BrowserCrawl(**vars(crawl), context=context)
            self.client.cookies = None
            for cookie in context.cookies():
                # Python's jar gives hosts without a dot another name (http.cookiejar, eff_request_host).
                domain = cookie["domain"] if "." in cookie["domain"] else f"{cookie['domain']}.local"
                self.client.cookies.set(cookie["name"], cookie["value"], domain, cookie["path"])

    def _begin(self, purposes: list[str] | None, headers: dict[str, str]) -> frozenset[str]:
        """Become another visitor, and return the purposes that are allowed."""
        self.client.cookies = None
        if purposes:
            state = answer(self.client, purposes, prefix=self.base + self.prefix)
        elif purposes is not None:
            state = refuse(self.client, prefix=self.base + self.prefix)
        else:
            state = self.client.request("GET", f"{self.base}{self.prefix}/state", headers=headers).json()
        self.wanted.clear()
        return frozenset(purpose for purpose, is_allowed in state["purposes"].items() if is_allowed)

    def _look(self, findings: Findings, visitor: Visitor, page: Page) -> None:
        findings.look(visitor, page)
        for set_cookie, source in self.wanted:
            findings.look_at_field(visitor, set_cookie, page.address, source, is_held=True)
        self.wanted.clear()

    def _withdraw(self, findings: Findings) -> None:
        """Withdraw everything, and look at the cookies that are left."""
        state = refuse(self.client, prefix=self.base + self.prefix)
        visitor = Visitor("withdrawn", frozenset(name for name, allowed in state["purposes"].items() if allowed))
        for cookie in self.client.cookies.jar:
            place = Place(self.base, f"path {cookie.path}, domain {cookie.domain}", f"{cookie.name}=...")
            findings.survives(visitor, cookie.name, place)

    def _read_policy(self) -> Policy:
        response = self.client.request(
            "GET", f"{self.base}{self.prefix}/policy", headers={"accept": "application/json"}
        )
        if response.status_code != 200 or "json" not in response.headers.get("content-type", ""):
            raise NotOursError(
                f"{self.base}{self.prefix}/policy was answered with {response.status_code}, and not by "
                "ConsentMiddleware. If its prefix is another one, name it: --prefix."
            )
        document = response.json()
        document.pop("version", None)
        return Policy.from_document(document)

    def _own_prefix(self) -> str:
        """Return what the names of the middleware's own cookies begin with."""
        self.client.cookies = None
        refuse(self.client, prefix=self.base + self.prefix)
        names = [cookie.name.removeprefix("__Host-").removeprefix("__Secure-") for cookie in self.client.cookies.jar]
        return next((name.removesuffix("consent") for name in names if name.endswith("consent")), "")


def _visitors(policy: Policy) -> Iterator[tuple[str, list[str] | None, dict[str, str]]]:
    """Yield each visitor's name, what they grant (None for no answer), and the header fields of their requests."""
    yield "unknown", None, {}
    yield "refused", [], {}
    yield "granted", list(policy.optional), {}
    for purpose in policy.optional if len(policy.optional) > 1 else ():
        yield f"only {purpose}", [purpose], {}
    yield "GPC", None, _GPC
