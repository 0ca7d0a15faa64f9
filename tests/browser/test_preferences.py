"""Tests of browser preferences: language, signals, blocked cookies, the back button, and pages without a script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from cookie_consent.texts import catalog as shipping
from tests.support.browsers.visitor_browser import (
    CHROMIUM_OPTIONS,
    PREFIX,
    NewVisitor,
    Sites,
    Visitor,
    with_and_without_scripts,
)

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

EN = shipping.shipped("en")
JA = shipping.shipped("ja")
NOT_SAVED = str(EN["cookies_blocked"])
ASKS_AGAIN = f"{NOT_SAVED} {EN['asks_again']}"
SAVED = "Your choice is saved."
WITHDRAWN = "You have withdrawn your consent."
BACK = "Back to the page"
STATUS = {
    "refuse_all": "You refused all purposes that are not strictly necessary.",
    "accept_all": "You accepted all purposes.",
}
SIGNAL = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true });"
"""The signal of a browser whose proxy removes the header field."""


# A language


@with_and_without_scripts
def test_japanese_browser_gets_japanese_texts(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts, locale="ja-JP")
    page = visitor.page
    visitor.go("/offices")
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(visitor.banner).to_have_attribute("lang", "ja")
    expect(page.get_by_role("region", name="のクッキー")).to_contain_text("閲覧の統計")
    visitor.answer(visitor.banner.get_by_role("button", name=str(JA["refuse_all"])))
    expect(visitor.banner).to_have_count(0)
    if scripts:
        expect(visitor.status).to_have_text(f"{JA['kept']}{JA['status_refused']}")
    expect(page.locator(".pchoice-box")).to_contain_text("地図は表示していません。")
    page.get_by_role("contentinfo").get_by_role("link").last.click()
    expect(page.get_by_role("heading", name=str(JA["privacy_settings"]))).to_be_visible()
    expect(page.get_by_text(str(JA["status_refused"]), exact=True)).to_be_visible()
    visitor.answer(page.get_by_role("button", name=str(JA["accept_all"])))
    if not scripts:
        page.get_by_role("link", name=str(JA["back"])).click()
    expect(page.locator("#map")).to_be_visible()
    assert visitor.path == "/offices"
    receipt = visitor.context.request.get(f"{visitor.sites.address}{PREFIX}/receipt").json()
    assert receipt["language"] == "ja"


# Global Privacy Control


@with_and_without_scripts
def test_global_privacy_control_refuses_without_banner(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts, extra_http_headers={"Sec-GPC": "1"})
    page = visitor.page
    for path in ("/", "/tour", "/offices"):
        visitor.go(path)
        expect(visitor.banner).to_have_count(0)
    box = page.get_by_role("region", name="Map of our offices is switched off")
    expect(box).to_contain_text("Your browser refuses it by the Global Privacy Control signal.")
    expect(box.get_by_role("button", name="Always allow")).to_have_count(0)
    assert visitor.hosts() == {visitor.sites.address}
    assert visitor.cookies == {}
    page.get_by_role("link", name="Privacy settings").first.click()
    notice = page.get_by_text("Your browser sends the Global Privacy Control signal. It is honoured")
    expect(notice).to_contain_text("Statistics, Maps and tours, and Suggestions")
    # A grant in the settings, purpose by purpose, overrides the signal.
    page.get_by_role("checkbox", name="Maps and tours").check()
    visitor.answer(page.get_by_role("button", name="Save my choice"))
    page.get_by_role("link", name=BACK).first.click()
    expect(page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
    assert [purpose for purpose, holds in visitor.state["purposes"].items() if holds] == ["necessary", "media"]
    expect(visitor.banner).to_have_count(0)


def museum_purposes(visitor: Visitor) -> list[str]:
    """Return the purposes that the museum's server allows without the header field."""
    state = visitor.context.request.get(f"{visitor.sites.address}/linked{PREFIX}/state").json()
    return [purpose for purpose, holds in state["purposes"].items() if holds]


