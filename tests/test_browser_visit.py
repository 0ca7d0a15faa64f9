"""The whole visit in a browser, with JavaScript and without: cookies, requests and the log after each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.visitor_browser import OWN_COOKIES, PREFIX, Sites, Visitor, registry_sites, soon

pytestmark = pytest.mark.browser

RECORD_KEYS = {
    "time", "http.request.method", "url.path", "http.route", "http.response.status_code", "duration_ms", "visitor.id",
    "client.address", "http.request.referrer", "user_agent.name", "user_agent.os", "user_agent.device", "url.query",
    "consent.policy",
}  # fmt: skip


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[Sites]:
    """Sites that nobody has visited."""
    with registry_sites(tmp_path) as sites:
        yield sites


def viewed(records: list[dict[str, Any]]) -> list[str]:
    """Return the paths of the pages in access records, without the files that browsers get for them."""
    paths = [record["url.path"] for record in records]
    return [path for path in paths if path != "/favicon.ico" and not path.startswith("/static/")]


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_a_visit_from_the_first_page_to_the_withdrawal(
    arrive: Callable[..., Visitor], sites: Sites, scripts: bool
) -> None:
    visitor = arrive(java_script_enabled=scripts)
    page = visitor.page

    # The first page asks, and nothing has happened yet.
    visitor.go("/")
    expect(visitor.banner).to_be_visible()
    assert page.evaluate("document.body.firstElementChild.nextElementSibling.matches('.pchoice')")
    assert visitor.banner.locator("form").get_attribute("method") == "post"
    assert visitor.hosts() == {sites.address}
    assert visitor.cookies.keys().isdisjoint(OWN_COOKIES)
    assert not sites.access_log.exists()

    # Refuse: kept, and not asked again.
    visitor.mark()
    answer = visitor.refuse()
    assert answer.status == (200 if scripts else 303)
    assert visitor.is_marked == scripts
    assert visitor.path == "/"
    assert visitor.cookies["consent"]["httpOnly"]
    assert "visitor" not in visitor.cookies
    assert "consent" not in page.evaluate("document.cookie")
    visitor.go("/names")
    expect(visitor.banner).to_have_count(0)
    assert visitor.hosts() == {sites.address}
    assert not sites.access_log.exists()

    # A feature that is off: its fallback, and a button that allows it.
    visitor.go("/offices")
    box = page.get_by_role("region", name="Map of our offices is switched off")
    expect(box).to_contain_text("The map is switched off. The addresses and the ways to us are written below.")
    expect(box).to_contain_text("You refused it.")
    expect(page.get_by_text("1-2-3 Example, Chiyoda-ku")).to_be_visible()
    expect(page.locator("#map")).to_have_count(0)
    assert visitor.hosts() == {sites.address}
    assert not sites.access_log.exists()

    # Grant it in place: just that, and nothing else.
    visitor.mark()
    answer = visitor.answer(box.get_by_role("button", name="Allow Maps and tours and go on"))
    assert answer.status == (200 if scripts else 303)
    expect(page.frame_locator("#map").get_by_label("A map with two offices")).to_be_visible()
    expect(box).to_have_count(0)
    assert visitor.is_marked == scripts
    assert visitor.path == "/offices"
    assert visitor.hosts() == {sites.address, sites.partner}
    assert visitor.state["status"] == "partial"
    assert visitor.state["purposes"] == {"necessary": True, "analytics": False, "media": True, "functional": False}
    assert visitor.cookies.keys().isdisjoint({"visitor", "_fa_id"})
    assert not sites.access_log.exists()

    # Accept all: the next page is traced, and the analytics script counts.
    page.get_by_role("link", name="Privacy settings").click()
    expect(page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    assert visitor.path == PREFIX
    answer = visitor.answer(visitor.choice("accept_all"))
    assert answer.status == 303
    expect(page.get_by_role("heading", name="Our offices")).to_be_visible()
    assert visitor.path == "/offices"
    assert visitor.cookies["visitor"]["httpOnly"]
    assert soon(lambda: viewed(sites.records)) == ["/offices"]
    assert all(record.keys() <= RECORD_KEYS for record in sites.records)
    record = sites.records[0]
    assert record["client.address"] == "127.0.0.0"
    assert record["http.response.status_code"] == 200
    assert record["http.request.referrer"] == f"{sites.address}{PREFIX}"
    if scripts:
        assert soon(lambda: "_fa_id" in visitor.cookies)
        assert f"{sites.partner}/analytics.js" in [request.url for request in visitor.requests()]
    else:
        # As if it had been set while scripts were on.
        visitor.context.add_cookies([{"name": "_fa_id", "value": "17", "url": sites.address}])

    # Withdraw: what was stored is gone with that very response, and nothing is traced or loaded any more.
    visitor.go(PREFIX)
    answer = visitor.answer(visitor.choice("refuse_all"))
    deleted = [field["value"] for field in answer.headers_array() if field["name"].lower() == "set-cookie"]
    for name in ("visitor", "_fa_id"):
        assert any(field.startswith(f"{name}=;") and "Max-Age=0" in field for field in deleted)
    expect(page.get_by_text("You refused all purposes that are not strictly necessary.")).to_be_visible()
    assert visitor.cookies.keys() == {"consent"}
    before = len(sites.all_records())
    visitor.requests()
    for path in ("/", "/names", "/offices", "/tour"):
        visitor.go(path)
        expect(visitor.banner).to_have_count(0)
    expect(page.get_by_role("heading", name="This page is switched off")).to_be_visible()
    assert visitor.hosts() == {sites.address}
    assert visitor.cookies.keys() == {"consent"}
    later = sites.all_records()
    assert viewed(later) == ["/offices"]
    assert len(later) == before
