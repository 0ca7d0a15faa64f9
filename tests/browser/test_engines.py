"""The question in Chromium, Firefox and WebKit: each does by itself what the standards leave to browsers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver import Keys

from cookie_consent.texts.catalog import shipped
from tests.support.browsers.browser_window import is_current
from tests.support.browsers.contrast import computed, contrast
from tests.support.browsers.engines import ENGINES, Setting
from tests.support.browsers.guest import Guest, again_if_webkit_ends, seated
from tests.support.browsers.visitor_browser import PREFIX, Sites
from tests.support.sites.engines_site import engines_site, policy

pytestmark = [pytest.mark.browser, pytest.mark.each_value(all_of="Chromium")]

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
with_scripts, without_scripts = (
    pytest.mark.parametrize(
        "at_an_engine",
        [pytest.param(visit, id=id_) for id_, visit in VISITS.items() if visit[1].scripts == scripts],
        indirect=True,
    )
    for scripts in (True, False)
)
in_each_layout = pytest.mark.parametrize("layout", ["corner", "bar", "modal"])
LANGUAGES = ("en", "ja", "ar")
PURPOSES = [policy.in_force[id_] for id_ in policy.optional]
TITLES = {purpose.id: purpose.title["en"] for purpose in PURPOSES}
EN: Any = shipped("en")
TRIES = 5
FOLLOWING_THE_WIDTH = {"width", "inline-size", "perspective-origin", "transform-origin"}
GAP = 16
"""Between a box in the corner and the edges."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """What is visited."""
    with engines_site(tmp_path_factory.mktemp("engines")) as site:
        yield site


@pytest.fixture(scope="module", params=list(VISITS.values()), ids=list(VISITS))
def at_an_engine(request: pytest.FixtureRequest, site: Sites) -> Iterator[Guest]:
    """Somebody at an engine that was just started."""
    name, setting = request.param
    with seated(name, setting, site) as guest:
        yield guest


@pytest.fixture
def guest(at_an_engine: Guest) -> Guest:
    """Somebody new."""
    at_an_engine.arrive()
    return at_an_engine


# What the question says


@pytest.mark.parametrize("language", LANGUAGES)
def test_banner_shows_required_texts_in_page_language(guest: Guest, language: str) -> None:
    texts: Any = shipped(language)
    guest.go(f"/?lang={language}")
    guest.wait_for_the_question()
    assert (guest.banner.aria_role, guest.banner.accessible_name) == ("region", texts["banner_title"])
    assert guest.banner.value_of_css_property("direction") == ("rtl" if language == "ar" else "ltr")
    question, said = guest.one(".pchoice-question").text, guest.one(".pchoice-text").text
    assert all(purpose.title[language] in question for purpose in PURPOSES)
    assert policy.site.name in question
    assert policy.site.controller in said
    assert texts["banner_freedom"] in said
    assert all(feature.title[language] in said for feature in policy.features)
    third_parties, settings, privacy_policy = guest.all(".pchoice-text a")
    assert third_parties.text in {form.format(number=1) for form in texts["banner_recipients"].values()}
    assert str(third_parties.get_dom_attribute("href")).endswith("#pchoice-recipients")
    assert (settings.text, privacy_policy.text) == (texts["privacy_settings"], texts["privacy_policy"])
    assert guest.one(".pchoice-later").is_displayed() == guest.setting.scripts
    for choice in ("refuse_all", "accept_all"):
        assert (guest.button(choice).aria_role, guest.button(choice).accessible_name) == ("button", texts[choice])


def test_third_parties_link_leads_to_recipients(guest: Guest) -> None:
    guest.go("/")
    page = guest.document
    guest.one(".pchoice-text a").click()
    guest.wait_for_another_page_than(page)
    assert guest.path == PREFIX
    assert policy.recipients[0].name in guest.one("main").text
    assert guest.has_in_view(guest.one("#pchoice-recipients"))


def test_settings_page_is_in_browser_language(guest: Guest) -> None:
    guest.go(PREFIX)
    assert guest.document.get_dom_attribute("lang") == guest.setting.language.partition("-")[0]
    assert guest.one("h1").text == shipped(guest.document.get_dom_attribute("lang"))["privacy_settings"]


def test_purposes_open_in_place_and_unticked(guest: Guest) -> None:
    guest.go("/long")
    guest.wait_for_the_question()
    page, requested = guest.document, guest.requested
    boxes = {str(box.get_dom_attribute("value")): box for box in guest.all(".pchoice [type=checkbox]")}
    assert not [box for box in (*boxes.values(), guest.button("save")) if box.is_displayed()]
    guest.one(".pchoice summary").click()
    guest.until(guest.button("save").is_displayed)
    assert {value: box.accessible_name for value, box in boxes.items()} == TITLES
    for box in boxes.values():
        assert box.is_displayed()
        assert box.aria_role == "checkbox"
        assert not box.is_selected()
    if guest.setting.scripts:
        guest.wait_for_a_picture()
    assert guest.has_in_view(guest.one(".pchoice summary"))
    assert is_current(page)
    assert guest.scrolled == 0
    assert guest.requested == requested


# How it looks


def test_banner_comes_first_with_both_answers_in_view(guest: Guest) -> None:
    guest.go("/")
    assert guest.is_asked
    first = next(it for it in guest.all("body > *") if it.tag_name != "link")
    assert "pchoice" in str(first.get_dom_attribute("class")).split()
    for choice in ("refuse_all", "accept_all"):
        assert guest.has_in_view(guest.button(choice))
    assert guest.cookies == {}


@in_each_layout
def test_both_answers_look_alike(guest: Guest, layout: str) -> None:
    guest.go("/", layout=layout)
    guest.wait_for_the_question()
    looks, areas = [], []
    for choice in ("refuse_all", "accept_all"):
        button = guest.button(choice)
        style = guest.style_of(button)
        assert style["display"]
        looks.append({name: value for name, value in style.items() if name not in FOLLOWING_THE_WIDTH})
        areas.append(button.rect["width"] * button.rect["height"])
        assert button.rect["height"] >= 44
    assert looks[0] == looks[1]
    assert 0.9 < areas[0] / areas[1] < 1.1


def test_banner_follows_preferred_colour_scheme(guest: Guest) -> None:
    guest.go("/")
    for selector in (".pchoice", ".pchoice [value=accept_all]"):
        it = guest.one(selector)
        text, ground = (computed(opaque(it.value_of_css_property(name))) for name in ("color", "background-color"))
        assert contrast(text, ground) >= 4.5
        if selector == ".pchoice":
            assert (ground.luminance < text.luminance) == guest.setting.dark


def opaque(colour: str) -> str:
    """Return a colour without the opacity that Selenium adds."""
    return colour.replace("rgba", "rgb").replace(", 1)", ")")


@in_each_layout
def test_banner_fits_phone_screen(guest: Guest, layout: str) -> None:
    guest.go("/", layout=layout)
    guest.wait_for_the_question()
    with guest.on_a_phone():
        assert guest.width_of_all <= guest.size[0]
        assert guest.banner.value_of_css_property("position") == "fixed"
        assert guest.has_in_view(guest.banner)
        if layout != "modal":
            gaps = gaps_around(guest)
            assert (gaps["left"], gaps["right"], gaps["below"]) == (0, 0, 0)
        for choice in ("refuse_all", "accept_all"):
            assert guest.has_in_view(guest.button(choice))


@with_scripts
@pytest.mark.parametrize(("layout", "language"), [("corner", "en"), ("corner", "ar"), ("bar", "en"), ("modal", "en")])
def test_layout_places_banner_on_wide_screen(guest: Guest, layout: str, language: str) -> None:
    guest.go(f"/?lang={language}", layout=layout)
    guest.wait_for_the_question()
    assert guest.banner.value_of_css_property("position") == "fixed"
    gaps = gaps_around(guest)
    if layout == "corner":
        beside, opposite = ("right", "left") if language == "ar" else ("left", "right")
        assert (gaps[beside], gaps["below"]) == (GAP, GAP)
        assert gaps[opposite] > guest.size[0] / 3
    elif layout == "bar":
        assert (gaps["left"], gaps["right"], gaps["below"]) == (0, 0, 0)
    else:
        assert gaps["left"] == gaps["right"]
        assert gaps["above"] == pytest.approx(gaps["below"], abs=1)


def gaps_around(guest: Guest) -> dict[str, float]:
    """Return how far the question is from the edges."""
    (width, height), (left, above, right, below) = guest.size, guest.edges_of(guest.banner)
    gaps = {"left": left, "above": above, "right": width - right, "below": height - below}
    return {edge: round(gap, 1) for edge, gap in gaps.items()}


# Answers


def test_refusal_is_kept_and_next_page_has_no_banner(guest: Guest) -> None:
    guest.go("/")
    guest.answer("refuse_all")
    assert guest.path == "/"
    assert guest.shown() == set()
    assert guest.cookies["consent"]["httpOnly"]
    assert guest.state["status"] == "refused"
    guest.go("/long")
    assert guest.all("h1")
    assert not guest.is_asked


@again_if_webkit_ends
def test_acceptance_activates_waiting_templates_at_once(guest: Guest) -> None:
    guest.go("/")
    assert guest.shown() == set()
    guest.answer("accept_all")
    # Without scripts there is nobody who could.
    assert guest.shown() == ({"media", "both"} if guest.setting.scripts else set())
    assert guest.state["status"] == "granted"
    guest.go("/video")
    assert guest.all("#video")


@with_scripts
@in_each_layout
@pytest.mark.parametrize(("choice", "status"), [("refuse_all", "status_refused"), ("accept_all", "status_granted")])
def test_answer_is_confirmed_and_focus_moves_to_main(guest: Guest, layout: str, choice: str, status: str) -> None:
    guest.go("/", layout=layout)
    guest.wait_for_the_question()
    guest.tab_to(choice)
    guest.press(Keys.ENTER)
    guest.wait_for_a_page_without_the_question()
    assert guest.until(lambda: guest.said) == f"{EN['kept']} {EN[status]}"
    assert guest.one(".pchoice-status").aria_role == "status"
    assert guest.focused() == "main"


# The keyboard


def test_tab_reaches_banner_before_page(guest: Guest) -> None:
    guest.go("/")
    on_the_question = []
    for choice in ("refuse_all", "accept_all"):
        on_the_question += guest.tab_to(choice)
        assert guest.focus_is_in_the_question
    assert "start" not in on_the_question
    guest.tab_to("start")
    assert not guest.focus_is_in_the_question


@again_if_webkit_ends
def test_keyboard_can_choose_single_purpose(guest: Guest) -> None:
    guest.go("/")
    guest.tab_to("summary")
    guest.press(Keys.ENTER)
    guest.tab_to("media")
    guest.press(Keys.SPACE)
    guest.tab_to("save")
    guest.press(Keys.ENTER)
    guest.wait_for_a_page_without_the_question()
    assert guest.state["purposes"] == {"necessary": True, "analytics": False, "media": True}
    assert guest.shown() == ({"media"} if guest.setting.scripts else set())


# Setting the question aside


@with_scripts
@in_each_layout
def test_dismissed_banner_leaves_visitor_unanswered(guest: Guest, layout: str) -> None:
    def by_the_key() -> None:
        guest.tab_to("summary")
        guest.press(Keys.ESCAPE)

    def by_the_button() -> None:
        guest.one(".pchoice-later").click()

    guest.go("/", layout=layout)
    for set_aside in (by_the_key, by_the_button):
        guest.wait_for_the_question()
        page = guest.document
        set_aside()
        guest.until(lambda: not guest.is_asked)
        assert is_current(page)
        assert guest.focused() == "main"
        assert guest.cookies == {}
        assert guest.state["status"] == "unknown"
        guest.one("#start").click()
        guest.wait_for_another_page_than(page)
    guest.wait_for_the_question()


@with_scripts
def test_dialog_is_modal(guest: Guest) -> None:
    guest.go("/", layout="modal")
    guest.until(lambda: guest.all("dialog.pchoice:modal"))
    assert (guest.banner.aria_role, guest.banner.accessible_name) == ("dialog", EN["banner_title"])
    assert {"start", "settings"}.isdisjoint(guest.tab_to("accept_all"))
    page = guest.document
    guest.point_and_click(guest.one("#start"))
    guest.wait_for_a_picture()
    assert is_current(page)
    assert guest.is_asked


@with_scripts
def test_dialog_itself_has_focus_when_opened(guest: Guest) -> None:
    guest.go("/", layout="modal")
    guest.until(lambda: guest.all("dialog.pchoice:modal"))
    assert guest.is_at_the_beginning_of_the_question


# The settings


@with_scripts
@in_each_layout
def test_settings_in_place_close_without_changes(guest: Guest, layout: str) -> None:
    def by_the_key() -> None:
        guest.press(Keys.ESCAPE)

    def by_the_button() -> None:
        guest.one(".pchoice-later").click()

    guest.go("/", layout=layout)
    guest.answer("refuse_all")
    page = guest.document
    for close in (by_the_key, by_the_button):
        guest.open_the_settings()
        assert guest.banner.accessible_name == EN["privacy_settings"]
        assert guest.one(".pchoice-state").text == EN["status_refused"]
        assert guest.button("save").is_displayed()
        close()
        guest.until(lambda: not guest.is_asked)
        assert guest.focused() == "settings"
    assert is_current(page)
    assert guest.state["status"] == "refused"


@with_scripts
@in_each_layout
def test_settings_in_place_have_focus_when_opened(guest: Guest, layout: str) -> None:
    guest.go("/", layout=layout)
    guest.answer("refuse_all")
    guest.open_the_settings()
    guest.wait_for_a_picture()
    assert guest.is_at_the_beginning_of_the_question


@with_scripts
@in_each_layout
@again_if_webkit_ends
def test_withdrawal_in_place_removes_activated_content(guest: Guest, layout: str) -> None:
    guest.go("/", layout=layout)
    guest.answer("accept_all")
    assert guest.shown() == {"media", "both"}
    guest.open_the_settings()
    assert all(box.is_selected() for box in guest.all(".pchoice [type=checkbox]"))
    guest.withdraw()
    assert not guest.is_asked
    assert guest.state["status"] == "refused"
    guest.open_the_settings()
    assert guest.one(".pchoice-state").text == EN["status_refused"]
    assert not any(box.is_selected() for box in guest.all(".pchoice [type=checkbox]"))
    assert guest.shown() == set()


@without_scripts
@again_if_webkit_ends
def test_settings_link_opens_settings_page_without_scripts(guest: Guest) -> None:
    texts: Any = shipped("ja")
    guest.go("/")
    guest.answer("accept_all")
    guest.one("#settings").click()
    guest.until(lambda: guest.path == PREFIX)
    assert texts["status_granted"] in guest.one("main").text
    guest.button("refuse_all").click()
    guest.until(lambda: texts["status_refused"] in guest.one("main").text)
    assert guest.state["status"] == "refused"
    guest.go("/video")
    assert not guest.all("#video")


# Pages that come back, and other windows


def test_unanswered_banner_stays_open_after_going_back(guest: Guest) -> None:
    def comes_back_to_the_page_as_it_was() -> bool:
        guest.go("/")
        page = guest.document
        guest.go("/long")
        guest.go_back_to("/")
        return is_current(page)

    # Browsers keep pages as they like. Firefox now and then gives one up.
    assert any(comes_back_to_the_page_as_it_was() for _ in range(TRIES))
    guest.answer("refuse_all")
    assert guest.state["status"] == "refused"


@again_if_webkit_ends
def test_banner_answered_on_next_page_is_gone_after_going_back(guest: Guest) -> None:
    guest.go("/")
    assert guest.is_asked
    guest.go("/long")
    guest.answer("refuse_all")
    guest.go_back_to("/")
    if guest.engine == "WebKit" and not guest.setting.scripts:
        # It keeps the page all the same: it heeds Clear-Site-Data on a page, but not on the redirect to one, which is
        # what answers a form; and no script of ours is there to look. The visitor has to reload.
        guest.wait_for_the_question()
        guest.driver.refresh()
    guest.wait_for_a_page_without_the_question()
    assert guest.path == "/"
    assert guest.state["status"] == "refused"


@again_if_webkit_ends
def test_answer_in_one_window_holds_in_another(guest: Guest) -> None:
    guest.go("/")
    first = guest.window
    guest.open_window()
    guest.go("/")
    assert guest.is_asked
    guest.answer("accept_all")
    guest.switch_to(first)
    guest.go("/")
    assert guest.all("h1")
    assert not guest.is_asked
    assert guest.state["status"] == "granted"


@with_scripts
@again_if_webkit_ends
def test_other_window_applies_acceptance_in_place_and_reloads_on_withdrawal(guest: Guest) -> None:
    guest.go("/")
    guest.wait_for_the_question()
    first, page = guest.window, guest.document
    guest.open_window()
    second = guest.window
    guest.go("/")
    guest.answer("accept_all")
    guest.switch_to(first)
    guest.until(lambda: not guest.is_asked and guest.shown() == {"media", "both"})
    assert is_current(page)
    assert guest.said == ""
    guest.switch_to(second)
    guest.open_the_settings()
    guest.withdraw()
    guest.switch_to(first)
    guest.wait_for_another_page_than(page)
    assert guest.shown() == set()


# A strict Content-Security-Policy


@with_scripts
@again_if_webkit_ends
def test_banner_and_settings_work_under_strict_content_security_policy(guest: Guest) -> None:
    guest.go("/strict")
    guest.wait_for_the_question()
    assert guest.banner.value_of_css_property("position") == "fixed"
    guest.one(".pchoice summary").click()
    guest.one(".pchoice [value=media]").click()
    guest.answer("save")
    assert guest.shown() == {"media"}
    page = guest.document
    guest.open_the_settings()
    assert guest.banner.value_of_css_property("position") == "fixed"
    guest.press(Keys.ESCAPE)
    guest.until(lambda: not guest.is_asked)
    assert is_current(page)
    assert guest.violations == []
    guest.open_the_settings()
    guest.withdraw()
    guest.open_the_settings()
    assert guest.shown() == set()
    assert guest.violations == []


@without_scripts
@again_if_webkit_ends
def test_form_works_without_scripts_under_strict_content_security_policy(guest: Guest) -> None:
    guest.go("/strict")
    assert guest.banner.value_of_css_property("position") == "fixed"
    guest.answer("refuse_all")
    assert guest.path == "/strict"
    assert guest.state["status"] == "refused"
