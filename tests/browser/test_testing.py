"""Tests of `cookie_consent.testing.dark_patterns` in a browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from cookie_consent.testing import dark_patterns
from tests.support.browsers.visitor_browser import NewVisitor
from tests.support.documentation import blocks

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=2)]


@pytest.mark.requirement("BR-01", "UI-01", "UI-04", "UI-10")
@pytest.mark.parametrize("width", [1440, 768, 320])
def test_shipped_banner_has_no_dark_patterns(new_visitor: NewVisitor, width: int) -> None:
    visitor = new_visitor(viewport={"width": width, "height": 568})
    visitor.go("/")
    assert dark_patterns(visitor.page) == []
    visitor.refuse()
    assert dark_patterns(visitor.page) == ["The page does not ask."]


@pytest.mark.parametrize(
    ("style", "said"),
    [
        (".pchoice-button[value=refuse_all] { font-size: 12px !important }", "differ in font"),
        (".pchoice-button[value=refuse_all] { flex: none !important; inline-size: 4em !important }", "a tenth larger"),
        (".pchoice-button[value=refuse_all] { color: #88b !important }", "hard to read"),
        (".pchoice-button[value=refuse_all] { display: none !important }", "in view"),
        (".pchoice-button[value=refuse_all] { background: none !important; color: #777 !important }", "hard to read"),
        ("body { overflow: hidden !important }", "cannot be scrolled"),
        (".pchoice { inline-size: 150vw !important } body { inline-size: 150vw }", "wider"),
    ],
)
def test_dark_pattern_of_theme_is_found(new_visitor: NewVisitor, style: str, said: str) -> None:
    visitor = new_visitor()
    visitor.go("/")
    expect(visitor.banner).to_be_visible()
    visitor.page.add_style_tag(content=style)
    assert any(said in sentence for sentence in dark_patterns(visitor.page)), dark_patterns(visitor.page)


def test_example_of_docs_runs(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    *_, code = blocks("docs/banner.md", "python")
    names: dict[str, Any] = {}
    exec(code.replace("http://127.0.0.1:8000", visitor.sites.address), names)  # noqa: S102 (our own docs)
    names["test_the_banner_is_an_honest_question"](visitor.page)
