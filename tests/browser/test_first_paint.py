"""Tests with our stylesheet held open, or not to be had: no banner is seen without it, and none says what is untrue."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browsers.surroundings import policy_page, styled_page
from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor, with_and_without_scripts
from tests.support.policies import text_of
from tests.support.sites.surroundings_site import policy
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

PAINTED = "performance.getEntriesByName('first-contentful-paint').length === 1"
STYLESHEET = "**/choices.*.css"


@pytest.fixture(scope="module")
def sites(surroundings: Sites) -> Sites:
    """The sites under test."""
    return surroundings


def open_without_stylesheet(visitor: Visitor, path: str) -> Callable[[], None]:
    """Open a page while requests for our stylesheet stay unanswered; return what answers them."""
    held: list[Route] = []
    visitor.page.route(STYLESHEET, lambda route: held.append(route))
    httpx.get(f"{visitor.sites.address}/reports")
    visitor.page.goto(visitor.sites.address + path, wait_until="commit")
    assert eventually(lambda: visitor.page.evaluate(PAINTED))
    expect(visitor.page.locator("main")).to_be_visible()

    def release() -> None:
        visitor.page.route(STYLESHEET, lambda route: route.continue_())
        for route in held:
            route.continue_()

    return release


def expect_styled(visitor: Visitor) -> None:
    expect(visitor.banner).to_be_visible()
    expect(visitor.banner).to_have_css("position", "fixed")


def expect_no_violation(visitor: Visitor) -> None:
    visitor.page.wait_for_load_state()
    assert httpx.get(f"{visitor.sites.address}/reports").json() == []


@with_and_without_scripts
@pytest.mark.parametrize("path", [styled_page("none"), policy_page("nonces"), f"{policy_page('nonces')}?apart"])
def test_banner_with_inline_style_requests_no_stylesheet(new_visitor: NewVisitor, path: str, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    open_without_stylesheet(visitor, path)
    expect_styled(visitor)
    visitor.page.wait_for_load_state()
    assert not [request.url for request in visitor.requests() if fnmatch(request.url, STYLESHEET)]
    expect_no_violation(visitor)


@with_and_without_scripts
@pytest.mark.parametrize("name", ["files", "trusted types", "no scripts"])
def test_banner_with_linked_stylesheet_is_never_seen_without_it(
    new_visitor: NewVisitor, name: str, scripts: bool
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    held: list[Route] = []
    visitor.page.route(STYLESHEET, lambda route: held.append(route))
    httpx.get(f"{visitor.sites.address}/reports")
    visitor.page.goto(visitor.sites.address + policy_page(name), wait_until="commit")
    assert eventually(lambda: not visitor.page.evaluate(PAINTED) and held)
    visitor.page.route(STYLESHEET, lambda route: route.continue_())
    for route in held:
        route.continue_()
    expect_styled(visitor)
    visitor.refuse()
    if name != "no scripts":  # the page of the test has a script of its own
        expect_no_violation(visitor)


def test_banner_is_shown_when_stylesheet_cannot_be_had(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.route(STYLESHEET, lambda route: route.abort())
    visitor.go(policy_page("files"))
    expect(visitor.banner).to_be_visible()
    visitor.refuse()
    assert visitor.state["status"] == "refused"


# Without the stylesheet nothing untrue is said.


def without_is(page: Page) -> None:
    """Take the rules that browsers before 2021 drop out of our stylesheet."""
    page.evaluate(
        r"""() => {
            const style = document.querySelector(".pchoice-style"), rules = [...style.sheet.cssRules];
            const dropped = /:is\(|:not\([^)]*[,#]/;
            style.textContent = rules.map(it => it.cssText).filter(it => !dropped.test(it)).join("");
        }"""
    )


UNTRUE = text_of(policy(), "en", "cookies_blocked")
"""Until it is known that the browser keeps no cookies."""


@with_and_without_scripts
@pytest.mark.parametrize("layout", ["corner", "bar", "modal"])
@pytest.mark.parametrize("without", ["stylesheet", ":is()"])
def test_banner_without_its_rules_says_nothing_untrue(
    new_visitor: NewVisitor, layout: str, without: str, scripts: bool
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    visitor.go(styled_page("none", layout))
    if without == ":is()":
        without_is(visitor.page)
    else:
        visitor.page.evaluate("document.querySelector('.pchoice-style').remove()")
    text = visitor.banner.inner_text()
    assert UNTRUE not in text
    assert "Refuse all" in text
    expect(visitor.banner.locator("button:not([type=submit])")).to_be_hidden()
    visitor.banner.locator("summary").click()
    expect(visitor.banner.locator("[value=save]:not([hidden])")).to_be_visible()
    visitor.refuse()
    assert visitor.state["status"] == "refused"
