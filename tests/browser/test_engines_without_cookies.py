"""Tests of the banner in Chromium, Firefox and WebKit with blocked cookies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from cookie_consent.texts.catalog import shipped
from tests.support.browsers.engines import ENGINES, Setting
from tests.support.browsers.guest import Guest, guest_at, retry_if_webkit_crashes
from tests.support.browsers.visitor_browser import Sites
from tests.support.sites.engines_site import engines_site

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]


def at_engines(names: Iterable[str], *, scripts: bool) -> pytest.MarkDecorator:
    """Run a test at some engines."""
    ids = list(names)
    return pytest.mark.parametrize(
        "running_guest", [(name, Setting(cookies=False, scripts=scripts)) for name in ids], ids=ids, indirect=True
    )


CLAIMING = "WebKit"
"""The engine that tells pages that it keeps cookies. Only an answer shows that it does not."""
with_scripts, without_scripts = at_engines(ENGINES, scripts=True), at_engines(ENGINES, scripts=False)
BLOCKED = shipped("en")["cookies_blocked"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site under test."""
    with engines_site(tmp_path_factory.mktemp("engines")) as site:
        yield site


@pytest.fixture(scope="module")
def running_guest(request: pytest.FixtureRequest, site: Sites) -> Iterator[Guest]:
    """A guest at an engine that was just started."""
    name, setting = request.param
    with guest_at(name, setting, site) as guest:
        yield guest


@pytest.fixture
def guest(running_guest: Guest) -> Guest:
    """A guest in one window, who is new without cookies."""
    running_guest.start_anew()
    return running_guest


def open_start_page(guest: Guest) -> None:
    """Open the start page, and wait until the banner is there or gone."""
    guest.go("/")
    if claims_to_keep_cookies(guest):
        guest.wait_for_banner()
    else:
        guest.wait_for_page_without_banner()


def claims_to_keep_cookies(guest: Guest) -> bool:
    """Return whether the engine tells pages that it keeps cookies."""
    return guest.engine == CLAIMING


@with_scripts
def test_message_replaces_banner_without_cookies(guest: Guest) -> None:
    open_start_page(guest)
    if claims_to_keep_cookies(guest):
        guest.answer("refuse_all")
    assert guest.until(lambda: guest.message) == BLOCKED
    assert guest.cookies == {}
    assert guest.state["status"] == "unknown"
    assert guest.active_templates() == set()


@without_scripts
@retry_if_webkit_crashes
def test_lost_answer_without_scripts_turns_banner_into_message(guest: Guest) -> None:
    guest.go("/")
    guest.wait_for_banner()
    page = guest.document
    assert not guest.find(".pchoice-blocked").is_displayed()
    guest.button("accept_all").click()
    guest.wait_for_page_after(page)
    guest.wait_for_banner()
    assert guest.path == "/"
    assert guest.banner.text == BLOCKED
    assert not guest.button("accept_all").is_displayed()
    assert guest.cookies == {}
