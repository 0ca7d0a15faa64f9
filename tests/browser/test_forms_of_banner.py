"""Tests of the banner: layouts, dialog, loading by script, `window.consent`, files and language."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import FloatRect, Locator, Request, Response, Route, ViewportSize, expect

from cookie_consent.texts.catalog import shipped
from tests.support.browsers.life_browser import moved_to
from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

NOTHING = {"necessary": True, "analytics": False, "media": False}
ALL = {"necessary": True, "analytics": True, "media": True}
SCREENS = {
    "wide desk": ViewportSize(width=1440, height=900),
    "tablet": ViewportSize(width=768, height=1024),
    "phone": ViewportSize(width=360, height=640),
    "small phone": ViewportSize(width=320, height=568),
}
NOTE_FOCUS = "document.focused = []; addEventListener('focus', event => document.focused.push(event.target), true);"
TABS = 15
"""More than there are focusable elements in the banner."""
KEPT, CLOSE, SETTINGS = (str(shipped("en")[name]) for name in ("kept", "close", "privacy_settings"))
on_all_screens = pytest.mark.parametrize("size", SCREENS.values(), ids=SCREENS)


@pytest.fixture(scope="module")
def sites(life: Sites) -> Sites:
    """The sites under test."""
    return life


def bounding_box(locator: Locator) -> FloatRect:
    """Return the place of an element."""
    found = locator.bounding_box()
    assert found is not None
    return found


def is_unanswered(visitor: Visitor) -> bool:
    """Return whether the visitor sent no answer and has no cookie."""
    sent = {request.method for request in visitor.requests()} != {"GET"}
    return not sent and visitor.cookies == {} and bool(visitor.state["status"] == "unknown")


def console_warnings(visitor: Visitor) -> list[str]:
    """Return a list that collects the script's warnings in the console."""
    said: list[str] = []
    visitor.page.on(
        "console", lambda message: said.extend([message.text] * message.text.startswith("cookie-consent: "))
    )
    return said


# Layouts


@pytest.mark.parametrize("site", ["corner", "bar", "shared"])
def test_non_modal_banner_never_takes_focus(new_visitor: NewVisitor, site: str) -> None:
    visitor = moved_to(new_visitor(), site)
    visitor.page.add_init_script(NOTE_FOCUS)
    visitor.open_with_banner("/with-script")
    assert visitor.focused() == ""
    assert visitor.page.evaluate("document.focused.length") == 0
    expect(visitor.page.locator("dialog")).to_have_count(0)


def press_close(visitor: Visitor) -> None:
    """Press the button that closes the question."""
    visitor.banner.get_by_role("button", name=CLOSE).click()


def press_escape(visitor: Visitor) -> None:
    """Press the Escape key in the banner, which does the same."""
    visitor.choice("refuse_all").focus()
    visitor.page.keyboard.press("Escape")


@pytest.mark.parametrize("press", [press_close, press_escape])
@pytest.mark.parametrize("site", ["corner", "bar", "shared", "modal"])
def test_closed_question_is_no_answer_and_comes_with_the_next_page(
    new_visitor: NewVisitor, site: str, press: Callable[[Visitor], None]
) -> None:
    visitor = moved_to(new_visitor(), site)
    visitor.open_with_banner("/with-script")
    press(visitor)
    expect(visitor.banner).to_be_hidden()
    assert is_unanswered(visitor)
    visitor.go("/with-script")
    expect(visitor.choice("refuse_all")).to_be_visible()


# Dialog


@pytest.fixture
def dialog_visitor(new_visitor: NewVisitor) -> Visitor:
    """A visitor with an open dialog."""
    visitor = moved_to(new_visitor(), "modal")
    visitor.open_with_banner("/")
    expect(visitor.page.locator("dialog:modal")).to_be_visible()
    return visitor


IS_INSIDE = "document.querySelector('dialog').contains(document.activeElement)"


def test_dialog_has_focus_and_blocks_page(dialog_visitor: Visitor) -> None:
    assert dialog_visitor.page.evaluate(IS_INSIDE)
    link = dialog_visitor.page.locator("#next")
    place = bounding_box(link)
    dialog_visitor.page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    link.focus()
    expect(link).not_to_be_focused()
    dialog_visitor.page.locator("#name").focus()
    expect(dialog_visitor.page.locator("#name")).not_to_be_focused()
    expect(dialog_visitor.page).to_have_title("Start")
    expect(dialog_visitor.banner).to_be_visible()
    assert is_unanswered(dialog_visitor)


@pytest.mark.parametrize("key", ["Tab", "Shift+Tab"])
def test_tab_stays_in_dialog_or_browser(dialog_visitor: Visitor, key: str) -> None:
    reached = []
    for _ in range(TABS):
        dialog_visitor.page.keyboard.press(key)
        assert dialog_visitor.page.evaluate(f"{IS_INSIDE} || document.activeElement === document.body")
        reached.append(dialog_visitor.focused())
    assert {"refuse_all", "accept_all", CLOSE, "Choose"} <= set(reached)
    assert reached.count("refuse_all") == reached.count("accept_all")


