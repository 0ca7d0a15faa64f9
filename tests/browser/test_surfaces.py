"""Tests of everything that visitors see, on each surface: axe, contrast, targets, readable text, and no animation.

Outside the full matrix each surface is seen in one language, and in some of the looks, in turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.browsers.axe import COLOURS, run_axe
from tests.support.browsers.contrast import blend, contrast
from tests.support.browsers.surfaces import SURFACES
from tests.support.browsers.themes import THEMES, adopt_rules, apply_theme
from tests.support.browsers.visitor_browser import CHROMIUM_OPTIONS, Sites, Visitor
from tests.support.sites.three_language_site import LANGUAGES

pytestmark = pytest.mark.browser

AXE_LOOKS = list(product(("desk", "tablet", "phone", "small phone"), COLOURS))
"""Each screen with each set of colours."""
REQUIRED_RULES = {"color-contrast", "region", "target-size", "button-name", "landmark-unique", "valid-lang"}


class Look(NamedTuple):
    """The look of a page: the site's theme and the preferences of the browser."""

    theme: str
    scheme: Any = "light"
    more: Any = "no-preference"
    forced: Any = "none"

    def apply(self, page: Page) -> None:
        """Give a page this look."""
        page.emulate_media(color_scheme=self.scheme, contrast=self.more, forced_colors=self.forced)
        apply_theme(page, self.theme)


