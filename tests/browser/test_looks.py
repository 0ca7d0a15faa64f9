"""Tests of everything that visitors see, on each surface: axe, contrast, targets, readable text, and no animation.

Each surface is opened once in a language, and then seen in all looks. Outside the full matrix it is seen in one
language, and in some of the looks, in turn.
"""

from __future__ import annotations

from itertools import cycle, product
from typing import Any, NamedTuple, TypeVar

import pytest
from playwright.sync_api import Page, ViewportSize

from tests.support.browsers.axe import COLOURS, run_axe
from tests.support.browsers.contrast import blend, contrast
from tests.support.browsers.surfaces import SURFACES, show_surface
from tests.support.browsers.themes import THEMES, adopt_rules, apply_theme
from tests.support.browsers.visitor_browser import Visitor
from tests.support.sites.three_language_site import LANGUAGES

pytestmark = pytest.mark.browser

Value = TypeVar("Value")
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

BUTTON = """selector => {
    const style = getComputedStyle(document.querySelector(selector));
    const names = ["color", "background-color", "border-top-color", "border-top-left-radius", "font-family", "height"];
    return names.map(name => style.getPropertyValue(name));
}"""
LARGE_TEXT = {"standard": 32, "fixed": 26}
USUAL_TEXT = {"standard": 16, "fixed": 13}
"""The size of text that visitors set in the browser, in pixels."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Show each surface in all languages; outside the full matrix in one, in turn."""
    if "surface" in metafunc.fixturenames:
        in_turns = zip(SURFACES, cycle(LANGUAGES), strict=False)
        rows = list(product(SURFACES, LANGUAGES) if metafunc.config.getoption("--full-matrix") else in_turns)
        metafunc.parametrize(("surface", "language"), rows, ids=map("-".join, rows))


@pytest.mark.requirement("AX-02", "AX-03", "AX-07", "AX-10")
def test_surface_can_be_read_and_used_in_each_look(
    museum_visitor: Visitor, surface: str, language: str, pytestconfig: pytest.Config
) -> None:
    page = museum_visitor.page
    look_as_usual(page)
    show_surface(museum_visitor, surface, language)

    def in_turn(values: list[Value], *, out_of: int) -> list[Value]:
        """Return all values in the full matrix, and otherwise one out of so many, each surface others."""
        place = list(SURFACES).index(surface)
        return values if pytestconfig.getoption("--full-matrix") else values[place % out_of :: out_of]

    found = {
        "moves": page.evaluate(MOVING),
        "is cut off in large text": cut_off_in_large_text(page),
        "has low contrast": [low for look in in_turn(LOOKS, out_of=6) for low in low_contrasts(page, look)],
        "violates a rule of axe": [it for look in in_turn(AXE_LOOKS, out_of=12) for it in axe_findings(page, *look)],
        "is a small target": by_screen(page, TOO_SMALL, TARGETS),
        "is cut off in loose text": cut_off_in_loose_text(page),
    }
    assert {what: wrong for what, wrong in found.items() if wrong} == {}


def look_as_usual(page: Page) -> None:
    page.set_viewport_size(SCREENS["desk"])
    Look("").apply(page)


def axe_findings(page: Page, screen: str, colours: str) -> list[str]:
    """Return what axe finds on a screen with a set of colours."""
    look_as_usual(page)
    page.set_viewport_size(SCREENS[screen])
    page.emulate_media(**COLOURS[colours])
    found = run_axe(page, forced_colours=colours == "forced")
    return [f"{screen}, {colours}: {it}" for it in (*found.violations, *found.undecided)]


def low_contrasts(page: Page, look: Look) -> list[str]:
    """Return the texts, edges and rings of a page that have too little contrast in a look."""
    look.apply(page)
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
    return [f"{look}: {it}" for it in low]


def by_screen(page: Page, script: str, argument: str = "") -> dict[str, list[str]]:
    """Return what a script finds wrong: screen -> elements; without screens where it finds nothing."""
    found = {}
    for name, size in SCREENS.items():
        page.set_viewport_size(size)
        found[name] = page.evaluate(script, argument)
    return {name: wrong for name, wrong in found.items() if wrong}


def cut_off_in_large_text(page: Page) -> dict[str, list[str]]:
    browser = page.context.new_cdp_session(page)
    browser.send("Page.setFontSizes", {"fontSizes": LARGE_TEXT})
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "32px"
    found = by_screen(page, CUT_OFF)
    browser.send("Page.setFontSizes", {"fontSizes": USUAL_TEXT})
    browser.detach()
    return found


def cut_off_in_loose_text(page: Page) -> dict[str, list[str]]:
    adopt_rules(page, LOOSE)
    return by_screen(page, CUT_OFF)


@pytest.mark.requirement("UI-03")
def test_required_axe_rules_run_and_answers_look_alike_in_each_theme(museum_visitor: Visitor) -> None:
    page = museum_visitor.page
    look_as_usual(page)
    show_surface(museum_visitor, "first layer", "en")
    assert run_axe(page).passed >= REQUIRED_RULES
    for theme in THEMES:
        apply_theme(page, theme)
        refusal, acceptance = (page.evaluate(BUTTON, f".pchoice [value={it}]") for it in ("refuse_all", "accept_all"))
        assert refusal == acceptance, theme