@pytest.mark.parametrize(("choice", "purposes"), [("refuse_all", NOTHING), ("accept_all", ALL)])
def test_answered_dialog_closes_and_frees_page(dialog_visitor: Visitor, choice: str, purposes: dict[str, bool]) -> None:
    dialog_visitor.mark()
    dialog_visitor.page.route(f"**{PREFIX}", lambda route: route.abort())
    dialog_visitor.choice(choice).click()
    expect(dialog_visitor.alert).to_be_in_viewport(ratio=1)
    dialog_visitor.page.unroute_all()
    dialog_visitor.answer(dialog_visitor.choice(choice))
    expect(dialog_visitor.page.locator("dialog")).to_have_count(0)
    expect(dialog_visitor.status).to_contain_text(KEPT)
    expect(dialog_visitor.page.get_by_role("main")).to_be_focused()
    assert dialog_visitor.state["purposes"] == purposes
    assert dialog_visitor.is_marked
    dialog_visitor.page.locator("#next").click()
    expect(dialog_visitor.page).to_have_title("Second")
    expect(dialog_visitor.banner).to_have_count(0)


@on_all_screens
def test_dialog_and_page_are_usable_without_javascript(new_visitor: NewVisitor, size: ViewportSize) -> None:
    visitor = moved_to(new_visitor(java_script_enabled=False, viewport=size), "modal")
    visitor.go("/long")
    expect(visitor.banner).to_be_visible()
    expect(visitor.page.locator("dialog:modal")).to_have_count(0)
    expect(visitor.banner.get_by_role("button", name=CLOSE)).to_be_hidden()
    for value in ("refuse_all", "accept_all"):
        expect(visitor.choice(value)).to_be_in_viewport(ratio=1)
    visitor.page.mouse.move(5, 5)
    visitor.page.mouse.wheel(0, 100_000)
    end = visitor.page.locator("#end")
    expect(end).to_be_in_viewport(ratio=1)
    end.click()
    expect(visitor.page).to_have_title("Second")
    expect(visitor.banner).to_be_visible()
    assert visitor.answer(visitor.choice("refuse_all")).status == 303
    expect(visitor.banner).to_have_count(0)
    expect(visitor.page).to_have_title("Second")
    assert visitor.state["status"] == "refused"


WATCH_SHIFTS = """
document.shifts = [];
new PerformanceObserver(list => document.shifts.push(...list.getEntries().map(shift => shift.value)))
    .observe({ type: "layout-shift", buffered: true });
"""


