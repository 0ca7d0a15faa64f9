"""Takes the pictures of docs/gallery, which our pages show: `python -m tests.support.gallery [NAME]...`.

They show the museum's site in Chromium, and stay the same as long as nothing looks different.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

from cookie_consent.report.page.page import page
from tests.support.browsers.surfaces import show_surface
from tests.support.browsers.themes import THEMES, adopt_rules
from tests.support.browsers.visitor_browser import CHROMIUM_OPTIONS, ROOT, Visitor, serve
from tests.support.report_sample import compared_report
from tests.support.sites.three_language_site import app

FOLDER = ROOT / "docs" / "gallery"
SURFACES_SHOWN = {
    "bar": "first layer in a bar",
    "dialog": "first layer in a dialog",
    "link": "link",
    "box": "fallback box",
    "card": "card",
    "explaining": "explaining page",
    "settings": "settings page",
}
"""Name of a picture -> the surface in it. There are also the report, and the first layer in each theme."""
REPORT = "report"
NAMES = (*SURFACES_SHOWN, *(f"theme-{theme}" for theme in THEMES), REPORT)


def take(names: Iterable[str]) -> None:
    """Take pictures, with scroll bars, which Playwright hides by default."""
    with (
        serve(app) as sites,
        sync_playwright() as playwright,
        playwright.chromium.launch(**CHROMIUM_OPTIONS, ignore_default_args=["--hide-scrollbars"]) as browser,
    ):
        desk = ViewportSize(width=1120, height=700)
        context = browser.new_context(locale="en-GB", viewport=desk, color_scheme="light", forced_colors="none")
        visitor = Visitor(context, sites)
        for name in names:
            show(visitor, name)
            screenshot = Image.open(io.BytesIO(visitor.page.screenshot(animations="disabled"))).convert("RGB")
            few_colours = screenshot.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
            few_colours.save(FOLDER / f"{name}.png", optimize=True)


def show(visitor: Visitor, name: str) -> None:
    """Bring what a picture shows onto the page."""
    if name == REPORT:
        visitor.page.set_content(page(compared_report()))
    else:
        show_surface(visitor, SURFACES_SHOWN.get(name, "first layer"), "en")
    adopt_rules(visitor.page, THEMES.get(name.removeprefix("theme-"), ""))


if __name__ == "__main__":
    take(sys.argv[1:] or NAMES)
