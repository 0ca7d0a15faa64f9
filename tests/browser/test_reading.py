"""Tests of readability: large targets, large text, loose spacing and no animation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.browsers.surfaces import SURFACES
from tests.support.browsers.themes import adopt_rules
from tests.support.browsers.visitor_browser import CHROMIUM_OPTIONS, Sites, Visitor
from tests.support.sites.three_language_site import LANGUAGES

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=6)]

SCREENS = {
    "desk": ViewportSize(width=1280, height=800),
    "phone": ViewportSize(width=360, height=640),
    "small phone": ViewportSize(width=320, height=568),
    "enlarged": ViewportSize(width=320, height=256),  # a window of 1280 x 1024 at 400 % (WCAG 1.4.10)
}
# Links in the words of a sentence need no size of their own (WCAG 2.2, 2.5.8).
TARGETS = (
    ":is(.pchoice, .pchoice-box) :is(a:not(.pchoice-text a), button, summary, label), "
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
"""The spacing that visitors can set (WCAG 2.2, 1.4.12)."""
ORDER = """it => [...it.textContent].map((_, place) => {
    const range = document.createRange();
    range.setStart(it.firstChild, place);
    range.setEnd(it.firstChild, place + 1);
    return range.getBoundingClientRect().left;
})"""
"""The horizontal place of each letter of an element."""
MOVING = """() => [...document.querySelectorAll(":is(.pchoice, .pchoice-box, .pchoice-page) *"),
        ...document.querySelectorAll("html, .pchoice, .pchoice-box, .pchoice-status")].flatMap(it =>
    [null, "::before", "::after", "::backdrop"].map(pseudo => getComputedStyle(it, pseudo)).filter(style =>
        style.transitionDuration !== "0s" || style.animationName !== "none" || style.scrollBehavior !== "auto"
    ).map(() => it.tagName))"""


TURNS = count()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test each surface in all languages; outside the full matrix in one, in turn."""
    if "languages" in metafunc.fixturenames:
        turn = next(TURNS)
        turns = [[LANGUAGES[(place + turn) % len(LANGUAGES)]] for place in range(len(SURFACES))]
        languages = [LANGUAGES] * len(SURFACES) if metafunc.config.getoption("--full-matrix") else turns
        metafunc.parametrize(("surface", "languages"), [*zip(SURFACES, languages, strict=True)], ids=SURFACES)


def test_targets_are_44_pixels_high(museum_visitor: Visitor, surface: str, languages: Sequence[str]) -> None:
    for language in languages:
        SURFACES[surface](museum_visitor, language)
        for size in SCREENS.values():
            museum_visitor.page.set_viewport_size(size)
            assert museum_visitor.page.evaluate(TOO_SMALL, TARGETS) == [], (language, size)


def test_loosely_spaced_text_is_not_cut_off(museum_visitor: Visitor, surface: str, languages: Sequence[str]) -> None:
    for language in languages:
        museum_visitor.page.set_viewport_size(SCREENS["desk"])
        SURFACES[surface](museum_visitor, language)
        adopt_rules(museum_visitor.page, LOOSE)
        assert cut_off_by_screen(museum_visitor.page) == {}, language


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_nothing_is_animated(museum_visitor: Visitor, surface: str, motion: Any) -> None:
    museum_visitor.page.emulate_media(reduced_motion=motion)
    SURFACES[surface](museum_visitor, "en")
    assert museum_visitor.page.evaluate(MOVING) == []


@pytest.fixture(scope="module")
def large_text_visitor(browser: Browser, museum: Sites, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """A visitor who has set the text size of the browser to 32 px, twice the default."""
    folder = tmp_path_factory.mktemp("profile")
    (folder / "Default").mkdir()
    preferences = {"webkit": {"webprefs": {"default_font_size": 32}}}
    (folder / "Default" / "Preferences").write_text(json.dumps(preferences), "utf-8")
    context = browser.browser_type.launch_persistent_context(folder, **CHROMIUM_OPTIONS)
    yield Visitor(context, museum)
    context.close()


@pytest.mark.parametrize(
    ("surface", "selector", "size"),
    [("first layer", ".pchoice-question", 30), ("fallback box", ".pchoice-box p", 32), ("settings page", "label", 32)],
)
def test_text_size_follows_browser_setting(large_text_visitor: Visitor, surface: str, selector: str, size: int) -> None:
    SURFACES[surface](large_text_visitor, "en")
    text = large_text_visitor.page.locator(selector).first
    assert text.evaluate("it => getComputedStyle(it).fontSize") == f"{size}px"


def cut_off_by_screen(page: Page) -> dict[str, list[str]]:
    """Return the elements that are cut off: screen -> elements; without screens where all is readable."""
    found = {}
    for name, size in SCREENS.items():
        page.set_viewport_size(size)
        found[name] = page.evaluate(CUT_OFF)
    return {name: cut for name, cut in found.items() if cut}
