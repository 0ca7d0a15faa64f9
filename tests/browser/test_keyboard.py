"""Tests of the banner with the keyboard, and of actions that are no answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.support.browsers.visitor_browser import NewVisitor, Visitor, until, with_and_without_scripts

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]


def tab_to(visitor: Visitor, wanted: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(20):
        if visitor.focused() == wanted:
            return
        visitor.page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} cannot be reached by the keyboard")


@pytest.mark.requirement("AX-04")
@with_and_without_scripts
def test_keyboard_can_choose_single_purpose(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts, viewport={"width": 320, "height": 568})
    keyboard = visitor.page.keyboard
    visitor.open_with_banner("/")
    tab_to(visitor, "Choose")
    keyboard.press("Enter")
    if scripts:  # it shows the answers, a moment later
        expect(visitor.banner.locator("[value=save]").last).to_be_in_viewport()
    for purpose in ("visits", "analytics", "media", "functional"):
        keyboard.press("Tab")
        assert visitor.focused() == purpose
        expect(visitor.page.locator(":focus")).to_be_in_viewport(ratio=1)
    keyboard.press("Space")
    keyboard.press("Tab")
    assert visitor.focused() == "save"
    expect(visitor.page.locator(":focus")).to_be_in_viewport(ratio=0.5)
    keyboard.press("Enter")
    expect(visitor.banner).to_have_count(0)
    assert [purpose for purpose, holds in visitor.state["purposes"].items() if holds] == ["necessary", "functional"]


@pytest.mark.requirement("AX-06", "AX-08")
def test_keyboard_answer_moves_focus_to_content(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/names")
    tab_to(visitor, "refuse_all")
    visitor.page.keyboard.press("Enter")
    expect(visitor.status).to_contain_text("Your choice is saved.")
    expect(visitor.page.get_by_role("main")).to_be_focused()
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("searchbox").or_(visitor.page.get_by_label("Name"))).to_be_focused()
    expect(visitor.status).to_be_empty()


def scroll(page: Page) -> None:
    page.mouse.move(300, 20)
    page.mouse.wheel(0, 600)
    assert until(page, lambda: page.evaluate("scrollY") > 0)  # without JavaScript, no page can wait by itself


def open_and_leave_settings_page(page: Page) -> None:
    page.locator(".pchoice").get_by_role("link", name="Privacy settings").click()
    page.get_by_role("link", name="Back to the page").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def tick_without_saving(page: Page) -> None:
    page.locator(".pchoice").get_by_text("Choose").click()
    page.locator(".pchoice").get_by_role("checkbox").first.check()


ACTS: dict[str, Callable[[Page], object]] = {
    "scroll": scroll,
    "click beside": lambda page: page.mouse.click(640, 300),
    "reload": lambda page: page.reload(),
    "follow a link": lambda page: page.get_by_role("link", name="Offices").first.click(),
    "open and leave the settings page": open_and_leave_settings_page,
    "tick without saving": tick_without_saving,
}
"""What is no answer."""


@pytest.mark.requirement("ST-06", "AX-04", "AX-09")
@with_and_without_scripts
def test_only_answer_buttons_give_answer(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts, viewport={"width": 1280, "height": 400})
    if not scripts:
        # With the script, Escape presses the button that decides later.
        visitor.go("/")
        visitor.page.keyboard.press("Tab")
        visitor.page.keyboard.press("Escape")
    for act in ACTS.values():
        visitor.open_with_banner("/")
        act(visitor.page)
        expect(visitor.banner).to_be_visible()
    visitor.go("/names")
    expect(visitor.banner).to_be_visible()
    assert {request.method for request in visitor.requests()} == {"GET"}
    assert visitor.cookies == {}
    assert visitor.state["status"] == "unknown"
