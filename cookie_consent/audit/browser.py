"""Visits pages with the system's Chromium, and notes what they really store and load, and which line does it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any

from cookie_consent.audit.crawl import Crawl, Page
from cookie_consent.audit.script import COOKIE, LINK, REQUEST, STORAGE, Sight, shorten

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Response

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_LONGEST_LOAD = 20_000
_QUIET = 400
"""Milliseconds that a page gets after it has loaded."""
_NOTE = r"""
(() => {
  const note = (kind, name, rest) => window.__auditNotes(kind, String(name), String(rest ?? ""), new Error().stack);
  const cookie = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
  Object.defineProperty(Document.prototype, "cookie", {...cookie, set(text) {
    const [name, ...rest] = String(text).split("=");
    note("cookie", name.trim(), rest.join("="));
    cookie.set.call(this, text);
  }});
  const setItem = Storage.prototype.setItem;
  Storage.prototype.setItem = function (key, value) {
    note("storage", key);
    setItem.call(this, key, value);
  };
  if (window.CookieStore) {
    const set = CookieStore.prototype.set;
    CookieStore.prototype.set = function (...given) {
      note("cookie", given[0]?.name ?? given[0]);
      return set.apply(this, given);
    };
  }
  const open = IDBFactory.prototype.open;
  IDBFactory.prototype.open = function (...given) {
    note("storage", given[0]);
    return open.apply(this, given);
  };
})();
"""
_KEYS = "() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]"
_LINKS = "() => [...document.links].map(it => it.href)"
_STACK_LINE = re.compile(r"(?:\(|at )(\S+?):(\d+):\d+\)?$", re.MULTILINE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a browser without a window.

    Raises:
        ModuleNotFoundError: playwright is not installed.
        ValueError: there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        raise ValueError(f"There is no browser: --browser needs one of {', '.join(_NAMES)} on the PATH.")
    with sync_playwright() as playwright:
        # Chromium has no sandbox for the user root.
        is_root = getattr(os, "geteuid", lambda: 1)() == 0
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if is_root else [])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def as_visitor(browser: Browser, base: str, jar: CookieJar, headers: dict[str, str]) -> Iterator[BrowserContext]:
    """Yield a context of a browser that has the cookies of a client."""
    has_gpc = "sec-gpc" in headers
    with browser.new_context(extra_http_headers=headers, ignore_https_errors=True) as context:
        context.add_cookies([{"name": it.name, "value": it.value or "", "url": base} for it in jar])
        if has_gpc:
            context.add_init_script("Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {value: true})")
        yield context


@dataclass
class BrowserCrawl(Crawl):
    """Visits pages in a context of a browser; see `Crawl`.

    Args:
        context: the context.
    """

    context: Any = None
    _notes: list[tuple[str, Sight]] = field(default_factory=list)
    _stored: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.context.expose_binding("__auditNotes", lambda _, *given: self._notes.append(_read_note(*given)))
        self.context.add_init_script(_NOTE)

    def _visit(self, address: str) -> Page:
        self._notes = []
        page = self.context.new_page()
        responses: list[Response] = []
        sources: dict[str, tuple[str, int]] = {}
        page.on("response", lambda response: responses.append(response))
        page.on("request", lambda request: self._notes.extend(_read_request(address, page, request)))
        session = self.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", lambda sent: sources.setdefault(*_read_initiator(sent)))
        session.send("Network.enable")
        try:
            reply = _go(page, address)
            links = page.evaluate(_LINKS) if reply is not None else []
            self._note_keys(address, _keys(page))
            picture = page.screenshot(type="jpeg", quality=50)
            cookies = [value for it in responses if self.is_own(it.url) for value in it.header_values("set-cookie")]
        finally:
            page.close()
        sights = list(map(_with_source(sources), self._notes))
        sights += [(address, Sight(LINK, link, 0, "a link")) for link in links]
        csp = () if reply is None else tuple(reply.header_values("content-security-policy"))
        return Page(address, reply.status if reply else 0, tuple(cookies), csp, tuple(sights), picture)

    def _note_keys(self, address: str, keys: list[str]) -> None:
        """Note the keys that no call of a function has stored, each once: they stay for further pages."""
        self._stored.update(sight.name for _, sight in self._notes if sight.kind == STORAGE)
        new = [key for key in keys if key not in self._stored]
        self._stored.update(new)
        self._notes += [(address, Sight(STORAGE, key, 0, "in the browser's storage after the page")) for key in new]


def _go(page: Any, address: str) -> Any:
    """Open an address, and return its response; None if there is no page."""
    from playwright.sync_api import Error

    try:
        reply = page.goto(address, wait_until="load", timeout=_LONGEST_LOAD)
        page.wait_for_timeout(_QUIET)
    except Error:  # a download, an error of the network, or a page that loads for longer
        return None
    return reply


def _keys(page: Any) -> list[str]:
    """Return the keys in the storage of a page; those of an error page of the browser cannot be read."""
    from playwright.sync_api import Error

    try:
        found: list[str] = page.evaluate(_KEYS)
    except Error:
        return []
    return found


def _read_note(kind: str, name: str, rest: str, stack: str) -> tuple[str, Sight]:
    """Return what a script did, with the file and line that the stack of calls names second: the first is ours."""
    calls = _STACK_LINE.findall(stack)
    # A script of the page is named by an address; ours has none.
    file, line = next(((file, int(line)) for file, line in calls if "://" in file), ("", 0))
    by = f"document.cookie = {name}" if kind == COOKIE else f"setItem({name})"
    return file, Sight(COOKIE if kind == COOKIE else STORAGE, name, line, shorten(by), field=rest)


def _read_request(address: str, page: Any, request: Any) -> Iterator[tuple[str, Sight]]:
    """Yield a request that is not the visit itself, which redirects may lead to another site."""
    if not (request.is_navigation_request() and request.frame == page.main_frame):
        yield address, Sight(REQUEST, request.url, 0, f"a request for {request.resource_type}")


def _read_initiator(sent: dict[str, Any]) -> tuple[str, tuple[str, int]]:
    """Return the address of a request, and the file and line that caused it."""
    initiator = sent["initiator"]
    frames = initiator.get("stack", {}).get("callFrames", [])
    first = frames[0] if frames else initiator
    return sent["request"]["url"], (first.get("url", ""), int(first.get("lineNumber", -1)) + 1)


def _with_source(sources: dict[str, tuple[str, int]]) -> Any:
    """Return what puts the file and the line that caused a request in the place of its page."""

    def find(noted: tuple[str, Sight]) -> tuple[str, Sight]:
        address, sight = noted
        file, line = sources.get(sight.name, ("", 0)) if sight.kind == REQUEST else ("", 0)
        return (file, sight._replace(line=line)) if file else (address or "a script", sight)

    return find
