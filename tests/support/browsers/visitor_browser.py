"""Somebody at a real browser: what is on the page, in the browser and on the wire, and the sites that are visited."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import BrowserContext, Cookie, Locator, Request, Response, expect

from cookie_consent.cli.demo.site import LOOPBACK, started

ROOT = Path(__file__).parents[3]
REGISTRY = ROOT / "examples" / "registry"
PREFIX = "/privacy-choices"
CHROMIUM_OPTIONS: dict[str, Any] = {
    "executable_path": shutil.which("chromium") or "/usr/bin/chromium",
    "args": ["--no-sandbox"],  # else it does not run as root, as in most containers
}
WITNESS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0"
LONGEST_WAIT = 15.0
"""Seconds. On a busy machine a browser may take long; where all is well nothing waits."""
_FEWEST_LOOKS = 3

Found = TypeVar("Found")


def soon(look: Callable[[], Found]) -> Found:
    """Return what a look finds, as soon as it finds something; at the latest what it finds then.

    It looks three times at least: one look can take all the time, where the page that it asks is just going away.
    """
    end, looks = time.monotonic() + LONGEST_WAIT, 1
    while not (found := look()) and (time.monotonic() < end or looks < _FEWEST_LOOKS):
        time.sleep(0.02)
        looks += 1
    return found


@dataclass(frozen=True)
class Sites:
    """A site, and the second origin that it loads from.

    Args:
        address: where the site is found.
        partner: where the second origin is found.
        access_log: the file of the site's access records.
        ledger: the URL of the ledger that keeps the proofs; "" where another process cannot read it.
    """

    address: str
    partner: str
    access_log: Path
    ledger: str = ""

    @property
    def records(self) -> list[dict[str, Any]]:
        """The access records so far; an erased one is a line of spaces."""
        lines = self.access_log.read_text("utf-8").splitlines() if self.access_log.exists() else []
        return [json.loads(line) for line in lines if line.strip()]

    def all_records(self) -> list[dict[str, Any]]:
        """Return the records of all that was done until now: complete once that of a witness has come through."""
        with httpx.Client(base_url=self.address, headers={"user-agent": WITNESS}) as witness:
            own = {"sec-fetch-site": "same-origin"}
            witness.post(PREFIX, json={"choice": "accept_all"}, headers=own).raise_for_status()
            mark = f"/{secrets.token_hex(8)}"
            witness.get(mark)
        assert soon(lambda: any(record["url.path"] == mark for record in self.records))
        return [record for record in self.records if record["user_agent.name"] != "Firefox"]


@contextmanager
def registry_sites(folder: Path) -> Iterator[Sites]:
    """Start the registry site and its partner; what they leave lies in the folder."""
    with started("analytics:app", REGISTRY, folder / "partner.log", (LOOPBACK, 0), {}) as partner:
        # By another host name than the site's, so that it is another site to browsers.
        elsewhere = f"http://localhost:{partner.port}"
        ledger = f"sqlite:///{folder / 'consent.db'}"
        environ = {
            "REGISTRY_KEY": secrets.token_urlsafe(32),
            "REGISTRY_ACCESS_LOG": str(folder / "access.jsonl"),
            "REGISTRY_LEDGER": ledger,
            "REGISTRY_PARTNER": elsewhere,
        }
        with started("app:app", REGISTRY, folder / "site.log", (LOOPBACK, 0), environ) as site:
            yield Sites(site.address, elsewhere, folder / "access.jsonl", ledger)


@contextmanager
def plain_site(folder: Path) -> Iterator[Sites]:
    """Start the site of `browser_site`."""
    with started("tests.support.sites.browser_site:app", ROOT, folder / "site.log", (LOOPBACK, 0), {}) as site:
        yield Sites(site.address, "", folder / "access.jsonl")


class Visitor:
    """Somebody with a browser of their own.

    Args:
        context: the browser.
        sites: what is visited.
        scripts: whether the browser runs scripts.

    Attributes:
        page: what is looked at.
        complaints: what went wrong in scripts, and what the browser did not let pages do.
    """

    def __init__(self, context: BrowserContext, sites: Sites, *, scripts: bool = True) -> None:
        self.context, self.sites, self.scripts = context, sites, scripts
        self.page = context.new_page()
        self.complaints: list[str] = []
        self._requests: list[Request] = []
        context.on("request", lambda request: self._requests.append(request))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def go(self, path: str) -> None:
        """Open a page of the site."""
        response = self.page.goto(self.sites.address + path)
        assert response is not None
        assert response.ok

    def go_back(self, steps: int = 1) -> None:
        """Go back in the history, as the browser's own button does: a script would go away with the page it runs in."""
        cdp = self.context.new_cdp_session(self.page)
        history = cdp.send("Page.getNavigationHistory")
        cdp.send("Page.navigateToHistoryEntry", {"entryId": history["entries"][history["currentIndex"] - steps]["id"]})
        cdp.detach()

    @property
    def path(self) -> str:
        """Where the visitor is."""
        return urlsplit(self.page.url).path

    @property
    def banner(self) -> Locator:
        """The question."""
        return self.page.locator(".pchoice")

    @property
    def alert(self) -> Locator:
        """What the question says of an answer that was not kept."""
        return self.banner.locator("[role=alert]")

    @property
    def status(self) -> Locator:
        """What is said of an answer that was kept."""
        return self.page.locator("body > [role=status].pchoice-status")

    def choice(self, value: str) -> Locator:
        """Return the button of the question, or of the settings page, that gives an answer."""
        return self.page.locator(f"button[name=choice][value={value}]").first

    def answer(self, button: Locator) -> Response:
        """Press a button that gives an answer, and return what the server says to it."""
        with self.page.expect_response(lambda response: response.request.method == "POST") as answered:
            button.click()
        return answered.value

    def refuse(self) -> Response:
        """Refuse in the question."""
        response = self.answer(self.choice("refuse_all"))
        expect(self.banner).to_have_count(0)
        return response

    def accept(self) -> Response:
        """Accept in the question."""
        response = self.answer(self.choice("accept_all"))
        expect(self.banner).to_have_count(0)
        return response

    @property
    def cookies(self) -> dict[str, Cookie]:
        """The cookies that the browser keeps."""
        return {cookie["name"]: cookie for cookie in self.context.cookies()}

    @property
    def state(self) -> dict[str, Any]:
        """What the server says of this browser."""
        state: dict[str, Any] = self.context.request.get(f"{self.sites.address}{PREFIX}/state").json()
        return state

    def requests(self) -> list[Request]:
        """Return the requests since this was last asked."""
        made = list(self._requests)
        self._requests.clear()
        return made

    def hosts(self) -> set[str]:
        """Return where the requests since they were last asked for went, as origins."""
        parts = [urlsplit(request.url) for request in self.requests()]
        return {f"{part.scheme}://{part.netloc}" for part in parts if part.netloc}

    def mark(self) -> None:
        """Mark the document, to see later whether it is still the same."""
        self.page.evaluate("document.marked = true")

    @property
    def is_marked(self) -> bool:
        """Whether the document is the one that was marked."""
        return self.page.evaluate("document.marked") is True

    def focused(self) -> str:
        """Return what has the focus, in short; "" for nothing."""
        found: str = self.page.evaluate(
            """() => {
                const it = document.activeElement;
                return it === document.body ? "" : it.value || it.id || it.textContent.trim() || it.tagName;
            }"""
        )
        return found
