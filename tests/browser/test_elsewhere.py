"""Tests of answers given elsewhere, in a real browser: to another consent tool, or on another device of an account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.support.asgi import SITE, install, page_app
from tests.support.servers.threads import served

pytestmark = pytest.mark.browser

IMPORTS = '\n[imports.klaro]\npurposes = { analytics = "matomo", media = "youtube" }\n'
KLARO = "%7B%22matomo%22%3Atrue%2C%22youtube%22%3Afalse%7D"


@pytest.fixture
def devices(browser: Browser) -> Iterator[list[BrowserContext]]:
    contexts = [browser.new_context(locale="en") for _ in range(2)]
    yield contexts
    for context in contexts:
        context.close()


def test_cookie_of_another_tool_is_read_once_and_gone(devices: list[BrowserContext]) -> None:
    with served(install(page_app(reads=["media"]), SITE + IMPORTS)) as port:
        address = f"http://localhost:{port}"
        context = devices[0]
        context.add_cookies([{"name": "klaro", "value": KLARO, "url": address}])
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_role("heading", name="Hello")).to_be_visible()
        expect(page.get_by_role("button", name="Refuse all")).to_have_count(0)
        assert {cookie["name"] for cookie in context.cookies()} == {"consent"}
        state = page.request.get(f"{address}/privacy-choices/state").json()
        assert (state["source"], state["purposes"]["analytics"], state["purposes"]["media"]) == (
            "imported",
            True,
            False,
        )
