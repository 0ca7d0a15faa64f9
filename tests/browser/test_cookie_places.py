"""Tests of a refusal in a real browser: it deletes cookies on each path and domain."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.support.asgi import PREFIX
from tests.support.servers import live_server
from tests.whole.test_live_server import serving

pytestmark = pytest.mark.browser

NECESSARY = {"consent", "session"}
ERASURE_COOKIE = "visitor-erasure"
"""It lets the visitor erase the records from before the withdrawal."""
ANSWER = """([address, choice]) => fetch(address, {
    method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({choice}),
}).then((answer) => answer.json()).then((state) => state.status)"""


def test_refusal_deletes_script_cookies_on_every_path_and_domain(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path) as server, browser.new_context() as context:
        page = context.new_page()
        site = f"http://www.site.example:{urlsplit(server.address).port}"

        def kept() -> set[str]:
            return {cookie["name"] for cookie in context.cookies()} - {ERASURE_COOKIE}

        page.goto(f"{site}/pages/one")
        assert page.evaluate(ANSWER, [PREFIX, "accept_all"]) == "granted"
        set_cookies_by_script(page)
        assert kept() == {*NECESSARY, "visitor", "_ga", "_ga_2", "_ga_3", "player"}
        assert page.evaluate(ANSWER, [PREFIX, "refuse_all"]) == "refused"
        assert kept() == NECESSARY
        set_cookies_by_script(page)
        page.goto(f"{site}/pages/two")
        assert kept() == {*NECESSARY, "player"}
        page.goto(f"{site}/videos")  # a missing page deletes cookies too
        assert kept() == NECESSARY


@pytest.mark.parametrize("keeps", [True, False], ids=["browser keeps the answer", "browser drops it"])
def test_end_of_consent_deletes_what_it_allowed(browser: Browser, tmp_path: Path, keeps: bool) -> None:
    clock = tmp_path / "clock"
    clock.write_text("0", "ascii")
    with live_server.serving(tmp_path, environ={"CLOCK": str(clock)}) as server, browser.new_context() as context:
        page = context.new_page()
        site = f"http://www.site.example:{urlsplit(server.address).port}"
        page.goto(f"{site}/pages/one")
        page.evaluate(ANSWER, [PREFIX, "accept_all"])
        set_cookies_by_script(page)
        page.goto(f"{site}/pages/two")
        kept = {cookie["name"] for cookie in context.cookies()}
        assert kept == {*NECESSARY, "visitor", "_ga", "_ga_2", "_ga_3", "player"}
        clock.write_text(f"{185 * 86_400}", "ascii")
        if not keeps:
            context.clear_cookies(name="consent")
        page.goto(f"{site}/pages/three")
        page.goto(f"{site}/videos")
        assert {cookie["name"] for cookie in context.cookies()} - {"consent"} == {"session"}


def set_cookies_by_script(page: Page) -> None:
    """Let a script set cookies of analytics and media for the host, for the domain and on a path."""
    for cookie in (
        "_ga=1; Path=/; Domain=site.example",
        "_ga_2=1; Path=/; Domain=www.site.example",
        "_ga_3=1; Path=/",
        "player=1; Path=/videos; Domain=site.example",
    ):
        page.evaluate("(cookie) => { document.cookie = cookie }", cookie)
