"""Tests of a whole visit in a browser, with and without JavaScript: cookies, requests and access log at each step."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Visitor, with_and_without_scripts
from tests.support.waiting import eventually
from tests.tracing.test_tracer import problems

pytestmark = pytest.mark.browser

OPTIONAL = {"visitor", "_fa_id", "recently-viewed"}
"""The cookies that need consent."""
ERASURE_COOKIE = "visitor-erasure"
"""The cookie that lets the visitor erase old records after a withdrawal."""


@pytest.mark.requirement("EU-02", "UI-07")
@with_and_without_scripts
def test_visit_from_first_page_to_withdrawal(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    before = len(visitor.sites.all_records())
    visitor.open_with_banner("/")
    first = visitor.page.locator("body > :not(link, style)").first
    expect(first).to_have_class("pchoice pchoice-corner pchoice-part")
    assert visitor.cookies.keys().isdisjoint(OPTIONAL | {"consent"})
    answer_in_place(visitor, visitor.choice("refuse_all"))
    assert visitor.path == "/"
    assert visitor.state["status"] == "refused"
    assert visitor.cookies["consent"]["httpOnly"]
    assert "consent" not in visitor.page.evaluate("document.cookie")
    visit_all_pages(visitor)
    assert visitor.cookies.keys() == {"consent"}
    assert len(visitor.sites.all_records()) == before
    accept_all_and_check_records(visitor, before)
    withdraw_and_check_cookies(visitor)
    before = len(visitor.sites.all_records())
    visit_all_pages(visitor)
    assert visitor.cookies.keys() == {"consent", ERASURE_COOKIE}
    assert len(visitor.sites.all_records()) == before


def visit_all_pages(visitor: Visitor) -> None:
    """Visit pages after a refusal: nobody asks, and no other site is reached."""
    visitor.requests()
    for path in ("/", "/names", "/offices", "/tour"):
        visitor.go(path)
        expect(visitor.banner).to_have_count(0)
    assert visitor.hosts() == {visitor.sites.address}


def accept_all_and_check_records(visitor: Visitor, before: int) -> None:
    visitor.go("/offices")
    if visitor.scripts:
        visitor.ready()
    visitor.page.get_by_role("link", name="Privacy settings").last.click()
    expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    # The settings open in place if the page has loaded the script.
    assert visitor.path == ("/offices" if visitor.scripts else PREFIX)
    event = visitor.page.expect_response(lambda answer: answer.url.endswith("/events") and answer.ok)
    with event if visitor.scripts else nullcontext():
        visitor.answer(visitor.choice("accept_all"))
    visitor.go("/offices")
    expect(visitor.page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
    assert visitor.cookies["visitor"]["httpOnly"]
    records = [it for it in visitor.sites.all_records()[before:] if it["url.path"] == "/offices"]
    # With scripts the page sends an event after the answer and was then opened again.
    assert sorted(record["record.kind"] for record in records) == (["event", "view"] if visitor.scripts else ["view"])
    assert [problem for record in records for problem in problems("access_record", record)] == []
    assert {record["client.address"] for record in records} == {"127.0.0.0"}
    if visitor.scripts:
        assert eventually(lambda: "_fa_id" in visitor.cookies)
    else:
        # As if the cookie had been set while scripts were on.
        visitor.context.add_cookies([{"name": "_fa_id", "value": "17", "url": visitor.sites.address}])


def withdraw_and_check_cookies(visitor: Visitor) -> None:
    visitor.go(PREFIX)
    answer = visitor.answer(visitor.choice("refuse_all"))
    deleted = [field["value"] for field in answer.headers_array() if field["name"].lower() == "set-cookie"]
    for name in ("visitor", "_fa_id"):
        assert any(field.startswith(f"{name}=;") and "Max-Age=0" in field for field in deleted)
    expect(visitor.page.get_by_text("You refused all purposes that are not strictly necessary.")).to_be_visible()
    assert visitor.cookies.keys() == {"consent", ERASURE_COOKIE}


def answer_in_place(visitor: Visitor, button: Locator) -> None:
    """Press a button that answers. With scripts the page stays; without them the server redirects back to it."""
    visitor.mark()
    assert visitor.answer(button).status == (200 if visitor.scripts else 303)
    assert visitor.is_marked == visitor.scripts


def test_acceptance_loads_waiting_content_at_once(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.open_with_banner("/offices")
    before = len(visitor.sites.all_records())
    assert visitor.hosts() == {visitor.sites.address}
    with visitor.page.expect_response(lambda answer: answer.url.endswith("/events") and answer.ok):
        answer_in_place(visitor, visitor.choice("accept_all"))
    expect(visitor.page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
    assert eventually(lambda: "_fa_id" in visitor.cookies)
    wanted = {f"{visitor.sites.partner}/{name}" for name in ("analytics.js", "map.html")}
    assert wanted <= {request.url for request in visitor.requests()}
    # The opening of this page was not recorded. After the answer the page sends an event; the next page is traced.
    visitor.go("/names")
    records: list[dict[str, Any]] = visitor.sites.all_records()[before:]
    kinds = {record["url.path"]: record["record.kind"] for record in records}
    assert (kinds["/offices"], kinds["/names"]) == ("event", "view")
