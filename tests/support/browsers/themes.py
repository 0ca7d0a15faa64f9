"""The ready themes, and how a page puts one on."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.support.browsers.visitor_browser import ROOT

FOLDER = ROOT / "examples" / "themes"
THEMES = {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.css"))}
"""The name of a theme -> its style."""

_PUT_ON = """style => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    document.adoptedStyleSheets = [sheet];
}"""


def put_on(page: Page, theme: str) -> None:
    """Give a page a theme in the place of the one that it has; "" for the default look."""
    style(page, THEMES[theme] if theme else "")


def style(page: Page, rules: str) -> None:
    """Give a page rules in the place of those that it got so before. No Content-Security-Policy stops them."""
    page.evaluate(_PUT_ON, rules)
