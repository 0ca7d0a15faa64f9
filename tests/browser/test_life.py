"""Tests of the banner over the life of a page: other tabs, restored, prerendered and swapped pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import httpx
import pytest
from playwright.sync_api import APIResponse, Browser, ConsoleMessage, Page, Route, expect

from cookie_consent.texts.catalog import shipped
from tests.support.browsers.life_browser import (
    POLL,
    TRANSFERRED,
    UndebuggedTabs,
    another_tab,
    hold_answers,
    moved_to,
)
from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor, until
from tests.support.sites.life_site import LIBRARIES
from tests.support.waiting import eventually, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

NOTHING = {"necessary": True, "analytics": False, "media": False}
ALL = {"necessary": True, "analytics": True, "media": True}
KEPT, SETTINGS = (str(shipped("en")[name]) for name in ("kept", "privacy_settings"))
OUTCOMES = {"refuse_all": NOTHING, "accept_all": ALL}
LISTEN = "() => { document.heard = []; consent.on('change', purposes => document.heard.push(purposes)); }"
LOG_MESSAGES = """
new MutationObserver(() => {
    for (const it of document.querySelectorAll(".pchoice-status, .pchoice-alert")) {
        if (it.textContent) console.debug(`said: ${it.textContent}`);
    }
}).observe(document, { childList: true, subtree: true, characterData: true });
"""
either_answer = pytest.mark.parametrize("choice", ["refuse_all", "accept_all"])


@pytest.fixture(scope="module")
def sites(life: Sites) -> Sites:
    """The sites under test."""
    return life


@pytest.fixture
def tabs(new_visitor: NewVisitor) -> tuple[Visitor, Visitor]:
    """Two tabs of a visitor, both on the start page."""
    first = new_visitor()
    second = another_tab(first)
    for tab in (first, second):
        tab.open_with_banner("/")
    return first, second


def answer_banner(visitor: Visitor, choice: str) -> None:
    """Answer in the banner."""
    visitor.answer(visitor.choice(choice))
    expect(visitor.banner).to_have_count(0)


def withdraw(visitor: Visitor) -> None:
    """Refuse all in the settings in place."""
    visitor.page.evaluate("consent.show()")
    visitor.answer(visitor.choice("refuse_all"))


def expect_purposes(visitor: Visitor, purposes: dict[str, bool]) -> None:
    """Wait until the page knows these purposes and shows only the content that they allow."""
    same = "purposes => window.consent && JSON.stringify(consent.purposes) === purposes"
    # Polled by the clock, because tabs in the background draw no frames.
    visitor.page.wait_for_function(same, arg=json.dumps(purposes, separators=(",", ":")), polling=POLL, timeout=15000)
    expect(visitor.page.locator("#media")).to_have_count(1 if purposes["media"] else 0)


# Other tabs


def test_acceptance_in_one_tab_activates_content_in_other(
    tabs: tuple[Visitor, Visitor],
) -> None:
    first, second = tabs
    second.mark()
    second.page.evaluate(LISTEN)
    second.page.locator("#name").fill("blue")
    first.accept()
    expect(second.banner).to_have_count(0)
    expect_purposes(second, ALL)
    expect(second.page.locator("#both")).to_be_attached()
    assert second.page.evaluate("document.heard") == [ALL]
    assert second.is_marked
    expect(second.page.locator("#name")).to_be_focused()
    expect(second.page.locator("#name")).to_have_value("blue")
    expect(second.status).to_have_count(0)


def test_withdrawal_in_one_tab_reloads_other(tabs: tuple[Visitor, Visitor]) -> None:
    first, second = tabs
    first.accept()
    expect_purposes(second, ALL)
    second.mark()
    withdraw(first)
    expect_purposes(second, NOTHING)
    assert not second.is_marked
    expect_purposes(first, NOTHING)


def test_other_tab_updates_when_visible_without_broadcast_channel(new_visitor: NewVisitor) -> None:
    first = new_visitor()
    first.context.add_init_script("delete window.BroadcastChannel")
    second = another_tab(first)
    for tab in (first, second):
        tab.open_with_banner("/")
        assert tab.page.evaluate("typeof BroadcastChannel") == "undefined"
    second.mark()
    first.accept()
    expect(second.banner).to_be_visible()
    second.page.evaluate(BECOME_VISIBLE)
    expect(second.banner).to_have_count(0)
    expect_purposes(second, ALL)
    assert second.is_marked
    withdraw(first)
    expect_purposes(first, NOTHING)
    second.page.evaluate(BECOME_VISIBLE)
    expect_purposes(second, NOTHING)
    assert not second.is_marked


BECOME_VISIBLE = "document.dispatchEvent(new Event('visibilitychange'))"


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


def test_answer_on_settings_page_reaches_other_tab_when_visible(
    tabs: tuple[Visitor, Visitor],
) -> None:
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


@pytest.mark.parametrize(("site", "anew"), [("corner", False), ("enforced", True)])
def test_page_reloads_when_its_policy_blocks_newly_allowed_recipient(
    new_visitor: NewVisitor, site: str, anew: bool
) -> None:
    first = moved_to(new_visitor(), site)
    first.open_with_banner("/")
    answer_banner(first, "refuse_all")
    second = another_tab(first)
    second.go("/guarded")
    expect_purposes(second, NOTHING)
    second.mark()
    first.page.evaluate("consent.show()")
    answer_banner(first, "accept_all")
    expect_purposes(second, ALL)
    assert second.is_marked is not anew


@pytest.mark.parametrize(("site", "anew"), [("enforced", True), ("corner", False)])
def test_answered_page_reloads_only_under_content_security_policy_of_ours(
    new_visitor: NewVisitor, site: str, anew: bool
) -> None:
    visitor = moved_to(new_visitor(), site)
    visitor.open_with_banner("/second")
    visitor.mark()
    visitor.accept()
    expect_purposes(visitor, ALL)
    assert visitor.is_marked is not anew


@pytest.mark.parametrize(
    ("one", "other"),
    [("refuse_all", "accept_all"), ("accept_all", "refuse_all"), ("accept_all", "accept_all")],
)
def test_tabs_with_simultaneous_answers_end_with_server_state(
    tabs: tuple[Visitor, Visitor], one: str, other: str
) -> None:
    first, second = tabs
    said = [spoken_messages(tab.page) for tab in tabs]
    waiting = [hold_answers(tab) for tab in tabs]
    first.choice(one).click()
    second.choice(other).click()
    for tab, held in zip(tabs, waiting, strict=True):
        assert until(tab.page, partial(len, held))
    for tab, held, choice in zip(tabs, waiting, (one, other), strict=True):
        with tab.page.expect_response(lambda response: response.request.method == "POST"):
            held[0].continue_()
        for each in tabs:
            expect_purposes(each, OUTCOMES[choice])
    assert first.state["purposes"] == OUTCOMES[other]
    if other == "accept_all":  # a withdrawal reloads the page, and the message is gone
        expect(second.status).to_contain_text(KEPT)
    for tab, texts in zip(tabs, said, strict=True):
        expect(tab.banner).to_have_count(0)
        assert [text for text in texts if not text.startswith(KEPT)] == []


def spoken_messages(page: Page) -> list[str]:
    """Return a list that collects all messages of the page, also after reloads."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.text.startswith("said: "):
            said.append(message.text.removeprefix("said: "))

    page.on("console", hear)
    page.add_init_script(LOG_MESSAGES)
    page.evaluate(LOG_MESSAGES)
    return said


