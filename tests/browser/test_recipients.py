"""Tests of the choice among recipients: the boxes of the settings page, with JavaScript and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from cookie_consent.cli.demo.site import LOOPBACK, started
from tests.support.browsers.visitor_browser import PREFIX, ROOT, Sites, Visitor, with_and_without_scripts

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site of `recipients_site`."""
    folder = tmp_path_factory.mktemp("recipients")
    with started("tests.support.sites.recipients_site:app", ROOT, folder / "site.log", (LOOPBACK, 0), {}) as site:
        yield Sites(site.address, "", folder / "access.jsonl")


@pytest.fixture
def visit(browser: Browser, ads: Sites) -> Iterator[Callable[[bool], Visitor]]:
    """Opens a visitor's browser, with scripts or without. No script may fail."""
    visitors: list[Visitor] = []

    def visit(scripts: bool) -> Visitor:
        visitors.append(Visitor(browser.new_context(java_script_enabled=scripts), ads, scripts=scripts))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        visitor.context.close()
        assert visitor.complaints == []


def box(visitor: Visitor, name: str) -> Locator:
    return visitor.page.get_by_role("checkbox", name=name, exact=True)


def save(visitor: Visitor) -> dict[str, bool]:
    """Save the settings, and return which recipients are allowed then."""
    visitor.answer(visitor.page.get_by_role("button", name="Save my choice"))
    recipients: dict[str, bool] = visitor.state["recipients"]
    return recipients


@with_and_without_scripts
def test_visitor_chooses_recipients_on_the_settings_page(visit: Callable[[bool], Visitor], scripts: bool) -> None:
    visitor = visit(scripts)
    visitor.go(PREFIX)
    whole, adnet, bidder = (box(visitor, name) for name in ("Allow: ads", "adnet", "bidder"))
    for each in (whole, adnet, bidder):
        expect(each).not_to_be_checked()
    # The purpose stands for all of its recipients.
    whole.check()
    if scripts:
        expect(adnet).to_be_checked()
        expect(bidder).to_be_checked()
    assert save(visitor) == {"adnet": True, "bidder": True}
    bidder.uncheck()
    if scripts:
        assert whole.evaluate("it => [it.checked, it.indeterminate]") == [True, True]
    assert save(visitor) == {"adnet": True, "bidder": False}
    expect(bidder).not_to_be_checked()
    if scripts:
        assert whole.evaluate("it => [it.checked, it.indeterminate]") == [True, True]


@with_and_without_scripts
def test_purpose_and_recipients_go_together(visit: Callable[[bool], Visitor], scripts: bool) -> None:
    visitor = visit(scripts)
    visitor.go(PREFIX)
    visitor.accept()
    whole, adnet = box(visitor, "Allow: ads"), box(visitor, "adnet")
    expect(adnet).to_be_checked()
    # Without its purpose, no recipient is left.
    whole.uncheck()
    if scripts:
        expect(adnet).not_to_be_checked()
    assert save(visitor) == {"adnet": False, "bidder": False}
    assert visitor.state["purposes"]["ads"] is False
    # A recipient brings its purpose.
    adnet.check()
    assert save(visitor) == {"adnet": True, "bidder": False}
    expect(whole).to_be_checked()
    adnet.uncheck()
    assert save(visitor) == {"adnet": False, "bidder": False}
    expect(whole).not_to_be_checked()


def test_question_leads_to_the_boxes(visit: Callable[[bool], Visitor]) -> None:
    visitor = visit(True)
    visitor.go("/")
    visitor.banner.get_by_text("Choose", exact=True).click()
    visitor.banner.get_by_role("link", name="Choose recipients one by one").click()
    expect(box(visitor, "adnet")).to_be_in_viewport()
    visitor.go_back()
    visitor.accept()
    visitor.go(PREFIX)
    expect(box(visitor, "bidder")).to_be_checked()
