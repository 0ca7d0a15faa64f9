"""Tests of theming: docs/banner.md shows the themes as they ship, and they look as they say."""

from __future__ import annotations

import re

import pytest

from tests.support.browsers.surfaces import SURFACES
from tests.support.browsers.themes import THEMES, apply_theme
from tests.support.browsers.visitor_browser import ROOT, Visitor

PAGE = (ROOT / "docs" / "banner.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("theme", THEMES)
def test_docs_show_each_theme_as_shipped(theme: str) -> None:
    assert THEMES[theme] in blocks("css")
    assert f"](gallery/theme-{theme}.png)" in PAGE


def looks(museum_visitor: Visitor, selector: str, name: str) -> str:
    found: str = museum_visitor.page.locator(selector).first.evaluate(
        "(it, name) => getComputedStyle(it).getPropertyValue(name)", name
    )
    return found


@pytest.mark.browser
@pytest.mark.parametrize("theme", THEMES)
def test_answers_look_alike_in_each_theme(museum_visitor: Visitor, theme: str) -> None:
    SURFACES["first layer"](museum_visitor, "en")
    apply_theme(museum_visitor.page, theme)
    for name in ("color", "background-color", "border-top-color", "border-top-left-radius", "font-family", "height"):
        answers = [looks(museum_visitor, f".pchoice [value={value}]", name) for value in ("refuse_all", "accept_all")]
        assert answers[0] == answers[1], name
