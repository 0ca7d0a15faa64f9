"""Tests of contrast: texts, edges of controls and focus rings.

They cover the default look and each theme, in light, dark and forced colours, with and without `prefers-contrast`.
Outside the full matrix each surface has a third of these looks, in turn.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page

from tests.support.browsers.contrast import blend, contrast, contrast_in_screenshot
from tests.support.browsers.surfaces import SURFACES
from tests.support.browsers.themes import THEMES, apply_theme
from tests.support.browsers.visitor_browser import Visitor

pytestmark = pytest.mark.browser


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


@pytest.fixture
def looks(request: pytest.FixtureRequest, surface: str) -> list[Look]:
    """The looks to test on a surface."""
    place = list(SURFACES).index(surface)
    return LOOKS if request.config.getoption("--full-matrix") else LOOKS[place % 3 :: 3]


@pytest.mark.parametrize("surface", SURFACES)
def test_texts_edges_and_focus_rings_have_enough_contrast(
    museum_visitor: Visitor, surface: str, looks: list[Look]
) -> None:
    Look("").apply(museum_visitor.page)
    SURFACES[surface](museum_visitor, "en")
    found = {}
    for look in looks:
        look.apply(museum_visitor.page)
        found[look] = low_contrasts(museum_visitor.page, look)
    assert {look: low for look, low in found.items() if low} == {}


@pytest.mark.parametrize("surface", ["purposes open", "settings page"])
def test_checkboxes_have_enough_contrast_ticked_and_unticked(
    museum_visitor: Visitor, surface: str, looks: list[Look]
) -> None:
    Look("").apply(museum_visitor.page)
    SURFACES[surface](museum_visitor, "en")
    box = museum_visitor.page.get_by_role("checkbox").first
    found = {}
    for look, ticked in product(looks, [False, True]):
        look.apply(museum_visitor.page)
        box.set_checked(ticked)
        found[look, ticked] = contrast_in_screenshot(box)
    assert {look: ratio for look, ratio in found.items() if ratio < 3} == {}
