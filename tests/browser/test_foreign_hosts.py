"""Tests of what a developer hears of a third party's script that nobody marked: in the log, and from the browser."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.support.browsers.visitor_browser import ROOT
from tests.support.servers.child_site import LOOPBACK, started

pytestmark = pytest.mark.browser

RUNS = "loads from localhost, which no recipient of the policy has: <script src="
STOPPED = "names localhost, which no recipient of the policy has, so our Content-Security-Policy stops it: <script src="


@pytest.mark.parametrize(
    ("environ", "asked", "logged", "said"),
    [
        ({}, ["third.js"], RUNS, ""),
        ({"CSP": "enforce"}, [], STOPPED, "third.js' violates the following Content Security Policy directive"),
    ],
    ids=["one line", "enforce"],
)
def test_script_that_nobody_marked_is_told_in_the_log_and_by_the_browser_that_stops_it(
    browser: Browser, tmp_path: Path, environ: dict[str, str], asked: list[str], logged: str, said: str
) -> None:
    log = tmp_path / "site.log"
    lines: list[str] = []
    with started("tests.support.sites.forgotten_site:app", ROOT, log, (LOOPBACK, 0), environ) as site:
        context = browser.new_context()
        page = context.new_page()
        page.on("console", lambda message: lines.append(message.text))
        page.goto(site.address)
        assert httpx.get(f"{site.address}/asked").json() == asked
        context.close()
    assert said in "\n".join(lines)
    assert f'The page "/" {logged}' in log.read_text("utf-8")
