"""Tests of Global Privacy Control when a proxy removes its header: the script sees the signal and tells the server."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor

pytestmark = pytest.mark.browser

SIGNAL = "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true });"
NOTICE = "Your browser sends the Global Privacy Control signal."


@pytest.fixture
def sites(museum: Sites) -> Sites:
    """Where visitors arrive here: a site with a recipient of the films and maps."""
    return museum


@pytest.fixture
def visitor(new_visitor: NewVisitor) -> Visitor:
    """A visitor whose browser has the signal and whose proxy removes its header."""
    visitor = new_visitor()
    visitor.page.add_init_script(SIGNAL)
    return visitor


def server_purposes(visitor: Visitor) -> dict[str, bool]:
    """Return the purposes that the server allows without the header."""
    purposes: dict[str, bool] = visitor.context.request.get(f"{visitor.sites.address}/linked{PREFIX}/state").json()[
        "purposes"
    ]
    return purposes


def test_banner_is_replaced_when_script_sees_signal(visitor: Visitor) -> None:
    visitor.go("/linked/en/")
    expect(visitor.banner).to_contain_text("Global Privacy Control honoured")
    expect(visitor.banner).to_have_count(1)
    visitor.banner.get_by_text("Choose").click()
    expect(visitor.banner.get_by_label("Counting visits")).not_to_be_checked()
    expect(visitor.banner.get_by_label("Maps and films")).to_have_count(0)
    visitor.accept()
    # What the signal refuses was not asked.
    assert server_purposes(visitor) == {"necessary": True, "analytics": True, "media": False}
    visitor.go("/linked/en/")
    visitor.ready()
    assert not visitor.page.evaluate("consent.allows('media')")
    assert visitor.page.evaluate("consent.allows('analytics')")


def test_signal_seen_by_script_switches_off_earlier_grant(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.go("/linked/en/way")
    visitor.accept()
    visitor.page.add_init_script(SIGNAL)
    visitor.go("/linked/en/way")
    visitor.ready()
    assert not visitor.page.evaluate("consent.allows('media')")
    assert visitor.page.evaluate("consent.allows('analytics')")
    assert server_purposes(visitor) == {"necessary": True, "analytics": True, "media": False}
    visitor.go("/linked/en/way")
    expect(visitor.page.locator(".pchoice-box")).to_contain_text("switched it off since you accepted it")
    expect(visitor.page.get_by_role("link", name="Global Privacy Control honoured")).to_be_visible()
    visitor.page.locator("[data-privacy-settings]").click()
    expect(visitor.banner).to_contain_text(NOTICE)
    visitor.banner.get_by_label("Maps and films").check()
    visitor.answer(visitor.choice("save"))
    expect(visitor.banner).to_have_count(0)
    assert server_purposes(visitor)["media"]
    visitor.go("/linked/en/way")
    visitor.ready()
    assert visitor.page.evaluate("consent.allows('media')")


@pytest.mark.parametrize("page", ["way", "map"], ids=["box", "card"])
def test_nothing_offers_to_allow_what_the_signal_refuses(visitor: Visitor, page: str) -> None:
    visitor.go(f"/linked/en/{page}")
    visitor.ready()
    box = visitor.page.locator(".pchoice-box")
    expect(box).to_be_visible()
    expect(box.get_by_role("link", name="Privacy settings")).to_be_visible()
    expect(visitor.page.locator("[value=grant]")).to_have_count(0)
