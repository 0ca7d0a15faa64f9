"""Tests of the banner in Chromium, Firefox and WebKit, also with blocked cookies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from selenium.webdriver import Keys

from cookie_consent.texts.catalog import shipped
from tests.support.browsers.engines import ENGINES, Setting
from tests.support.browsers.guest import Guest, guest_at, retry_if_webkit_crashes
from tests.support.browsers.visitor_browser import Sites

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

VISITORS = {
    "with JavaScript": Setting(),
    "without JavaScript, in Japanese, in the dark, on a small screen": Setting(
        scripts=False,
        language="ja-JP",
        dark=True,
        size=(520, 400),  # about as small as Firefox's windows can be
    ),
}
VISITS = {f"{name}, {kind}": (name, setting) for kind, setting in VISITORS.items() for name in ENGINES}
with_scripts = pytest.mark.parametrize(
    "running_guest",
    [pytest.param(visit, id=id_) for id_, visit in VISITS.items() if visit[1].scripts],
    indirect=True,
)
in_each_layout = pytest.mark.parametrize("layout", ["corner", "bar", "modal"])
EN: Any = shipped("en")


@pytest.fixture(scope="session")
def site(plain: Sites) -> Sites:
    """The site under test, with the banner in the corner."""
    return replace(plain, address=f"{plain.address}/corner")


@pytest.fixture(scope="module", params=list(VISITS.values()), ids=list(VISITS))
def running_guest(request: pytest.FixtureRequest, site: Sites) -> Iterator[Guest]:
    """A guest at an engine that was just started."""
    name, setting = request.param
    with guest_at(name, setting, site) as guest:
        yield guest


@pytest.fixture
def guest(running_guest: Guest) -> Guest:
    """A guest without cookies, in one window."""
    running_guest.start_anew()
    return running_guest


# Look


@in_each_layout
def test_banner_fits_phone_screen(guest: Guest, layout: str) -> None:
    guest.go("/", layout=layout)
    guest.wait_for_banner()
    with guest.on_a_phone():
        assert guest.scroll_width <= guest.size[0]
        assert guest.banner.value_of_css_property("position") == "fixed"
        assert guest.is_in_view(guest.banner)
        if layout != "modal":
            gaps = gaps_around(guest)
            assert (gaps["left"], gaps["right"], gaps["below"]) == (0, 0, 0)
        for choice in ("refuse_all", "accept_all"):
            assert guest.is_in_view(guest.button(choice))


def gaps_around(guest: Guest) -> dict[str, float]:
    """Return how far the banner is from the edges of the window."""
    (width, height), (left, above, right, below) = guest.size, guest.edges_of(guest.banner)
    gaps = {"left": left, "above": above, "right": width - right, "below": height - below}
    return {edge: round(gap, 1) for edge, gap in gaps.items()}


# Answers


def test_refusal_is_kept_and_next_page_has_no_banner(guest: Guest) -> None:
    guest.go("/")
    guest.answer("refuse_all")
    assert guest.path == "/"
    assert guest.active_templates() == set()
    assert guest.cookies["consent"]["httpOnly"]
    assert guest.state["status"] == "refused"
    guest.go("/long")
    assert guest.find_all("h1")
    assert not guest.shows_banner


@retry_if_webkit_crashes
def test_acceptance_activates_waiting_templates_at_once(guest: Guest) -> None:
    guest.go("/")
    assert guest.active_templates() == set()
    guest.answer("accept_all")
    assert guest.active_templates() == ({"media", "both"} if guest.setting.scripts else set())
    assert guest.state["status"] == "granted"
    guest.go("/video")
    assert guest.find_all("#video")


# Keyboard


def test_tab_reaches_banner_before_page(guest: Guest) -> None:
    guest.go("/")
    guest.wait_for_banner()
    reached_in_banner = []
    for choice in ("refuse_all", "accept_all"):
        reached_in_banner += guest.tab_to(choice)
        assert guest.banner_has_focus_inside
    assert "start" not in reached_in_banner
    guest.tab_to("start")
    assert not guest.banner_has_focus_inside


@retry_if_webkit_crashes
def test_keyboard_can_choose_single_purpose(guest: Guest) -> None:
    guest.go("/")
    guest.wait_for_banner()
    guest.tab_to("summary")
    guest.press(Keys.ENTER)
    guest.tab_to("media")
    guest.press(Keys.SPACE)
    guest.tab_to("save")
    guest.press(Keys.ENTER)
    guest.wait_for_page_without_banner()
    assert guest.state["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert guest.active_templates() == ({"media"} if guest.setting.scripts else set())


# Dismissing the banner


@with_scripts
@in_each_layout
def test_closed_question_comes_with_the_next_page(guest: Guest, layout: str) -> None:
    guest.go("/", layout=layout)
    guest.wait_for_banner()
    guest.find(".pchoice-close").click()
    guest.until(lambda: not guest.shows_banner)
    assert guest.state["status"] == "unknown"
    page = guest.document
    guest.find("#start").click()
    guest.wait_for_page_after(page)
    guest.wait_for_banner()


@with_scripts
def test_dialog_is_modal(guest: Guest) -> None:
    guest.go("/", layout="modal")
    guest.until(lambda: guest.find_all("dialog.pchoice:modal"))
    assert (guest.banner.aria_role, guest.banner.accessible_name) == ("dialog", EN["banner_title"])
    assert {"start", "settings"}.isdisjoint(guest.tab_to("accept_all"))
    page = guest.document
    guest.click_at(guest.find("#start"))
    guest.wait_for_frame()
    assert guest.document == page
    guest.wait_for_banner()


# Settings


@with_scripts
@in_each_layout
def test_settings_in_place_close_without_changes(guest: Guest, layout: str) -> None:
    def by_key() -> None:
        guest.press(Keys.ESCAPE)

    def by_button() -> None:
        guest.find(".pchoice-close").click()

    guest.go("/", layout=layout)
    guest.answer("refuse_all")
    page = guest.document
    for close in (by_key, by_button):
        guest.open_settings()
        assert guest.banner.accessible_name == EN["privacy_settings"]
        assert guest.find(".pchoice-state").text == EN["status_refused"]
        assert guest.button("save").is_displayed()
        close()
        guest.until(lambda: not guest.shows_banner)
        assert guest.focused() == "settings"
    assert guest.document == page
    assert guest.state["status"] == "refused"


# Back button and other windows


@retry_if_webkit_crashes
def test_banner_answered_on_next_page_is_gone_after_going_back(guest: Guest) -> None:
    guest.go("/")
    guest.wait_for_banner()
    guest.go("/long")
    guest.answer("refuse_all")
    guest.go_back_to("/")
    if guest.engine == "WebKit" and not guest.setting.scripts:
        # WebKit obeys Clear-Site-Data on a page, but not on a redirect, which is the response to a form. So it keeps
        # the page, and no script can update it. The visitor has to reload.
        guest.wait_for_banner()
        guest.driver.refresh()
    guest.wait_for_page_without_banner()
    assert guest.path == "/"
    assert guest.state["status"] == "refused"


@with_scripts
@retry_if_webkit_crashes
def test_other_window_applies_acceptance_in_place_and_reloads_on_withdrawal(guest: Guest) -> None:
    guest.go("/")
    guest.wait_for_banner()
    first, page = guest.window, guest.document
    guest.open_window()
    second = guest.window
    guest.go("/")
    guest.answer("accept_all")
    guest.switch_to(first)
    guest.until(lambda: not guest.shows_banner and guest.active_templates() == {"media", "both"})
    assert guest.document == page
    assert guest.message == ""
    guest.switch_to(second)
    guest.open_settings()
    guest.withdraw()
    guest.switch_to(first)
    guest.wait_for_page_after(page)
    assert guest.active_templates() == set()


# Strict Content-Security-Policy


@with_scripts
@retry_if_webkit_crashes
def test_banner_and_settings_work_under_strict_content_security_policy(guest: Guest) -> None:
    guest.go("/strict")
    guest.wait_for_banner()
    assert guest.banner.value_of_css_property("position") == "fixed"
    guest.find(".pchoice summary").click()
    guest.find(".pchoice [value=media]").click()
    guest.answer("save")
    assert guest.active_templates() == {"media"}
    page = guest.document
    guest.open_settings()
    assert guest.banner.value_of_css_property("position") == "fixed"
    guest.press(Keys.ESCAPE)
    guest.until(lambda: not guest.shows_banner)
    assert guest.document == page
    assert guest.violations == []
    guest.open_settings()
    guest.withdraw()
    guest.open_settings()
    assert guest.active_templates() == set()
    assert guest.violations == []


# Blocked cookies


CLAIMING = "WebKit"
"""The engine that tells pages that it keeps cookies. Only an answer shows that it does not."""
BLOCKED = EN["cookies_blocked"]


def without_cookies(*, scripts: bool) -> pytest.MarkDecorator:
    """Run a test at each engine with blocked cookies."""
    visits = [(name, Setting(cookies=False, scripts=scripts)) for name in ENGINES]
    return pytest.mark.parametrize("running_guest", visits, ids=list(ENGINES), indirect=True)


@without_cookies(scripts=True)
def test_message_replaces_banner_without_cookies(guest: Guest) -> None:
    if guest.engine != CLAIMING:
        # A tab that has not been on the site.
        guest.driver.switch_to.new_window("tab")
    guest.go("/")
    if guest.engine == CLAIMING:
        guest.answer("refuse_all")
    assert guest.until(lambda: guest.message) == BLOCKED
    assert not guest.shows_banner
    assert guest.cookies == {}
    assert guest.state["status"] == "unknown"


@without_cookies(scripts=False)
@retry_if_webkit_crashes
def test_lost_answer_without_scripts_turns_banner_into_message(guest: Guest) -> None:
    guest.go("/")
    guest.wait_for_banner()
    page = guest.document
    assert not guest.find(".pchoice-blocked").is_displayed()
    guest.button("accept_all").click()
    guest.wait_for_page_after(page)
    guest.wait_for_banner()
    assert guest.path == "/"
    # Selenium takes <noscript> for hidden.
    seen = guest.driver.execute_script("return arguments[0].innerText", guest.banner)
    assert seen.strip() == f"{BLOCKED} {EN['asks_again']}"
    assert not guest.button("accept_all").is_displayed()
    assert guest.cookies == {}
