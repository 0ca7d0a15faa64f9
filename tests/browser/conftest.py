"""Fixtures: Chromium, visitors and the sites that they visit."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserType, Error, sync_playwright

from tests.support.browsers.firefox import Firefox, started_firefox
from tests.support.browsers.visitor_browser import (
    CHROMIUM_OPTIONS,
    NewVisitor,
    Sites,
    Visitor,
    registry_sites,
    serve,
)

FOLDER = Path(__file__).parent
ANY_HOST = "--host-resolver-rules=MAP * 127.0.0.1"


class SharedChromium:
    """Chromium that finds all hosts on this machine, for all modules of this folder that follow each other."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._browsers: dict[str, Browser] = {}

    def start(self, **options: Any) -> Browser:
        """Start it with further options of Playwright's `launch`, unless one with these runs."""
        name = repr(options)
        found = self._browsers.get(name)
        if found and not _answers(found):
            self.stop()
            found = None
        if not found:
            options = {**CHROMIUM_OPTIONS, "args": [*CHROMIUM_OPTIONS["args"], ANY_HOST], **options}
            found = self._browsers[name] = self._type().launch(**options)
        return found

    def stop(self) -> None:
        """End it, if it runs."""
        self._browsers.clear()
        self._running.close()

    def _type(self) -> BrowserType:
        for browser in self._browsers.values():
            return browser.browser_type
        return self._running.enter_context(sync_playwright()).chromium


def _answers(browser: Browser) -> bool:
    """Return whether a browser and Playwright's driver still run: a test may have ended them."""
    try:
        browser.new_browser_cdp_session().detach()
    except Error:
        return False
    return True


CHROMIUM = SharedChromium()


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """End Chromium before the first test without it: while Playwright runs, asyncio.run() cannot.

    Not at the end of a test itself: after a failure, it may be tried again.
    """
    result = yield
    if item.path.parent == FOLDER and not _needs_chromium(nextitem):
        CHROMIUM.stop()
    return result


def _needs_chromium(item: pytest.Item | None) -> bool:
    return item is not None and item.path.parent == FOLDER and bool(item.get_closest_marker("browser"))


@pytest.fixture(scope="module")
def browser() -> Browser:
    """Chromium."""
    return CHROMIUM.start()


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The registry site and its partner."""
    with registry_sites(tmp_path_factory.mktemp("registry")) as sites:
        yield sites


@pytest.fixture(scope="session")
def house() -> Iterator[Sites]:
    """The site of `sites.house`, with the banner in the corner."""
    from tests.support.sites.house import app  # which logs what is to be improved, once pytest has set the levels

    with serve(app, path="/corner") as sites:
        yield sites


@pytest.fixture(scope="session")
def museum() -> Iterator[Sites]:
    """The site of `three_language_site`."""
    from tests.support.sites.three_language_site import app

    with serve(app) as sites:
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
def caching_browser(browser: Browser) -> Browser:
    """Chromium with its back-forward cache, which Playwright switches off by default."""
    assert browser.is_connected()
    return CHROMIUM.start(ignore_default_args=["--disable-back-forward-cache"])


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """A window of Firefox, for the full matrix."""
    with started_firefox(tmp_path_factory.mktemp("firefox")) as firefox:
        yield firefox
