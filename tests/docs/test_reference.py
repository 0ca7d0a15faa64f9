"""Tests of docs/reference: the pages are what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cookie_consent import ConsentMiddleware
from cookie_consent.endpoints.endpoints import ENDPOINTS
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import Visitor, install
from tests.support.reference import PAGES
from tests.support.reference.markdown import FOLDER, docstring_of

STATIC = Path(__file__).parents[2] / "static"


@pytest.mark.one_python  # other versions of Python say other words of signatures
@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    committed = (FOLDER / name).read_text(encoding="utf-8")
    assert committed == PAGES[name](), "The code says something else by now. Run: make reference"


def test_pages_have_every_option_and_endpoint() -> None:
    options = docstring_of(ConsentMiddleware).names.keys() - {"clock"}
    assert [name for name in options if f"| `{name}` |" not in PAGES["options.md"]()] == []
    paths = [path for path in ENDPOINTS if "." not in path and "*" not in path]
    assert [path for path in paths if f"/privacy-choices{path}`" not in PAGES["http.md"]()] == []


def test_page_on_css_has_every_property_and_sheet() -> None:
    page = (FOLDER / "css.md").read_text(encoding="utf-8")
    sheets = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")}
    properties = set(re.findall(r"--pchoice-[a-z-]+", "".join(sheets.values())))
    assert set(re.findall(r"^\| `(--pchoice-[a-z-]+)`", page, re.MULTILINE)) == properties
    assert set(re.findall(r"^\| `(\w+\.css)`", page, re.MULTILINE)) == sheets.keys()


def test_page_on_events_has_every_script() -> None:
    page = (FOLDER / "events.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+\.js)`", page, re.MULTILINE)) == {path.name for path in STATIC.glob("*.js")}


def test_page_on_cookies_has_every_cookie_of_ours() -> None:
    page = (FOLDER / "cookies.md").read_text(encoding="utf-8")
    site = install(ledger=MemoryLedger(), access_log=MemorySink(), shared_pages=True)
    settings = Visitor(site).get("/privacy-choices").text
    names = set(re.findall(r"__(?:Host|Secure)-[a-z-]+", settings))
    assert names == set(re.findall(r"^\| `(__[\w-]+)`", page, re.MULTILINE))