LOOKS = [
    *(Look(theme, scheme, more) for theme, scheme, more in product(
        ["", *THEMES], ["light", "dark"], ["no-preference", "more"]
    )),
    *(Look("", scheme, forced="active") for scheme in ("light", "dark")),
]  # fmt: skip
MEASURE = """() => {
    const layers = element => {
        const found = [];
        for (let it = element; it; it = it.parentElement) found.push(getComputedStyle(it).backgroundColor);
        return [...found, "rgb(255, 255, 255)"];
    };
    const named = (element, end = "") =>
        `${element.tagName} ${element.className} "${element.textContent.trim().slice(0, 20)}"${end}`;
    const ours = [...document.querySelectorAll(
        ":is(.pchoice, .pchoice-box, .pchoice-status, body.pchoice-page), " +
        ":is(.pchoice, .pchoice-box, .pchoice-page, .pchoice-way-back) *"
    )].filter(it => it.checkVisibility({ visibilityProperty: true }) && it.getClientRects().length);
    const texts = ours.flatMap(it => ["", "::before"].filter(pseudo => pseudo
        ? !["none", "normal"].includes(getComputedStyle(it, pseudo).content)
        : [...it.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim())
    ).map(pseudo => [named(it, pseudo), getComputedStyle(it, pseudo).color, layers(it)]));
    const edges = ours.filter(it => it.matches(
        ":is(.pchoice, .pchoice-box):not(.pchoice-shown *), .pchoice-status, .pchoice-button, textarea, " +
        ".pchoice-alert:not(:empty), .pchoice-notice, input:is([type=text], [type=email])"
    )).map(it => {
        const { backgroundColor, borderInlineStartColor: border, borderInlineStartWidth } = getComputedStyle(it);
        return [named(it), [backgroundColor, ...parseFloat(borderInlineStartWidth) ? [border] : []],
            layers(it.parentElement)];
    });
    const pressed = "a, :is(button, textarea, input:not([type=hidden])):not(:disabled), summary";
    const rings = ours.filter(it => it.matches(pressed)).map(it => {
        it.focus({ focusVisible: true });
        const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(it);
        const width = it.matches(":focus-visible") && outlineStyle !== "none" ? parseFloat(outlineWidth) : 0;
        return [named(it), width, outlineColor, layers(it.parentElement)];
    });
    return [texts, edges, rings];
}"""
SCREENS = {
    "desk": ViewportSize(width=1280, height=800),
    "tablet": ViewportSize(width=768, height=1024),
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
MOVING = """() => [...document.querySelectorAll(":is(.pchoice, .pchoice-box, .pchoice-page) *"),
        ...document.querySelectorAll("html, .pchoice, .pchoice-box, .pchoice-status")].flatMap(it =>
    [null, "::before", "::after", "::backdrop"].map(pseudo => getComputedStyle(it, pseudo)).filter(style =>
        style.transitionDuration !== "0s" || style.animationName !== "none" || style.scrollBehavior !== "auto"
    ).map(() => it.tagName))"""

on_each_surface = pytest.mark.parametrize("surface", SURFACES)


def in_turn(values: Any, surface: str, config: pytest.Config, *, out_of: int) -> Any:
    """Return all values in the full matrix, and otherwise one out of so many, each surface others."""
    place = list(SURFACES).index(surface)
    return values if config.getoption("--full-matrix") else values[place % out_of :: out_of]


@on_each_surface
def test_axe_finds_no_violations(museum_visitor: Visitor, pytestconfig: pytest.Config, surface: str) -> None:
    found = {}
    for language in in_turn(LANGUAGES, surface, pytestconfig, out_of=3):
        SURFACES[surface](museum_visitor, language)
        for screen, colours in in_turn(AXE_LOOKS, surface, pytestconfig, out_of=6):
            museum_visitor.page.set_viewport_size(SCREENS[screen])
            museum_visitor.page.emulate_media(**COLOURS[colours])
            found[language, screen, colours] = run_axe(museum_visitor.page, forced_colours=colours == "forced")
    assert {look: findings for look, findings in found.items() if findings} == {}


def test_required_axe_rules_have_run(museum_visitor: Visitor) -> None:
    museum_visitor.page.emulate_media(**COLOURS["light"])
    SURFACES["first layer"](museum_visitor, "en")
    assert run_axe(museum_visitor.page).passed >= REQUIRED_RULES


def low_contrasts(page: Page, look: Look) -> list[str]:
    """Return the texts, edges and rings of a page that have too little contrast."""
    texts, edges, rings = page.evaluate(MEASURE)
    assert texts
    assert edges or rings
    least = 7 if look.more == "more" else 4.5
    low = [name for name, colour, layers in texts if contrast(blend([colour, *layers]), blend(layers)) < least]
    for name, colours, layers in edges:
        behind = blend(layers)
        if max(contrast(blend([colour, *layers]), behind) for colour in colours) < 3:
            low.append(f"edge of {name}")
    for name, width, colour, layers in rings:
        if width < 2 or contrast(blend([colour, *layers]), blend(layers)) < 3:
            low.append(f"ring around {name}")
    return low


@on_each_surface
def test_texts_edges_and_focus_rings_have_enough_contrast(
    museum_visitor: Visitor, pytestconfig: pytest.Config, surface: str
) -> None:
    Look("").apply(museum_visitor.page)
    SURFACES[surface](museum_visitor, "en")
    found = {}
    for look in in_turn(LOOKS, surface, pytestconfig, out_of=3):
        look.apply(museum_visitor.page)
        found[look] = low_contrasts(museum_visitor.page, look)
    assert {look: low for look, low in found.items() if low} == {}


@on_each_surface
def test_targets_are_large_loose_text_is_not_cut_off_and_nothing_moves(
    museum_visitor: Visitor, pytestconfig: pytest.Config, surface: str
) -> None:
    page = museum_visitor.page
    for language in in_turn(LANGUAGES, surface, pytestconfig, out_of=3):
        page.set_viewport_size(SCREENS["desk"])
        SURFACES[surface](museum_visitor, language)
        assert page.evaluate(MOVING) == [], language
        for size in SCREENS.values():
            page.set_viewport_size(size)
            assert page.evaluate(TOO_SMALL, TARGETS) == [], (language, size)
        adopt_rules(page, LOOSE)
        assert cut_off_by_screen(page) == {}, language


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


@on_each_surface
def test_large_text_is_not_cut_off(large_text_visitor: Visitor, pytestconfig: pytest.Config, surface: str) -> None:
    for language in in_turn(LANGUAGES, surface, pytestconfig, out_of=3):
        large_text_visitor.page.set_viewport_size(SCREENS["desk"])
        SURFACES[surface](large_text_visitor, language)
        assert cut_off_by_screen(large_text_visitor.page) == {}, language


def cut_off_by_screen(page: Page) -> dict[str, list[str]]:
    """Return the elements that are cut off: screen -> elements; without screens where all is readable."""
    found = {}
    for name, size in SCREENS.items():
        page.set_viewport_size(size)
        found[name] = page.evaluate(CUT_OFF)
    return {name: cut for name, cut in found.items() if cut}
