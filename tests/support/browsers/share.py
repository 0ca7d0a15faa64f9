"""How much of the window the banner covers, on the site of `share_site`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from tests.support.browsers.visitor_browser import ROOT
from tests.support.servers.child_site import LOOPBACK, started

SCREENS = {
    "320 x 568": ViewportSize(width=320, height=568),
    "360 x 640": ViewportSize(width=360, height=640),
    "390 x 844": ViewportSize(width=390, height=844),
    "768 x 1024": ViewportSize(width=768, height=1024),
    "1440 x 900": ViewportSize(width=1440, height=900),
}
_SHARE = """selector => {
    const { left, right, top, bottom } = document.querySelector(selector).getBoundingClientRect();
    const wide = Math.min(right, innerWidth) - Math.max(left, 0);
    const high = Math.min(bottom, innerHeight) - Math.max(top, 0);
    return 100 * wide * high / (innerWidth * innerHeight);
}"""
# Japanese letters are one em wide. Where no font has them, each is a narrower box, and is widened.
_WIDEN_JAPANESE = r"""() => {
    const banner = document.querySelector(".pchoice"), pen = document.createElement("canvas").getContext("2d");
    pen.font = `100px ${getComputedStyle(banner).fontFamily}`;
    const missing = 1 - pen.measureText("語").width / 100;
    const walker = document.createTreeWalker(banner, NodeFilter.SHOW_TEXT), texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
        const parts = text.data.split(/([\u3000-\u9fff\uff00-\uffef]+)/).map((part, n) => {
            if (n % 2 === 0) return part;
            const wide = document.createElement("span");
            wide.style.letterSpacing = `${missing}em`;
            wide.textContent = part;
            return wide;
        });
        if (parts.length > 1) text.replaceWith(...parts);
    }
}"""


@contextmanager
def share_site(folder: Path) -> Iterator[str]:
    """Start the site, and yield its address."""
    with started("tests.support.sites.share_site:app", ROOT, folder / "share.log", (LOOPBACK, 0), {}) as site:
        yield site.address


def show_banner(page: Page, address: str, layout: str, language: str) -> None:
    """Open the page of the site, with the banner as wide as it is where all fonts are installed."""
    page.goto(f"{address}/{layout}/{language}/")
    page.locator(".pchoice[data-live]").wait_for()
    page.evaluate(_WIDEN_JAPANESE)


def shares(page: Page, banner: str = ".pchoice") -> dict[str, float]:
    """Return the percentage of the window that the banner covers: size of the window -> percentage.

    Args:
        page: where the banner is.
        banner: its selector.
    """
    found = {}
    for name, size in SCREENS.items():
        page.set_viewport_size(size)
        found[name] = round(page.evaluate(_SHARE, banner), 1)
    return found
