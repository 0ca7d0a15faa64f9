"""Tests of a hostile page: it reaches no recipient before its purpose is granted, and then only as declared."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browsers.recipients import Recipient, hostile_site
from tests.support.browsers.visitor_browser import PREFIX, Sites
from tests.support.sites.hostile_site import MARKUP

pytestmark = pytest.mark.browser
LONGEST = 60_000
OPEN = "default-src * data: blob: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'"
"""A policy of the app that lets everybody in."""

BY_DIRECTIVE = {
    "script": "modulepreload script module appended import",
    "img": "preload icon pixel srcset picture image-button poster srcdoc svg-image css-url style-attribute "
    "image adopted blank-frame frame-script data-frame",
    "connect": "fetch keepalive xhr beacon events websocket ping blob-worker handler inline-script",
    "frame": "iframe frame-in-frame",
    "font": "css-font fontface",
    "style": "stylesheet css-import",
    "media": "video audio track player",
    "form": "form form-get",
}
"""A recipient's directive -> the ways out that it opens."""
EITHER = {"prefetch", "prerender", "icon", "modulepreload", "track", "frame-in-frame", "preload"}
"""Ways that a directive opens, but that browsers may leave out."""
HINTS = {"prefetch", "prerender", "svg-use"}
"""Ways that need any directive (CSP3, section 6.8.1)."""


def opened(*directives: str) -> set[str]:
    """Return the ways out that directives open."""
    return {way for directive in directives for way in BY_DIRECTIVE[directive].split()}


@pytest.fixture(scope="module")
def recipients() -> dict[str, Recipient]:
    """Third parties: two of one purpose, one of another purpose, and one that is not declared."""
    return {
        "maps": Recipient("media"),
        "pictures": Recipient("media", ["img"]),
        "stats": Recipient("analytics"),
        "unknown": Recipient(""),
    }


@pytest.fixture(scope="module", params=["", OPEN], ids=["app without a policy", "app with a policy"])
def site(
    request: pytest.FixtureRequest, recipients: dict[str, Recipient], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sites]:
    """The site under test."""
    with hostile_site(tmp_path_factory.mktemp("hostile"), recipients, HOSTILE_POLICY=request.param) as site:
        yield site


@pytest.fixture
def page(browser: Browser, recipients: dict[str, Recipient]) -> Iterator[Page]:
    """A page of a new visitor. The recipients forget who has reached them."""
    for recipient in recipients.values():
        recipient.ways.clear()
    context = browser.new_context()
    yield context.new_page()
    context.close()


def answer(context: BrowserContext, site: Sites, *purposes: str) -> None:
    """Answer the question, granting these purposes."""
    body = {"choice": "save", "purposes": dict.fromkeys(purposes, True)}
    reply = context.request.post(site.address + PREFIX, data=body, headers={"sec-fetch-site": "same-origin"})
    assert reply.ok


def visit(page: Page, site: Sites) -> set[str]:
    """Open the hostile page and wait until it has tried; return the origins that a response came from."""
    heard: set[str] = set()
    page.context.on("response", lambda response: heard.add(response.url.split("/")[2]))
    page.goto(f"{site.address}/", wait_until="commit")
    expect(page).to_have_title("done", timeout=LONGEST)
    return heard


def test_hostile_page_tries_every_way_that_its_directives_name() -> None:
    assert opened(*BY_DIRECTIVE) & set(MARKUP) >= set(MARKUP) - HINTS - {
        *("dns-prefetch", "preconnect", "manifest", "object", "embed", "svg-document")
    }


@pytest.mark.full_matrix  # tests/browser/test_ways_out.py has more ways
@pytest.mark.parametrize("is_refused", [False, True], ids=["not asked", "refused"])
def test_refused_page_reaches_nobody(
    page: Page, site: Sites, recipients: dict[str, Recipient], *, is_refused: bool
) -> None:
    if is_refused:
        answer(page.context, site)
    heard = visit(page, site)
    assert {id_: it.ways for id_, it in recipients.items() if it.ways} == {}
    assert heard == {site.address.removeprefix("http://")}


@pytest.mark.each_value(at_most=1)
def test_granted_page_reaches_exactly_what_is_declared(
    page: Page, site: Sites, recipients: dict[str, Recipient]
) -> None:
    answer(page.context, site, "media")
    visit(page, site)
    maps, pictures = set(recipients["maps"].ways), set(recipients["pictures"].ways)
    assert maps - HINTS <= opened(*BY_DIRECTIVE)
    assert maps >= opened(*BY_DIRECTIVE) - EITHER
    assert pictures - HINTS <= opened("img")
    assert pictures >= opened("img") - EITHER
    assert recipients["stats"].ways == recipients["unknown"].ways == []


@pytest.mark.full_matrix
def test_refused_page_reaches_nobody_in_firefox(site: Sites, recipients: dict[str, Recipient]) -> None:
    from tests.support.browsers.engines import Setting
    from tests.support.browsers.guest import guest_at

    with guest_at("Firefox", Setting(), site) as guest:
        guest.driver.set_page_load_timeout(LONGEST / 1000)
        for recipient in recipients.values():
            recipient.ways.clear()
        guest.driver.get(f"{site.address}/")
        guest.until(lambda: guest.driver.title == "done")
    assert {id_: it.ways for id_, it in recipients.items() if it.ways} == {}
