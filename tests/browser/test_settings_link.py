"""Tests of the link to the settings at the end of pages: large, centred, like the page's text, and in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, ViewportSize, expect

from tests.support.browsers.life_browser import another_tab
from tests.support.browsers.surroundings import ending_page
from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor
from tests.support.sites.surroundings_site import ENDS

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=4)]

DESK, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)
LINK = "[data-privacy-settings]"
WIDENS = "() => document.documentElement.scrollWidth > innerWidth"


@pytest.fixture(scope="module")
def sites(surroundings: Sites) -> Sites:
    """The sites under test."""
    return surroundings


@pytest.fixture(scope="module")
def visitor(browser: Browser, sites: Sites) -> Iterator[Visitor]:
    """A visitor who has refused."""
    with browser.new_context() as context:
        visitor = Visitor(context, sites)
        refuse(visitor)
        yield visitor


def refuse(visitor: Visitor) -> None:
    own = {"sec-fetch-site": "same-origin"}
    assert visitor.context.request.post(visitor.sites.address + PREFIX, data={"choice": "refuse_all"}, headers=own).ok


def middle_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2


def shown(visitor: Visitor, name: str, screen: ViewportSize, **more: str) -> Locator:
    """Open a page and return its link."""
    visitor.page.set_viewport_size(screen)
    visitor.go(ending_page(name, **more))
    return visitor.page.locator(LINK)


@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", [*ENDS, "bootstrap", "pico", "tailwind"])
def test_link_is_large_and_centred_below_the_page(visitor: Visitor, name: str, screen: ViewportSize) -> None:
    link = shown(visitor, name, screen)
    expect(link).to_have_text("Privacy settings: refused")
    box = link.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    # Inside of the page's margins; in a row, there is no room but below it.
    page = visitor.page.locator("body")
    centre = screen["width"] / 2 if name in ("card", "columns") else middle_of(page)
    assert middle_of(link) == pytest.approx(centre, abs=1)
    ends = [it["y"] + it["height"] for part in ("main", "footer") if (it := visitor.page.locator(part).bounding_box())]
    assert box["y"] >= max(ends) - 1
    assert not visitor.page.evaluate(WIDENS)


def test_link_says_what_holds_after_each_answer_in_place_and_in_another_tab(
    new_visitor: NewVisitor, sites: Sites
) -> None:
    visitor = new_visitor()
    visitor.sites = sites
    other = another_tab(visitor)
    links = [shown(tab, "narrow", DESK) for tab in (visitor, other)]
    for tab in (visitor, other):
        tab.ready()
    for link in links:
        expect(link).to_have_text("Privacy settings")
    visitor.refuse()
    for link in links:
        expect(link).to_have_text("Privacy settings: refused")
    expect(visitor.status).to_contain_text("You refused all purposes")
    links[1].click()
    other.accept()
    for link in links:
        expect(link).to_have_text("Privacy settings: accepted")
    # What a message said holds no more.
    expect(visitor.status).to_be_empty()
