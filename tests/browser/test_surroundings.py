"""Tests of the banner on pages with styles of their own: only rules that name our classes or properties change it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, ViewportSize, expect

from cookie_consent.pages.pages import LAYOUTS
from tests.support.browsers.surroundings import styled_page
from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor
from tests.support.sites.surroundings_site import FRAMEWORKS, STYLES

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=3)]

Look = dict[str, dict[str, str]]
DESK, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=360, height=640)
PLACES = {"corner": DESK, "bar": DESK, "modal": PHONE}
"""Layout -> the screen that it is tested on."""
STYLED = [name for name in (*STYLES, *FRAMEWORKS) if name != "none"]
LOOK = """([selector, around]) => {
    const root = document.querySelector(selector), look = {};
    document.activeElement?.blur();
    for (const [number, element] of [root, ...root.querySelectorAll("*")].entries()) {
        const name = `${number} ${element.tagName} ${element.className}`;
        for (const pseudo of ["", "::before", "::after", ...(element.tagName === "SUMMARY" ? ["::marker"] : [])]) {
            const style = getComputedStyle(element, pseudo);
            const properties = pseudo && style.content === "none" ? ["content"] : [...style];
            look[name + pseudo] = Object.fromEntries(properties.map(it => [it, style.getPropertyValue(it)]));
        }
        const { x, y, width, height } = element.getBoundingClientRect();
        if (around) look[`${name} box`] = { x: `${x}px`, y: `${y}px`, width: `${width}px`, height: `${height}px` };
    }
    return JSON.stringify(look);
}"""
ON_TOP = """element => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return [[0.1, 0.5], [0.5, 0.1], [0.5, 0.5], [0.5, 0.9], [0.9, 0.5]].every(([x, y]) =>
        element.contains(document.elementFromPoint(left + width * x, top + height * y)));
}"""
MEASURE = re.compile(r"(-?[\d.]+)px")
SIZES = re.compile(r"(block|inline|perspective|transform|inset|margin|padding)-|width|height|left|right|top|bottom")
HOOKS = ("pchoice", "pchoice-button", "pchoice-text", "pchoice-links", "pchoice-answers", "pchoice-purposes")
MARKED = "rgb(1, 2, 3)"
PROPERTIES = {
    "back": (MARKED, ".pchoice, .pchoice-box, .pchoice-status", "background-color", MARKED),
    "text": (MARKED, ".pchoice, .pchoice h2, .pchoice a, .pchoice-box, .pchoice-status", "color", MARKED),
    "line": (MARKED, ".pchoice, .pchoice-box, .pchoice-status", "border-top-color", MARKED),
    "fill": (MARKED, ".pchoice-button", "background-color", MARKED),
    "on-fill": (MARKED, ".pchoice-button", "color", MARKED),
    "wrong": (MARKED, ".pchoice-alert", "border-left-color", MARKED),
    "ring": (MARKED, ".pchoice [name=choice]:focus", "outline-color", MARKED),
    "radius": ("21px", ".pchoice, .pchoice-box, .pchoice-status", "border-top-left-radius", "21px"),
    "font": ("monospace", ".pchoice, .pchoice p, .pchoice-box, .pchoice-status", "font-family", "monospace"),
    "size": ("21px", ".pchoice, .pchoice-box, .pchoice-status", "font-size", "21px"),
    "width": ("421px", ".pchoice, .pchoice-status", "width", "421px"),
    "gap": ("42px", ".pchoice, .pchoice-status", "left", "42px"),
    "shadow": (f"{MARKED} 1px 2px 3px 4px", ".pchoice", "box-shadow", f"{MARKED} 1px 2px 3px 4px"),
    "scheme": ("dark", ".pchoice, .pchoice-box, .pchoice-status", "background-color", "rgb(18, 18, 18)"),
}
"""A property without its prefix -> its value, the elements that show it, the CSS property, and its expected value."""


OPEN = """async it => {
    it.open = true;
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame);  // what follows from it has been done
    it.parentElement.scrollTop = 0;
}"""


@pytest.fixture(scope="module")
def sites(surroundings: Sites) -> Sites:
    """The sites under test."""
    return surroundings


@pytest.fixture(scope="module")
def plain_looks(browser: Browser, sites: Sites) -> dict[str, Look]:
    """The look of the banner on a page without styles: layout -> look."""
    with browser.new_context() as context:
        visitor = Visitor(context, sites)
        return {layout: look_at(visitor, "none", layout) for layout in LAYOUTS}


def look_at(visitor: Visitor, style: str, layout: str) -> Look:
    """Return the look of the unfolded banner on a page with a style."""
    visitor.page.set_viewport_size(PLACES[layout])
    visitor.go(styled_page(style, layout))
    visitor.page.wait_for_selector(".pchoice:is(:popover-open, :modal)", state="attached")
    visitor.banner.locator("details").evaluate(OPEN)
    return look(visitor, ".pchoice", around=True)


def look(visitor: Visitor, selector: str, *, around: bool) -> Look:
    """Return the computed styles of an element and its descendants; `around` adds their places."""
    found: Look = json.loads(visitor.page.evaluate(LOOK, [selector, around]))
    return found


def is_near(one: str, other: str) -> bool:
    """Return whether two values are equal, with a tolerance of one pixel."""
    ones, others = MEASURE.split(one), MEASURE.split(other)
    return ones[::2] == others[::2] and all(
        abs(float(left) - float(right)) <= 1 for left, right in zip(ones[1::2], others[1::2], strict=True)
    )


def differences(one: Look, other: Look) -> list[str]:
    """Return the differences of two looks."""
    assert one.keys() == other.keys()
    return [
        f"{name} {{ {property_}: {value} -> {other[name].get(property_)} }}"
        for name, values in one.items()
        for property_, value in values.items()
        if property_ != "color-scheme"  # the page's, as documented
        and value != other[name].get(property_)
        and not is_near(value, other[name].get(property_, ""))
    ]


def style_of(element: Locator, name: str) -> str:
    """Return a computed style."""
    value: str = element.evaluate("(it, name) => getComputedStyle(it).getPropertyValue(name)", name)
    return value


def add_rules(visitor: Visitor, *rules: str) -> None:
    """Add rules to the page, before our stylesheet, as a site does."""
    visitor.page.evaluate(
        "rules => document.head.prepend(Object.assign(document.createElement('style'), { textContent: rules }))",
        "\n".join(rules),
    )


# Styles of the page


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test each style with all layouts; outside the full matrix with one, in turn."""
    if "layouts" in metafunc.fixturenames:
        turns = [[layout] for _, layout in zip(STYLED, cycle(LAYOUTS), strict=False)]
        layouts = [LAYOUTS] * len(STYLED) if metafunc.config.getoption("--full-matrix") else turns
        metafunc.parametrize(("style", "layouts"), [*zip(STYLED, layouts, strict=True)], ids=STYLED)


