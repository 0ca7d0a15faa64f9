"""Tests of csp="enforce" in Chromium: some 300 ways to a third party, and those that docs/security.md names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.support.browsers.firefox import Firefox
from tests.support.browsers.recipients import Recipient, listening
from tests.support.browsers.visitor_browser import CHROMIUM_OPTIONS, PREFIX, ROOT, Sites, serve, until
from tests.support.sites.ways_out import NAVIGATIONS
from tests.support.sites.ways_site import NAMES, PAGES, ways_site
from tests.support.waiting import eventually

pytestmark = pytest.mark.browser
LONGEST = 45_000
EVERY = [
    *("script", "style", "img", "connect", "frame", "font"),
    *("media", "form-action", "worker", "child", "manifest", "object"),
]
"""All directives that a recipient can be declared for."""
OPEN = "default-src * data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'"
"""A policy of the app that lets everybody in."""
MIXED = (0, 1, 9)
"""Pages that try ways of each kind."""
STATES: dict[str, list[list[str]]] = {
    "not asked": [],
    "refused": [[]],
    "another purpose granted": [["analytics"]],
    "withdrawn": [["media"], []],
}
"""A state -> the purposes that each answer grants."""
SECTION = (ROOT / "docs" / "security.md").read_text("utf-8").partition("## What no such policy stops")[2]
ROWS = re.findall(r"^\| \*\*(.+?)\*\*.* \| (.*) \| .* \|$", SECTION, re.MULTILINE)
"""The name of each way that no policy stops, and its examples."""
EXAMPLES = [(name, example) for name, examples in ROWS for example in re.findall(r"`(.+?)`", examples)]


@pytest.fixture(scope="module")
def third() -> Iterator[Recipient]:
    """The third party."""
    third = Recipient()
    with listening(third):
        yield third


@pytest.fixture(scope="module")
def site(third: Recipient) -> Iterator[Sites]:
    """The site, with a policy."""
    with serve(ways_site({third.origin: EVERY}, "enforce")) as site:
        yield site


@pytest.fixture
def open_site(third: Recipient) -> Iterator[Sites]:
    """The site, without a policy."""
    with serve(ways_site({third.origin: EVERY}, None)) as site:
        yield site


@pytest.fixture(scope="module")
def new_profile(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], BrowserContext]]:
    """Opens Chromium as people use it: in private windows, as in other tests, it opens fewer connections by itself."""
    options: dict[str, Any] = {**CHROMIUM_OPTIONS, "ignore_default_args": ["--disable-background-networking"]}
    start = browser.browser_type.launch_persistent_context
    with ExitStack() as opened:
        yield lambda: opened.enter_context(start(tmp_path_factory.mktemp("profile"), **options))


@pytest.fixture(scope="module")
def shared_context(new_profile: Callable[[], BrowserContext]) -> BrowserContext:
    """A profile that several tests share."""
    return new_profile()


@pytest.fixture(autouse=True)
def _forgetful(third: Recipient) -> None:
    """The third party forgets who has reached it."""
    third.ways.clear()
    third.kinds.clear()
    third.connections = 0


def answer(context: BrowserContext, site: Sites, purposes: Sequence[str]) -> None:
    """Answer the question, granting these purposes."""
    body = {"choice": "save", "purposes": dict.fromkeys(purposes, True)}
    reply = context.request.post(site.address + PREFIX, data=body, headers={"sec-fetch-site": "same-origin"})
    assert reply.ok


def open_pages(context: BrowserContext, site: Sites, third: Recipient, numbers: Sequence[int]) -> None:
    """Open pages side by side, and wait until each has tried its ways to a third party."""
    pages = [context.new_page() for _ in numbers]
    for page, number in zip(pages, numbers, strict=True):
        page.goto(f"{site.address}/page/{number}?to={third.origin}", wait_until="commit")
    for page in pages:
        expect(page).to_have_title("done", timeout=LONGEST)


def tried(third: Recipient) -> set[str]:
    """Return the names of the ways by which requests came; "" for others, such as for an icon."""
    ways = (way.partition("/")[0] for way in third.ways)
    return {NAMES[int(way)] if way.isdigit() else "" for way in ways}


@pytest.mark.full_matrix
def test_each_way_leads_out_where_there_is_no_policy(
    shared_context: BrowserContext, open_site: Sites, third: Recipient
) -> None:
    open_pages(shared_context, open_site, third, range(len(PAGES)))
    assert eventually(lambda: tried(third) >= set(NAMES)), set(NAMES) - tried(third)
    assert len(NAMES) > 300


@pytest.mark.requirement("ST-03")
@pytest.mark.parametrize(
    "state",
    [
        "not asked",
        pytest.param("refused", marks=pytest.mark.full_matrix),
        pytest.param("another purpose granted", marks=pytest.mark.full_matrix),
        pytest.param("withdrawn", marks=pytest.mark.full_matrix),
    ],
)
def test_no_way_leads_out_of_a_page_under_our_policy(
    new_profile: Callable[[], BrowserContext], site: Sites, third: Recipient, state: str
) -> None:
    context = new_profile()
    for purposes in STATES[state]:
        answer(context, site, purposes)
    numbers = range(len(PAGES))
    others = [number for number in numbers if NAVIGATIONS.isdisjoint(PAGES[number])]
    open_pages(context, site, third, others)
    assert (tried(third), third.connections) == (set(), 0)
    open_pages(context, site, third, [number for number in numbers if number not in others])
    assert third.ways == []


@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("policy", ["", OPEN], ids=["app without a policy", "app with a policy"])
def test_granted_page_reaches_what_is_declared_as_it_is_declared(
    browser: Browser, third: Recipient, policy: str
) -> None:
    pictures, unknown = Recipient(), Recipient()
    with (
        listening(pictures),
        listening(unknown),
        serve(
            ways_site({third.origin: EVERY, pictures.origin: ["img"], unknown.origin: []}, "enforce", policy)
        ) as site,
        browser.new_context() as context,
    ):
        answer(context, site, ["media"])
        for recipient in (third, pictures, unknown):
            open_pages(context, site, recipient, MIXED)
    assert third.kinds >= {"script", "style", "image", "font", "video", "iframe", "empty", "worker", "object"}
    assert pictures.kinds - {"prefetch"} == {"image"}, "any directive allows to prefetch (CSP3, section 6.8.1)"
    assert unknown.ways == []


@pytest.mark.full_matrix
@pytest.mark.parametrize(("way", "example"), EXAMPLES)
def test_each_example_of_what_no_policy_stops_leads_out(
    shared_context: BrowserContext, site: Sites, third: Recipient, way: str, example: str
) -> None:
    shared_context.clear_cookies()
    page, host = shared_context.new_page(), f"localhost:{third.port}"
    if way == "Connections":
        host = f"example{EXAMPLES.index((way, example))}.{host}"  # another one still has a connection
    example = example.replace("https://third.example", f"http://{host}").replace("third.example", host)
    is_open_before = way == "Open pages"
    answer(shared_context, site, ["media"] if is_open_before else [])
    page.goto(f"{site.address}/example?example={'' if is_open_before else quote(example)}", wait_until="commit")
    if is_open_before:
        answer(shared_context, site, [])
        page.evaluate(example)
    if way == "Connections":
        assert until(page, lambda: third.connections)
        assert third.ways == []
    else:
        assert until(page, lambda: third.ways)
    page.close()


def test_documentation_has_an_example_of_each_way_but_of_extensions() -> None:
    assert len(ROWS) == SECTION.count("\n| **")
    without = {name for name, _ in ROWS} - {name for name, _ in EXAMPLES}
    assert without == {"Extensions of the browser"}


@pytest.mark.full_matrix
def test_no_way_leads_out_of_a_page_under_our_policy_in_firefox(
    site: Sites, third: Recipient, firefox: Firefox
) -> None:
    for number in MIXED:
        firefox.go(f"{site.address}/page/{number}?to={third.origin}")
        firefox.wait_for("document.title === 'done'")
    assert tried(third) == set()
