"""Tests of the documentation site: it builds without a warning, its links lead somewhere, and it needs no network."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import sync_playwright

from tests.support.browsers.visitor_browser import CHROMIUM_OPTIONS

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.one_python


class Links(HTMLParser):
    """What a page links to, what it loads, and the ids in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.ids: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        target = given.get("href", given.get("src"))
        if target is None:
            return
        (self.links if tag == "a" else self.loaded).add(target)


@cache
def read(page: Path) -> Links:
    return Links(page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning fails the build."""
    made = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--fail-on-warning", "--keep-going", "--doctree-dir", str(made / "doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, "docs", str(made / "html")]
    build = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (build.returncode, build.stderr) == (0, "")
    return made / "html"


def targets(site: Path) -> Iterator[tuple[Path, str]]:
    for page in sorted(site.rglob("*.html")):
        for target in sorted(read(page).links | read(page).loaded):
            yield page, target


def is_missing(page: Path, target: str) -> bool:
    """Whether a link inside the site leads to no file, or to no place in its page."""
    split = urlsplit(target)
    file = (page.parent / unquote(split.path)).resolve() if split.path else page
    if not file.is_file():
        return True
    return file.suffix == ".html" and bool(split.fragment) and unquote(split.fragment) not in read(file).ids


@pytest.mark.slow
def test_each_link_inside_the_site_leads_somewhere(site: Path) -> None:
    inside = [(page, target) for page, target in targets(site) if not urlsplit(target).scheme]
    missing = [(page.name, target) for page, target in inside if is_missing(page, target)]
    assert len(inside) > 1000
    assert [link for link in missing if link[1] != "#"] == []


@pytest.mark.slow
def test_each_link_to_another_site_is_an_https_address(site: Path) -> None:
    outside = {target for page, target in targets(site) if urlsplit(target).scheme not in ("", "mailto")}
    elsewhere = {target for target in outside if not re.match(r"http://(127\.0\.0\.1|[\w.]+\.localhost):8000", target)}
    assert [target for target in elsewhere if not re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/\S*)?", target)] == []


@pytest.mark.slow
def test_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = {target for page in site.rglob("*.html") for target in read(page).loaded}
    assert {target for target in loaded if urlsplit(target).netloc} == set()
    styles = [file.read_text(encoding="utf-8") for file in site.rglob("*.css")]
    assert [
        found for style in styles for found in re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*", style)
    ] == []


FOUND = {
    "admin": "how-to/leave-admin-out.html",
    "GA4": "how-to/gate-google-analytics-4.html",
    "access record": "access-record.html",
    "delete visitor records": "keeping-records.html",
    "rotate key": "how-to/replace-a-secret-key.html",
    "test granted page": "how-to/test-as-a-consenting-visitor.html",
    "websocket": "limits.html",
    "options": "reference/options.html",
    "nonce": "questions.html",
    "nginx": "how-to/behind-nginx-or-caddy.html",
    "retention": "proof.html",
    "platforms": "start.html",
}
"""What a reader types -> a page that is among the first five results."""


@pytest.mark.browser
def test_search_finds_the_page_that_answers(site: Path) -> None:
    """The site is opened from its folder, so this also shows that no server is needed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**CHROMIUM_OPTIONS)
        page = browser.new_page()
        found = {}
        for words in FOUND:
            page.goto((site / "search.html").as_uri() + f"?q={words}")
            page.locator(".search-summary", has_text="Search finished").wait_for()  # before that, some are missing
            links = page.locator("#search-results li a").evaluate_all("links => links.map((link) => link.href)")
            found[words] = [link.partition("/html/")[2].partition("#")[0].partition("?")[0] for link in links][:5]
        browser.close()
    assert {words: pages for words, pages in found.items() if FOUND[words] not in pages} == {}


@pytest.mark.slow
def test_each_page_of_the_folder_is_in_the_site(site: Path) -> None:
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")}
    assert [page for page in pages if not (site / page).is_file()] == []


@pytest.mark.parametrize("folder", ["reference", "frameworks", "how-to"])
def test_overview_of_a_folder_lists_its_pages(folder: str) -> None:
    pages = {path.name for path in (ROOT / "docs" / folder).glob("*.md")}
    overview = (ROOT / "docs" / folder / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(([\w-]+\.md)\)", overview)) == pages - {"README.md"}
