"""Tests of pages that are the same for everybody, in a real browser: who is asked, when, and what needs a request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor, serve, until
from tests.support.sites.shared_site import site

pytestmark = pytest.mark.browser

STATE = "**/privacy-choices/state*"
ALLOW_MAPS = """
fetch("/privacy-choices", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ choice: "grant", purposes: { media: true } }),
})
"""
WATCH_DISPLAY = """
window.displays = [];
requestAnimationFrame(function look() {
    const question = document.querySelector(".pchoice:not([hidden])");
    if (question) displays.push(getComputedStyle(question).display);
    requestAnimationFrame(look);
});
"""


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """The site of `shared_site`."""
    with serve(site()) as sites:
        yield sites


def release(visitor: Visitor, held: list[Route]) -> None:
    """Wait until the page has asked the server, and let its word through, now and later."""
    assert until(visitor.page, lambda: len(held) == 1)
    visitor.page.route(STATE, lambda route: route.continue_())
    held[0].continue_()


def asked_purposes(visitor: Visitor) -> list[str]:
    """Return the purposes that the question is about."""
    expect(visitor.banner).to_be_visible()
    found: list[str] = visitor.banner.locator("[name=purpose]").evaluate_all("boxes => boxes.map(box => box.value)")
    return found


def requests_of(visitor: Visitor, path: str) -> list[str]:
    """Open a page of somebody who is not asked; return the requests that it makes for what is not the same for all."""
    visitor.requests()
    visitor.go(path)
    expect(visitor.page.locator(".pchoice-shared")).to_have_count(0)
    visitor.page.wait_for_load_state("networkidle")
    urls = [request.url for request in visitor.requests()]
    return [url for url in urls if "/assets/" not in url and path not in url and "favicon" not in url]


def test_question_is_there_before_the_server_has_said_anything(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.add_init_script(WATCH_DISPLAY)
    held = visitor.hold(STATE)
    visitor.go("/pages/one")
    expect(visitor.banner).to_be_visible()
    assert visitor.page.evaluate("displays[0]") == "block"
    assert visitor.active_templates() == set()
    release(visitor, held)
    visitor.ready()
    visitor.accept()
    assert visitor.active_templates() == {"map", "both"}


@pytest.mark.parametrize(("choice", "active"), [("accept_all", {"map", "both"}), ("refuse_all", set())])
def test_who_has_answered_is_not_asked_and_asks_nobody(new_visitor: NewVisitor, choice: str, active: set[str]) -> None:
    visitor = new_visitor()
    visitor.send_answer(choice)
    visitor.go("/pages/one")
    assert requests_of(visitor, "/pages/two") == []
    assert visitor.active_templates() == active
    # An answer without its cookie is found, and the cookie comes back.
    visitor.context.clear_cookies(name="consent-state")
    assert len(requests_of(visitor, "/pages/three")) == 1
    assert visitor.active_templates() == active
    assert requests_of(visitor, "/pages/four") == []


def test_signal_of_the_browser_sends_the_script_to_the_server_first(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })")
    held = visitor.hold(STATE)
    visitor.go("/pages/one")
    expect(visitor.banner).to_have_count(0)
    release(visitor, held)
    assert "gpc=1" in held[0].request.url
    # The purpose without a recipient is left to ask for.
    assert asked_purposes(visitor) == ["analytics"]
    # A cookie of the time before the signal does not count.
    visitor.page.unroute_all()
    visitor.send_answer("accept_all")
    assert len(requests_of(visitor, "/pages/two")) == 1
    assert visitor.active_templates() == set()


def test_only_what_is_left_is_asked(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.go("/pages/one")
    visitor.ready()
    visitor.page.evaluate(ALLOW_MAPS)
    visitor.go("/pages/two")
    assert asked_purposes(visitor) == ["analytics"]
    assert visitor.active_templates() == {"map"}
    visitor.ready()
    visitor.refuse()
    assert visitor.page.evaluate("consent.allows('media')")


def test_page_in_a_frame_and_page_without_scripts_ask_nobody(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.go("/pages/one")
    visitor.page.evaluate("document.body.innerHTML = '<iframe src=\"/pages/two\"></iframe>'")
    frame = visitor.page.frame_locator("iframe")
    expect(frame.locator("h1")).to_be_visible()
    expect(frame.locator(".pchoice-shared")).to_have_count(0)
    expect(frame.locator(".pchoice")).to_have_count(0)
    plain = new_visitor(java_script_enabled=False)
    plain.go("/pages/one")
    expect(plain.page.locator(".pchoice-shared")).to_be_hidden()
    expect(plain.page.locator("[data-privacy-settings]")).to_be_visible()
