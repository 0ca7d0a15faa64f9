"""Tests of cards in a browser: what is requested of the recipient before and after "Show once" and "Always allow"."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Request, expect

from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Visitor, with_and_without_scripts

pytestmark = pytest.mark.browser

NOTE = "Shown this once. Your privacy settings have not changed."
PHONE = {"width": 390, "height": 500}


def card(visitor: Visitor) -> Locator:
    return visitor.page.locator("main .pchoice-box")


def button(visitor: Visitor, name: str) -> Locator:
    return card(visitor).get_by_role("button", name=name)


def expect_map(visitor: Visitor) -> None:
    expect(visitor.page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()


def of_recipient(visitor: Visitor) -> list[Request]:
    """Return the requests to the recipient since the last call."""
    return [request for request in visitor.requests() if request.url.startswith(visitor.sites.partner)]


def refusing_visitor(new_visitor: NewVisitor, *, scripts: bool = True) -> Visitor:
    visitor = new_visitor(java_script_enabled=scripts, viewport=PHONE)
    address = f"{visitor.sites.address}{PREFIX}"
    own = {"sec-fetch-site": "same-origin"}
    assert visitor.context.request.post(address, data={"choice": "refuse_all"}, headers=own).ok
    return visitor


@with_and_without_scripts
def test_content_is_requested_only_when_it_is_shown(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = refusing_visitor(new_visitor, scripts=scripts)
    visitor.go("/offices")
    expect(card(visitor).locator("img")).to_be_visible()
    assert visitor.hosts() == {visitor.sites.address}
    show_once(visitor)
    visitor.go("/offices")
    expect(card(visitor)).to_be_visible()
    assert of_recipient(visitor) == []
    allow_always(visitor)
    visitor.go("/offices")
    expect_map(visitor)
    assert len(of_recipient(visitor)) == 1
    expect(card(visitor)).to_have_count(0)


def show_once(visitor: Visitor) -> None:
    """Show the content once, and check that nothing but that happens."""
    before, cookies = visitor.state, visitor.cookies
    button(visitor, "Show once").scroll_into_view_if_needed()
    visitor.mark()
    visitor.requests()
    button(visitor, "Show once").click()
    note = visitor.page.get_by_role("status").filter(has_text=NOTE)
    expect(note).to_be_in_viewport(ratio=0.9)
    expect_map(visitor)
    made = visitor.requests()
    assert sum(request.url.startswith(visitor.sites.partner) for request in made) == 1
    assert [request.method for request in made if PREFIX in request.url] == ([] if visitor.scripts else ["POST"])
    assert visitor.is_marked is visitor.scripts
    if visitor.scripts:
        expect(note).to_be_focused()
    assert visitor.state == before
    assert visitor.cookies == cookies


def allow_always(visitor: Visitor) -> None:
    """Allow the content, and check that the page stays where it is."""
    button(visitor, "Always allow").scroll_into_view_if_needed()
    visitor.mark()
    visitor.answer(button(visitor, "Always allow"))
    expect_map(visitor)
    expect(visitor.page.locator("#map")).to_be_in_viewport()
    expect(visitor.page.get_by_role("status").filter(has_text="Your choice is saved.")).to_be_visible()
    assert visitor.is_marked is visitor.scripts
    assert visitor.state["purposes"]["media"]
    assert len(of_recipient(visitor)) == 1


def test_card_that_comes_later_shows_its_content_in_place(new_visitor: NewVisitor) -> None:
    visitor = refusing_visitor(new_visitor)
    visitor.go("/names")
    # As htmx inserts a part of another page: its scripts run.
    visitor.page.evaluate(
        """async () => {
            const page = new DOMParser().parseFromString(await (await fetch("/offices")).text(), "text/html");
            const part = document.createRange().createContextualFragment(page.querySelector("main").innerHTML);
            document.querySelector("main").replaceChildren(part);
        }"""
    )
    expect(card(visitor)).to_be_visible()
    visitor.page.wait_for_load_state("networkidle")
    assert of_recipient(visitor) == []
    visitor.mark()
    button(visitor, "Show once").click()
    expect_map(visitor)
    assert (len(of_recipient(visitor)), visitor.path) == (1, "/names")
    assert visitor.is_marked


def test_buttons_of_card_are_alike_and_card_fits_window(new_visitor: NewVisitor) -> None:
    visitor = refusing_visitor(new_visitor)
    for width in (390, 1280):
        visitor.page.set_viewport_size({"width": width, "height": 800})
        visitor.go("/offices")
        expect(card(visitor)).to_be_visible()
        once, always = (button(visitor, name).bounding_box() for name in ("Show once", "Always allow"))
        assert once
        assert always
        assert (once["width"], once["height"]) == pytest.approx((always["width"], always["height"]), abs=1)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
