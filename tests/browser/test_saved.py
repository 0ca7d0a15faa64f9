"""Tests of the message that an answer is saved, where no script can say it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor, with_and_without_scripts

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

SAVED = "Your choice is saved."
STATUS = {
    "refuse_all": "You refused all purposes that are not strictly necessary.",
    "accept_all": "You accepted all purposes.",
}
BACK = "Back to the page"


@pytest.fixture
def sites(house: Sites) -> Sites:
    """The sites under test."""
    return house


def message(visitor: Visitor) -> Locator:
    """Return the message."""
    return visitor.page.get_by_role("status").filter(has_text=SAVED)


def check_reload_and_history_say_nothing(visitor: Visitor) -> None:
    visitor.page.reload()
    expect(visitor.page.get_by_role("heading").first).to_be_visible()
    expect(message(visitor)).to_have_count(0)
    visitor.go("/long")
    visitor.go_back()
    expect(visitor.page).not_to_have_title("Long")
    expect(visitor.page.get_by_role("heading").first).to_be_visible()
    expect(message(visitor)).to_have_count(0)


@pytest.mark.parametrize("choice", STATUS)
def test_page_says_once_that_answer_is_saved(new_visitor: NewVisitor, choice: str) -> None:
    visitor = new_visitor(java_script_enabled=False)
    visitor.go("/offices?a=1")
    assert visitor.answer(visitor.choice(choice)).status == 303
    expect(message(visitor)).to_have_text(f"{SAVED} {STATUS[choice]} {BACK}")
    expect(message(visitor)).to_be_in_viewport(ratio=1)
    expect(message(visitor)).to_have_css("position", "fixed")
    assert visitor.cookies.keys() - {"visitor"} == {"consent"}
    check_reload_and_history_say_nothing(visitor)


@with_and_without_scripts
@pytest.mark.parametrize(("before", "choice"), [("accept_all", "refuse_all"), ("refuse_all", "accept_all")])
def test_settings_page_says_once_that_answer_is_saved(
    new_visitor: NewVisitor, scripts: bool, before: str, choice: str
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    visitor.go("/offices")
    visitor.answer(visitor.choice(before))
    expect(message(visitor)).to_be_visible()
    visitor.go(f"{PREFIX}?next=/corner/offices")
    expect(message(visitor)).to_have_count(0)
    assert visitor.answer(visitor.choice(choice)).status == 303
    expect(message(visitor)).to_have_text(f"{SAVED} {BACK}")
    expect(message(visitor)).to_be_in_viewport(ratio=1)
    expect(visitor.page.get_by_text(STATUS[choice])).to_be_visible()
    back = message(visitor).get_by_role("link", name=BACK)
    check_reload_and_history_say_nothing(visitor)
    visitor.answer(visitor.choice(before))
    back.click()
    expect(visitor.page).to_have_url(f"{visitor.sites.address}/offices")
    expect(visitor.page.get_by_role("heading").first).to_be_visible()
    expect(message(visitor)).to_have_count(0)