# Restored pages


@pytest.fixture
def returning(caching_browser: Browser, sites: Sites) -> Iterator[Visitor]:
    """A visitor whose browser restores pages."""
    with caching_browser.new_context() as context:
        visitor = Visitor(context, sites)
        yield visitor
        assert visitor.complaints == []


def leave_and_return(visitor: Visitor, meanwhile: Callable[[], None], purposes: dict[str, bool]) -> None:
    """Go to another page, let something happen until these purposes hold, and go back."""
    visitor.mark()
    visitor.go("/second")
    meanwhile()
    expect_purposes(visitor, purposes)
    visitor.go_back()
    expect(visitor.page).to_have_title("Start")


def test_restored_page_lacks_content_withdrawn_in_other_tab(returning: Visitor) -> None:
    other = another_tab(returning)
    other.open_with_banner("/")
    answer_banner(other, "accept_all")
    returning.go("/")
    expect_purposes(returning, ALL)

    def withdraw_and_reload() -> None:
        with returning.page.expect_event("load"):
            withdraw(other)

    leave_and_return(returning, withdraw_and_reload, NOTHING)
    expect_purposes(returning, NOTHING)


@either_answer
def test_page_with_max_age_shows_no_banner_after_answer(new_visitor: NewVisitor, choice: str) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/kept")
    visitor.open_with_banner("/second")
    visitor.open_with_banner("/kept")
    assert visitor.page.evaluate(TRANSFERRED) == 0
    visitor.open_with_banner("/second")
    answer_banner(visitor, choice)
    visitor.go("/kept")
    expect(visitor.banner).to_have_count(0)
    expect_purposes(visitor, OUTCOMES[choice])


