"""Tests of cards in a browser: what is requested of the recipient before and after "Show once" and "Always allow"."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Request, ViewportSize, expect

from tests.support.browsers.visitor_browser import (
    PREFIX,
    ROOT,
    NewVisitor,
    Sites,
    Visitor,
    registry_sites,
    with_and_without_scripts,
)

pytestmark = pytest.mark.browser

NOTE = "Shown this once. Your privacy settings have not changed."
SEALED = "default-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
LATER = {
    "fetch": (
        "",
        """async () => {
            const page = new DOMParser().parseFromString(await (await fetch("/offices")).text(), "text/html");
            const part = document.createRange().createContextualFragment(page.querySelector("main").innerHTML);
            document.querySelector("main").replaceChildren(part);
        }""",
    ),
    "htmx 2": ("htmx2/dist/htmx.min.js", "htmx.ajax('GET', '/offices', { target: 'main', select: 'main > *' })"),
    "htmx": ("htmx.org/dist/htmx.min.js", "htmx.ajax('GET', '/offices', { target: 'main', select: 'main > *' })"),
    "Turbo": ("@hotwired/turbo/dist/turbo.es2017-umd.js", "Turbo.visit('/offices')"),
}
"""How a page gets a card later -> the library, and the script that brings it."""
PHONE = ViewportSize(width=390, height=500)


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
    visitor.send_answer("refuse_all")
    return visitor


@with_and_without_scripts
def test_content_is_requested_only_when_it_is_shown(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = refusing_visitor(new_visitor, scripts=scripts)
    visitor.go("/offices")
    expect(card(visitor).locator("img")).to_be_visible()
    assert visitor.hosts() == {visitor.sites.address}
    expect(button(visitor, "Show once")).to_have_count(int(scripts))
    if scripts:
        show_once(visitor)
        visitor.go("/offices")
        expect(card(visitor)).to_be_visible()
    assert of_recipient(visitor) == []
    allow_always(visitor)
    visitor.go("/offices")
    expect_map(visitor)
    assert len(of_recipient(visitor)) == 1
    expect(card(visitor)).to_have_count(0)
    visitor.context.clear_cookies()
    visitor.go("/offices")
    visitor.answer(button(visitor, "Always allow"))
    expect_map(visitor)
    # The question asks for the rest.
    expect(asked(visitor, "media")).to_have_count(0)
    expect(asked(visitor, "functional")).to_have_count(1)


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
    assert {request.method for request in made} == {"GET"}
    assert visitor.is_marked
    expect(note).to_be_focused()
    assert visitor.state == before
    assert visitor.cookies == cookies


def allow_always(visitor: Visitor, *, reloads: bool = False) -> None:
    """Allow the content, and check that the page stays where it is.

    Args:
        visitor: the visitor.
        reloads: whether the page comes again, also with JavaScript.
    """
    button(visitor, "Always allow").scroll_into_view_if_needed()
    visitor.mark()
    visitor.answer(button(visitor, "Always allow"))
    expect_map(visitor)
    expect(visitor.page.locator("#map")).to_be_in_viewport()
    expect(visitor.page.get_by_role("status").filter(has_text="Your choice is saved.")).to_be_visible()
    assert visitor.is_marked is (visitor.scripts and not reloads)
    assert visitor.state["purposes"]["media"]
    assert len(of_recipient(visitor)) == 1


def test_question_asks_in_each_tab_for_what_always_allow_has_left(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    other = visitor.new_tab()
    closed = visitor.new_tab()
    for tab in (visitor, other, closed):
        tab.open_with_banner("/offices")
        expect(asked(tab, "media")).to_have_count(1)
    closed.banner.get_by_role("button", name="Close").click()
    visitor.answer(button(visitor, "Always allow"))
    for tab in (visitor, other):
        expect_map(tab)
        expect(asked(tab, "media")).to_have_count(0)
        expect(asked(tab, "functional")).to_have_count(1)
        expect(tab.banner).to_be_visible()
    expect_map(closed)
    expect(closed.banner).to_have_count(0)
    visitor.refuse()
    expect(other.banner).to_have_count(0)
    assert visitor.state["purposes"]["media"]


def asked(visitor: Visitor, purpose: str) -> Locator:
    """Return the tick box of the question for a purpose."""
    return visitor.banner.locator(f"[name=purpose][value={purpose}]")


@pytest.fixture(scope="module")
def sealed_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The registry sites, under a policy that allows nothing from elsewhere and no scripts from strings."""
    with registry_sites(tmp_path_factory.mktemp("sealed"), REGISTRY_CSP=SEALED) as sites:
        yield sites


@pytest.mark.each_value(at_most=1)
@with_and_without_scripts
def test_site_under_strict_policy_has_no_violations(browser: Browser, sealed_sites: Sites, scripts: bool) -> None:
    context = browser.new_context(java_script_enabled=scripts, viewport=PHONE)
    visitor = Visitor(context, sealed_sites, scripts=scripts)
    for path in ("/", "/names?name=green-garden", "/whois?name=kawa", "/tour", "/account", PREFIX, "/offices"):
        visitor.go(path)
    visitor.page.wait_for_load_state("networkidle")
    assert visitor.hosts() == {sealed_sites.address}
    visitor.send_answer("refuse_all")
    visitor.go("/offices")
    visitor.page.wait_for_load_state("networkidle")
    expect(button(visitor, "Show once")).to_have_count(0)
    assert of_recipient(visitor) == []
    allow_always(visitor, reloads=True)
    visitor.go("/offices")
    expect_map(visitor)
    assert len(of_recipient(visitor)) == 1
    assert [text for text in visitor.said if re.search("Policy|Trusted", text)] == visitor.complaints == []
    context.close()


@pytest.mark.parametrize(
    "how", ["htmx", *(pytest.param(how, marks=pytest.mark.full_matrix) for how in ("fetch", "htmx 2", "Turbo"))]
)
def test_card_that_comes_later_shows_its_content_in_place(new_visitor: NewVisitor, how: str) -> None:
    visitor, (library, load) = refusing_visitor(new_visitor), LATER[how]
    visitor.go("/names")
    visitor.mark()
    if library:
        visitor.page.add_script_tag(path=ROOT / "node_modules" / library)
    visitor.page.evaluate(load)
    expect(visitor.page.get_by_role("heading", name="Sapporo")).to_be_visible()
    expect(card(visitor)).to_be_visible()
    visitor.page.wait_for_load_state("networkidle")
    assert of_recipient(visitor) == []
    button(visitor, "Show once").click()
    expect_map(visitor)
    assert len(of_recipient(visitor)) == 1
    assert visitor.is_marked


def test_buttons_of_card_are_alike_and_card_fits_window(new_visitor: NewVisitor) -> None:
    visitor = refusing_visitor(new_visitor)
    visitor.go("/offices")
    expect(button(visitor, "Show once")).to_be_visible()
    for width in (390, 1280):
        visitor.page.set_viewport_size({"width": width, "height": 800})
        once, always = (button(visitor, name).bounding_box() for name in ("Show once", "Always allow"))
        assert once
        assert always
        assert (once["width"], once["height"]) == pytest.approx((always["width"], always["height"]), abs=1)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