@on_all_screens
@pytest.mark.parametrize("path", ["/long", "/"])
def test_dialog_moves_to_middle_without_layout_shift(new_visitor: NewVisitor, path: str, size: ViewportSize) -> None:
    visitor = moved_to(new_visitor(viewport=size), "modal")
    visitor.page.add_init_script(WATCH_SHIFTS)
    held: list[Route] = []
    visitor.page.route("**/choices.*.js", lambda route: held.append(route))
    visitor.page.goto(visitor.sites.address + path, wait_until="commit")
    # The dialog is visible before the script runs.
    expect(visitor.banner).to_be_visible()
    visitor.page.evaluate("new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))")
    low = bounding_box(visitor.banner)
    for route in held:
        route.continue_()
    expect(visitor.page.locator("dialog:modal")).to_be_visible()
    middle = bounding_box(visitor.banner)
    assert middle["y"] < low["y"]
    assert abs(middle["y"] * 2 + middle["height"] - size["height"]) <= 2
    visitor.page.evaluate("new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    assert visitor.page.evaluate("document.shifts") == []


# Loaded by script


@pytest.fixture
def shared_visitor(new_visitor: NewVisitor) -> Visitor:
    """A visitor on a page that caches may share, where the script loads the banner."""
    visitor = moved_to(new_visitor(), "shared")
    visitor.open_with_banner("/with-script")
    return visitor


@pytest.mark.parametrize(("choice", "purposes"), [("refuse_all", NOTHING), ("accept_all", ALL)])
def test_banner_loaded_by_script_takes_answers(shared_visitor: Visitor, choice: str, purposes: dict[str, bool]) -> None:
    shared_visitor.mark()
    expect(shared_visitor.banner).to_have_css("position", "fixed")
    assert shared_visitor.answer(shared_visitor.choice(choice)).status == 200
    expect(shared_visitor.banner).to_have_count(0)
    expect(shared_visitor.status).to_contain_text(KEPT)
    expect(shared_visitor.page.locator("#media")).to_have_count(1 if purposes["media"] else 0)
    assert shared_visitor.is_marked
    assert shared_visitor.state["purposes"] == purposes
    receipt = shared_visitor.context.request.get(f"{shared_visitor.sites.address}{PREFIX}/receipt").json()
    assert receipt["source"] == "banner"


def test_failed_banner_request_breaks_nothing(new_visitor: NewVisitor) -> None:
    visitor = moved_to(new_visitor(), "shared")
    said = console_warnings(visitor)
    visitor.page.route(f"**{PREFIX}/question?*", lambda route: route.abort())
    for page in ("/with-script", "/with-script?again"):
        with visitor.page.expect_console_message(lambda message: message.text.startswith("cookie-consent: ")):
            visitor.go(page)
        assert visitor.ready() == NOTHING
        expect(visitor.banner).to_have_count(0)
    assert [re.findall("no answer from .*/question. Let it pass", text) != [] for text in said] == [True, True]


# window.consent


def test_change_event_comes_after_templates_are_activated(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/")
    visitor.page.evaluate(
        """() => {
            const note = name => purposes => document.heard.push([name, purposes, consent.purposes.media,
                document.querySelectorAll("#media").length]);
            document.heard = [];
            consent.on("change", note("on"));
            document.addEventListener("consentchange", event => note("event")(event.detail));
            consent.on("change", note("stopped"))();
        }"""
    )
    visitor.accept()
    assert visitor.page.evaluate("document.heard") == [["on", ALL, True, 1], ["event", ALL, True, 1]]


def test_unknown_purpose_is_reported_once_in_console(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    said = console_warnings(visitor)
    visitor.open_with_banner("/misspelt")
    visitor.page.evaluate("for (const id of ['maps', 'maps', 'media', 'maps', 'toString']) consent.allows(id)")
    visitor.page.evaluate("document.body.append('more')")
    visitor.accept()
    assert [re.findall('no purpose "(.*)"', text) for text in said] == [["medai"], ["maps"], ["toString"]]
    assert all("necessary,analytics,media" in text for text in said)


def respond_with_garbage(route: Route) -> None:
    """Respond as a captive portal does."""
    route.fulfill(status=200, body="<p>Wi-Fi")


@pytest.mark.parametrize(
    "fail",
    [lambda route: route.abort(), lambda route: route.fulfill(status=503, json={}), respond_with_garbage],
    ids=["no network", "an error", "garbage"],
)
def test_unavailable_state_is_reported_once_in_console(new_visitor: NewVisitor, fail: Callable[[Route], None]) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/")
    visitor.accept()
    said = console_warnings(visitor)
    visitor.page.route(f"**{PREFIX}/state?*", fail)
    visitor.go("/")
    assert visitor.ready() == {}
    assert not visitor.page.evaluate("consent.allows('media')")
    look_again = "name => { new BroadcastChannel(name).postMessage(''); }"
    with visitor.page.expect_request(f"**{PREFIX}/state?*"):
        visitor.page.evaluate(look_again, f"{visitor.sites.address}{PREFIX}")
    # What the page had from the beginning, the server has printed.
    later = "<template data-purpose=media><p id=later></p></template>"
    visitor.page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", later)
    visitor.page.evaluate("fetch('second')")
    expect(visitor.page.locator("#later")).to_have_count(0)
    assert len(said) == 1
    assert f"{PREFIX}/state. Let it pass" in said[0]


# Files


def own_paths(requests: list[Request]) -> list[str]:
    """Return the requested paths under our prefix."""
    paths = [urlsplit(request.url).path for request in requests]
    return [path for path in paths if PREFIX in path]


TRANSFERS = """() => performance.getEntriesByType("resource")
    .filter(({ name }) => name.includes("/privacy-choices/")).map(entry => entry.transferSize)"""


def test_first_page_loads_one_script_and_next_page_none(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    answers: list[Response] = []
    visitor.page.on("response", lambda response: answers.append(response))
    visitor.open_with_banner("/long")
    visitor.page.evaluate("fetch('second')")
    names = [path.rpartition("/")[2] for path in own_paths(visitor.requests())]
    assert [(name.partition(".")[0], name.rpartition(".")[2]) for name in names] == [("choices", "js")]
    for answer in answers:
        if PREFIX in answer.url:
            assert answer.header_value("cache-control") == "public, max-age=31536000, immutable"
    assert all(visitor.page.evaluate(TRANSFERS))
    visitor.open_with_banner("/long?again")
    assert visitor.page.evaluate(TRANSFERS) == [0]


# Language


@pytest.mark.parametrize("layout", ["corner", "modal"])
def test_page_is_printed_without_banner_and_its_space(new_visitor: NewVisitor, layout: str) -> None:
    visitor = moved_to(new_visitor(java_script_enabled=False), layout)
    visitor.go("/long")
    room = "getComputedStyle(document.documentElement).paddingBottom"
    assert visitor.page.evaluate(room) != "0px"
    visitor.page.emulate_media(media="print")
    expect(visitor.banner).to_be_hidden()
    assert visitor.page.evaluate(room) == "0px"
