"""Tests of the landing page: a visitor comes from a search engine, accepts and goes on; what the report says of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from cookie_consent.report import report
from tests.support.browsers.visitor_browser import ROOT, NewVisitor, Sites, Visitor
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

LANDING = "/before?utm_source=search&utm_medium=cpc&utm_campaign=autumn&key=s3cr3t"
CAMPAIGN = {"source": "search", "medium": "cpc", "campaign": "autumn", "sessions": 1, "visitors": 1}
ARRIVALS = [
    pytest.param(LANDING, "campaign", [CAMPAIGN], id="by a campaign"),
    pytest.param(
        "/before?utm_source=search&utm_medium=organic",
        "search",
        [{"source": "search", "medium": "organic", "campaign": "", "sessions": 1, "visitors": 1}],
        id="by a search",
    ),
    pytest.param("/before", "other site", [], id="by a link"),
]


class _Engine(BaseHTTPRequestHandler):
    """A search engine that shows one result: a link to the requested address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.end_headers()
        target = self.path.partition("?to=")[2]
        self.wfile.write(f'<!doctype html><title>Results</title><a id="found" href="{target}">Found</a>'.encode())

    def log_message(self, *said: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """The origin of a search engine, with another host name than the site."""
    with ThreadingHTTPServer((LOOPBACK, 0), _Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


@pytest.fixture(params=["", "yes"], ids=["injected", "loaded by script"])
def sites(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sites]:
    """The site of `events_site`, with the banner injected or loaded by script."""
    environ = {"EVENTS_ACCESS_LOG": str(tmp_path / "access.jsonl"), "EVENTS_ASK_BY_SCRIPT": request.param}
    with started("tests.support.sites.events_site:app", ROOT, tmp_path / "site.log", (LOOPBACK, 0), environ) as site:
        yield Sites(site.address, "", tmp_path / "access.jsonl")


def figures(sites: Sites, views: int) -> dict[str, Any]:
    """Wait for this many views in the log, and return the report."""

    def page_views() -> list[dict[str, Any]]:
        return [r for r in sites.records if "view" in (r["record.kind"], r.get("event.name", "")[-4:])]

    assert eventually(lambda: len(page_views()) >= views), sites.records
    today = datetime.now(UTC).date()
    return report(sites.access_log, since=today - timedelta(days=1), until=today, threshold=1)


def land_from_search(visitor: Visitor, engine: str, landing: str = LANDING) -> Page:
    """Follow the result of the search engine to the site."""
    visitor.page.goto(f"{engine}/?to={visitor.sites.address}{landing}")
    visitor.page.locator("#found").click()
    # Without the script ready, a click would send the form.
    expect(visitor.page.locator(".pchoice[data-live]" if visitor.scripts else ".pchoice")).to_be_visible()
    assert visitor.sites.records == []
    return visitor.page


@pytest.mark.parametrize("sites", [""], indirect=True)
def test_answer_on_a_later_page_has_the_campaign_of_the_first(
    new_visitor: NewVisitor, sites: Sites, engine: str
) -> None:
    visitor = new_visitor()
    page = land_from_search(visitor, engine)
    page.locator("#next").click()
    page.wait_for_url(f"{sites.address}/next")
    page.locator("#after").click()
    page.wait_for_url(f"{sites.address}/after")
    assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
    expect(page.locator(".pchoice[data-live]")).to_be_visible()
    with page.expect_response(lambda answer: answer.url.endswith("/events")):
        visitor.banner.locator("button[value=accept_all]").click()
    made = figures(sites, 1)
    assert made["campaigns"] == [CAMPAIGN]
    assert made["entry_pages"] == [{"path": "/after", "sessions": 1, "bounces": 1, "bounce_rate": 1.0}]
    assert made["channels"] == [{"channel": "campaign", "sessions": 1, "visitors": 1}]
    assert made["referrers"] == [{"referrer": "(internal)", "sessions": 1, "visitors": 1}]


@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize("sites", [""], indirect=True)
@pytest.mark.parametrize(("landing", "channel", "campaigns"), ARRIVALS)
@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_report_says_where_the_first_session_came_from_and_what_it_missed(
    new_visitor: NewVisitor, sites: Sites, engine: str, landing: str, channel: str, campaigns: Any, scripts: bool
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    page = land_from_search(visitor, engine, landing)
    with page.expect_response(lambda answer: answer.url.endswith("/events")) if scripts else nullcontext():
        visitor.banner.locator("button[value=accept_all]").click()
    expect(visitor.banner).to_have_count(0)
    for link, path in (("#next", "/next"), ("#broken", "/missing"), ("#after", "/after")):
        page.locator(link).click()
        expect(page).to_have_url(f"{sites.address}{path}")
    made = figures(sites, 3)
    one = {"sessions": 1, "visitors": 1}
    assert (made["visitors"], made["sessions"], made["views"]) == (1, 1, 3)
    assert made["referrers"] == [{"referrer": engine, **one}]
    assert made["channels"] == [{"channel": channel, **one}]
    assert made["campaigns"] == campaigns
    assert made["entry_pages"] == [{"path": "/before", "sessions": 1, "bounces": 0, "bounce_rate": 0.0}]
    assert made["exit_pages"] == [{"path": "/after", "sessions": 1}]
    assert made["missing"] == [{"path": "/missing", "source": "/next", "requests": 1, "visitors": 1}]
