"""Tests of the banner's size: how much of the window it covers, and that all of it is reached without effort."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.browsers.share import SCREENS, share_site, shares, show_banner
from tests.support.sites.share_site import LANGUAGES

pytestmark = [pytest.mark.browser, pytest.mark.each_value]

NewBanner = Callable[[str, str], Page]
"""Shows the banner in a layout and a language."""
LAYOUTS = ("corner", "bar", "modal")
SHORT, LONG = ("en", "ja"), ("de", "fr")
LIMITS = {
    ("corner", SHORT): (45, 38, 30, 12, 7),
    ("corner", LONG): (58, 48, 38, 15, 9),
    ("bar", SHORT): (45, 38, 30, 12, 12),
    ("bar", LONG): (58, 48, 38, 18, 12),
    ("modal", SHORT): (47, 38, 30, 15, 9),
    ("modal", LONG): (58, 48, 38, 17, 10),
}
"""Layout and languages -> the percentage of each window that the banner may cover."""
FROM_360 = {name: size for name, size in SCREENS.items() if size["width"] >= 360}
SMALL = {
    "phone": ViewportSize(width=320, height=568),
    "landscape": ViewportSize(width=640, height=360),
    "enlarged": ViewportSize(width=320, height=256),  # a window of 1280 x 1024 at 400 % (WCAG 1.4.10)
}
MOST_TAB_STOPS = 4
"""Before the button that accepts."""
CONTROLS = "a, button, summary, input"
ANSWERS = "button[value=refuse_all], button[value=accept_all]"
SCROLLED = """it => [it, ...it.querySelectorAll("*")]
    .filter(it => it.scrollHeight > it.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(it).overflowY))
    .map(it => it.outerHTML.slice(0, 40))"""
OUTSIDE = f"""it => [...it.querySelectorAll("{CONTROLS}")].filter(it => it.checkVisibility()).filter(it => {{
    const {{ left, right, top, bottom }} = it.getBoundingClientRect();
    return left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
}}).map(it => it.textContent)"""
HIDDEN = f"""it => [...it.querySelectorAll("{CONTROLS}")].filter(it => it.checkVisibility()).filter(it => {{
    it.scrollIntoView({{ block: "nearest" }});
    const [box] = it.getClientRects();
    return !it.contains(document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2));
}}).map(it => it.textContent)"""

in_all_layouts = pytest.mark.parametrize("layout", LAYOUTS)
in_all_languages = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
def new_banner(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewBanner]:
    """Shows the banner to somebody who has not answered, in one page for all tests."""
    with share_site(tmp_path_factory.mktemp("share")) as address, browser.new_context() as context:
        page = context.new_page()

        def new_banner(layout: str, language: str) -> Page:
            page.set_viewport_size(SCREENS["1440 x 900"])
            show_banner(page, address, layout, language)
            return page

        yield new_banner


@in_all_layouts
@in_all_languages
def test_banner_covers_little_of_the_window(new_banner: NewBanner, layout: str, language: str) -> None:
    found = shares(new_banner(layout, language))
    limits = LIMITS[layout, SHORT if language in SHORT else LONG]
    assert {size: share for (size, share), most in zip(found.items(), limits, strict=True) if share > most} == {}


@in_all_layouts
@in_all_languages
def test_all_controls_are_in_view_without_scrolling_from_360_px_up(
    new_banner: NewBanner, layout: str, language: str
) -> None:
    page = new_banner(layout, language)
    for name, size in FROM_360.items():
        page.set_viewport_size(size)
        assert page.locator(".pchoice form").evaluate(SCROLLED) == [], name
        assert page.locator(".pchoice").evaluate(OUTSIDE) == [], name


@in_all_layouts
@in_all_languages
def test_open_purposes_push_no_answer_out_of_view(new_banner: NewBanner, layout: str, language: str) -> None:
    page = new_banner(layout, language)
    page.locator(".pchoice summary").click()
    for name, size in FROM_360.items():
        page.set_viewport_size(size)
        assert page.locator(".pchoice-button[value=save]").is_visible()
        assert page.locator(".pchoice form").evaluate(SCROLLED) == [], name
        assert page.locator(".pchoice-answers").evaluate(OUTSIDE) == [], name


@in_all_layouts
def test_few_tab_stops_come_before_accepting(new_banner: NewBanner, layout: str) -> None:
    page = new_banner(layout, "en")
    stops = []
    for _ in range(20):
        page.keyboard.press("Tab")
        stop = page.evaluate("document.activeElement.closest('.pchoice') && document.activeElement.outerHTML")
        if stop and "accept_all" in stop:
            break
        stops += [stop] if stop else []
    else:
        pytest.fail("the button that accepts is not reached")
    assert len(stops) <= MOST_TAB_STOPS, stops