@pytest.mark.requirement("SG-09")
def test_banner_is_replaced_when_script_sees_signal(new_visitor: NewVisitor, museum: Sites) -> None:
    visitor = new_visitor()
    visitor.sites = museum
    visitor.page.add_init_script(SIGNAL)
    for page in ("way", "map"):
        visitor.go(f"/linked/en/{page}")
        visitor.ready()
        box = visitor.page.locator(".pchoice-box")
        if page == "map":
            box.locator("summary").click()
        expect(box.get_by_role("link", name="Privacy settings")).to_be_visible()
        expect(visitor.page.locator("[value=grant]")).to_have_count(0)
    visitor.go("/linked/en/")
    expect(visitor.banner).to_contain_text("Global Privacy Control honoured")
    expect(visitor.banner).to_have_count(1)
    visitor.banner.get_by_text("Choose").click()
    expect(visitor.banner.get_by_label("Counting visits")).not_to_be_checked()
    expect(visitor.banner.get_by_label("Maps and films")).to_have_count(0)
    visitor.accept()
    # What the signal refuses was not asked.
    assert museum_purposes(visitor) == ["necessary", "analytics"]


@pytest.mark.requirement("SG-09")
def test_signal_seen_by_script_switches_off_earlier_grant(new_visitor: NewVisitor, museum: Sites) -> None:
    visitor = new_visitor()
    visitor.sites = museum
    visitor.send_answer("accept_all")
    visitor.page.add_init_script(SIGNAL)
    visitor.go("/linked/en/way")
    visitor.ready()
    assert visitor.page.evaluate("[consent.allows('media'), consent.allows('analytics')]") == [False, True]
    assert museum_purposes(visitor) == ["necessary", "analytics"]
    visitor.go("/linked/en/way")
    expect(visitor.page.locator(".pchoice-box")).to_contain_text("switched it off since you accepted it")
    expect(visitor.page.get_by_role("link", name="Global Privacy Control honoured")).to_be_visible()
    visitor.page.locator("[data-privacy-settings]").click()
    expect(visitor.banner).to_contain_text("Your browser sends the Global Privacy Control signal.")
    visitor.banner.get_by_label("Maps and films").check()
    visitor.answer(visitor.choice("save"))
    expect(visitor.banner).to_have_count(0)
    assert "media" in museum_purposes(visitor)
    visitor.go("/linked/en/way")
    visitor.ready()
    assert visitor.page.evaluate("consent.allows('media')")


# No cookies


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def cookieless_visitor(
    browser: Browser, sites: Sites, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Visitor]:
    """A visitor whose browser blocks cookies."""
    settings = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(settings), encoding="utf-8")
    start = browser.browser_type.launch_persistent_context
    with start(tmp_path, **CHROMIUM_OPTIONS, java_script_enabled=request.param) as context:
        yield Visitor(context, sites, scripts=request.param)


