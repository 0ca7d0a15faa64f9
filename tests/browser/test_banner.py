"""Tests of the banner and its script: layouts, focus, answers in place, messages, `window.consent` and templates."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import FloatRect, Locator, Route, ViewportSize, expect

from cookie_consent.texts.catalog import shipped
from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

NOTHING = {"necessary": True, "analytics": False, "media": False}
ALL = {"necessary": True, "analytics": True, "media": True}
KEPT, CLOSE, CHANGED = (str(shipped("en")[name]) for name in ("kept", "close", "changed_meanwhile"))
FAILED = "Your choice could not be saved. Please check the connection and try again."
FAILURES = {
    "network down": (lambda route: route.abort(), FAILED),
    "ledger down": (
        lambda route: route.fulfill(status=503, json={}),
        "This is not possible just now. Nothing new has been allowed; please try again later.",
    ),
    "cross-site": (
        lambda route: route.fulfill(status=403, json={}),
        "Your choice was not accepted. Please reload the page and answer again.",
    ),
    "captive portal": (lambda route: route.fulfill(status=200, body="<p>Wi-Fi"), FAILED),
}
"""What happens to an answer -> how, and the message."""
SCREENS = {
    "wide desk": ViewportSize(width=1440, height=900),
    "tablet": ViewportSize(width=768, height=1024),
    "phone": ViewportSize(width=360, height=640),
    "small phone": ViewportSize(width=320, height=568),
}
NOTE_FOCUS = "document.focused = []; addEventListener('focus', event => document.focused.push(event.target), true);"
TABS = 15
"""More than there are focusable elements in the banner."""
IS_INSIDE = "document.querySelector('dialog').contains(document.activeElement)"
WATCH_SHIFTS = """
document.shifts = [];
new PerformanceObserver(list => document.shifts.push(...list.getEntries().map(shift => shift.value)))
    .observe({ type: "layout-shift", buffered: true });
