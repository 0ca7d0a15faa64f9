"""A visitor at a real browser, controlled by Playwright, and the sites that are visited."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, Cookie, Frame, Locator, Page, Request, Response, Route, expect
from starlette.types import ASGIApp, Scope

from tests.support.browsers import CHROMIUM
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.servers.threads import Noted, served
from tests.support.waiting import LONGEST_WAIT, POLL, eventually

ROOT = Path(__file__).parents[3]
REGISTRY = ROOT / "examples" / "registry"
PREFIX = "/privacy-choices"
CHROMIUM_OPTIONS: dict[str, Any] = {
    "executable_path": CHROMIUM,
    "args": ["--no-sandbox"],  # else it does not run as root, as in most containers
}
WITNESS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0"

with_and_without_scripts = pytest.mark.parametrize(
    "scripts", [True, False], ids=["with JavaScript", "without JavaScript"]
)
"""Marks a test that runs with JavaScript and without."""
Found = TypeVar("Found")

expect.set_options(timeout=LONGEST_WAIT * 1000)


def until(page: Page, find: Callable[[], Found]) -> Found:
    """Call a function until its result is true, or the time is over; return the last result.

    Unlike `eventually`, it handles the events of the browser meanwhile.
    """
    end = time.monotonic() + LONGEST_WAIT
    while not (found := find()) and time.monotonic() < end:
        page.wait_for_timeout(POLL * 1000)
    return found


@dataclass(frozen=True)
class Sites:
    """A site, and the second origin that it loads content from.

    Args:
        address: the address of the site.
        partner: the address of the second origin.
        access_log: the file of the site's access records.
        ledger: the URL of the ledger that keeps the proofs; "" where another process cannot read it.
        noted: the requests that a site in this process got.
    """

    address: str
    partner: str = ""
    access_log: Path = Path()
    ledger: str = ""
    noted: list[Scope] = field(default_factory=list)

    def paths(self, start: str) -> list[str]:
        """Return the paths of the requests that begin so, in order."""
        return [scope["path"] for scope in self.noted if scope["path"].startswith(start)]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The access records so far. Erased records are lines of spaces."""
        lines = self.access_log.read_text("utf-8").splitlines() if self.access_log.exists() else []
        return [json.loads(line) for line in lines if line.strip()]

    def all_records(self) -> list[dict[str, Any]]:
        """Return all records until now. A request of a witness shows when the earlier records are complete."""
        with httpx.Client(base_url=self.address, headers={"user-agent": WITNESS}) as witness:
            own = {"sec-fetch-site": "same-origin"}
            witness.post(PREFIX, json={"choice": "accept_all"}, headers=own).raise_for_status()
            mark = f"/{secrets.token_hex(8)}"
            witness.get(mark)
        assert eventually(lambda: any(record["url.path"] == mark for record in self.records))
        return [record for record in self.records if record["user_agent.name"] != "Firefox"]


@contextmanager
def registry_sites(folder: Path, **more: str) -> Iterator[Sites]:
    """Start the registry site and its partner, with their files in the folder.

    Args:
        folder: the folder.
        more: further variables of the site's environment.
    """
    with started("analytics:app", REGISTRY, folder / "partner.log", (LOOPBACK, 0), {}) as partner:
        # Another host name makes it another site to browsers.
        elsewhere = f"http://localhost:{partner.port}"
        ledger = f"sqlite:///{folder / 'consent.db'}"
        environ = {
            "REGISTRY_KEY": secrets.token_urlsafe(32),
            "REGISTRY_ACCESS_LOG": str(folder / "access.jsonl"),
            "REGISTRY_LEDGER": ledger,
            "REGISTRY_PARTNER": elsewhere,
            **more,
        }
        with started("app:app", REGISTRY, folder / "site.log", (LOOPBACK, 0), environ) as site:
            yield Sites(site.address, elsewhere, folder / "access.jsonl", ledger)


@contextmanager
def serve(app: ASGIApp, access_log: Path = Path(), path: str = "") -> Iterator[Sites]:
    """Serve a site from this process.

    Args:
        app: the site.
        access_log: the file of its access records.
        path: where the site begins on its server.
    """
    noted = Noted(app)
    with served(noted) as port:
        yield Sites(f"http://{LOOPBACK}:{port}{path}", access_log=access_log, noted=noted.requests)


