"""Chromium, Firefox and WebKit where they are set to keep no cookies: nobody is asked in vain, nothing is promised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from cookie_consent.texts.catalog import shipped
from tests.support.browsers.engines import ENGINES, Setting
from tests.support.browsers.guest import Guest, again_if_webkit_ends, seated
from tests.support.browsers.visitor_browser import Sites
from tests.support.sites.engines_site import engines_site

pytestmark = pytest.mark.browser


def at(names: Iterable[str], *, scripts: bool) -> pytest.MarkDecorator:
    """Have a test run at some engines."""
    ids = list(names)
    return pytest.mark.parametrize(
        "guest", [(name, Setting(cookies=False, scripts=scripts)) for name in ids], ids=ids, indirect=True
    )


DECEIVED = "WebKit"
"""Its GTK port tells pages that it keeps cookies; it lets them store other things too. Only an answer shows then that
it does not last."""
with_scripts, without_scripts = at(ENGINES, scripts=True), at(ENGINES, scripts=False)
BLOCKED = shipped("en")["cookies_blocked"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """What is visited."""
    with engines_site(tmp_path_factory.mktemp("engines")) as site:
        yield site


@pytest.fixture(scope="module")
def guest(request: pytest.FixtureRequest, site: Sites) -> Iterator[Guest]:
    """Somebody at an engine that was just started. As it keeps nothing, they are new to each test."""
    name, setting = request.param
    with seated(name, setting, site) as guest:
        yield guest


def come(guest: Guest) -> None:
    """Open the first page, and wait until it is settled whether it asks."""
    guest.go("/")
    if says_that_it_keeps_cookies(guest):
        guest.wait_for_the_question()
    else:
        guest.wait_for_a_page_without_the_question()


def says_that_it_keeps_cookies(guest: Guest) -> bool:
    """Return whether pages are told what is not so. Only an answer shows then that it does not last."""
    return guest.engine == DECEIVED


@with_scripts
def test_message_replaces_banner_without_cookies(guest: Guest) -> None:
    come(guest)
    if says_that_it_keeps_cookies(guest):
        guest.answer("refuse_all")
    assert guest.until(lambda: guest.said) == BLOCKED
    assert guest.cookies == {}
    assert guest.state["status"] == "unknown"
    assert guest.shown() == set()


@at([name for name in ENGINES if name != DECEIVED], scripts=True)  # which asks on each page
def test_blocked_cookies_message_shows_once_per_visit(guest: Guest) -> None:
    come(guest)
    page = guest.document
    guest.until(lambda: guest.said)
    guest.one("#start").click()
    guest.wait_for_another_page_than(page)
    guest.wait_for_a_page_without_the_question()
    guest.wait_for_a_picture()
    assert guest.said == ""


@with_scripts
def test_lost_answer_in_settings_shows_message(guest: Guest) -> None:
    come(guest)
    guest.open_the_settings()
    guest.answer("accept_all")
    assert guest.until(lambda: guest.said) == BLOCKED
    assert guest.cookies == {}
    assert guest.shown() == set()


@without_scripts
@again_if_webkit_ends
def test_lost_answer_without_scripts_turns_banner_into_message(guest: Guest) -> None:
    guest.go("/")
    page = guest.document
    assert not guest.one(".pchoice-blocked").is_displayed()
    guest.button("accept_all").click()
    guest.wait_for_another_page_than(page)
    guest.wait_for_the_question()
    assert guest.path == "/"
    assert guest.banner.text == BLOCKED
    assert not guest.button("accept_all").is_displayed()
    assert guest.cookies == {}
