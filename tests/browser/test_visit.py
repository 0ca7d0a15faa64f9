"""Tests of a whole visit in a browser, with and without JavaScript: cookies, requests and access log at each step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browsers.visitor_browser import (
    PREFIX,
    NewVisitor,
    Sites,
    Visitor,
    registry_sites,
    with_and_without_scripts,
)
from tests.support.waiting import eventually
from tests.tracing.test_tracer import problems

pytestmark = pytest.mark.browser

OPTIONAL = {"visitor", "_fa_id", "recently-viewed", "ab_test"}
"""The cookies that need consent."""
ERASURE_COOKIE = "visitor-erasure"
"""The cookie that lets the visitor erase old records after a withdrawal."""


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    """The registry sites, not visited yet."""
    with registry_sites(tmp_path) as sites:
        yield sites


@with_and_without_scripts
def test_visit_from_first_page_to_withdrawal(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    check_first_page(visitor)
    refuse_and_check(visitor)
    check_card(visitor)
    allow_map_in_place(visitor)
    accept_all_and_check_records(visitor)
    withdraw_and_check_cookies(visitor)
    check_nothing_is_traced(visitor)


def test_acceptance_loads_waiting_content_at_once(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.go("/offices")
    assert visitor.hosts() == {visitor.sites.address}
    with page_reporting_itself(visitor):
        answer_in_place(visitor, visitor.choice("accept_all"))
    expect(visitor.page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
    assert eventually(lambda: "_fa_id" in visitor.cookies)
    wanted = {f"{visitor.sites.partner}/{name}" for name in ("analytics.js", "map.html")}
    assert wanted <= {request.url for request in visitor.requests()}
    # The opening of this page was not recorded. After the answer the page sends an event; the next page is traced.
    visitor.go("/names")
    records = visitor.sites.all_records()
    kinds = {record["url.path"]: record["record.kind"] for record in records if "asset" not in record["url.path"]}
    assert (kinds["/offices"], kinds["/names"]) == ("event", "view")


def check_first_page(visitor: Visitor) -> None:
    visitor.go("/")
    expect(visitor.banner).to_be_visible()
    first = visitor.page.locator("body > :not(link, style)").first
    expect(first).to_have_class("pchoice pchoice-corner pchoice-part")
    expect(visitor.banner.locator("form[method=post]")).to_be_visible()
    assert visitor.hosts() == {visitor.sites.address}
    assert visitor.cookies.keys().isdisjoint(OPTIONAL | {"consent"})
    assert not visitor.sites.access_log.exists()


def refuse_and_check(visitor: Visitor) -> None:
    answer_in_place(visitor, visitor.choice("refuse_all"))
    expect(visitor.banner).to_have_count(0)
    assert visitor.path == "/"
    assert visitor.state["status"] == "refused"
    assert visitor.cookies["consent"]["httpOnly"]
    assert "consent" not in visitor.page.evaluate("document.cookie")
    visitor.go("/names")
    expect(visitor.banner).to_have_count(0)
    assert visitor.hosts() == {visitor.sites.address}
    assert visitor.cookies.keys().isdisjoint(OPTIONAL)
    assert not visitor.sites.access_log.exists()


def check_card(visitor: Visitor) -> None:
    visitor.go("/offices")
    box = map_box(visitor)
    expect(box).to_contain_text("The map is switched off. The addresses and the ways to us are written below.")
    expect(box).to_contain_text("You refused it.")
    expect(box).to_contain_text("If you show it, Example Maps Inc. receives: IP address, address of the page.")
    expect(box.get_by_role("button", name="Always allow")).to_be_visible()
    expect(visitor.page.get_by_text("1-2-3 Example, Chiyoda-ku")).to_be_visible()
    expect(visitor.page.locator("#map")).to_have_count(0)
    assert visitor.hosts() == {visitor.sites.address}
    assert not visitor.sites.access_log.exists()


def allow_map_in_place(visitor: Visitor) -> None:
    answer_in_place(visitor, map_box(visitor).get_by_role("button", name="Always allow"))
    expect(visitor.page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
    expect(map_box(visitor)).to_have_count(0)
    assert visitor.path == "/offices"
    assert visitor.hosts() == {visitor.sites.address, visitor.sites.partner}
    assert visitor.state["purposes"] == {
        "necessary": True,
        "visits": False,
        "analytics": False,
        "media": True,
        "functional": False,
    }
    assert visitor.cookies.keys().isdisjoint(OPTIONAL)
    assert not visitor.sites.access_log.exists()


def accept_all_and_check_records(visitor: Visitor) -> None:
    sites = visitor.sites
    visitor.page.get_by_role("link", name="Privacy settings").click()
    expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    # The settings open in place if the page has loaded the script.
    assert visitor.path == ("/offices" if visitor.scripts else PREFIX)
    if visitor.scripts:
        with page_reporting_itself(visitor):
            visitor.accept()
        visitor.go("/offices")
    else:
        visitor.answer(visitor.choice("accept_all"))
        visitor.page.get_by_role("status").get_by_role("link", name="Back to the page").click()
    expect(visitor.page.get_by_role("heading", name="Our offices")).to_be_visible()
    assert visitor.cookies["visitor"]["httpOnly"]
    # With scripts the page sends an event after the answer and was then opened again.
    kinds = ["event", "view"] if visitor.scripts else ["view"]
    assert eventually(lambda: len(viewed(sites.records)) == len(kinds))
    of_page = [record for record in sites.records if record["url.path"] == "/offices"]
    assert sorted(record["record.kind"] for record in of_page) == kinds
    assert [problem for record in sites.records for problem in problems("access_record", record)] == []
    assert [record.get("http.response.status_code", 200) for record in of_page] == [200] * len(of_page)
    assert {record["client.address"] for record in of_page} == {"127.0.0.0"}
    if visitor.scripts:
        assert eventually(lambda: "_fa_id" in visitor.cookies)
        assert f"{sites.partner}/analytics.js" in [request.url for request in visitor.requests()]
    else:
        # As if the cookie had been set while scripts were on.
        visitor.context.add_cookies([{"name": "_fa_id", "value": "17", "url": sites.address}])


def withdraw_and_check_cookies(visitor: Visitor) -> None:
    visitor.go(PREFIX)
    answer = visitor.answer(visitor.choice("refuse_all"))
    deleted = [field["value"] for field in answer.headers_array() if field["name"].lower() == "set-cookie"]
    for name in ("visitor", "_fa_id"):
        assert any(field.startswith(f"{name}=;") and "Max-Age=0" in field for field in deleted)
    expect(visitor.page.get_by_text("You refused all purposes that are not strictly necessary.")).to_be_visible()
    assert visitor.cookies.keys() == {"consent", ERASURE_COOKIE}


def check_nothing_is_traced(visitor: Visitor) -> None:
    before = len(visitor.sites.all_records())
    visitor.requests()
    for path in ("/", "/names", "/offices", "/tour"):
        visitor.go(path)
        expect(visitor.banner).to_have_count(0)
    expect(visitor.page.get_by_role("button", name="Allow Maps and tours and go on")).to_be_visible()
    assert visitor.hosts() == {visitor.sites.address}
    assert visitor.cookies.keys() == {"consent", ERASURE_COOKIE}
    records = visitor.sites.all_records()
    assert set(viewed(records)) == {"/offices"}
    assert len(records) == before


def page_reporting_itself(visitor: Visitor) -> AbstractContextManager[object]:
    """Wait at the end until the page has sent its own event."""
    return visitor.page.expect_response(lambda answer: answer.url.endswith("/events") and answer.ok)


def answer_in_place(visitor: Visitor, button: Locator) -> None:
    """Press a button that answers. With scripts the page stays; without them the server redirects back to it."""
    if visitor.scripts:
        visitor.ready()
    visitor.mark()
    assert visitor.answer(button).status == (200 if visitor.scripts else 303)
    assert visitor.is_marked == visitor.scripts


def map_box(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("region", name="Map of our offices is switched off")


def viewed(records: list[dict[str, Any]]) -> list[str]:
    """Return the paths of the pages in access records, without the files that pages load."""
    paths = [record["url.path"] for record in records]
    return [path for path in paths if path != "/favicon.ico" and not path.startswith("/static/")]
