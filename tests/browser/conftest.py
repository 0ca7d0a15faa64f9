"""Fixtures: Chromium, visitors and the sites that they visit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.browsers.surfaces import museum_site
from tests.support.browsers.visitor_browser import (
    CHROMIUM_OPTIONS,
    NewVisitor,
    Sites,
    Visitor,
    plain_site,
    registry_sites,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one module. Not for longer: while Playwright runs, asyncio.run() cannot."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The registry site and its partner."""
    with registry_sites(tmp_path_factory.mktemp("registry")) as sites:
        yield sites


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site of `browser_site`."""
    with plain_site(tmp_path_factory.mktemp("plain")) as sites:
        yield sites


@pytest.fixture(scope="session")
def museum(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site of `three_language_site`."""
    with museum_site(tmp_path_factory.mktemp("museum")) as sites:
        yield sites


@pytest.fixture
def new_visitor(browser: Browser, sites: Sites) -> Iterator[NewVisitor]:
    """Opens a new browser context for a visitor. The test fails if a script failed in one of them."""
    visitors: list[Visitor] = []

    def new_visitor(**options: Any) -> Visitor:
        scripts = options.get("java_script_enabled", True)
        visitors.append(Visitor(browser.new_context(**options), sites, scripts=scripts))
        return visitors[-1]

    yield new_visitor
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        visitor.context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def museum_visitor(browser: Browser, museum: Sites) -> Iterator[Visitor]:
    """A visitor of the museum with one page, shared by all tests of the module. No script may fail."""
    visitor = Visitor(browser.new_context(), museum)
    yield visitor
    visitor.context.close()
    assert visitor.complaints == []


@pytest.fixture(scope="module")
def caching_browser(browser: Browser) -> Iterator[Browser]:
    """Chromium with its back-forward cache, which Playwright switches off by default."""
    caching = browser.browser_type.launch(**CHROMIUM_OPTIONS, ignore_default_args=["--disable-back-forward-cache"])
    yield caching
    caching.close()