def test_page_styles_do_not_change_or_cover_banner(
    new_visitor: NewVisitor, plain_looks: dict[str, Look], style: str, layouts: Sequence[str]
) -> None:
    visitor = new_visitor()
    for layout in layouts:
        assert differences(plain_looks[layout], look_at(visitor, style, layout)) == [], layout
        for part in (visitor.banner, *visitor.banner.locator(".pchoice-answers button:visible").all()):
            assert part.evaluate(ON_TOP), layout


# Rules for our classes and properties


@pytest.mark.parametrize("hook", [*HOOKS, "pchoice-box", "pchoice-status"])
def test_important_rule_for_class_applies(new_visitor: NewVisitor, hook: str) -> None:
    visitor = new_visitor()
    visitor.go(f"{styled_page('none')}?box")
    add_rules(visitor, f".{hook} {{ background-color: {MARKED} !important; display: grid !important }}")
    if hook == "pchoice-status":
        visitor.refuse()
        expect(visitor.status).not_to_be_empty()
    elements = visitor.page.locator(f".{hook}").all()
    assert elements
    for element in elements:
        assert style_of(element, "background-color") == MARKED
        assert style_of(element, "display") == "grid"


@pytest.mark.parametrize("name", PROPERTIES)
def test_custom_property_of_root_sets_look(new_visitor: NewVisitor, name: str) -> None:
    value, selector, shown, expected = PROPERTIES[name]
    visitor = new_visitor()
    visitor.page.set_viewport_size(DESK)
    visitor.go(f"{styled_page('none')}?box")
    before = show_all(visitor, shown, selector)
    visitor.context.clear_cookies()
    visitor.go(f"{styled_page('none')}?box")
    add_rules(visitor, f":root {{ --pchoice-{name}: {value} }}")
    after = show_all(visitor, shown, selector)
    assert set(after) == {expected}
    assert expected not in before
    assert len(after) == len(before) >= selector.count(",") + 1


def show_all(visitor: Visitor, property_: str, selector: str) -> list[str]:
    """Return a style of all elements that match a selector, also of the message after an answer."""

    def found() -> list[Any]:
        return [style_of(element, property_) for element in visitor.page.locator(selector).all()]

    visitor.page.route("**/privacy-choices", lambda route: route.abort())
    visitor.choice("refuse_all").focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.alert).not_to_be_empty()
    styles = found()
    if ".pchoice-status" not in selector:
        return styles
    visitor.page.unroute_all()
    visitor.refuse()
    expect(visitor.status).not_to_be_empty()
    return styles + found()
