"""Tests of the banner with the keyboard, and of actions that are no answer."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.browsers.contrast import contrast, parse_colour
from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Visitor, until, with_and_without_scripts

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]


RING = """() => {
    const it = document.activeElement, { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(it);
    let behind = it.parentElement;
    while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
    const width = outlineStyle === "none" ? 0 : parseFloat(outlineWidth);
    return [width, outlineColor, getComputedStyle(behind).backgroundColor];
}"""


def tab_to(visitor: Visitor, wanted: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(20):
        if visitor.focused() == wanted:
            return
        visitor.page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} cannot be reached by the keyboard")


def escape(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")


def scroll(page: Page) -> None:
    page.mouse.move(300, 20)
    page.mouse.wheel(0, 600)
    assert until(page, lambda: page.evaluate("scrollY") > 0)  # without JavaScript, no page can wait by itself


def reload(page: Page) -> None:
    page.reload()


@with_and_without_scripts
def test_tab_reaches_banner_before_page(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    visitor.open_with_banner("/")
    reached = []
    for _ in range(7):
        visitor.page.keyboard.press("Tab")
        reached.append(visitor.focused())
    links = ["Privacy settings", "Example Analytics Ltd. and Example Maps Inc."]
    assert reached == [*links, "refuse_all", "accept_all", "Choose", "later", "To the content"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("path", "last"), [("/", "accept_all"), (PREFIX, "The whole policy as data (JSON)")])
def test_focus_ring_has_enough_contrast(new_visitor: NewVisitor, scheme: Any, path: str, last: str) -> None:
    visitor = new_visitor(color_scheme=scheme)
    if path == PREFIX:
        visitor.go(path)
    else:
        visitor.open_with_banner(path)
    while visitor.focused() != last:
        visitor.page.keyboard.press("Tab")
        width, ring, behind = visitor.page.evaluate(RING)
        assert width >= 2, visitor.focused()
        assert contrast(parse_colour(ring), parse_colour(behind)) >= 3, visitor.focused()  # WCAG 1.4.11
        expect(visitor.page.locator(":focus")).to_be_in_viewport(ratio=0.9)


@with_and_without_scripts
def test_keyboard_can_choose_single_purpose(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts, viewport={"width": 320, "height": 568})
    keyboard = visitor.page.keyboard
    visitor.open_with_banner("/")
    tab_to(visitor, "Choose")
    keyboard.press("Enter")
    for purpose in ("analytics", "media", "functional"):
        keyboard.press("Tab")
        assert visitor.focused() == purpose
        expect(visitor.page.locator(":focus")).to_be_in_viewport(ratio=1)
    keyboard.press("Space")
    keyboard.press("Tab")
    assert visitor.focused() == "save"
    expect(visitor.page.locator(":focus")).to_be_in_viewport(ratio=0.5)
    keyboard.press("Enter")
    expect(visitor.banner).to_have_count(0)
    assert visitor.state["purposes"] == {"necessary": True, "analytics": False, "media": False, "functional": True}


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
