"""Tests of the report's page in a real browser: as a file, live, and behind the registry's login."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Browser, Page, expect

from cookie_consent.report.page.page import page as page_of
from tests.report.test_report_page import HOSTILE, LONG, with_text_everywhere
from tests.support.browsers.axe import COLOURS, run_axe
from tests.support.browsers.contrast import blend, contrast
from tests.support.browsers.visitor_browser import REGISTRY, ROOT
from tests.support.report_sample import compared_report, empty_report
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

WIDTHS = (1280, 320)
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


class Opened(NamedTuple):
    """A page with its console messages and its requests."""

    page: Page
    console: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def opened(browser: Browser) -> Iterator[Opened]:
    """A page that all tests of the module share."""
    page, said, asked = browser.new_page(), list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    yield Opened(page, said, asked)
    page.close()


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
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the live report."""
    log = tmp_path_factory.mktemp("served") / "log"
    with started("tests.support.sites.report_site:app", ROOT, log, (LOOPBACK, 0), {}) as site:
        yield f"{site.address}/"


def show(opened: Opened, url: str, *, width: int = 1280, colours: str = "light") -> Page:
    """Open a page with this screen width and these colours, and forget earlier messages and requests."""
    page = opened.page
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(**COLOURS[colours], media="screen")
    opened.console.clear()
    opened.requests.clear()
    page.goto(url)
    return page


@pytest.mark.parametrize("name", ["report", "empty", "hostile"])
def test_report_file_loads_nothing_else(opened: Opened, folder: Path, name: str) -> None:
    page = show(opened, (folder / f"{name}.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_contain_text("Visits, ")
    assert opened.console == []
    assert [url for url in opened.requests if url.startswith(("http", "ws"))] == []
    assert page.evaluate("document.styleSheets.length") == 1
    assert page.evaluate("getComputedStyle(document.querySelector('.numbers')).display") == "grid"


def test_live_report_filters_without_console_messages(opened: Opened, address: str) -> None:
    page = show(opened, address)
    page.get_by_text("Other dates").click()
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
    assert opened.console == []
    assert {url.partition("?")[0] for url in opened.requests if url.startswith("http")} == {address}


def test_link_to_a_list_opens_its_section(opened: Opened, folder: Path) -> None:
    page = show(opened, (folder / "report.html").as_uri(), width=1440)
    assert page.evaluate("document.documentElement.scrollHeight") < 2000
    expect(page.get_by_role("heading", name="Pages by views")).to_be_hidden()
    page.locator(".brief a").first.click()
    expect(page.get_by_role("heading", name="Pages by views")).to_be_in_viewport()
    head = page.locator("#content thead").first
    expect(head).to_be_visible()
    assert head.evaluate("it => getComputedStyle(it).display") == "table-header-group", "tables are tables"


def check_by_axe(page: Page, colours: str) -> None:
    """Check that axe finds nothing wrong. `test_texts_and_marks_have_enough_contrast` decides on contrast."""
    found = run_axe(page, forced_colours=colours == "forced")
    assert found.violations == []
    assert [what for what, _ in found.undecided if not what.startswith("color-contrast ")] == []
    assert found.passed >= {"region", "target-size", "document-title"}


@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (1280, "dark"), (1280, "forced"), (320, "light")])
def test_axe_finds_no_violations(opened: Opened, folder: Path, address: str, width: int, colours: str) -> None:
    page = show(opened, (folder / "report.html").as_uri(), width=width, colours=colours)
    page.evaluate(OPEN_ALL)
    check_by_axe(page, colours)
    for url in (address, f"{address}?from=never"):
        check_by_axe(show(opened, url, width=width, colours=colours), colours)


@pytest.mark.parametrize("name", ["report", "empty", "hostile", "arabic"])
@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_report_fits_screen_width(opened: Opened, folder: Path, name: str, direction: str) -> None:
    for width in (*WIDTHS, 768):
        page = show(opened, (folder / f"{name}.html").as_uri(), width=width)
        page.evaluate(OPEN_ALL)
        page.evaluate(f"document.documentElement.dir = '{direction}'")
        room, there = page.evaluate(ROOM)
        assert room <= there == width


@pytest.mark.parametrize("colours", COLOURS)
def test_texts_and_marks_have_enough_contrast(opened: Opened, address: str, colours: str) -> None:
    page = show(opened, f"{address}?compare=previous", colours=colours)
    page.evaluate(OPEN_ALL)
    letters, marks = page.evaluate(PAINTED)
    assert len(letters) > 500
    assert {name.split()[-1] for name, *_ in marks} >= {"solid", "strong", "outline", "line"}
    assert low_contrasts(letters, 4.5) == set()
    assert low_contrasts(marks, 3) == set()
    page.goto(f"{address}?from=never")
    assert low_contrasts(page.evaluate(PAINTED)[0], 4.5) == set()


def low_contrasts(painted: list[tuple[str, str, list[str]]], least: float) -> set[str]:
    return {
        f"{name}: {colour}"
        for name, colour, layers in painted
        if contrast(blend([colour, *layers]), blend(layers)) < least
    }


def test_print_shows_charts_and_open_tables_in_light_colours(opened: Opened, folder: Path) -> None:
    page = show(opened, (folder / "report.html").as_uri(), colours="dark")
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
    with started("app:app", REGISTRY, tmp_path / "log", (LOOPBACK, 0), environ) as site:
        page, said = browser.new_page(), list[str]()
        page.on("console", lambda message: said.append(message.text))
        refused = page.goto(f"{site.address}/report/?step=day")  # another question than before, whose answer is kept
        assert refused is not None
        assert refused.status == 403
        sign_in(page, site.address, "Mallory")
        assert page.request.get(f"{site.address}/report/").status == 403
        sign_in(page, site.address, "Ana")
        said.clear()
        page.goto(f"{site.address}/report")
        # The banner is injected into this page too, has its style, and takes an answer.
        expect(page.locator(".pchoice")).to_have_css("position", "fixed")
        page.locator("button[name=choice][value=accept_all]").first.click()
        expect(page.locator(".pchoice")).to_have_count(0)
        page.goto(f"{site.address}/offices")
        assert eventually(lambda: log.exists() and "/offices" in paths(log))
        page.goto(f"{site.address}/report/?step=day")  # another question than before, whose answer is kept
        expect(page.locator(".numbers")).to_contain_text(re.compile("Views[1-9]"))
        assert [text for text in said if "Content Security Policy" in text] == []
        page.close()


def sign_in(page: Page, address: str, name: str) -> None:
    posted = page.request.post(f"{address}/account", form={"name": name}, headers={"sec-fetch-site": "same-origin"})
    assert posted.ok


def paths(log: Path) -> list[str]:
    return [json.loads(line).get("url.path") for line in log.read_text("utf-8").splitlines() if line.strip()]
