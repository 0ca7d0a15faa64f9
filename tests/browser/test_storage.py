"""Tests of what scripts keep in the browser's storage: a refusal clears what is declared for its purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor, serve
from tests.support.sites.vendor_site import stored

pytestmark = pytest.mark.browser

STORE = """() => {
    localStorage.theme = "dark";
    localStorage["seen of 3.4"] = "yes";
    sessionStorage["seen of 5"] = "yes";
    localStorage.cart = "2";
    localStorage["my theme"] = "light";
}"""
KEYS = "[...Object.keys(localStorage), ...Object.keys(sessionStorage)].sort()"
ALL = ["cart", "my theme", "seen of 3.4", "seen of 5", "theme"]
OTHERS = ["cart", "my theme"]
"""What is necessary, and what the policy does not declare."""


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with serve(stored) as sites:
        yield sites


@pytest.fixture
def visitor(new_visitor: NewVisitor) -> Visitor:
    """A visitor who accepted all, with all keys in the browser's storage."""
    visitor = new_visitor()
    visitor.go("/")
    visitor.accept()
    visitor.page.evaluate(STORE)
    return visitor


def keys(visitor: Visitor) -> list[str]:
    found: list[str] = visitor.page.evaluate(KEYS)
    return found


def withdraw_in_place(visitor: Visitor) -> None:
    visitor.ready()
    visitor.page.get_by_role("link", name="Privacy settings").first.click()
    with visitor.page.expect_event("load"):
        visitor.choice("refuse_all").click()


def withdraw_on_the_settings_page(visitor: Visitor) -> None:
    visitor.go("/privacy-choices")
    visitor.refuse()


def withdraw_on_a_page_without_a_script(visitor: Visitor) -> None:
    address = f"{visitor.sites.address}/privacy-choices"
    visitor.context.request.post(address, form={"choice": "refuse_all"}, headers={"origin": visitor.sites.address})
    visitor.go("/plain")


@pytest.mark.requirement("ST-05")
@pytest.mark.parametrize(
    "withdraw", [withdraw_in_place, withdraw_on_the_settings_page, withdraw_on_a_page_without_a_script]
)
def test_withdrawal_clears_what_is_stored_for_its_purpose(
    visitor: Visitor, withdraw: Callable[[Visitor], None]
) -> None:
    visitor.go("/plain")
    visitor.go("/")
    assert keys(visitor) == ALL
    withdraw(visitor)
    assert keys(visitor) == OTHERS


def test_signal_and_having_answered_nothing_clear_nothing(visitor: Visitor) -> None:
    visitor.context.set_extra_http_headers({"sec-gpc": "1", "dnt": "1"})
    visitor.go("/")
    assert keys(visitor) == ALL
    visitor.context.set_extra_http_headers({})
    visitor.context.clear_cookies()
    visitor.go("/")
    assert keys(visitor) == ALL


def test_page_of_who_refused_clears_what_came_back(visitor: Visitor) -> None:
    withdraw_on_the_settings_page(visitor)
    visitor.page.evaluate(STORE)
    visitor.go("/plain")
    assert keys(visitor) == OTHERS
