"""The shipped themes, and applying them to a page."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.support.browsers.visitor_browser import ROOT

FOLDER = ROOT / "examples" / "themes"
THEMES = {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("*.css"))}
"""The name of a theme -> its style."""

_ADOPT_RULES = """style => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    document.adoptedStyleSheets = [sheet];
}"""


def apply_theme(page: Page, theme: str) -> None:
    """Replace the theme of a page; "" is the default look."""
    adopt_rules(page, THEMES[theme] if theme else "")


def adopt_rules(page: Page, rules: str) -> None:
    """Replace the rules that this function has added to a page. No Content-Security-Policy blocks them."""
    page.evaluate(_ADOPT_RULES, rules)
