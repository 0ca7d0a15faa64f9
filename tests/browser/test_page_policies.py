"""Tests of the banner under strict Content-Security-Policies, and with a stylesheet that is late or cannot be had."""

from __future__ import annotations

from fnmatch import fnmatch

import pytest
from playwright.sync_api import expect

from cookie_consent.pages.pages import LAYOUTS
from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor, until, with_and_without_scripts
from tests.support.policies import text_of
from tests.support.sites.house import POLICIES, POLICY

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

WITNESS = "https://witness.example/"
"""An address that each policy blocks. The message about it shows that all earlier messages have come."""
SCRIPT_BLOCKED = "Blocked script execution in"
"""The beginning of Chromium's message about a script in a sandbox without scripts."""
STYLESHEET = "**/choices.*.css"
PAINTED = "performance.getEntriesByName('first-contentful-paint').length === 1"
UNTRUE = text_of(POLICY, "en", "cookies_blocked")
"""Until it is known that the browser keeps no cookies."""
WITHOUT = {
    "stylesheet": "() => document.querySelector('.pchoice-style').remove()",
    # As browsers before 2021 read it.
    ":is()": r"""() => {
        const style = document.querySelector(".pchoice-style"), rules = [...style.sheet.cssRules];
        const dropped = /:is\(|:not\([^)]*[,#]/;
        style.textContent = rules.map(it => it.cssText).filter(it => !dropped.test(it)).join("");
    }""",
}
"""What is missing in the page -> the script that takes it away."""


@pytest.fixture(scope="module")
def sites(house: Sites) -> Sites:
    """The sites under test."""
    return house


def complaints(visitor: Visitor) -> list[str]:
    """Return the errors and warnings in the console, but for those about the witness and the icon."""
    if visitor.scripts:
        visitor.page.route(WITNESS, lambda route: route.fulfill(headers={"access-control-allow-origin": "*"}))
        visitor.page.evaluate("address => fetch(address).catch(() => {})", WITNESS)
        assert until(visitor.page, lambda: any(WITNESS in text for text in visitor.said))
    found = [text for text in visitor.said if text.startswith(("error", "warning"))]
    return [text for text in found if not any(it in text for it in (WITNESS, "favicon.ico", SCRIPT_BLOCKED))]


def expect_styled(visitor: Visitor) -> None:
    """Expect the banner with its style."""
    expect(visitor.banner).to_be_visible()
    expect(visitor.banner).to_have_css("position", "fixed")
    for choice in ("refuse_all", "accept_all"):
        expect(visitor.choice(choice)).to_be_in_viewport(ratio=1)
        expect(visitor.choice(choice)).to_have_css("background-color", "rgb(42, 115, 194)")


@pytest.mark.requirement("CSP-01")
@pytest.mark.each_value(at_most=3)
@pytest.mark.parametrize("mode", ["", "?trial"])
@pytest.mark.parametrize("name", ["files", "trusted types", "nonces"])
def test_banner_and_settings_cause_no_policy_violation(new_visitor: NewVisitor, name: str, mode: str) -> None:
    visitor = new_visitor()
    visitor.open_with_banner(f"/governed/{name}{mode}")
    expect_styled(visitor)
    visitor.mark()
    visitor.refuse()
    expect(visitor.status).not_to_be_empty()
    assert visitor.is_marked
    visitor.go(f"/governed/{name}{mode}")
    visitor.ready()
    visitor.mark()
    visitor.page.evaluate("consent.show()")
    expect_styled(visitor)
    visitor.banner.get_by_label("Maps").check()
    assert visitor.answer(visitor.choice("save")).status == 200
    expect(visitor.banner).to_have_count(0)
    assert visitor.is_marked
    assert visitor.active_templates() == {"media"}
    assert complaints(visitor) == []


@pytest.mark.requirement("ST-11")
def test_form_works_without_javascript_under_each_policy(new_visitor: NewVisitor) -> None:
    visitor = new_visitor(java_script_enabled=False)
    for name in POLICIES:
        visitor.context.clear_cookies()
        visitor.go(f"/governed/{name}")
        expect_styled(visitor)
        assert visitor.refuse().status == 303
        assert visitor.page.url.startswith(f"{visitor.sites.address}/governed/")
        assert visitor.state["status"] == "refused"
    assert complaints(visitor) == []


@with_and_without_scripts
def test_banner_with_inline_style_requests_no_stylesheet(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    for path in ("/second", "/governed/nonces", "/governed/two nonces"):
        visitor.go(path)
        expect_styled(visitor)
        visitor.page.wait_for_load_state()
    assert not [request.url for request in visitor.requests() if fnmatch(request.url, STYLESHEET)]
    assert complaints(visitor) == [] or not scripts


@with_and_without_scripts
@pytest.mark.parametrize("name", ["files", "trusted types", "no scripts"])
def test_banner_with_linked_stylesheet_is_never_seen_without_it(
    new_visitor: NewVisitor, name: str, scripts: bool
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    held = visitor.hold(STYLESHEET)
    visitor.page.goto(f"{visitor.sites.address}/governed/{name}", wait_until="commit")
    assert until(visitor.page, lambda: held)
    assert not visitor.page.evaluate(PAINTED)
    visitor.page.route(STYLESHEET, lambda route: route.continue_())
    for route in held:
        route.continue_()
    expect_styled(visitor)
    visitor.refuse()


def test_banner_is_shown_when_stylesheet_cannot_be_had(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.route(STYLESHEET, lambda route: route.abort())
    visitor.go("/governed/files")
    expect(visitor.banner).to_be_visible()
    visitor.refuse()
    assert visitor.state["status"] == "refused"


@pytest.mark.each_value(at_most=2)
@with_and_without_scripts
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("missing", WITHOUT)
def test_banner_without_its_rules_says_nothing_untrue(
    new_visitor: NewVisitor, layout: str, missing: str, scripts: bool
) -> None:
    visitor = new_visitor(java_script_enabled=scripts).move(layout)
    visitor.go("/second")
    visitor.page.evaluate(WITHOUT[missing])
    text = visitor.banner.inner_text()
    assert UNTRUE not in text
    assert "Refuse all" in text
    expect(visitor.banner.locator("button:not([type=submit])")).to_be_hidden()
    visitor.banner.locator("summary").click()
    expect(visitor.banner.locator("[value=save]:not([hidden])")).to_be_visible()
    visitor.refuse()
    assert visitor.state["status"] == "refused"
