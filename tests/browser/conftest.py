"""Chromium, and the sites that it visits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.browsers.surfaces import museum_site
from tests.support.browsers.visitor_browser import (
    CHROMIUM_OPTIONS,
    LONGEST_WAIT,
    Sites,
    Visitor,
    plain_site,
    registry_sites,
)

expect.set_options(timeout=LONGEST_WAIT * 1000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests of one module. Not for longer: as long as Playwright runs, asyncio.run() cannot."""
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
def arrive(browser: Browser, sites: Sites) -> Iterator[Callable[..., Visitor]]:
    """Lets somebody come to the sites with a new browser. No script may have failed when all leave."""
    visitors: list[Visitor] = []

    def arrive(**options: Any) -> Visitor:
        scripts = options.get("java_script_enabled", True)
        visitors.append(Visitor(browser.new_context(**options), sites, scripts=scripts))
        return visitors[-1]

    yield arrive
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        visitor.context.close()
    assert complaints == []
