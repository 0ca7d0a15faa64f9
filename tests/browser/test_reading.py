"""For those who read and press with effort: large targets, large text, loose text, and nothing that moves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.browsers.surfaces import SURFACES
from tests.support.browsers.themes import style
from tests.support.browsers.visitor_browser import CHROMIUM_OPTIONS, Sites, Visitor
from tests.support.sites.three_language_site import LANGUAGES

pytestmark = pytest.mark.browser

SCREENS = {
    "desk": ViewportSize(width=1280, height=800),
    "phone": ViewportSize(width=360, height=640),
    "small phone": ViewportSize(width=320, height=568),
    "enlarged": ViewportSize(width=320, height=256),  # a window of 1280 x 1024 at 400 % (WCAG 1.4.10)
}
TARGETS = (
    ":is(.pchoice, .pchoice-box) :is(a, button, summary, label), "
    ".pchoice-page :is(button, summary, textarea, input[type=text], input[type=email], label:not([for]), nav a)"
)
TOO_SMALL = """selector => [...document.querySelectorAll(selector)]
    .filter(it => it.checkVisibility() && it.getBoundingClientRect().height < 43.99)
    .map(it => `${it.tagName} "${it.textContent.trim()}" ${it.getBoundingClientRect().height}`)"""
CUT_OFF = """() => {
    const cut = [...document.querySelectorAll(
        ":is(.pchoice, .pchoice-box, .pchoice-page) *, .pchoice, .pchoice-box, .pchoice-status"
    )].filter(it => it.checkVisibility() && it.clientWidth && it.scrollWidth > it.clientWidth + 1);
    const hidden = [...document.querySelectorAll(".pchoice :is(.pchoice-text, .pchoice-answers) > *")].filter(it => {
        it.scrollIntoView({ block: "nearest" });
        const { top, bottom, left, right, height } = it.getBoundingClientRect();
        const inView = Math.min(bottom, innerHeight) - Math.max(top, 0) >= 20;
        return height && !(inView && left >= -0.5 && right <= innerWidth + 0.5);
    });
    return [
        ...cut.map(it => `${it.tagName} "${it.textContent.trim()}" is too wide`),
        ...hidden.map(it => `${it.tagName} "${it.textContent.trim()}" cannot be brought into view`),
        ...document.documentElement.scrollWidth > innerWidth ? ["the page is too wide"] : [],
    ];
}"""
LOOSE = """
* {
    letter-spacing: 0.12em !important;
    line-height: 1.5 !important;
    word-spacing: 0.16em !important;
}
p {
    margin-block-end: 2em !important;
}
"""
"""The spacing that a visitor may want (WCAG 2.2, 1.4.12)."""
ORDER = """it => [...it.textContent].map((_, place) => {
    const range = document.createRange();
    range.setStart(it.firstChild, place);
    range.setEnd(it.firstChild, place + 1);
    return range.getBoundingClientRect().left;
})"""
"""Where each letter of an element is seen, from left to right."""
RESTLESS = "* { animation: turn 3s infinite; scroll-behavior: smooth; transition: all 3s }"
MOVING = """() => [...document.querySelectorAll(":is(.pchoice, .pchoice-box, .pchoice-page) *"),
        ...document.querySelectorAll("html, .pchoice, .pchoice-box, .pchoice-status")].flatMap(it =>
    [null, "::before", "::after", "::backdrop"].map(pseudo => getComputedStyle(it, pseudo)).filter(style =>
        style.transitionDuration !== "0s" || style.animationName !== "none" || style.scrollBehavior !== "auto"
    ).map(() => it.tagName))"""


TURNS = count()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Look at each surface in all languages; outside the full matrix in one, and in the next one in the next test."""
    if "languages" in metafunc.fixturenames:
        turn = next(TURNS)
        turns = [[LANGUAGES[(place + turn) % len(LANGUAGES)]] for place in range(len(SURFACES))]
        languages = [LANGUAGES] * len(SURFACES) if metafunc.config.getoption("--full-matrix") else turns
        metafunc.parametrize(("surface", "languages"), [*zip(SURFACES, languages, strict=True)], ids=SURFACES)