"""
IGNORE_SUBMITTER = """
const WholeFormData = FormData;
window.FormData = function (form) { return new WholeFormData(form); };
"""
LACKS = {
    "without submitter in FormData": IGNORE_SUBMITTER,
    "without AbortSignal.timeout": "delete AbortSignal.timeout;",
    "without both": f"{IGNORE_SUBMITTER} delete AbortSignal.timeout;",
}
ASKS = ("consent.show()", "document.querySelector('[data-privacy-settings]').click()")
"""The ways to the settings in place."""
TRANSFERS = """() => performance.getEntriesByType("resource")
    .filter(({ name }) => name.includes("/privacy-choices/")).map(entry => entry.transferSize)"""


@pytest.fixture(scope="module")
def sites(house: Sites) -> Sites:
    """The sites under test."""
    return house


@pytest.fixture
def visitor(new_visitor: NewVisitor) -> Visitor:
    """A visitor on the start page."""
    visitor = new_visitor()
    visitor.open_with_banner("/")
    return visitor


def posts(visitor: Visitor) -> int:
    """Return how many answers were sent since the last call of `requests`."""
    return sum(request.method == "POST" for request in visitor.requests())


# Layouts


@pytest.mark.requirement("UI-09")
@pytest.mark.parametrize("site", ["corner", "bar", "shared"])
def test_non_modal_banner_never_takes_focus(new_visitor: NewVisitor, site: str) -> None:
    visitor = new_visitor().move(site)
    visitor.page.add_init_script(NOTE_FOCUS)
    visitor.open_with_banner("/second")
    assert visitor.focused() == ""
    assert visitor.page.evaluate("document.focused.length") == 0
    expect(visitor.page.locator("dialog")).to_have_count(0)


@pytest.mark.requirement("ST-06")
@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize("site", ["corner", "bar", "shared", "modal"])
def test_closed_question_is_no_answer_and_comes_with_the_next_page(new_visitor: NewVisitor, site: str) -> None:
    visitor = new_visitor().move(site)
    visitor.open_with_banner("/second")
    visitor.banner.get_by_role("button", name=CLOSE).click()
    expect(visitor.banner).to_be_hidden()
    visitor.open_with_banner("/second")
    visitor.choice("refuse_all").focus()
    visitor.page.keyboard.press("Escape")
    expect(visitor.banner).to_be_hidden()
    assert posts(visitor) == 0
    assert visitor.cookies == {}
    visitor.open_with_banner("/second")


# Dialog


@pytest.fixture
def dialog_visitor(new_visitor: NewVisitor) -> Visitor:
    """A visitor with an open dialog."""
    visitor = new_visitor().move("modal")
    visitor.open_with_banner("/")
    expect(visitor.page.locator("dialog:modal")).to_be_visible()
    return visitor


def bounding_box(locator: Locator) -> FloatRect:
    """Return the place of an element."""
    found = locator.bounding_box()
    assert found is not None
    return found


@pytest.mark.requirement("AX-04")
def test_dialog_keeps_focus_and_blocks_page(dialog_visitor: Visitor) -> None:
    page = dialog_visitor.page
    assert page.evaluate(IS_INSIDE)
    link = page.locator("#next")
    place = bounding_box(link)
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    for element in (link, page.locator("#name")):
        element.focus()
        expect(element).not_to_be_focused()
    for key in ("Tab", "Shift+Tab"):
        reached = []
        for _ in range(TABS):
            page.keyboard.press(key)
            assert page.evaluate(f"{IS_INSIDE} || document.activeElement === document.body")
            reached.append(dialog_visitor.focused())
        assert {"refuse_all", "accept_all", CLOSE, "Choose"} <= set(reached)
    expect(page).to_have_title("Start")
    assert posts(dialog_visitor) == 0


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


@pytest.mark.parametrize("size", SCREENS.values(), ids=SCREENS)
def test_dialog_and_page_are_usable_without_javascript(new_visitor: NewVisitor, size: ViewportSize) -> None:
    visitor = new_visitor(java_script_enabled=False, viewport=size).move("modal")
    visitor.open_with_banner("/long")
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
    assert visitor.refuse().status == 303
    expect(visitor.page).to_have_title("Second")
    assert visitor.state["status"] == "refused"


@pytest.mark.parametrize("size", SCREENS.values(), ids=SCREENS)
def test_dialog_moves_to_middle_without_layout_shift(new_visitor: NewVisitor, size: ViewportSize) -> None:
    visitor = new_visitor(viewport=size).move("modal")
    visitor.page.add_init_script(WATCH_SHIFTS)
    held = visitor.hold("**/choices.*.js")
    visitor.page.goto(f"{visitor.sites.address}/long", wait_until="commit")
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


@pytest.mark.parametrize("layout", ["corner", "modal"])
def test_page_is_printed_without_banner_and_its_space(new_visitor: NewVisitor, layout: str) -> None:
    visitor = new_visitor(java_script_enabled=False).move(layout)
    visitor.go("/long")
    room = "getComputedStyle(document.documentElement).paddingBottom"
    assert visitor.page.evaluate(room) != "0px"
    visitor.page.emulate_media(media="print")
    expect(visitor.banner).to_be_hidden()
    assert visitor.page.evaluate(room) == "0px"


# Loaded by script


@pytest.mark.parametrize(("choice", "purposes"), [("refuse_all", NOTHING), ("accept_all", ALL)])
def test_banner_loaded_by_script_takes_answers(new_visitor: NewVisitor, choice: str, purposes: dict[str, bool]) -> None:
    visitor = new_visitor().move("shared")
    visitor.open_with_banner("/second")
    visitor.mark()
    expect(visitor.banner).to_have_css("position", "fixed")
    assert visitor.answer(visitor.choice(choice)).status == 200
    expect(visitor.banner).to_have_count(0)
    expect(visitor.status).to_contain_text(KEPT)
    assert ("media" in visitor.active_templates()) is purposes["media"]
    assert visitor.is_marked
    assert visitor.state["purposes"] == purposes
    receipt = visitor.context.request.get(f"{visitor.sites.address}{PREFIX}/receipt").json()
    assert receipt["source"] == "banner"


def test_failed_banner_request_breaks_nothing(new_visitor: NewVisitor) -> None:
    visitor = new_visitor().move("shared")
    visitor.page.route(f"**{PREFIX}/question?*", lambda route: route.abort())
    for page in ("/second", "/second?again"):
        with visitor.page.expect_console_message(lambda message: message.text.startswith("cookie-consent: ")):
            visitor.go(page)
        assert visitor.ready() == NOTHING
        expect(visitor.banner).to_have_count(0)
    assert [re.findall("no answer from .*/question. Let it pass", text) != [] for text in visitor.warnings] == [
        True
    ] * 2


# Answers


def test_failed_answer_keeps_banner_and_shows_message(visitor: Visitor) -> None:
    visitor.mark()
    for fail, message in FAILURES.values():
        visitor.page.route(f"**{PREFIX}", fail)
        for choice in ("refuse_all", "accept_all"):
            visitor.choice(choice).click()
            expect(visitor.alert).to_have_text(message)
            expect(visitor.alert).to_be_in_viewport(ratio=1)
            expect(visitor.choice("refuse_all")).to_be_enabled()
            expect(visitor.choice("accept_all")).to_be_enabled()
        visitor.page.unroute_all()
    assert visitor.active_templates() == set()
    assert visitor.cookies == {}
    visitor.accept()
    expect(visitor.status).to_have_text("Your choice is saved. You accepted all purposes.")
    assert visitor.is_marked
    assert visitor.state["status"] == "granted"


def test_second_answer_to_old_policy_leads_to_settings_page(visitor: Visitor) -> None:
    visitor.page.evaluate("document.querySelector('.pchoice [name=policy]').value = 'an-earlier-one'")
    visitor.mark()
    assert visitor.answer(visitor.choice("accept_all")).status == 409
    expect(visitor.alert).to_have_text(CHANGED)
    assert visitor.is_marked
    assert visitor.answer(visitor.choice("accept_all")).status == 409
    expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    expect(visitor.page.get_by_role("alert")).to_contain_text("The policy has changed")
    assert visitor.cookies == {}
    visitor.answer(visitor.choice("accept_all"))
    assert visitor.state["status"] == "granted"


@pytest.mark.parametrize("lacking", LACKS.values(), ids=LACKS)
@pytest.mark.parametrize(("choice", "status"), [("accept_all", "granted"), ("refuse_all", "refused")])
def test_older_browsers_answer_in_place(new_visitor: NewVisitor, lacking: str, choice: str, status: str) -> None:
    visitor = new_visitor()
    visitor.page.add_init_script(lacking)
    visitor.open_with_banner("/")
    visitor.mark()
    assert visitor.answer(visitor.choice(choice)).status == 200
    expect(visitor.banner).to_have_count(0)
    assert visitor.state["status"] == status
    assert visitor.is_marked


def test_double_click_sends_one_answer(visitor: Visitor) -> None:
    visitor.requests()
    visitor.choice("refuse_all").dblclick()
    expect(visitor.banner).to_have_count(0)
    visitor.page.evaluate("fetch('second')")
    assert posts(visitor) == 1


def test_button_shows_that_answer_is_on_its_way_and_it_is_taken_although_page_was_left(visitor: Visitor) -> None:
    held = visitor.hold(f"**{PREFIX}")
    pressed = visitor.choice("refuse_all")
    other = visitor.choice("accept_all")
    pressed.click()
    expect(pressed).to_have_attribute("aria-busy", "true")
    expect(pressed).to_have_css("opacity", "0.6")
    expect(other).not_to_have_attribute("aria-busy", "true")
    expect(other).to_have_css("opacity", "1")
    held.pop().abort()
    expect(visitor.alert).to_have_text(FAILED)
    expect(pressed).to_have_attribute("aria-busy", "false")
    expect(pressed).to_have_css("opacity", "1")
    pressed.click()
    visitor.page.evaluate("fetch('second')")
    visitor.page.locator("#next").click()
    visitor.page.wait_for_load_state()
    held.pop().continue_()
    assert eventually(lambda: visitor.state["status"] == "refused")


def test_page_that_came_before_answer_was_taken_asks_no_more(visitor: Visitor) -> None:
    def held_up(route: Route) -> None:
        page = route.fetch()
        assert 'class="pchoice ' in page.text()
        visitor.send_answer("refuse_all")
        route.fulfill(response=page)

    visitor.page.route("**/second", held_up)
    visitor.requests()
    visitor.page.locator("#next").click(no_wait_after=True)
    expect(visitor.page).to_have_title("Second")
    expect(visitor.banner).to_have_count(0)
    assert sum("/state" in request.url for request in visitor.requests()) == 1


# window.consent


def test_change_event_comes_after_templates_are_activated(visitor: Visitor) -> None:
    asked = "['necessary', 'analytics', 'media', ''].map(id => consent.allows(id))"
    assert visitor.page.evaluate(asked) == [True, False, False, False]
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
    assert visitor.page.evaluate(asked) == [True, True, True, False]
    assert visitor.page.evaluate("Object.isFrozen(consent)")


def test_unknown_purpose_is_reported_once_in_console(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/misspelt")
    visitor.page.evaluate("for (const id of ['maps', 'maps', 'media', 'maps', 'toString']) consent.allows(id)")
    visitor.page.evaluate("document.body.append('more')")
    visitor.accept()
    found = [re.findall('no purpose "(.*)"', text) for text in visitor.warnings]
    assert found == [["medai"], ["maps"], ["toString"]]
    assert all("necessary,analytics,media" in text for text in visitor.warnings)


@pytest.mark.parametrize("failure", ["network down", "ledger down", "captive portal"])
def test_unavailable_state_is_reported_once_in_console(visitor: Visitor, failure: str) -> None:
    visitor.accept()
    visitor.page.route(f"**{PREFIX}/state?*", FAILURES[failure][0])
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
    (said,) = visitor.warnings
    assert f"{PREFIX}/state. Let it pass" in said


def test_first_page_loads_one_script_and_next_page_none(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/long")
    visitor.page.evaluate("fetch('second')")
    ours = [request for request in visitor.requests() if PREFIX in urlsplit(request.url).path]
    (name,) = (urlsplit(request.url).path.rpartition("/")[2] for request in ours)
    assert (name.partition(".")[0], name.rpartition(".")[2]) == ("choices", "js")
    assert all(visitor.page.evaluate(TRANSFERS))
    visitor.open_with_banner("/long?again")
    assert visitor.page.evaluate(TRANSFERS) == [0]


# Settings in place


@pytest.mark.requirement("AX-06")
def test_show_focuses_open_banner_and_focus_goes_back(visitor: Visitor) -> None:
    for ask in ASKS:
        visitor.page.locator("#home").focus()
        visitor.page.evaluate(ask)
        expect(visitor.banner).to_be_focused()
    visitor.refuse()
    expect(visitor.page.locator("#home")).to_be_focused()
    expect(visitor.page).to_have_title("Start")


def test_settings_open_in_place_close_without_an_answer_and_take_one(visitor: Visitor) -> None:
    visitor.refuse()
    visitor.go("/?page=1&more=2")
    visitor.ready()
    visitor.mark()
    visitor.requests()
    for ask in ASKS:
        visitor.page.locator("#home").focus()
        visitor.page.evaluate(ask)
        expect(visitor.banner).to_be_focused()
        if ask == ASKS[0]:
            visitor.page.keyboard.press("Escape")
        else:
            visitor.banner.get_by_role("button", name=CLOSE).click()
        expect(visitor.banner).to_be_hidden()
        expect(visitor.page.locator("#home")).to_be_focused()
    assert posts(visitor) == 0
    visitor.page.evaluate(ASKS[0])
    expect(visitor.banner.get_by_role("heading", name="Privacy settings")).to_be_visible()
    visitor.banner.get_by_label("Maps").check()
    visitor.answer(visitor.choice("save"))
    expect(visitor.banner).to_have_count(0)
    expect(visitor.page.locator("#home")).to_be_focused()
    assert visitor.active_templates() == {"media"}
    assert visitor.state["purposes"] == {**NOTHING, "media": True}
    assert visitor.page.url == f"{visitor.sites.address}/?page=1&more=2"
    assert visitor.is_marked


def test_settings_page_opens_when_settings_request_fails(visitor: Visitor) -> None:
    visitor.refuse()
    visitor.go("/?page=1&more=2")
    visitor.ready()
    visitor.page.route(f"**{PREFIX}/question?*", lambda route: route.abort())
    visitor.page.evaluate("consent.show()")
    expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    visitor.answer(visitor.choice("accept_all"))
    visitor.page.get_by_role("link", name="Back to the page").click()
    expect(visitor.page).to_have_title("Start")
    assert visitor.page.url == f"{visitor.sites.address}/?page=1&more=2"


# Templates, and content that the server left out


def test_templates_wait_for_all_their_purposes_and_withdrawal_reloads_page_without_content(
    new_visitor: NewVisitor,
) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/box")
    assert visitor.active_templates() == set()
    box = visitor.page.get_by_role("region", name="Map of offices is switched off")
    visitor.answer(box.get_by_role("button", name="Allow Maps and go on"))
    expect(box).to_have_count(0)
    assert visitor.active_templates() == {"media"}
    # The banner still asks for the rest, and does not cover the message about the first answer.
    expect(visitor.status).to_be_in_viewport(ratio=1)
    visitor.accept()
    assert visitor.active_templates() == {"media", "both"}
    visitor.page.evaluate("consent.show()")
    expect(visitor.banner.get_by_label("Maps")).to_be_checked()
    visitor.mark()
    visitor.answer(visitor.choice("refuse_all"))
    expect(box).to_be_visible()
    assert not visitor.is_marked
    assert visitor.active_templates() == set()
    assert visitor.state["status"] == "refused"


@pytest.mark.parametrize("at_once", [True, False], ids=["by the button of the box", "by the banner"])
def test_feature_without_a_template_is_shown_with_a_new_page(new_visitor: NewVisitor, at_once: bool) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/offices")
    page = visitor.page
    page.get_by_label("Name").fill("Sōseki")
    visitor.mark()
    if at_once:
        visitor.answer(page.get_by_role("button", name="Allow Maps and go on"))
    else:
        visitor.accept()
        box = page.get_by_role("region", name="Map of offices")
        expect(box).to_contain_text("Allowed now: Map of offices.")
        expect(page.get_by_text("It needs your consent")).to_have_count(0)
        # The page stays until the visitor asks for the map.
        assert visitor.is_marked
        expect(page.get_by_label("Name")).to_have_value("Sōseki")
        box.get_by_role("button", name="Show now").click()
        expect(box).to_have_count(0)
    expect(page.frame_locator("iframe[title=Map]").get_by_text("A map")).to_be_visible()
    assert not visitor.is_marked
