"""Tests of the report that the demonstration ends with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cookie_consent.cli.demo import run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a demonstration."""
    page = tmp_path_factory.mktemp("demo") / "report.html"
    assert run(("127.0.0.1", 0), once=True, report_to=page)
    return page


@pytest.fixture
def page(browser: Browser, report_file: Path) -> Iterator[Page]:
    with browser.new_context(offline=True) as context:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(report_file.as_uri())
        yield page
        assert said == []


def test_report_shows_consented_visit_and_recorded_share(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text("Visits")
    expect(page.get_by_text(re.compile(r"The records stand for \d+ % of \d+ pages that people saw"))).to_be_visible()
    page.locator("#content > summary").click()
    table = page.get_by_role("table", name=re.compile("Pages by views"))
    expect(table.get_by_role("rowheader", name="/names", exact=True)).to_be_visible()
    # The WHOIS service refuses tracing, whatever the visitor answers.
    expect(table.get_by_text("/whois")).to_have_count(0)


def test_report_counts_answers(page: Page) -> None:
    page.locator("#consent > summary").click()
    table = page.get_by_role("table", name=re.compile("What was answered"))
    cells = table.get_by_role("row").last.get_by_role("cell")
    expect(cells).to_have_text(["2", "1", "1", "0", "0", "0", "0", re.compile(r"\d+"), "50 %", "50 %"])
