"""Tests of pages that are the same for everybody, in a real browser: who is asked, when, and what needs a request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Route, expect

from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor, serve
from tests.support.sites.shared_site import site
from tests.support.waiting import wait_until

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


def wait_for_request(visitor: Visitor, held: list[Route]) -> None:
    """Wait until the page has asked the server. Playwright calls what handles routes while it is called itself."""
    wait_until(lambda: visitor.page.evaluate("true") and len(held) == 1)


def release(visitor: Visitor, held: list[Route]) -> None:
    """Let the server's word through, now and later."""
    visitor.page.route(STATE, lambda route: route.continue_())
    for route in held:
        route.continue_()


def asked_server(visitor: Visitor, path: str) -> list[str]:
    """Open a page of somebody who is not asked; return the requests that it makes for what is not the same for all."""
    made: list[str] = []
    visitor.page.on("request", lambda request: made.append(request.url))
    visitor.go(path)
    expect(visitor.page.locator(".pchoice-shared")).to_have_count(0)
    visitor.page.wait_for_load_state("networkidle")
    return [url for url in made if "/assets/" not in url and path not in url and "favicon" not in url]


def test_question_is_there_before_the_server_has_said_anything(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.add_init_script(WATCH_DISPLAY)
    held = visitor.hold(STATE)
    visitor.go("/pages/one")
    expect(visitor.banner).to_be_visible()
    assert visitor.page.evaluate("displays[0]") == "block"
    expect(visitor.page.locator("#map")).to_have_count(0)
    wait_for_request(visitor, held)
    release(visitor, held)
    visitor.ready()
    visitor.choice("accept_all").click()
    expect(visitor.page.locator("#map")).to_be_visible()
    expect(visitor.banner).to_have_count(0)


@pytest.mark.parametrize("granted", [True, False], ids=["granted", "refused"])
def test_who_has_answered_is_not_asked_and_asks_nobody(new_visitor: NewVisitor, granted: bool) -> None:
    visitor = new_visitor()
    visitor.go("/pages/one")
    visitor.ready()
    visitor.choice("accept_all" if granted else "refuse_all").click()
    expect(visitor.banner).to_have_count(0)
    assert asked_server(visitor, "/pages/two") == []
    expect(visitor.page.locator("#map")).to_have_count(int(granted))
    expect(visitor.page.locator("#both")).to_have_count(int(granted))


def test_answer_without_its_cookie_is_found_and_the_cookie_comes_back(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.go("/pages/one")
    visitor.ready()
    visitor.choice("accept_all").click()
    expect(visitor.page.locator("#map")).to_be_visible()
    visitor.context.clear_cookies(name="consent-state")
    visitor.go("/pages/two")
    expect(visitor.page.locator("#map")).to_be_visible()
    expect(visitor.banner).to_have_count(0)
    assert asked_server(visitor, "/pages/three") == []


def test_signal_of_the_browser_sends_the_script_to_the_server_first(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.add_init_script("Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })")
    held = visitor.hold(STATE)
    visitor.go("/pages/one")
    wait_for_request(visitor, held)
    assert "gpc=1" in held[0].request.url
    expect(visitor.banner).to_have_count(0)
    release(visitor, held)
    # The purpose without a recipient is left to ask for.
    expect(visitor.banner).to_be_visible()
    assert visitor.banner.locator("[name=purpose]").evaluate_all("boxes => boxes.map(box => box.value)") == [
        "analytics"
    ]


def test_only_what_is_left_is_asked(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.add_init_script(WATCH_DISPLAY)
    visitor.go("/pages/one")
    visitor.ready()
    visitor.page.evaluate(ALLOW_MAPS)
    visitor.go("/pages/two")
    expect(visitor.page.locator("#map")).to_be_visible()
    expect(visitor.banner).to_be_visible()
    boxes = visitor.banner.locator("[name=purpose]").evaluate_all("boxes => boxes.map(box => box.value)")
    assert boxes == ["analytics"]
    visitor.choice("refuse_all").click()
    expect(visitor.banner).to_have_count(0)
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
