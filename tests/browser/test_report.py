"""Tests of the report in a real browser: as a file, live, behind a login, and at the end of the demonstration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from cookie_consent.cli.demo import run
from cookie_consent.report.live.app import report_app
from cookie_consent.report.page.page import page as page_of
from tests.report.test_report_page import HOSTILE, LONG, with_text_everywhere
from tests.support.browsers.axe import COLOURS, run_axe
from tests.support.browsers.contrast import blend, contrast
from tests.support.browsers.visitor_browser import REGISTRY, Sites, Visitor, serve
from tests.support.report_sample import compared_report, empty_report, sample_report
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

WIDTHS = (1280, 768, 320)
OPEN_ALL = "document.querySelectorAll('details').forEach(it => { it.open = true })"
ROOM = "[document.documentElement.scrollWidth, innerWidth]"
PAINTED = """() => {
    const layers = element => {
        const found = [];
        for (let it = element; it; it = it.parentElement) found.push(getComputedStyle(it).backgroundColor);
        return [...found, "rgb(255, 255, 255)"];
    };
    const shown = it => it.getClientRects().length && !it.closest(".unseen, .swatch, title, desc");
    const all = (selector, property) => [...document.querySelectorAll(selector)].filter(shown)
        .map(it => [`${it.tagName} ${it.getAttribute("class")}`, getComputedStyle(it)[property], layers(it)]);
    const written = [...document.querySelectorAll("body *:not(svg *)")]
        .filter(it => shown(it) && [...it.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
        .map(it => [`${it.tagName} ${it.className}`, getComputedStyle(it).color, layers(it)]);
    return [
        [...written, ...all("svg text", "fill")],
        [...all("svg :is(.solid, .strong)", "fill"), ...all(
            "svg :is(.outline, .line, .points)", "stroke"
        ), ...all("input, button", "borderTopColor").map(([name, colour, all]) => [name, colour, all.slice(1)])],
    ];
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the reports as files."""
    folder = tmp_path_factory.mktemp("report")
    reports = {
        "report": compared_report(),
        "empty": empty_report(),
        "hostile": with_text_everywhere(HOSTILE + LONG),
        "arabic": with_text_everywhere("/السجل/أسماء-النطاقات/" * 8),
    }
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(page_of(report), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def analyst(browser: Browser) -> Iterator[Visitor]:
    """A reader of the live report, which has the same figures for every range; one page for all tests."""

    def made(access_log: object, *, compare: bool, **question: Any) -> dict[str, Any]:
        return compared_report() if compare else sample_report()

    app = report_app("nowhere.jsonl", authorize=lambda request: True, make=made)
    with serve(app) as site, browser.new_context() as context:
        yield Visitor(context, site)


def show(analyst: Visitor, url: str, *, width: int = 1280, colours: str = "light") -> Page:
    """Open a page with this screen width and these colours, and forget earlier messages and requests."""
    page = analyst.page
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(**COLOURS[colours], media="screen")
    analyst.said.clear()
    analyst.requests()
    page.goto(url)
    page.evaluate(OPEN_ALL)
    return page


@pytest.mark.parametrize("name", ["report", "empty", "hostile", "arabic"])
def test_report_file_loads_nothing_else_and_fits_the_window(analyst: Visitor, folder: Path, name: str) -> None:
    page = show(analyst, (folder / f"{name}.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_contain_text("Visits, ")
    assert page.evaluate("getComputedStyle(document.querySelector('.numbers')).display") == "grid"
    for direction in ("ltr", "rtl"):
        page.evaluate(f"document.documentElement.dir = '{direction}'")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            room, there = page.evaluate(ROOM)
            assert room <= there == width
    assert analyst.said == analyst.complaints == []
    assert [it.url for it in analyst.requests() if it.url.startswith(("http", "ws"))] == []


def test_live_report_filters_without_console_messages(analyst: Visitor) -> None:
    page = show(analyst, f"{analyst.sites.address}/")
    page.get_by_label("From", exact=True).fill("2026-11-01")
    page.locator("#host").fill("site.example")
    page.get_by_label("Compare with").select_option("the time before")
    page.get_by_label("Count by").select_option("weeks")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".about")).to_contain_text("Compared with")
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-11-01")
    expect(page.locator("#host")).to_have_value("site.example")
    expect(page.get_by_label("Compare with")).to_have_value("previous")
    expect(page.get_by_label("Count by")).to_have_value("week")
    assert analyst.said == []
    assert analyst.hosts() == {analyst.sites.address}


def test_link_to_a_list_opens_its_section(analyst: Visitor, folder: Path) -> None:
    page = analyst.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto((folder / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollHeight") < 2000
    expect(page.get_by_role("heading", name="Pages by views")).to_be_hidden()
    page.locator(".brief a").first.click()
    expect(page.get_by_role("heading", name="Pages by views")).to_be_in_viewport()
    head = page.locator("#content thead").first
    expect(head).to_be_visible()
    assert head.evaluate("it => getComputedStyle(it).display") == "table-header-group", "tables are tables"


@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize("query", ["?compare=previous", "?from=never"])
@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (1280, "dark"), (1280, "forced"), (320, "light")])
def test_report_can_be_read_in_all_colours(analyst: Visitor, query: str, width: int, colours: str) -> None:
    page = show(analyst, f"{analyst.sites.address}/{query}", width=width, colours=colours)
    found = run_axe(page, forced_colours=colours == "forced")
    assert found.violations == []
    # Contrast is decided below.
    assert [what for what, _ in found.undecided if not what.startswith("color-contrast ")] == []
    assert found.passed >= {"region", "target-size", "document-title"}
    letters, marks = page.evaluate(PAINTED)
    if "compare" in query:
        assert len(letters) > 500
        assert {name.split()[-1] for name, *_ in marks} >= {"solid", "strong", "outline", "line"}
        assert low_contrasts(marks, 3) == set()
    assert low_contrasts(letters, 4.5) == set()


def low_contrasts(painted: list[tuple[str, str, list[str]]], least: float) -> set[str]:
    return {
        f"{name}: {colour}"
        for name, colour, layers in painted
        if contrast(blend([colour, *layers]), blend(layers)) < least
    }


def test_links_change_the_chart_of_the_first_screen_without_a_script(analyst: Visitor, folder: Path) -> None:
    page = show(analyst, (folder / "report.html").as_uri())
    shown = page.locator(".courses h3:visible")
    expect(shown).to_have_text("Visitors by day")
    for name in ("Views", "Sessions", "Visitors"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(shown).to_have_text(f"{name} by day")
        expect(shown).to_be_in_viewport()
        expect(page.locator(".courses svg[role=img]:visible")).to_be_in_viewport()


def test_print_shows_charts_and_open_tables_in_light_colours(analyst: Visitor, folder: Path) -> None:
    page = analyst.page
    page.goto((folder / "report.html").as_uri())
    page.get_by_text("Table: Visitors by day").click()
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("figure summary:visible").count() == 0
    lists = page.locator("figure > table").count()
    assert page.locator("figure table:visible").count() == lists + 1 > 20
    charts = page.locator("svg[role=img]").count()
    assert page.locator("svg[role=img]:visible").count() == charts > 5
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_registry_shows_report_to_signed_in_analysts(browser: Browser, tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    environ = {"REGISTRY_ACCESS_LOG": str(log), "REGISTRY_ANALYSTS": "Ana, Bo", "REGISTRY_KEY": "k" * 32}
    with (
        started("app:app", REGISTRY, tmp_path / "log", (LOOPBACK, 0), environ) as site,
        browser.new_context() as context,
    ):
        analyst = Visitor(context, Sites(site.address, access_log=log))
        for name, status in (("Mallory", 403), ("Ana", 200)):
            form: dict[str, str | float | bool] = {"name": name}
            own = {"sec-fetch-site": "same-origin"}
            assert context.request.post(f"{site.address}/account", form=form, headers=own).ok
            assert context.request.get(f"{site.address}/report/").status == status
        analyst.go("/report")
        # The banner is injected into this page too, has its style, and takes an answer.
        expect(analyst.banner).to_have_css("position", "fixed")
        analyst.accept()
        analyst.go("/offices")
        assert eventually(lambda: any(it["url.path"] == "/offices" for it in analyst.sites.records))
        analyst.go("/report/?step=day")  # another question than before, whose answer is kept
        expect(analyst.page.locator(".numbers")).to_contain_text(re.compile("Views[1-9]"))
        assert [text for text in analyst.said if "Content Security Policy" in text] == []


def test_demonstration_ends_with_report_of_consented_visit_and_of_answers(analyst: Visitor, tmp_path: Path) -> None:
    assert run(("127.0.0.1", 0), once=True, report_to=tmp_path / "report.html")
    page = show(analyst, (tmp_path / "report.html").as_uri())
    expect(page.get_by_text(re.compile(r"The records stand for \d+ % of \d+ pages that people saw"))).to_be_visible()
    table = page.get_by_role("table", name=re.compile("Pages by views"))
    expect(table.get_by_role("rowheader", name="/names", exact=True)).to_be_visible()
    # The WHOIS service refuses tracing, whatever the visitor answers.
    expect(table.get_by_text("/whois")).to_have_count(0)
    answers = page.get_by_role("table", name=re.compile("What was answered"))
    cells = answers.get_by_role("row").last.get_by_role("cell")
    expect(cells).to_have_text(["2", "1", "1", "0", "0", "0", "0", re.compile(r"\d+"), "50 %", "50 %"])
    assert analyst.said == []
