"""Helpers for the tests that visit `life_site`: the site, its tabs, and waiting."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Route

from tests.support.browsers.visitor_browser import PREFIX, ROOT, Sites, Visitor
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.waiting import LONGEST_WAIT, eventually

POLL = 20
TRANSFERRED = "performance.getEntriesByType('navigation')[0].transferSize"
"""The bytes that came over the network for the page; 0 from a cache."""


@contextmanager
def life_sites(folder: Path) -> Iterator[Sites]:
    """Start the sites of `life_site`; the address is that of the site with the banner in the corner."""
    with started("tests.support.sites.life_site:app", ROOT, folder / "site.log", (LOOPBACK, 0), {}) as site:
        yield Sites(f"{site.address}/corner", "", folder / "access.jsonl")


def moved_to(visitor: Visitor, name: str) -> Visitor:
    """Change the site that a visitor visits."""
    visitor.sites = replace(visitor.sites, address=f"{visitor.sites.address.rpartition('/')[0]}/{name}")
    return visitor


def another_tab(visitor: Visitor) -> Visitor:
    """Return the same visitor in another tab of the same browser."""
    return Visitor(visitor.context, visitor.sites, scripts=visitor.scripts)


def hold_answers(visitor: Visitor) -> list[Route]:
    """Hold back the answers of a tab; return the list of held requests."""
    held: list[Route] = []
    visitor.page.route(f"**{PREFIX}", lambda route: held.append(route))
    return held


class UndebuggedTabs:
    """Tabs of a new browser context without a debugger: in tabs with one, Chromium prerenders no page.

    Args:
        browser: Chromium.
    """

    def __init__(self, browser: Browser) -> None:
        self._session = browser.new_browser_cdp_session()
        # Playwright attaches no debugger to a context that it has not created.
        self._context = self._session.send("Target.createBrowserContext")["browserContextId"]
        self._replies: dict[int, Any] = {}
        self._session.on("Target.receivedMessageFromTarget", self._hear)
        self._last = 0

    def open(self, address: str, title: str) -> str:
        """Open the page that has this title in a new tab, and return the tab's id."""
        asked = {"url": address, "browserContextId": self._context}
        tab: str = self._session.send("Target.createTarget", asked)["targetId"]
        # Playwright attaches to each new tab for a moment.
        assert eventually(lambda: self.about(tab)["title"] == title and not self.about(tab)["attached"])
        return tab

    def about(self, tab: str) -> dict[str, Any]:
        """Return the browser's information about a tab, such as its "url"."""
        about: dict[str, Any] = self._session.send("Target.getTargetInfo", {"targetId": tab})["targetInfo"]
        return about

    def run(self, tab: str, script: str) -> Any:
        """Run a script in a tab, which has a debugger from then on; returns None while a new page loads."""
        attach = {"targetId": tab, "flatten": False}
        self._last += 1
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        command = {"id": self._last, "method": "Runtime.evaluate", "params": asked}
        session = self._session.send("Target.attachToTarget", attach)["sessionId"]
        self._session.send("Target.sendMessageToTarget", {"sessionId": session, "message": json.dumps(command)})
        end = time.monotonic() + LONGEST_WAIT
        while self._last not in self._replies and time.monotonic() < end:
            self.about(tab)  # receives pending replies too
        reply = self._replies.get(self._last, {})
        return reply.get("result", {}).get("result", {}).get("value")

    def close(self) -> None:
        """Close all tabs."""
        self._session.send("Target.disposeBrowserContext", {"browserContextId": self._context})
        self._session.detach()

    def _hear(self, event: dict[str, Any]) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self._replies[message["id"]] = message