@pytest.fixture(scope="module")
def visitor(browser: Browser, museum: Sites) -> Iterator[Visitor]:
    """One visitor for all tests, with one page."""
    visitor = Visitor(browser.new_context(), museum)
    yield visitor
    visitor.context.close()


def test_targets_are_44_pixels_high(visitor: Visitor, surface: str, languages: Sequence[str]) -> None:
    for language in languages:
        SURFACES[surface](visitor, language)
        for size in SCREENS.values():
            visitor.page.set_viewport_size(size)
            assert visitor.page.evaluate(TOO_SMALL, TARGETS) == [], (language, size)


def test_loosely_spaced_text_is_not_cut_off(visitor: Visitor, surface: str, languages: Sequence[str]) -> None:
    for language in languages:
        visitor.page.set_viewport_size(SCREENS["desk"])
        SURFACES[surface](visitor, language)
        style(visitor.page, LOOSE)
        assert what_is_cut_off(visitor.page) == {}, language


def test_cookie_name_runs_left_to_right_in_arabic(visitor: Visitor) -> None:
    SURFACES["settings page"](visitor, "ar")
    name = visitor.page.locator("code", has_text="_visits*")
    assert name.evaluate(ORDER) == sorted(name.evaluate(ORDER))


@pytest.mark.each_value
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_nothing_is_animated(visitor: Visitor, surface: str, motion: Any) -> None:
    visitor.page.emulate_media(reduced_motion=motion)
    SURFACES[surface](visitor, "en")
    assert visitor.page.evaluate(MOVING) == []


@pytest.mark.parametrize("surface", ["purposes open", "error", "box", "answer kept"])
def test_animations_of_site_do_not_reach_our_elements(visitor: Visitor, surface: str) -> None:
    SURFACES[surface](visitor, "en")
    style(visitor.page, RESTLESS)
    assert set(visitor.page.evaluate(MOVING)) <= {"HTML"}


@pytest.fixture(scope="module")
def with_large_text(browser: Browser, museum: Sites, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody who has set the size of text in the browser's settings to 32 px, twice the usual one."""
    folder = tmp_path_factory.mktemp("profile")
    (folder / "Default").mkdir()
    preferences = {"webkit": {"webprefs": {"default_font_size": 32}}}
    (folder / "Default" / "Preferences").write_text(json.dumps(preferences), "utf-8")
    context = browser.browser_type.launch_persistent_context(folder, **CHROMIUM_OPTIONS)
    yield Visitor(context, museum)
    context.close()


@pytest.mark.parametrize(
    ("surface", "selector"),
    [("first layer", ".pchoice-question"), ("box", ".pchoice-box p"), ("settings page", "label")],
)
def test_text_size_follows_browser_setting(with_large_text: Visitor, surface: str, selector: str) -> None:
    SURFACES[surface](with_large_text, "en")
    text = with_large_text.page.locator(selector).first
    assert text.evaluate("it => getComputedStyle(it).fontSize") == "32px"


def test_large_text_is_not_cut_off(with_large_text: Visitor, surface: str, languages: Sequence[str]) -> None:
    for language in languages:
        with_large_text.page.set_viewport_size(SCREENS["desk"])
        SURFACES[surface](with_large_text, language)
        assert what_is_cut_off(with_large_text.page) == {}, language


def what_is_cut_off(page: Page) -> dict[str, list[str]]:
    """Return what cannot be read on some screen: the screen -> what is cut off there."""
    found = {}
    for name, size in SCREENS.items():
        page.set_viewport_size(size)
        found[name] = page.evaluate(CUT_OFF)
    return {name: cut for name, cut in found.items() if cut}
