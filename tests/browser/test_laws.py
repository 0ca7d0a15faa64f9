"""Tests of the law of the visitor's place in a real browser: opting out without being asked, and Japan's page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.endpoints.test_do_not_sell import SELLS
from tests.endpoints.test_laws import COUNTRY, with_laws
from tests.support.asgi import install, page_app
from tests.support.browsers.axe import run_axe
from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor, serve, with_and_without_scripts

pytestmark = pytest.mark.browser

SELL = "Do Not Sell or Share My Personal Information"


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """A site that follows the law of the visitor's place."""
    with serve(install(page_app(), with_laws(SELLS), country=COUNTRY, settings_link=True)) as sites:
        yield sites


def visitor_in(country: str, new_visitor: NewVisitor, **options: Any) -> Visitor:
    return new_visitor(extra_http_headers={COUNTRY: country}, **options)


@with_and_without_scripts
def test_visitor_opts_out_of_a_sale_without_having_been_asked(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = visitor_in("US", new_visitor, java_script_enabled=scripts)
    visitor.go("/")
    expect(visitor.banner).to_have_count(0)
    visitor.page.get_by_role("link", name=SELL).click()
    visitor.page.get_by_role("button", name=SELL).click()
    expect(visitor.page.get_by_role("status")).to_contain_text("is not sold or shared")
    state = visitor.page.request.get(f"{visitor.sites.address}/privacy-choices/state").json()
    assert state["purposes"] == {"necessary": True, "analytics": True, "media": True, "ads": False}
    visitor.context.set_extra_http_headers({COUNTRY: "DE"})
    visitor.go("/")
    expect(visitor.banner).to_be_visible()


@pytest.mark.requirement("JP-04")
def test_page_that_tells_what_is_sent_is_one_link_away_and_accessible(new_visitor: NewVisitor) -> None:
    visitor = visitor_in("JP", new_visitor, locale="ja")
    visitor.go("/")
    expect(visitor.banner).to_have_count(0)
    visitor.page.get_by_role("link", name="What is sent to third parties").click()
    visitor.page.get_by_role("link", name="日本語").click()
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("第三者への情報の送信")
    assert not run_axe(visitor.page)
