"""Tests of the examples in docs/banner.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.support.asgi import install, reply_app
from tests.support.browsers.visitor_browser import NewVisitor, Sites, serve
from tests.support.documentation import blocks

pytestmark = pytest.mark.browser

LINK, TEMPLATE = (block for block in blocks("docs/banner.md", "html") if "stylesheet" not in block)
(SCRIPT,) = blocks("docs/banner.md", "js")
(POLICY,) = blocks("docs/banner.md", "text")


PAGE = f'<!doctype html><html lang="en"><title>Docs</title><body><h1>Docs</h1>{TEMPLATE}{LINK}</body></html>'


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """A page with the examples, under the Content-Security-Policy that the docs recommend."""
    headers = [("content-security-policy", POLICY.strip())]
    with serve(install(reply_app(PAGE.encode(), "text/html; charset=utf-8", headers=headers))) as sites:
        yield sites


def test_examples_of_banner_docs_work(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.go("/")
    visitor.page.evaluate(f"async () => {{ {SCRIPT.replace('consent.show();', '').replace('stop();', '')} }}")
    expect(visitor.page.locator("iframe")).to_have_count(0)
    visitor.accept()
    expect(visitor.page.locator("iframe")).to_have_count(1)
    assert sum(line.startswith("log: ") for line in visitor.said) == 2  # by consent.on and by the document
    visitor.page.evaluate("consent.show()")
    expect(visitor.banner.get_by_role("heading", name="Privacy settings")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    visitor.page.locator("[data-privacy-settings]").click()
    expect(visitor.banner).to_be_focused()
    imported = 'import("/privacy-choices/choices.js").then(({ consent }) => consent === window.consent)'
    assert visitor.page.evaluate(imported)