class Visitor:
    """A visitor with a browser context of their own.

    Args:
        context: the browser context.
        sites: the site that is visited.
        scripts: whether the browser runs scripts.

    Attributes:
        page: the open page.
        complaints: errors in scripts.
        said: the messages in the console.
    """

    def __init__(self, context: BrowserContext, sites: Sites, *, scripts: bool = True) -> None:
        self.context, self.sites, self.scripts = context, sites, scripts
        self.page = context.new_page()
        self.complaints: list[str] = []
        self.said: list[str] = []
        self._requests: list[Request] = []
        context.on("request", lambda request: self._requests.append(request))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))

    def move(self, name: str) -> Visitor:
        """Go on at the site that has the same address but for this last part, and return the visitor."""
        self.sites = replace(self.sites, address=f"{self.sites.address.rpartition('/')[0]}/{name}")
        return self

    def new_tab(self) -> Visitor:
        """Return the same visitor in another tab of the same browser."""
        return Visitor(self.context, self.sites, scripts=self.scripts)

    @property
    def warnings(self) -> list[str]:
        """What our scripts said in the console."""
        said = [text.partition(": ")[2] for text in self.said]
        return [text.removeprefix("cookie-consent: ") for text in said if text.startswith("cookie-consent: ")]

    def send_answer(self, choice: str = "save", **purposes: bool) -> None:
        """Answer by a request of its own, so that no open page notices."""
        data = {"choice": choice, "purposes": purposes} if choice == "save" else {"choice": choice}
        own = {"sec-fetch-site": "same-origin"}
        assert self.context.request.post(f"{self.sites.address}{PREFIX}", data=data, headers=own).ok

    def hold(self, pattern: str) -> list[Route]:
        """Hold back the requests of the page whose address is like this; return the list of them."""
        held: list[Route] = []
        self.page.route(pattern, lambda route: held.append(route))
        return held

    def withdraw(self) -> None:
        """Refuse all in the settings in place."""
        self.page.evaluate("consent.show()")
        self.answer(self.choice("refuse_all"))

    def active_templates(self) -> set[str]:
        """Return the ids of the activated templates."""
        return set(self.page.locator("main > p[id]").evaluate_all("found => found.map(it => it.id)"))

    def go(self, path: str) -> None:
        """Open a page of the site."""
        response = self.page.goto(self.sites.address + path)
        assert response is not None
        assert response.ok

    def ready(self) -> dict[str, bool]:
        """Wait until the script knows what holds, and return that: purpose id -> whether it is allowed.

        A page may load the script only after its first paint, and so after the event "load".
        """
        # Polled by the clock, because tabs in the background draw no frames.
        self.page.wait_for_function("() => 'consent' in window", polling=POLL * 1000)
        purposes: dict[str, bool] = self.page.evaluate("consent.ready")
        return purposes

    def open_with_banner(self, path: str) -> None:
        """Open a page of the site, and wait until the banner is visible and its script, if it may run, is ready."""
        self.go(path)
        expect(self.banner).to_be_visible()
        if self.scripts:
            self.ready()

    def go_back(self, steps: int = 1) -> None:
        """Go back in the history as the browser's button does. A script would end with its page."""
        cdp = self.context.new_cdp_session(self.page)
        history = cdp.send("Page.getNavigationHistory")
        cdp.send("Page.navigateToHistoryEntry", {"entryId": history["entries"][history["currentIndex"] - steps]["id"]})
        cdp.detach()

    @property
    def path(self) -> str:
        """The path of the current page."""
        return urlsplit(self.page.url).path

    @property
    def banner(self) -> Locator:
        """The banner."""
        return self.page.locator(".pchoice")

    @property
    def alert(self) -> Locator:
        """The error message in the banner."""
        return self.banner.locator("[role=alert]")

    @property
    def status(self) -> Locator:
        """The message that confirms an answer."""
        return self.page.locator("body > [role=status].pchoice-status")

    def choice(self, value: str) -> Locator:
        """Return the button of the banner, or of the settings page, that gives an answer."""
        return self.page.locator(f"button[name=choice][value={value}]:not([hidden])").first

    def answer(self, button: Locator) -> Response:
        """Press a button that gives an answer, and return the response. The page that follows a form has come then."""
        came: list[Frame] = []

        def note(frame: Frame) -> None:
            came.append(frame)

        self.page.on("framenavigated", note)
        with self.page.expect_response(lambda response: response.request.method == "POST") as answered:
            button.click()
        if answered.value.request.is_navigation_request():
            assert until(self.page, lambda: self.page.main_frame in came)
            self.page.wait_for_load_state()
        self.page.remove_listener("framenavigated", note)
        return answered.value

    def refuse(self) -> Response:
        """Refuse all in the banner."""
        response = self.answer(self.choice("refuse_all"))
        expect(self.banner).to_have_count(0)
        return response

    def accept(self) -> Response:
        """Accept all in the banner."""
        response = self.answer(self.choice("accept_all"))
        expect(self.banner).to_have_count(0)
        return response

    @property
    def cookies(self) -> dict[str, Cookie]:
        """The cookies of the browser: name -> cookie."""
        return {cookie["name"]: cookie for cookie in self.context.cookies()}

    @property
    def state(self) -> dict[str, Any]:
        """The state that the server returns for this browser."""
        state: dict[str, Any] = self.context.request.get(f"{self.sites.address}{PREFIX}/state").json()
        return state

    def requests(self) -> list[Request]:
        """Return the requests since the last call."""
        made = list(self._requests)
        self._requests.clear()
        return made

    def hosts(self) -> set[str]:
        """Return the origins of the requests since the last call of `requests` or `hosts`."""
        parts = [urlsplit(request.url) for request in self.requests()]
        return {f"{part.scheme}://{part.netloc}" for part in parts if part.netloc}

    def mark(self) -> None:
        """Mark the document, so that a reload can be noticed."""
        self.page.evaluate("document.marked = true")

    @property
    def is_marked(self) -> bool:
        """Whether the document is still the marked one."""
        return self.page.evaluate("document.marked") is True

    def focused(self) -> str:
        """Return a short name of the element that has the focus; "" for none."""
        found: str = self.page.evaluate(
            """() => {
                const it = document.activeElement;
                return it === document.body ? ""
                    : it.value || it.id || it.ariaLabel || it.textContent.trim() || it.tagName;
            }"""
        )
        return found


NewVisitor = Callable[..., Visitor]
"""The type of the fixture `new_visitor`; its keyword arguments are those of Playwright's `new_context`."""