START_SERVICE_WORKER = """async () => {
    await navigator.serviceWorker.register("worker.js");
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller)
        await new Promise(resolve => navigator.serviceWorker.addEventListener("controllerchange", resolve));
}"""


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
    withdraw(visitor)
    expect_purposes(visitor, NOTHING)
    expect(visitor.banner).to_have_count(0)


# Prefetched and prerendered pages

PRERENDER_NEXT, GO_NEXT = (f"new BroadcastChannel('go').postMessage('{what}')" for what in ("ahead", "there"))


@pytest.fixture
def undebugged(browser: Browser) -> Iterator[UndebuggedTabs]:
    """Tabs in which Chromium prerenders pages."""
    undebugged = UndebuggedTabs(browser)
    yield undebugged
    undebugged.close()


POST = """fetch("privacy-choices", {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ choice: "%s" })
}).then(reply => reply.status)"""
CURRENT_STATE = """[
    JSON.stringify(consent.purposes),
    document.querySelectorAll(".pchoice").length,
    document.querySelectorAll("#media").length,
]"""
WAS_PRERENDERED = """(([visit]) => visit.activationStart > 0 || visit.type === "reload")(
    performance.getEntriesByType("navigation")
)"""


@either_answer
def test_prerendered_page_follows_later_answer(undebugged: UndebuggedTabs, sites: Sites, choice: str) -> None:
    other = undebugged.open(f"{sites.address}/", "Start")
    tab = prerendering_tab(undebugged, sites, other)
    assert undebugged.run(other, POST % choice) == 200
    undebugged.run(other, GO_NEXT)
    assert eventually(lambda: undebugged.run(tab, WAS_PRERENDERED))
    expect_shown(undebugged, tab, OUTCOMES[choice], questions=0)


def prerendering_tab(undebugged: UndebuggedTabs, sites: Sites, other: str) -> str:
    """Return a tab that has prerendered the next page. Now and then Chromium prerenders none, so it tries again."""
    for _ in range(4):
        tab, earlier = undebugged.open(f"{sites.address}/speculating", "Speculating"), len(pages_asking_state(sites))
        undebugged.run(other, PRERENDER_NEXT)
        with suppress(TimeoutError):
            # The prerendered page asks for the state.
            wait_until(lambda earlier=earlier: "/corner/second" in pages_asking_state(sites)[earlier:], 5)  # type: ignore[misc]
            return tab
    raise AssertionError("Chromium prerendered no page")


def pages_asking_state(sites: Sites) -> list[str]:
    """Return the pages that asked for the state."""
    pages: list[str] = httpx.get(f"{sites.address.rpartition('/')[0]}/looked").json()
    return pages


