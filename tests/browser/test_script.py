"""Tests of choices.js: answers without a reload, error messages, `window.consent` and templates."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor
from tests.support.sites.browser_site import TEMPLATES
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

FAILED = "Your choice could not be saved. Please check the connection and try again."
REJECTED = "Your choice was not accepted. Please reload the page and answer again."
UNAVAILABLE = "This is not possible just now. Nothing new has been allowed; please try again later."
CHANGED = (
    "The policy has changed since this question was shown, so your choice was not saved. "
    "Answer again to see the new question."
)


@pytest.fixture
def sites(plain: Sites) -> Sites:
    """The sites under test."""
    return plain


@pytest.fixture
def visitor(new_visitor: NewVisitor) -> Visitor:
    """A visitor on the start page."""
    visitor = new_visitor()
    visitor.go("/")
    expect(visitor.banner).to_be_visible()
    visitor.ready()
    return visitor


def posts(visitor: Visitor) -> int:
    """Return how many answers were sent since the last call of `requests`."""
    return sum(request.method == "POST" for request in visitor.requests())


def active_templates(visitor: Visitor) -> set[str]:
    """Return the ids of the activated templates."""
    return {name for name in TEMPLATES if visitor.page.locator(f"p#{name}").count()}


# Failed answers


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        pytest.param(lambda route: route.abort(), FAILED, id="network down"),
        pytest.param(lambda route: route.fulfill(status=503, json={}), UNAVAILABLE, id="ledger down"),
        pytest.param(lambda route: route.fulfill(status=403, json={}), REJECTED, id="cross-site"),
        pytest.param(lambda route: route.fulfill(status=200, body="<p>Wi-Fi"), FAILED, id="captive portal"),
    ],
)
def test_failed_answer_keeps_banner_and_shows_message(
    visitor: Visitor, fail: Callable[[Route], None], message: str
) -> None:
    def failing(route: Route) -> None:
        if route.request.method == "POST":
            fail(route)
        else:
            route.continue_()

    visitor.page.route(f"**{PREFIX}", failing)
    visitor.mark()
    for choice in ("refuse_all", "accept_all"):
        visitor.choice(choice).click()
        expect(visitor.alert).to_have_text(message)
        expect(visitor.alert).to_be_in_viewport(ratio=1)
        expect(visitor.choice("refuse_all")).to_be_enabled()
        expect(visitor.choice("accept_all")).to_be_enabled()
    assert active_templates(visitor) == set()
    assert visitor.cookies == {}
    visitor.page.unroute_all()
    visitor.accept()
    expect(visitor.status).to_have_text("Your choice is saved. You accepted all purposes.")
    assert visitor.is_marked
    assert visitor.state["status"] == "granted"


def test_second_answer_to_old_policy_leads_to_settings_page(visitor: Visitor) -> None:
    visitor.page.evaluate("document.querySelector('.pchoice [name=policy]').value = 'an-earlier-one'")
    visitor.mark()
    answer = visitor.answer(visitor.choice("accept_all"))
    assert answer.status == 409
    expect(visitor.alert).to_have_text(CHANGED)
    assert visitor.is_marked
    assert visitor.cookies == {}
    answer = visitor.answer(visitor.choice("accept_all"))
    assert answer.status == 409
    expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    expect(visitor.page.get_by_role("alert")).to_contain_text("The policy has changed")
    assert visitor.cookies == {}
    visitor.answer(visitor.choice("accept_all"))
    assert visitor.state["status"] == "granted"


IGNORE_SUBMITTER = """
const WholeFormData = FormData;
window.FormData = function (form) { return new WholeFormData(form); };
"""
LACKS = {
    "without submitter in FormData": IGNORE_SUBMITTER,
    "without AbortSignal.timeout": "delete AbortSignal.timeout;",
    "without both": f"{IGNORE_SUBMITTER} delete AbortSignal.timeout;",
}


@pytest.mark.parametrize("lacking", LACKS.values(), ids=LACKS)
@pytest.mark.parametrize(("choice", "status"), [("accept_all", "granted"), ("refuse_all", "refused")])
def test_older_browsers_answer_in_place(new_visitor: NewVisitor, lacking: str, choice: str, status: str) -> None:
    visitor = new_visitor()
    visitor.page.add_init_script(lacking)
    visitor.go("/")
    visitor.ready()
    visitor.mark()
    assert visitor.answer(visitor.choice(choice)).status == 200
    expect(visitor.banner).to_have_count(0)
    assert visitor.state["status"] == status
    assert visitor.is_marked
    visitor.go("/")
    assert visitor.ready()["media"] is (status == "granted")


def test_double_click_sends_one_answer(visitor: Visitor) -> None:
    visitor.requests()
    visitor.choice("refuse_all").dblclick()
    expect(visitor.banner).to_have_count(0)
    visitor.page.evaluate("fetch('/')")
    assert posts(visitor) == 1


def test_button_shows_that_answer_is_on_its_way(visitor: Visitor) -> None:
    held: list[Route] = []
    visitor.page.route(f"**{PREFIX}", lambda route: held.append(route))
    pressed, other = visitor.choice("refuse_all"), visitor.choice("accept_all")
    pressed.click()
    expect(pressed).to_have_attribute("aria-busy", "true")
    expect(pressed).to_have_css("opacity", "0.6")
    expect(other).not_to_have_attribute("aria-busy", "true")
    expect(other).to_have_css("opacity", "1")
    held.pop().abort()
    expect(visitor.alert).to_have_text(FAILED)
    expect(pressed).to_have_attribute("aria-busy", "false")
    expect(pressed).to_have_css("opacity", "1")


def test_answer_is_taken_although_page_was_left(visitor: Visitor) -> None:
    held: list[Route] = []
    visitor.context.route(f"**{PREFIX}", lambda route: held.append(route))
    visitor.choice("refuse_all").click()
    visitor.page.evaluate("fetch('/')")
    visitor.page.locator("#start").click()
    visitor.page.wait_for_load_state()
    held.pop().continue_()
    assert eventually(lambda: visitor.state["status"] == "refused")


def test_page_that_came_before_answer_was_taken_asks_no_more(visitor: Visitor) -> None:
    def held_up(route: Route) -> None:
        page = route.fetch()
        assert 'class="pchoice ' in page.text()
        answer = visitor.context.request.post(
            visitor.sites.address + PREFIX,
            data={"choice": "refuse_all"},
            headers={"sec-fetch-site": "same-origin"},
        )
        assert answer.ok
        route.fulfill(response=page)

    visitor.page.route("**/?next", held_up)
    visitor.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<a id=next href=/?next>Next</a>')")
    visitor.requests()
    visitor.page.locator("#next").click(no_wait_after=True)
    expect(visitor.page).to_have_url(f"{visitor.sites.address}/?next")
    expect(visitor.page.locator("footer")).to_be_visible()
    expect(visitor.banner).to_have_count(0)
    assert sum("/state" in request.url for request in visitor.requests()) == 1


def test_saving_grants_ticked_purposes(visitor: Visitor) -> None:
    visitor.banner.get_by_text("Choose").click()
    visitor.banner.get_by_label("Maps").check()
    visitor.answer(visitor.choice("save"))
    expect(visitor.banner).to_have_count(0)
    assert visitor.state["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert active_templates(visitor) == {"media"}


# window.consent


def test_window_consent_tells_allowed_purposes(visitor: Visitor) -> None:
    asked = "['necessary', 'analytics', 'media', 'weather', 'toString', ''].map(id => consent.allows(id))"
    assert visitor.page.evaluate(asked) == [True, False, False, False, False, False]
    visitor.accept()
    assert visitor.page.evaluate(asked) == [True, True, True, False, False, False]
    assert visitor.page.evaluate("Object.isFrozen(consent)")


@pytest.mark.parametrize("ask", ["consent.show()", "document.querySelector('[data-privacy-settings]').click()"])
def test_show_focuses_open_banner(visitor: Visitor, ask: str) -> None:
    visitor.page.locator("#start").focus()
    visitor.page.evaluate(ask)
    expect(visitor.banner).to_be_focused()
    assert visitor.path == "/"
    visitor.answer(visitor.choice("refuse_all"))
    expect(visitor.page.locator("#start")).to_be_focused()


@pytest.mark.parametrize("ask", ["consent.show()", "document.querySelector('[data-privacy-settings]').click()"])
def test_show_opens_settings_in_place_after_answer(visitor: Visitor, ask: str) -> None:
    visitor.refuse()
    visitor.go("/?page=1&more=2")
    visitor.ready()
    visitor.mark()
    visitor.page.locator("#start").focus()
    visitor.page.evaluate(ask)
    expect(visitor.banner).to_be_focused()
    expect(visitor.banner.get_by_role("heading", name="Privacy settings")).to_be_visible()
    expect(visitor.banner).to_contain_text("You refused all purposes that are not strictly necessary.")
    visitor.banner.get_by_label("Maps").check()
    visitor.answer(visitor.choice("save"))
    expect(visitor.banner).to_have_count(0)
    expect(visitor.page.locator("#start")).to_be_focused()
    assert active_templates(visitor) == {"media"}
    assert visitor.page.url == f"{visitor.sites.address}/?page=1&more=2"
    assert visitor.is_marked


def test_closing_settings_in_place_sends_no_answer(visitor: Visitor) -> None:
    visitor.refuse()
    visitor.go("/")
    visitor.ready()
    closing: list[Callable[[], None]] = [
        lambda: visitor.page.keyboard.press("Escape"),
        lambda: visitor.banner.get_by_role("button", name="Close").click(),
    ]
    for close in closing:
        visitor.page.locator("#start").focus()
        visitor.page.evaluate("consent.show()")
        expect(visitor.banner).to_be_focused()
        visitor.requests()
        close()
        expect(visitor.banner).to_be_hidden()
        expect(visitor.page.locator("#start")).to_be_focused()
        assert posts(visitor) == 0
    assert visitor.state["status"] == "refused"


def test_withdrawal_in_place_reloads_page_without_content(visitor: Visitor) -> None:
    visitor.accept()
    assert active_templates(visitor) == {"media", "both"}
    visitor.page.evaluate("consent.show()")
    expect(visitor.banner.get_by_label("Maps")).to_be_checked()
    visitor.mark()
    visitor.answer(visitor.choice("refuse_all"))
    expect(visitor.page.get_by_role("region", name="Map of offices is switched off")).to_be_visible()
    assert not visitor.is_marked
    assert active_templates(visitor) == set()
    assert visitor.state["status"] == "refused"


# Templates


def test_template_is_activated_when_all_its_purposes_are_granted(visitor: Visitor) -> None:
    assert active_templates(visitor) == set()
    box = visitor.page.get_by_role("region", name="Map of offices is switched off")
    visitor.answer(box.get_by_role("button", name="Allow Maps and go on"))
    expect(box).to_have_count(0)
    assert active_templates(visitor) == {"media"}
    # The banner still asks for the rest, and does not cover the message about the first answer.
    expect(visitor.status).to_be_in_viewport(ratio=1)
    visitor.accept()
    assert active_templates(visitor) == {"media", "both"}


# Content that the server left out


@pytest.fixture
def reader(new_visitor: NewVisitor) -> Visitor:
    """A visitor who types into a form on the page of the Jinja2 template of docs/features.md."""
    reader = new_visitor()
    reader.go("/offices")
    reader.ready()
    expect(reader.page.get_by_role("region", name="Map of offices is switched off")).to_be_visible()
    reader.page.get_by_label("Name").fill("Sōseki")
    reader.mark()
    return reader


def expect_map_on_request(reader: Visitor) -> None:
    """Expect that the page stays until the visitor asks for the map."""
    box = reader.page.get_by_role("region", name="Map of offices")
    expect(box).to_contain_text("Allowed now: Map of offices.")
    expect(reader.page.get_by_text("It needs your consent")).to_have_count(0)
    assert reader.is_marked
    expect(reader.page.get_by_label("Name")).to_have_value("Sōseki")
    box.get_by_role("button", name="Show now").click()
    expect(reader.page.frame_locator("iframe[title=Map]").get_by_text("A map")).to_be_visible()
    expect(box).to_have_count(0)
    assert not reader.is_marked


def test_fallback_box_button_shows_content_at_once(reader: Visitor) -> None:
    reader.answer(reader.page.get_by_role("button", name="Allow Maps and go on"))
    expect(reader.page.frame_locator("iframe[title=Map]").get_by_text("A map")).to_be_visible()


def test_settings_page_opens_when_settings_request_fails(visitor: Visitor) -> None:
    visitor.refuse()
    visitor.go("/?page=1&more=2")
    visitor.ready()
    visitor.page.route(f"**{PREFIX}/question?*", lambda route: route.abort())
    visitor.page.evaluate("consent.show()")
    expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    visitor.answer(visitor.choice("accept_all"))
    visitor.page.get_by_role("status").get_by_role("link", name="Back to the page").click()
    expect(visitor.page.get_by_role("heading", name="A page")).to_be_visible()
    assert visitor.page.url == f"{visitor.sites.address}/?page=1&more=2"


def test_fallback_box_without_template_offers_to_show_content(reader: Visitor) -> None:
    reader.accept()
    expect(reader.status).to_have_text("Your choice is saved. You accepted all purposes.")
    expect_map_on_request(reader)
