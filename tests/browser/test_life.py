"""Tests of the banner over the life of a page: other tabs, restored, prerendered and swapped pages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

import pytest
from playwright.sync_api import APIResponse, Browser, Route, expect

from cookie_consent.texts.catalog import shipped
from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor, until
from tests.support.sites.house import LIBRARIES

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

NOTHING = {"necessary": True, "analytics": False, "media": False}
ALL = {"necessary": True, "analytics": True, "media": True}
KEPT = str(shipped("en")["kept"])
SETTINGS = str(shipped("en")["privacy_settings"])
OUTCOMES = {"refuse_all": NOTHING, "accept_all": ALL}
LISTEN = "() => { document.heard = []; consent.on('change', purposes => document.heard.push(purposes)); }"
BECOME_VISIBLE = "document.dispatchEvent(new Event('visibilitychange'))"
PRERENDERING = "Object.defineProperty(document, 'prerendering', { configurable: true, value: true });"
TRANSFERRED = "performance.getEntriesByType('navigation')[0].transferSize"
"""The bytes that came over the network for the page; 0 from a cache."""
LOG_MESSAGES = """
new MutationObserver(() => {
    for (const it of document.querySelectorAll(".pchoice-status, .pchoice-alert")) {
        if (it.textContent) console.debug(`said ${it.textContent}`);
    }
}).observe(document, { childList: true, subtree: true, characterData: true });
"""
START_SERVICE_WORKER = """async () => {
    await navigator.serviceWorker.register("worker.js");
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller)
        await new Promise(resolve => navigator.serviceWorker.addEventListener("controllerchange", resolve));
}"""
WRITE = """id => document.querySelector("main").innerHTML =
    `<div><section><template data-purpose="media"><p id="${id}">new</p></template></section></div>`"""
either_answer = pytest.mark.parametrize("choice", OUTCOMES)


@pytest.fixture(scope="module")
def sites(house: Sites) -> Sites:
    """The sites under test."""
    return house


@pytest.fixture
def tabs(new_visitor: NewVisitor) -> tuple[Visitor, Visitor]:
    """Two tabs of a visitor, both on the start page."""
    first = new_visitor()
    second = first.new_tab()
    for tab in (first, second):
        tab.open_with_banner("/")
    return first, second


def answer_banner(visitor: Visitor, choice: str) -> None:
    """Answer in the banner."""
    visitor.answer(visitor.choice(choice))
    expect(visitor.banner).to_have_count(0)


def expect_purposes(visitor: Visitor, purposes: dict[str, bool]) -> None:
    """Wait until the page knows these purposes and shows only the content that they allow."""
    same = "purposes => window.consent && JSON.stringify(consent.purposes) === purposes"
    # Polled by the clock, because tabs in the background draw no frames.
    visitor.page.wait_for_function(same, arg=json.dumps(purposes, separators=(",", ":")), polling=20, timeout=15_000)
    expect(visitor.page.locator("#media")).to_have_count(1 if purposes["media"] else 0)


# Other tabs


def test_acceptance_in_one_tab_activates_content_in_other_and_withdrawal_reloads_it(
    tabs: tuple[Visitor, Visitor],
) -> None:
    first, second = tabs
    second.mark()
    second.page.evaluate(LISTEN)
    second.page.locator("#name").fill("blue")
    first.accept()
    expect(second.banner).to_have_count(0)
    expect_purposes(second, ALL)
    assert second.active_templates() == {"media", "both"}
    assert second.page.evaluate("document.heard") == [ALL]
    assert second.is_marked
    expect(second.page.locator("#name")).to_be_focused()
    expect(second.page.locator("#name")).to_have_value("blue")
    expect(second.status).to_have_count(0)
    first.withdraw()
    expect_purposes(second, NOTHING)
    assert not second.is_marked
    expect_purposes(first, NOTHING)


def test_other_tab_updates_when_visible_without_broadcast_channel(new_visitor: NewVisitor) -> None:
    first = new_visitor()
    first.context.add_init_script("delete window.BroadcastChannel")
    second = first.new_tab()
    for tab in (first, second):
        tab.open_with_banner("/")
    second.mark()
    first.accept()
    expect(second.banner).to_be_visible()
    second.page.evaluate(BECOME_VISIBLE)
    expect(second.banner).to_have_count(0)
    expect_purposes(second, ALL)
    assert second.is_marked
    first.withdraw()
    expect_purposes(first, NOTHING)
    second.page.evaluate(BECOME_VISIBLE)
    expect_purposes(second, NOTHING)
    assert not second.is_marked


def test_state_that_was_asked_for_before_an_answer_does_not_count(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/")
    held: list[tuple[Route, APIResponse]] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    visitor.page.route("**/state?*", hold_the_first)
    visitor.page.evaluate(BECOME_VISIBLE)
    assert until(visitor.page, partial(len, held))
    visitor.mark()
    visitor.accept()
    expect_purposes(visitor, ALL)
    route, earlier = held[0]
    assert earlier.json()["status"] == "unknown"
    with visitor.page.expect_request("**/state?*") as asked_again:
        route.fulfill(response=earlier)
    assert asked_again.value.response()
    visitor.page.evaluate("fetch('second')")
    expect_purposes(visitor, ALL)
    assert visitor.is_marked


def test_answer_on_settings_page_reaches_other_tab_when_visible(tabs: tuple[Visitor, Visitor]) -> None:
    first, second = tabs
    for choice, purposes, same in (("accept_all", ALL, True), ("refuse_all", NOTHING, False)):
        second.go(PREFIX)
        second.answer(second.choice(choice))
        expect(second.page.get_by_role("heading", name=SETTINGS)).to_be_visible()
        first.mark()
        first.page.evaluate(BECOME_VISIBLE)
        expect_purposes(first, purposes)
        expect(first.banner).to_have_count(0)
        assert first.is_marked is same


@pytest.mark.requirement("CSP-04")
@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize(("site", "anew"), [("corner", False), ("enforced", True)])
def test_page_reloads_only_when_policy_of_ours_blocks_newly_allowed_recipient(
    new_visitor: NewVisitor, site: str, anew: bool
) -> None:
    first = new_visitor().move(site)
    first.send_answer("refuse_all")
    first.go("/")
    second = first.new_tab()
    second.go("/governed/frames")
    for tab in (first, second):
        expect_purposes(tab, NOTHING)
        tab.mark()
    first.page.evaluate("consent.show()")
    answer_banner(first, "accept_all")
    for tab in (first, second):
        expect_purposes(tab, ALL)
        assert tab.is_marked is not anew


@pytest.mark.parametrize(
    ("one", "other"),
    [("refuse_all", "accept_all"), ("accept_all", "refuse_all"), ("accept_all", "accept_all")],
)
def test_tabs_with_simultaneous_answers_end_with_server_state(
    tabs: tuple[Visitor, Visitor], one: str, other: str
) -> None:
    first, second = tabs
    waiting = {tab: tab.hold(f"**{PREFIX}") for tab in tabs}
    for tab, choice in ((first, one), (second, other)):
        tab.page.add_init_script(LOG_MESSAGES)
        tab.page.evaluate(LOG_MESSAGES)
        tab.choice(choice).click()
        assert until(tab.page, partial(len, waiting[tab]))
    for tab, choice in ((first, one), (second, other)):
        with tab.page.expect_response(lambda response: response.request.method == "POST"):
            waiting[tab][0].continue_()
        for each in tabs:
            expect_purposes(each, OUTCOMES[choice])
    assert first.state["purposes"] == OUTCOMES[other]
    if other == "accept_all":  # a withdrawal reloads the page, and the message is gone
        expect(second.status).to_contain_text(KEPT)
    for tab in tabs:
        expect(tab.banner).to_have_count(0)
        assert [text for text in tab.said if " said " in text and KEPT not in text] == []


def test_link_says_what_holds_after_each_answer_in_place_and_in_another_tab(tabs: tuple[Visitor, Visitor]) -> None:
    first, second = tabs
    links = [tab.page.locator("[data-privacy-settings]") for tab in tabs]
    for link in links:
        expect(link).to_have_text("Privacy settings")
    first.refuse()
    for link in links:
        expect(link).to_have_text("Privacy settings: refused")
    expect(first.status).to_contain_text("You refused all purposes")
    links[1].click()
    second.accept()
    for link in links:
        expect(link).to_have_text("Privacy settings: accepted")
    # What a message said holds no more.
    expect(first.status).to_be_empty()


# Restored and prerendered pages


@pytest.fixture
def returning(caching_browser: Browser, sites: Sites) -> Iterator[Visitor]:
    """A visitor whose browser restores pages."""
    with caching_browser.new_context() as context:
        visitor = Visitor(context, sites)
        yield visitor
        assert visitor.complaints == []


def test_restored_page_lacks_content_withdrawn_in_other_tab(returning: Visitor) -> None:
    returning.send_answer("accept_all")
    other = returning.new_tab()
    other.go("/")
    returning.go("/")
    expect_purposes(returning, ALL)
    returning.go("/second")
    expect_purposes(returning, ALL)
    with returning.page.expect_event("load"):
        other.withdraw()
    expect_purposes(returning, NOTHING)
    returning.go_back()
    expect(returning.page).to_have_title("Start")
    expect_purposes(returning, NOTHING)


@either_answer
def test_page_with_max_age_shows_no_banner_after_answer(new_visitor: NewVisitor, choice: str) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/public/one")
    visitor.open_with_banner("/second")
    visitor.open_with_banner("/public/one")
    assert visitor.page.evaluate(TRANSFERRED) == 0
    visitor.open_with_banner("/second")
    answer_banner(visitor, choice)
    visitor.go("/public/one")
    expect(visitor.banner).to_have_count(0)
    expect_purposes(visitor, OUTCOMES[choice])


@either_answer
def test_page_from_service_worker_shows_no_banner_after_answer(new_visitor: NewVisitor, choice: str) -> None:
    visitor = new_visitor()
    visitor.go("/second")
    visitor.page.evaluate(START_SERVICE_WORKER)
    visitor.open_with_banner("/")
    visitor.open_with_banner("/")
    assert visitor.page.evaluate(TRANSFERRED) == 0  # the page comes from the service worker
    visitor.go("/second")
    answer_banner(visitor, choice)
    visitor.go("/")
    assert visitor.page.evaluate(TRANSFERRED) == 0
    expect(visitor.banner).to_have_count(0)
    expect_purposes(visitor, OUTCOMES[choice])
    visitor.withdraw()
    expect_purposes(visitor, NOTHING)
    expect(visitor.banner).to_have_count(0)


def test_page_that_is_made_ahead_asks_for_the_state_and_follows_later_answer(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    ahead = visitor.new_tab()
    ahead.page.add_init_script(PRERENDERING)
    visitor.open_with_banner("/")
    with ahead.page.expect_request("**/state?*"):
        ahead.go("/second")
    visitor.accept()
    expect_purposes(ahead, ALL)
    expect(ahead.banner).to_have_count(0)


# Pages swapped by libraries


@pytest.mark.each_value(at_most=3)
@either_answer
@pytest.mark.parametrize("library", LIBRARIES)
def test_pages_that_a_library_swaps_have_one_banner_until_an_answer(
    new_visitor: NewVisitor, library: str, choice: str
) -> None:
    visitor = new_visitor()
    visitor.open_with_banner(f"/{library}/first")
    visitor.mark()
    follow(visitor, "Second")
    expect(visitor.banner).to_have_count(1)
    expect(visitor.banner.get_by_role("button", name="Close")).to_be_visible()
    expect(visitor.choice("refuse_all")).to_be_in_viewport(ratio=1)
    visitor.page.locator("#name").fill("blue")
    visitor.requests()
    answer_banner(visitor, choice)
    expect(visitor.status).to_contain_text(KEPT)
    expect_purposes(visitor, OUTCOMES[choice])
    visitor.page.evaluate("fetch('first')")
    # The library sends no form beside it.
    answers = [it.headers["content-type"] for it in visitor.requests() if it.method == "POST"]
    assert answers == ["application/json"]
    expect(visitor.page.locator("#name")).to_have_value("blue")
    visitor.page.evaluate("history.back()")
    expect(visitor.page.get_by_role("heading", level=1, name="First")).to_be_visible()
    for title in ("First", "Second"):
        expect(visitor.page.get_by_role("heading", level=1, name=title)).to_be_visible()
        expect(visitor.banner).to_have_count(0)
        expect_purposes(visitor, OUTCOMES[choice])
        follow(visitor, "Second")


def follow(visitor: Visitor, title: str) -> None:
    """Follow the link that the library handles: the document stays."""
    visitor.page.locator("#next").click()
    expect(visitor.page.get_by_role("heading", level=1, name=title)).to_be_visible()
    # Turbo shows a page that it has kept, and then replaces it by what the server sends.
    expect(visitor.page.locator("html[aria-busy]")).to_have_count(0)
    assert visitor.is_marked


def test_content_written_by_script_waits_for_answer(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/")
    visitor.page.evaluate(WRITE, "early")
    expect(visitor.page.locator("#early")).to_have_count(0)
    visitor.accept()
    expect(visitor.page.locator("#early")).to_be_visible()
    visitor.page.evaluate(WRITE, "late")
    expect(visitor.page.locator("#late")).to_be_visible()
