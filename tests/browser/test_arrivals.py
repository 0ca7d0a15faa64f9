"""Tests of the first page of a visit: where the visitor came from, which question was the first, what reports say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from cookie_consent.report import report
from cookie_consent.sinks.files.closed_files import counts_path
from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor, serve, with_and_without_scripts
from tests.support.sites.house import traced_site
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

LANDING = "/both-scripts?utm_source=search&utm_medium=cpc&utm_campaign=autumn&key=s3cr3t"
CAMPAIGN = {"source": "search", "medium": "cpc", "campaign": "autumn", "sessions": 1, "visitors": 1}
ORGANIC = {"source": "search", "medium": "organic", "campaign": "", "sessions": 1, "visitors": 1}
ARRIVALS = [
    pytest.param(LANDING, "campaign", [CAMPAIGN], id="by a campaign"),
    pytest.param("/both-scripts?utm_source=search&utm_medium=organic", "search", [ORGANIC], id="by a search"),
    pytest.param("/both-scripts", "other site", [], id="by a link"),
]


async def results(request: Request) -> HTMLResponse:
    """Show the page of a search engine with one result: a link to the address that the query names."""
    target = request.url.query.removeprefix("to=")
    return HTMLResponse(f'<!doctype html><title>Results</title><a id="found" href="{target}">Found</a>')


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """The origin of a search engine, with another host name than the site."""
    with serve(Starlette(routes=[Route("/", results)])) as engine:
        yield engine.address.replace("127.0.0.1", "localhost")


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    """The site of `house`, with access records, not visited yet."""
    with traced_site(tmp_path) as sites:
        yield sites


def figures(sites: Sites, views: int) -> dict[str, Any]:
    """Wait for this many views in the log, and return the report."""

    def page_views() -> list[dict[str, Any]]:
        return [r for r in sites.records if "view" in (r["record.kind"], r.get("event.name", "")[-4:])]

    assert eventually(lambda: len(page_views()) >= views), sites.records
    today = datetime.now(UTC).date()
    return report(sites.access_log, since=today - timedelta(days=1), until=today, threshold=1)


def question(visitor: Visitor) -> str:
    """Return the selector of the question. Without the script ready, a click would send the form."""
    return ".pchoice[data-live]" if visitor.scripts else ".pchoice"


def test_answer_on_a_later_page_has_the_campaign_of_the_first(
    new_visitor: NewVisitor, sites: Sites, engine: str
) -> None:
    visitor = new_visitor()
    page = visitor.page
    page.goto(f"{engine}/?to={sites.address}{LANDING}")
    page.locator("#found").click()
    for link, path in (("#next", "/second"), ("#home", "/")):
        page.locator(link).click()
        page.wait_for_url(f"{sites.address}{path}")
    assert page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]") == ["", 0, 0]
    expect(page.locator(question(visitor))).to_be_visible()
    with page.expect_response(lambda answer: answer.url.endswith("/events")):
        visitor.accept()
    made = figures(sites, 1)
    assert made["campaigns"] == [CAMPAIGN]
    assert made["entry_pages"] == [{"path": "/", "sessions": 1, "bounces": 1, "bounce_rate": 1.0}]
    assert made["channels"] == [{"channel": "campaign", "sessions": 1, "visitors": 1}]
    assert made["referrers"] == [{"referrer": "(internal)", "sessions": 1, "visitors": 1}]


@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize(("landing", "channel", "campaigns"), ARRIVALS)
@with_and_without_scripts
def test_report_says_where_the_first_session_came_from_and_what_it_missed(
    new_visitor: NewVisitor, sites: Sites, engine: str, landing: str, channel: str, campaigns: Any, scripts: bool
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    page = visitor.page
    page.goto(f"{engine}/?to={sites.address}{landing}")
    page.locator("#found").click()
    expect(page.locator(question(visitor))).to_be_visible()
    assert sites.records == []
    with page.expect_response(lambda answer: answer.url.endswith("/events")) if scripts else nullcontext():
        visitor.accept()
    for link, path in (("#broken", "/missing"), ("#after", "/both-scripts"), ("#next", "/second")):
        page.locator(link).click()
        expect(page).to_have_url(f"{sites.address}{path}")
    made = figures(sites, 3)
    one = {"sessions": 1, "visitors": 1}
    assert (made["visitors"], made["sessions"]) == (1, 1)
    assert made["referrers"] == [{"referrer": engine, **one}]
    assert made["channels"] == [{"channel": channel, **one}]
    assert made["campaigns"] == campaigns
    assert made["entry_pages"] == [{"path": "/both-scripts", "sessions": 1, "bounces": 0, "bounce_rate": 0.0}]
    assert made["exit_pages"] == [{"path": "/second", "sessions": 1}]
    assert made["missing"] == [{"path": "/missing", "source": "/both-scripts", "requests": 1, "visitors": 1}]


@pytest.mark.each_value(at_most=2)
@with_and_without_scripts
def test_first_question_and_marks_of_the_answer_are_counted(
    new_visitor: NewVisitor, tmp_path: Path, scripts: bool
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    (tmp_path / "counted").mkdir()
    with traced_site(tmp_path / "counted") as visitor.sites:
        visitor.open_with_banner("/both-scripts")
        visitor.page.reload()
        expect(visitor.page.locator(question(visitor))).to_be_visible()
        visitor.page.locator("#next").click()
        expect(visitor.page.locator(question(visitor))).to_be_visible()
        visitor.accept()
        visitor.page.locator("[data-privacy-settings]").click()
        expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    found: Counter[str] = Counter()
    for count in map(json.loads, counts_path(visitor.sites.access_log).read_bytes().splitlines()):
        found[f"{count['count.name']} {count.get('count.detail', '')}".strip()] += count["count.value"]
    expected = {"asked": 3, "asked_first": 1, "granted": 1, "settings": 1, "granted_by_prefix /second": 1}
    expected |= {"granted_by_device pc": 1, "answered_first": 0}
    assert {name: found[name] for name in expected} == expected
