"""Tests of what a developer hears of a third party's script that nobody marked: in the log, and from the browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.support.asgi import install, reply_app
from tests.support.browsers.visitor_browser import serve

pytestmark = pytest.mark.browser

PAGE = b"<!doctype html><html lang=en><head><title>t</title><script src='http://localhost:1/third.js'></script></head>"
RUNS = "loads from localhost, which no recipient of the policy has: <script src="
STOPPED = "names localhost, which no recipient of the policy has, so our Content-Security-Policy stops it: <script src="


@pytest.mark.parametrize(
    ("csp", "logged", "said"),
    [
        (None, RUNS, "ERR_UNSAFE_PORT"),
        ("enforce", STOPPED, "third.js' violates the following Content Security Policy directive"),
    ],
    ids=["one line", "enforce"],
)
def test_script_that_nobody_marked_is_told_in_the_log_and_by_the_browser_that_stops_it(
    browser: Browser, caplog: pytest.LogCaptureFixture, csp: str | None, logged: str, said: str
) -> None:
    lines: list[str] = []
    with serve(install(reply_app(PAGE, "text/html"), csp=csp)) as site, browser.new_context() as context:
        page = context.new_page()
        page.on("console", lambda message: lines.append(message.text))
        page.goto(site.address)
    assert said in "\n".join(lines)
    assert f'The page "/" {logged}' in caplog.text
