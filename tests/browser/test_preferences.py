"""Tests of browser preferences: language, Global Privacy Control, blocked cookies and the back button."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from cookie_consent.texts import catalog as shipping
from tests.support.browsers.visitor_browser import (
    CHROMIUM_OPTIONS,
    PREFIX,
    NewVisitor,
    Sites,
    Visitor,
    with_and_without_scripts,
)

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]


def shipped(language: str) -> dict[str, str]:
    """Return the shipped texts of a language that have no plural forms."""
    return {name: text for name, text in shipping.shipped(language).items() if isinstance(text, str)}


# A language


@with_and_without_scripts
def test_japanese_browser_gets_japanese_texts(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor, texts = new_visitor(java_script_enabled=scripts, locale="ja-JP"), shipped("ja")
    page, html = visitor.page, visitor.page.locator("html")
    visitor.go("/offices")
    expect(html).to_have_attribute("lang", "ja")
    expect(visitor.banner).to_have_attribute("lang", "ja")
    expect(page.get_by_role("region", name=texts["banner_title"])).to_be_visible()
    expect(visitor.banner).to_contain_text("訪問の記録")
    expect(visitor.banner.get_by_role("button", name=texts["accept_all"])).to_be_visible()
    visitor.answer(visitor.banner.get_by_role("button", name=texts["refuse_all"]))
    expect(visitor.banner).to_have_count(0)
    if scripts:
        expect(visitor.status).to_have_text(f"{texts['kept']}{texts['status_refused']}")
    expect(page.locator(".pchoice-box")).to_contain_text("地図は表示していません。")
    page.get_by_role("contentinfo").get_by_role("link").last.click()
    expect(page.get_by_role("heading", name=texts["privacy_settings"])).to_be_visible()
    expect(html).to_have_attribute("lang", "ja")
    expect(page.get_by_text(texts["status_refused"], exact=True)).to_be_visible()
    visitor.answer(page.get_by_role("button", name=texts["accept_all"]))
    if not scripts:
        page.get_by_role("status").get_by_role("link", name=texts["back"]).click()
    expect(page.locator("#map")).to_be_visible()
    assert visitor.path == "/offices"
    assert visitor.state["status"] == "granted"
    receipt = visitor.context.request.get(f"{visitor.sites.address}{PREFIX}/receipt").json()
    assert receipt["language"] == "ja"


# Global Privacy Control


@with_and_without_scripts
def test_global_privacy_control_refuses_without_banner(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts, extra_http_headers={"Sec-GPC": "1"})
    page = visitor.page
    for path in ("/", "/names", "/tour", "/offices"):
        visitor.go(path)
        expect(visitor.banner).to_have_count(0)
    box = page.get_by_role("region", name="Map of our offices is switched off")
    expect(box).to_contain_text("Your browser refuses it by the Global Privacy Control signal.")
    page.get_by_role("link", name="Privacy settings").first.click()
    notice = page.get_by_text("Your browser sends the Global Privacy Control signal. It is honoured")
    expect(notice).to_contain_text("Statistics, Maps and tours, and Suggestions")
    assert visitor.hosts() == {visitor.sites.address}
    assert visitor.cookies == {}

    # A grant in the settings, purpose by purpose, overrides the signal.
    visitor.go("/offices")
    expect(box.get_by_role("button", name="Always allow")).to_have_count(0)
    page.get_by_role("link", name="Privacy settings").first.click()
    page.get_by_label("Allow: Maps and tours").check()
    visitor.answer(page.get_by_role("button", name="Save my choice"))
    page.get_by_role("link", name="Back to the page").first.click()
    expect(page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
    state = {"necessary": True, "visits": False, "analytics": False, "media": True, "functional": False}
    assert visitor.state["purposes"] == state
    expect(visitor.banner).to_have_count(0)


# No cookies


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def cookieless_visitor(
    browser: Browser, sites: Sites, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Visitor]:
    """A visitor whose browser blocks cookies."""
    settings = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(settings), encoding="utf-8")
    start = browser.browser_type.launch_persistent_context
    with start(tmp_path, **CHROMIUM_OPTIONS, java_script_enabled=request.param) as context:
        yield Visitor(context, sites, scripts=request.param)


def test_pages_work_without_cookies_and_report_lost_answer(cookieless_visitor: Visitor) -> None:
    visitor, page = cookieless_visitor, cookieless_visitor.page
    blocked = shipped("en")["cookies_blocked"]
    for path in ("/", "/names", "/tour", PREFIX, "/offices"):
        visitor.go(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if visitor.scripts:
            expect(visitor.banner).to_have_count(0)
    box = page.locator(".pchoice-box")
    assert {request.method for request in visitor.requests()} == {"GET"}
    expect(box.get_by_text(blocked)).to_be_hidden()
    visitor.answer(box.get_by_role("button", name="Always allow"))
    if visitor.scripts:
        expect(box.locator("[role=alert]")).to_have_text(blocked)
    else:
        expect(box.get_by_text(blocked)).to_be_visible()
        expect(visitor.banner.get_by_text(blocked)).to_be_hidden()
        visitor.answer(visitor.choice("accept_all"))
        # A message replaces the banner.
        expect(visitor.banner.get_by_text(blocked)).to_be_visible()
        expect(visitor.choice("accept_all")).to_be_hidden()
    expect(box).to_be_visible()
    assert visitor.path == "/offices"
    assert visitor.hosts() == {visitor.sites.address}


NOT_SAVED = shipped("en")["cookies_blocked"]


@pytest.mark.parametrize("cookieless_visitor", [False], ids=["without JavaScript"], indirect=True)
def test_lost_answer_without_scripts_says_that_each_page_asks_again(cookieless_visitor: Visitor) -> None:
    visitor = cookieless_visitor
    said = f"{NOT_SAVED} {shipped('en')['asks_again']}"
    for press in ("refuse_all", "accept_all"):
        visitor.go("/offices")
        expect(visitor.banner).not_to_contain_text(said, use_inner_text=True)
        visitor.answer(visitor.choice(press))
        expect(visitor.banner).to_have_text(said, use_inner_text=True)
    visitor.go("/offices")
    expect(visitor.choice("refuse_all")).to_be_visible()
    visitor.answer(visitor.page.get_by_role("button", name="Always allow"))
    expect(visitor.page.locator(".pchoice-box")).to_contain_text(said, use_inner_text=True)
    expect(visitor.page.locator(".pchoice-once")).to_have_count(0)


@pytest.mark.parametrize("kind", ["with our link", "with a link of its own"])
@pytest.mark.parametrize("cookieless_visitor", [True], ids=["with JavaScript"], indirect=True)
def test_blocked_cookies_are_told_once_a_tab_in_a_line_at_the_end(
    cookieless_visitor: Visitor, house: Sites, kind: str
) -> None:
    visitor = cookieless_visitor
    paths = ["/", "/names", "/tour", "/offices", "/account"]
    if kind == "with our link":
        visitor.sites = house
        paths = ["/", "/second", "/long", "/both-scripts", "/second"]
    for tab in (visitor, visitor.new_tab()):
        tab.go(paths[0])
        line = tab.page.get_by_role("status").filter(has_text=NOT_SAVED)
        expect(line).to_be_visible()
        expect(line).to_have_css("position", "static")
        assert line.evaluate("it => it.getBoundingClientRect().bottom >= document.querySelector('main').offsetHeight")
        tab.page.keyboard.press("End")
        expect(line).to_be_visible()
        tab.page.reload()
        for path in paths[1:]:
            expect_no_message(tab)
            tab.go(path)
        expect_no_message(tab)


def expect_no_message(visitor: Visitor) -> None:
    """Wait until the page has left out its question, and check that it says nothing."""
    visitor.ready()
    visitor.page.wait_for_load_state("networkidle")
    expect(visitor.banner).to_have_count(0)
    expect(visitor.page.get_by_text(NOT_SAVED)).to_have_count(0)


# The back button


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def returning(caching_browser: Browser, sites: Sites, request: pytest.FixtureRequest) -> Iterator[Visitor]:
    """Somebody who goes back."""
    with caching_browser.new_context(java_script_enabled=request.param) as context:
        yield Visitor(context, sites, scripts=request.param)


def go_back(visitor: Visitor, path: str, steps: int) -> None:
    """Go back. The history has the page of a form twice: before and after sending."""
    visitor.go_back(steps)
    expect(visitor.page).to_have_url(f"{visitor.sites.address}{path}")


def test_withdrawn_content_is_gone_after_going_back(returning: Visitor) -> None:
    returning.go(PREFIX)
    returning.answer(returning.choice("accept_all"))
    returning.go("/offices")
    inside = returning.page.frame_locator("#map").get_by_label("A map with two offices")
    expect(inside).to_be_visible()
    returning.go(PREFIX)
    returning.answer(returning.choice("refuse_all"))
    expect(returning.page.get_by_text("You refused all purposes")).to_be_visible()
    returning.requests()
    go_back(returning, "/offices", 2)
    expect(returning.page.locator("#map")).to_have_count(0)
    expect(returning.page.locator(".pchoice-box")).to_be_visible()
    assert returning.hosts() == {returning.sites.address}
    assert returning.cookies.keys() == {"consent", "visitor-erasure"}