def expect_shown(undebugged: UndebuggedTabs, tab: str, purposes: dict[str, bool], *, questions: int) -> None:
    """Wait until a tab shows the next page, prerendered or reloaded, with these purposes."""
    assert eventually(lambda: undebugged.about(tab)["url"].endswith("/second"))
    expected = [json.dumps(purposes, separators=(",", ":")), questions, int(purposes["media"])]
    assert eventually(lambda: undebugged.run(tab, CURRENT_STATE) == expected)


# Pages swapped by libraries


@pytest.fixture(params=list(LIBRARIES))
def library(request: pytest.FixtureRequest) -> str:
    """The library that handles links and forms."""
    name: str = request.param
    return name


@pytest.fixture
def swapping(new_visitor: NewVisitor, library: str) -> Visitor:
    """A visitor on the first of the pages that a library swaps."""
    visitor = new_visitor()
    visitor.open_with_banner(f"/{library}/first")
    visitor.mark()
    return visitor


def follow(visitor: Visitor, link: str, title: str) -> None:
    """Follow a link that the library handles: the document stays."""
    visitor.page.locator(link).click()
    expect(visitor.page.get_by_role("heading", level=1, name=title)).to_be_visible()
    # Turbo shows a page that it has kept, and then replaces it by what the server sends.
    expect(visitor.page.locator("html[aria-busy]")).to_have_count(0)
    assert visitor.is_marked


def go_back(visitor: Visitor, title: str) -> None:
    """Go back within the document."""
    visitor.page.evaluate("history.back()")
    expect(visitor.page.get_by_role("heading", level=1, name=title)).to_be_visible()
    assert visitor.is_marked


def test_swapped_page_has_one_banner(swapping: Visitor) -> None:
    follow(swapping, "#next", "Second")
    expect(swapping.banner).to_have_count(1)
    expect(swapping.choice("refuse_all")).to_be_in_viewport(ratio=1)
    expect(swapping.banner.get_by_role("button", name="Close")).to_be_visible()
    swapping.refuse()
    expect(swapping.status).to_contain_text(KEPT)
    assert swapping.state["status"] == "refused"
    assert swapping.is_marked


@pytest.mark.parametrize(("page", "choice"), [("first", "refuse_all"), ("second", "accept_all")])
def test_library_does_not_send_answer_again(swapping: Visitor, page: str, choice: str) -> None:
    if page == "second":
        follow(swapping, "#next", "Second")
        expect(swapping.banner).to_be_visible()
    swapping.page.locator("#name").fill("blue")
    swapping.requests()
    answer_banner(swapping, choice)
    expect_purposes(swapping, OUTCOMES[choice])
    swapping.page.evaluate("fetch('first')")
    made = [request for request in swapping.requests() if not request.url.endswith("/state")]
    answers = [request.headers["content-type"] for request in made if request.method == "POST"]
    assert answers == ["application/json"]
    expect(swapping.page.locator("#name")).to_have_value("blue")
    assert swapping.is_marked


@either_answer
def test_going_back_to_swapped_page_shows_no_banner_after_answer(swapping: Visitor, choice: str) -> None:
    follow(swapping, "#next", "Second")
    expect(swapping.banner).to_be_visible()
    answer_banner(swapping, choice)
    go_back(swapping, "First")
    expect(swapping.banner).to_have_count(0)
    expect_purposes(swapping, OUTCOMES[choice])
    follow(swapping, "#next", "Second")
    expect(swapping.banner).to_have_count(0)
    expect_purposes(swapping, OUTCOMES[choice])


def test_content_written_by_script_waits_for_answer(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/")
    write = """id => document.querySelector("main").innerHTML =
        `<div><section><template data-purpose="media"><p id="${id}">new</p></template></section></div>`"""
    visitor.page.evaluate(write, "early")
    expect(visitor.page.locator("#early")).to_have_count(0)
    visitor.accept()
    expect(visitor.page.locator("#early")).to_be_visible()
    visitor.page.evaluate(write, "late")
    expect(visitor.page.locator("#late")).to_be_visible()
