"""Tests of answers given elsewhere, in a real browser: to another consent tool, or on another device of an account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.docs.test_examples import EXAMPLES, load
from tests.support.asgi import SITE, install, page_app
from tests.support.servers.threads import served

pytestmark = pytest.mark.browser

IMPORTS = '\n[imports.klaro]\npurposes = { analytics = "matomo", media = "youtube" }\n'
KLARO = "%7B%22matomo%22%3Atrue%2C%22youtube%22%3Afalse%7D"
APPLIES = "The choice saved with your account applies on this device"


@pytest.fixture
def devices(browser: Browser) -> Iterator[list[BrowserContext]]:
    contexts = [browser.new_context(locale="en") for _ in range(2)]
    yield contexts
    for context in contexts:
        context.close()


def sign_in(page: Page, address: str, user: str) -> None:
    page.goto(address)
    page.get_by_label("Name").fill(user)
    page.get_by_role("button", name="Sign in or out").click()
    expect(page.get_by_text(f"User: {user}")).to_be_visible()


def test_answer_on_one_device_holds_on_the_other(devices: list[BrowserContext]) -> None:
    with served(load(EXAMPLES / "accounts" / "app.py").app) as port:
        address = f"http://localhost:{port}"
        laptop, phone = [context.new_page() for context in devices]
        sign_in(laptop, address, "ann")
        question = laptop.get_by_role("region", name="Your choice")
        expect(laptop.get_by_text("applies on every device on which you sign in")).to_be_visible()
        with laptop.expect_response(lambda response: response.request.method == "POST"):
            laptop.get_by_role("button", name="Accept all").click()
        expect(question).to_have_count(0)
        sign_in(phone, address, "ann")
        message = phone.get_by_role("status").filter(has_text=APPLIES)
        expect(message).to_be_in_viewport(ratio=1)
        expect(phone.get_by_text("Status: granted")).to_be_visible()
        expect(phone.get_by_role("button", name="Refuse all")).to_have_count(0)
        phone.reload()
        expect(phone.get_by_text("Status: granted")).to_be_visible()
        expect(message).to_have_count(0)
        # A withdrawal reaches as far as the consent.
        phone.get_by_role("link", name="Privacy settings").click()
        phone.get_by_role("button", name="Refuse all").click()
        expect(phone.get_by_text("You refused all purposes").first).to_be_visible()
        laptop.reload()
        expect(laptop.get_by_text("Status: refused")).to_be_visible()
        expect(laptop.get_by_role("status").filter(has_text=APPLIES)).to_be_visible()


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
