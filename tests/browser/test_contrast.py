"""Whether all that visitors see stands out: texts, the edges of what can be pressed, and the ring around what has the
focus; by default and with each ready theme, in light, dark, forced colours, and for those who want more contrast."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browsers.contrast import contrast, seen, strongest_in_picture
from tests.support.browsers.surfaces import SURFACES
from tests.support.browsers.themes import THEMES, put_on
from tests.support.browsers.visitor_browser import Sites, Visitor

pytestmark = pytest.mark.browser


class Look(NamedTuple):
    """How somebody sees a page: the site's theme, and what the browser asks for."""

    theme: str
    scheme: Any = "light"
    more: Any = "no-preference"
    forced: Any = "none"

    def dress(self, page: Page) -> None:
        """Let a page look so."""
        page.emulate_media(color_scheme=self.scheme, contrast=self.more, forced_colors=self.forced)
        put_on(page, self.theme)


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
        ":is(.pchoice, .pchoice-box, .pchoice-status, body.pchoice-page), :is(.pchoice, .pchoice-box, .pchoice-page) *"
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


@pytest.fixture(scope="module")
def visitor(browser: Browser, museum: Sites) -> Iterator[Visitor]:
    """One visitor for all tests, with one page."""
    visitor = Visitor(browser.new_context(), museum)
    yield visitor
    visitor.context.close()


def too_faint(page: Page, look: Look) -> list[str]:
    """Return what does not stand out on a page as it is."""
    texts, edges, rings = page.evaluate(MEASURE)
    assert texts
    assert edges or rings
    least = 7 if look.more == "more" else 4.5
    faint = [name for name, colour, layers in texts if contrast(seen([colour, *layers]), seen(layers)) < least]
    for name, colours, layers in edges:
        behind = seen(layers)
        if max(contrast(seen([colour, *layers]), behind) for colour in colours) < 3:
            faint.append(f"edge of {name}")
    for name, width, colour, layers in rings:
        if width < 2 or contrast(seen([colour, *layers]), seen(layers)) < 3:
            faint.append(f"ring around {name}")
    return faint


@pytest.mark.parametrize("surface", SURFACES)
def test_texts_edges_and_focus_rings_have_enough_contrast(visitor: Visitor, surface: str) -> None:
    Look("").dress(visitor.page)
    SURFACES[surface](visitor, "en")
    found = {}
    for look in LOOKS:
        look.dress(visitor.page)
        found[look] = too_faint(visitor.page, look)
    assert {look: faint for look, faint in found.items() if faint} == {}


@pytest.mark.parametrize("surface", ["purposes open", "settings page"])
def test_checkboxes_have_enough_contrast_ticked_and_unticked(visitor: Visitor, surface: str) -> None:
    Look("").dress(visitor.page)
    SURFACES[surface](visitor, "en")
    box = visitor.page.get_by_role("checkbox").first
    found = {}
    for look, ticked in product(LOOKS, [False, True]):
        look.dress(visitor.page)
        box.set_checked(ticked)
        found[look, ticked] = strongest_in_picture(box)
    assert {look: ratio for look, ratio in found.items() if ratio < 3} == {}