@pytest.mark.requirement("ST-12")
@pytest.mark.each_value
def test_pages_work_without_cookies_and_report_lost_answer(cookieless_visitor: Visitor) -> None:
    visitor = cookieless_visitor
    page = visitor.page
    for path in ("/", PREFIX, "/offices"):
        visitor.go(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        if visitor.scripts:
            expect(visitor.banner).to_have_count(0)
    box = page.locator(".pchoice-box")
    expect(box.get_by_text(NOT_SAVED)).to_be_hidden()
    visitor.answer(box.get_by_role("button", name="Always allow"))
    if visitor.scripts:
        expect(box.locator("[role=alert]")).to_have_text(NOT_SAVED)
    else:
        expect(box).to_contain_text(ASKS_AGAIN, use_inner_text=True)
        for press in ("refuse_all", "accept_all"):
            visitor.go("/offices")
            expect(visitor.banner).not_to_contain_text(NOT_SAVED, use_inner_text=True)
            visitor.answer(visitor.choice(press))
            # A message replaces the banner.
            expect(visitor.banner).to_have_text(ASKS_AGAIN, use_inner_text=True)
            expect(visitor.choice(press)).to_be_hidden()
    expect(box).to_be_visible()
    assert visitor.path == "/offices"
    assert visitor.hosts() == {visitor.sites.address}


@pytest.mark.requirement("ST-12")
@pytest.mark.parametrize("linked", [True, False], ids=["with our link", "with a link of its own"])
@pytest.mark.parametrize("cookieless_visitor", [True], ids=["with JavaScript"], indirect=True)
def test_blocked_cookies_are_told_once_a_tab_in_a_line_at_the_end(
    cookieless_visitor: Visitor, house: Sites, linked: bool
) -> None:
    visitor = cookieless_visitor
    paths = ["/", "/names", "/account"]
    if linked:
        visitor.sites = house
        paths = ["/", "/second", "/long"]
    for tab in (visitor, visitor.new_tab()):
        tab.go(paths[0])
        line = tab.page.get_by_role("status").filter(has_text=NOT_SAVED)
        expect(line).to_be_visible()
        expect(line).to_have_css("position", "static")
        assert line.evaluate("it => it.getBoundingClientRect().bottom >= document.querySelector('main').offsetHeight")
        tab.page.keyboard.press("End")
        expect(line).to_be_visible()
        tab.page.reload()
        for path in (*paths[1:], paths[0]):
            tab.ready()
            tab.page.wait_for_load_state("networkidle")
            expect(tab.banner).to_have_count(0)
            expect(tab.page.get_by_text(NOT_SAVED).filter(visible=True)).to_have_count(0)
            tab.go(path)


# The back button


@with_and_without_scripts
def test_withdrawn_content_is_gone_after_going_back(caching_browser: Browser, sites: Sites, scripts: bool) -> None:
    with caching_browser.new_context(java_script_enabled=scripts) as context:
        visitor = Visitor(context, sites, scripts=scripts)
        visitor.send_answer("accept_all")
        visitor.go("/offices")
        expect(visitor.page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
        visitor.go(PREFIX)
        visitor.answer(visitor.choice("refuse_all"))
        expect(visitor.page.get_by_text("You refused all purposes")).to_be_visible()
        visitor.requests()
        visitor.go_back(2)  # the history has the page of a form twice: before and after sending
        expect(visitor.page).to_have_url(f"{sites.address}/offices")
        expect(visitor.page.locator("#map")).to_have_count(0)
        expect(visitor.page.locator(".pchoice-box")).to_be_visible()
        assert visitor.hosts() == {sites.address}
        assert visitor.cookies.keys() == {"consent", "visitor-erasure"}


# The message that an answer is saved, where no script can say it


def message(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("status").filter(has_text=re.compile(f"{SAVED}|{WITHDRAWN}"))


def check_reload_and_history_say_nothing(visitor: Visitor) -> None:
    visitor.page.reload()
    expect(message(visitor)).to_have_count(0)
    visitor.go("/long")
    visitor.go_back()
    expect(visitor.page).not_to_have_title("Long")
    expect(message(visitor)).to_have_count(0)


@pytest.mark.requirement("AX-08")
@pytest.mark.parametrize("choice", STATUS)
def test_page_says_once_that_answer_is_saved(new_visitor: NewVisitor, house: Sites, choice: str) -> None:
    visitor = new_visitor(java_script_enabled=False)
    visitor.sites = house
    visitor.go("/offices?a=1")
    assert visitor.answer(visitor.choice(choice)).status == 303
    expect(message(visitor)).to_have_text(f"{SAVED} {STATUS[choice]} {BACK}")
    expect(message(visitor)).to_be_in_viewport(ratio=1)
    expect(message(visitor)).to_have_css("position", "fixed")
    check_reload_and_history_say_nothing(visitor)


@with_and_without_scripts
@pytest.mark.parametrize(("before", "choice"), [("accept_all", "refuse_all"), ("refuse_all", "accept_all")])
def test_settings_page_says_once_that_answer_is_saved(
    new_visitor: NewVisitor, house: Sites, scripts: bool, before: str, choice: str
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    visitor.sites = house
    visitor.send_answer(before)
    visitor.go(f"{PREFIX}?next=/corner/offices")
    expect(message(visitor)).to_have_count(0)
    assert visitor.answer(visitor.choice(choice)).status == 303
    expect(message(visitor)).to_have_text(SAVED if choice == "accept_all" else WITHDRAWN)
    expect(message(visitor)).to_be_in_viewport(ratio=1)
    expect(visitor.page.get_by_text(STATUS[choice])).to_be_visible()
    check_reload_and_history_say_nothing(visitor)
    visitor.answer(visitor.choice(before))
    visitor.page.get_by_role("link", name=BACK).click()
    expect(visitor.page).to_have_url(f"{visitor.sites.address}/offices")
    expect(message(visitor)).to_have_count(0)
