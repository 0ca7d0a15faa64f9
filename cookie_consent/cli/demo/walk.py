"""The visitors of the demonstration: how they walk through the example site, and what each got."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import httpx

_PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "accept-language": "en-GB,en;q=0.9,ja;q=0.8"}
_CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
)
_SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 "
    "Mobile/15E148 Safari/604.1"
)
_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
_FROM_A_PAGE = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
_NOT_RECORDED = ("/privacy-choices", "/whois")
_EMBEDDING = ("iframe", "img", "script")

FEATURES = {"map": ("/offices", "map"), "suggestions": ("/names", "suited"), "tour": ("/tour", "tour")}
"""Feature -> its page, and the id of an element that exists only with consent."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A visitor who walks through the site.

    Args:
        title: what this visitor does.
        choice: the answer to the question; "" for none.
        headers: headers that the browser sends with every request.
    """

    title: str
    choice: str
    headers: Mapping[str, str]


ACCEPTING = Visitor("accepts", "accept_all", {**_PAGE, "user-agent": _CHROME})
REFUSING = Visitor("refuses", "refuse_all", {**_PAGE, "user-agent": _SAFARI})
SIGNALLING = Visitor("sends GPC", "", {**_PAGE, "user-agent": _FIREFOX, "sec-gpc": "1"})


@dataclass(slots=True)
class Outcome:
    """What a visitor got.

    Args:
        title: what the visitor did.
        failed: pages that failed, each with the reason.
        asked: whether the first page asked.
        asked_again: whether a later page asked.
        answer: the status in the visitor's cookie; "none" without a cookie.
        proofs: the consent records under the visitor's id in the ledger.
        receipts: the receipts that the visitor gets for them.
        cookies: names of the cookies in the browser at the end.
        held: names of cookies that the site set and the middleware held back.
        loaded: names of files that pages loaded from other sites.
        features: feature -> "on", "degraded" or "missing".
        signed_in: whether the session works.
        looked_up: whether the look-up works.
        requests: the number of requests that are recorded if the visitor consents.
        records: the access records that were written.
    """

    title: str
    failed: tuple[str, ...] = ()
    asked: bool = False
    asked_again: bool = False
    answer: str = "none"
    proofs: tuple[dict[str, Any], ...] = ()
    receipts: tuple[dict[str, Any], ...] = ()
    cookies: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    loaded: frozenset[str] = frozenset()
    features: dict[str, str] = field(default_factory=dict)
    signed_in: bool = False
    looked_up: bool = False
    requests: int = 0
    records: tuple[dict[str, Any], ...] = ()


class Page(HTMLParser):
    """A page as a browser without JavaScript sees it: the content of a <template> is not part of it.

    Attributes:
        ids: the ids of its elements.
        sources: addresses that it loads from other sites.
        choices: choice -> the form that offers it: its hidden fields, and its address as "action".
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.sources: list[str] = []
        self.choices: dict[str, dict[str, str]] = {}
        self._form: dict[str, str] = {}
        self._templates = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Process a start tag; called by the parser."""
        given = {name: value or "" for name, value in attrs}
        # A template may be in another one, so a flag is not enough.
        if tag == "template":
            self._templates += 1
        elif not self._templates:
            self.ids.add(given.get("id", ""))
            if tag in _EMBEDDING and given.get("src", "").startswith("http"):
                self.sources.append(given["src"])
            self._offer(tag, given)

    def handle_endtag(self, tag: str) -> None:
        """Process an end tag; called by the parser."""
        self._templates -= tag == "template"

    def _offer(self, tag: str, given: Mapping[str, str]) -> None:
        if tag == "form":
            self._form = {"action": given.get("action", "")}
        elif given.get("type") == "hidden":
            self._form[given["name"]] = given["value"]
        elif given.get("name") == "choice":
            self.choices.setdefault(given["value"], self._form)


class Browser:
    """A browser without JavaScript.

    Attributes:
        visited: the requested paths of the site.
        loaded: names of files that pages loaded from other sites.
        failed: pages that failed.
    """

    def __init__(self, client: httpx.Client, address: str) -> None:
        self._client, self._address = client, address
        self.visited: list[str] = []
        self.loaded: list[str] = []
        self.failed: list[str] = []

    def open(self, path: str, form: Mapping[str, str] | None = None) -> Page:
        """Open a page, or send a form to it, and load what it embeds from other sites."""
        page = Page(self.fetch(path, form))
        for source in page.sources:
            if not source.startswith(self._address):
                self.loaded.append(source.rpartition("/")[2])
                self.fetch(source)
        return page

    def fetch(self, path: str, form: Mapping[str, str] | None = None) -> str:
        """Return the body of a response; "" if the request fails."""
        # What a browser sends with a form of the site itself. Without it, the answer is refused as cross-site.
        headers = _FROM_A_PAGE if form is None else {**_FROM_A_PAGE, "origin": self._address}
        try:
            response = self._client.request("POST" if form else "GET", path, data=form, headers=headers)
        except httpx.TransportError as error:
            self.failed.append(f"{path} ({type(error).__name__})")
            return ""
        addresses = [answered.url for answered in (*response.history, response)]
        self.visited += [address.path for address in addresses if str(address).startswith(self._address)]
        if response.is_error:
            self.failed.append(f"{path} ({response.status_code})")
            return ""
        return response.text


def walk(visitor: Visitor, address: str) -> Outcome:
    """Walk through the site as a visitor, and return the outcome."""
    outcome = Outcome(visitor.title)
    with httpx.Client(base_url=address, headers=visitor.headers, follow_redirects=True, timeout=30) as client:
        browser = Browser(client, address)
        first = browser.open("/")
        outcome.asked = _asks(first)
        if visitor.choice in first.choices:
            browser.visited.clear()
            form = first.choices[visitor.choice]
            browser.open(form["action"], {**form, "choice": visitor.choice})
        _visit_pages(browser, outcome)
        outcome.requests = sum(not path.startswith(_NOT_RECORDED) for path in browser.visited)
        export = json.loads(browser.fetch("/privacy-choices/export") or "{}")
        outcome.answer = (export.get("consent") or {}).get("status", "none")
        outcome.proofs, outcome.receipts = tuple(export.get("consent_records", ())), tuple(export.get("receipts", ()))
        outcome.cookies = frozenset(client.cookies.keys())
        outcome.loaded, outcome.failed = frozenset(browser.loaded), tuple(browser.failed)
    return outcome


def _visit_pages(browser: Browser, outcome: Outcome) -> None:
    outcome.asked_again = _asks(browser.open("/?lang=en"))
    outcome.signed_in = "signed-in" in browser.open("/account", {"name": "Hanako"}).ids
    browser.open("/names?name=blue-mountain")
    for feature, (path, element) in FEATURES.items():
        page = browser.open(path)
        outcome.features[feature] = (
            "on" if element in page.ids else "degraded" if "grant" in page.choices else "missing"
        )
    outcome.looked_up = "holder" in browser.open("/whois?name=example").ids


def _asks(page: Page) -> bool:
    return "pchoice-title" in page.ids
