"""The whole visit in a browser, with JavaScript and without: cookies, requests and the log after each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browsers.visitor_browser import PREFIX, Sites, Visitor, registry_sites, soon
from tests.tracing.test_access_record import problems

pytestmark = pytest.mark.browser

OPTIONAL = {"visitor", "_fa_id", "recently-viewed", "ab_test"}
"""What the sites would set if nobody asked."""
ERASURE = "visitor-erasure"
"""What only the endpoints get after a withdrawal, to find what was recorded."""


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    """Sites that nobody has visited."""
    with registry_sites(tmp_path) as sites:
        yield sites


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_visit_from_first_page_to_withdrawal(arrive: Callable[..., Visitor], scripts: bool) -> None:
    visitor = arrive(java_script_enabled=scripts)
    the_first_page_asks_and_nothing_has_happened(visitor)
    a_refusal_is_kept_and_not_asked_again(visitor)
    a_feature_that_is_off_says_so(visitor)
    what_is_granted_in_place_is_just_that(visitor)
    once_all_is_accepted_pages_are_traced_and_counted(visitor)
    what_was_stored_is_gone_with_the_answer_that_withdraws(visitor)
    then_nothing_is_traced_or_loaded_any_more(visitor)


def test_acceptance_loads_waiting_content_at_once(arrive: Callable[..., Visitor]) -> None:
    visitor = arrive()
    visitor.go("/offices")
    assert visitor.hosts() == {visitor.sites.address}
    with told(visitor):
        answered_in_place(visitor, visitor.choice("accept_all"))
    expect(visitor.page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
    assert soon(lambda: "_fa_id" in visitor.cookies)
    wanted = {f"{visitor.sites.partner}/{name}" for name in ("analytics.js", "map.html")}
    assert wanted <= {request.url for request in visitor.requests()}
    # When this page was opened nothing was recorded. It tells of itself once it may; the next one is traced.
    visitor.go("/names")
    records = visitor.sites.all_records()
    kinds = {record["url.path"]: record["record.kind"] for record in records if "asset" not in record["url.path"]}
    assert (kinds["/offices"], kinds["/names"]) == ("event", "view")


def the_first_page_asks_and_nothing_has_happened(visitor: Visitor) -> None:
    visitor.go("/")
    expect(visitor.banner).to_be_visible()
    first = visitor.page.locator("body > :not(link)").first
    expect(first).to_have_class("pchoice pchoice-corner")
    expect(visitor.banner.locator("form[method=post]")).to_be_visible()
    assert visitor.hosts() == {visitor.sites.address}
    assert visitor.cookies.keys().isdisjoint(OPTIONAL | {"consent"})
    assert not visitor.sites.access_log.exists()


def a_refusal_is_kept_and_not_asked_again(visitor: Visitor) -> None:
    answered_in_place(visitor, visitor.choice("refuse_all"))
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


def a_feature_that_is_off_says_so(visitor: Visitor) -> None:
    visitor.go("/offices")
    box = map_box(visitor)
    expect(box).to_contain_text("The map is switched off. The addresses and the ways to us are written below.")
    expect(box).to_contain_text("You refused it.")
    expect(box.get_by_role("button", name="Allow Maps and tours and go on")).to_be_visible()
    expect(visitor.page.get_by_text("1-2-3 Example, Chiyoda-ku")).to_be_visible()
    expect(visitor.page.locator("#map")).to_have_count(0)
    assert visitor.hosts() == {visitor.sites.address}
    assert not visitor.sites.access_log.exists()


def what_is_granted_in_place_is_just_that(visitor: Visitor) -> None:
    answered_in_place(visitor, map_box(visitor).get_by_role("button"))
    expect(visitor.page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
    expect(map_box(visitor)).to_have_count(0)
    assert visitor.path == "/offices"
    assert visitor.hosts() == {visitor.sites.address, visitor.sites.partner}
    assert visitor.state["purposes"] == {"necessary": True, "analytics": False, "media": True, "functional": False}
    assert visitor.cookies.keys().isdisjoint(OPTIONAL)
    assert not visitor.sites.access_log.exists()


def once_all_is_accepted_pages_are_traced_and_counted(visitor: Visitor) -> None:
    sites = visitor.sites
    visitor.page.get_by_role("link", name="Privacy settings").click()
    expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    # In place, where the page has brought the script.
    assert visitor.path == ("/offices" if visitor.scripts else PREFIX)
    if visitor.scripts:
        with told(visitor):
            visitor.answer(visitor.choice("accept_all"))
        expect(visitor.banner).to_have_count(0)
        visitor.go("/offices")
    else:
        visitor.answer(visitor.choice("accept_all"))
    expect(visitor.page.get_by_role("heading", name="Our offices")).to_be_visible()
    assert visitor.cookies["visitor"]["httpOnly"]
    # With scripts the page tells of itself after the answer, and was then opened once more.
    kinds = ["event", "view"] if visitor.scripts else ["view"]
    assert soon(lambda: len(viewed(sites.records)) == len(kinds))
    of_page = [record for record in sites.records if record["url.path"] == "/offices"]
    assert sorted(record["record.kind"] for record in of_page) == kinds
    assert [problem for record in sites.records for problem in problems("access_record", record)] == []
    assert [record.get("http.response.status_code", 200) for record in of_page] == [200] * len(of_page)
    assert {record["client.address"] for record in of_page} == {"127.0.0.0"}
    if visitor.scripts:
        assert soon(lambda: "_fa_id" in visitor.cookies)
        assert f"{sites.partner}/analytics.js" in [request.url for request in visitor.requests()]
    else:
        # As if it had been set while scripts were on.
        visitor.context.add_cookies([{"name": "_fa_id", "value": "17", "url": sites.address}])


def what_was_stored_is_gone_with_the_answer_that_withdraws(visitor: Visitor) -> None:
    visitor.go(PREFIX)
    answer = visitor.answer(visitor.choice("refuse_all"))
    deleted = [field["value"] for field in answer.headers_array() if field["name"].lower() == "set-cookie"]
    for name in ("visitor", "_fa_id"):
        assert any(field.startswith(f"{name}=;") and "Max-Age=0" in field for field in deleted)
    expect(visitor.page.get_by_text("You refused all purposes that are not strictly necessary.")).to_be_visible()
    assert visitor.cookies.keys() == {"consent", ERASURE}


def then_nothing_is_traced_or_loaded_any_more(visitor: Visitor) -> None:
    before = len(visitor.sites.all_records())
    visitor.requests()
    for path in ("/", "/names", "/offices", "/tour"):
        visitor.go(path)
        expect(visitor.banner).to_have_count(0)
    expect(visitor.page.get_by_role("button", name="Allow Maps and tours and go on")).to_be_visible()
    assert visitor.hosts() == {visitor.sites.address}
    assert visitor.cookies.keys() == {"consent", ERASURE}
    records = visitor.sites.all_records()
    assert set(viewed(records)) == {"/offices"}
    assert len(records) == before


def told(visitor: Visitor) -> AbstractContextManager[object]:
    """Wait at the end until the page has told of itself."""
    return visitor.page.expect_response(lambda answer: answer.url.endswith("/events") and answer.ok)


def answered_in_place(visitor: Visitor, button: Locator) -> None:
    """Press a button that answers. With scripts the page stays, without them the browser is sent back to it."""
    visitor.mark()
    assert visitor.answer(button).status == (200 if visitor.scripts else 303)
    if not visitor.scripts:
        visitor.page.wait_for_load_state()
    assert visitor.is_marked == visitor.scripts


def map_box(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("region", name="Map of our offices is switched off")


def viewed(records: list[dict[str, Any]]) -> list[str]:
    """Return the paths of the pages in access records, without the files that browsers get for them."""
    paths = [record["url.path"] for record in records]
    return [path for path in paths if path != "/favicon.ico" and not path.startswith("/static/")]
