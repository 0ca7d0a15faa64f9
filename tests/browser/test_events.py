"""Tests of track.js: which events a page sends, and that it sends none without consent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor
from tests.support.documentation import blocks
from tests.support.sites.house import traced_site
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

CHROME = "Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0 Safari/537.36 Reader"
ONLY_ANALYTICS = {"necessary": True, "analytics": True, "media": False}
SHOW = "document.dispatchEvent(new Event('visibilitychange'))"
TRACK = "consent.track('quote')"
LISTEN = "void consent.on('change', (purposes) => { document.heard = purposes; })"
DOWNLOADS = {"#report": "/files/report.pdf", "#inside": "/files/年報", "#elsewhere": "https://files.example/a.zip"}
"""A link -> the file that the event names."""


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site of `house`, with access records."""
    with traced_site(tmp_path_factory.mktemp("events")) as sites:
        yield sites


@pytest.fixture
def newcomer(new_visitor: NewVisitor) -> Visitor:
    """A visitor who has not answered, with a unique user agent."""
    return new_visitor(user_agent=f"{CHROME}/{secrets.token_hex(8)}")


@pytest.fixture
def reader(newcomer: Visitor) -> Visitor:
    """A visitor who allows tracing."""
    newcomer.send_answer(analytics=True)
    return newcomer


def events(visitor: Visitor, name: str = "") -> list[dict[str, Any]]:
    """Return the recorded events of a visitor, with one name or all."""
    id_ = str(visitor.cookies["visitor"]["value"]).partition(".")[0]
    own = [it for it in visitor.sites.records if (it["record.kind"], it["visitor.id"]) == ("event", id_)]
    return [event for event in own if name in ("", event["event.name"])]


def event(visitor: Visitor, name: str, number: int = 1) -> dict[str, Any]:
    """Wait for a number of events with this name, and return the last one."""
    assert eventually(lambda: len(events(visitor, name)) >= number), f"{name}: {events(visitor)}"
    assert len(events(visitor, name)) == number
    return events(visitor, name)[-1]


def sent_count(visitor: Visitor) -> int:
    """Return how many events the pages of a visitor have sent, recorded or not."""
    agent = (b"user-agent", visitor.page.evaluate("navigator.userAgent").encode())
    return sum(it["path"].endswith("/events") and agent in it["headers"] for it in visitor.sites.noted)


def open_page(visitor: Visitor, path: str) -> None:
    """Open a page, and wait until its script knows what holds."""
    visitor.go(path)
    visitor.ready()


# With consent


def test_event_is_recorded_with_visitor_id(reader: Visitor) -> None:
    reader.go("/tracking?utm_source=letter&key=secret")
    reader.page.evaluate("consent.track('quote', { lines: 3, of: 'Sōseki', whole: false })")
    found = event(reader, "quote")
    assert (found["url.path"], found["event.properties"]) == ("/tracking", {"lines": 3, "of": "Sōseki", "whole": False})
    views = [record for record in reader.sites.records if record["visitor.id"] == found["visitor.id"]]
    assert views[0]["record.kind"] == "view"
    reader.page.evaluate(f"import('{PREFIX}/track.js').then(({{ track }}) => track('imported'))")
    assert "event.properties" not in event(reader, "imported")
    assert reader.cookies.keys() == {"consent", "visitor"}
    assert reader.page.evaluate("localStorage.length + sessionStorage.length") == 0
    reader.page.route("**/events", lambda route: route.abort())
    reader.page.evaluate("consent.track('lost')")  # without an error of the script


def test_page_leave_event_tells_viewing_time(reader: Visitor) -> None:
    open_page(reader, "/tracking")
    reader.page.evaluate("new Promise((resolve) => setTimeout(resolve, 300))")
    reader.page.locator("#next").click()
    found = event(reader, "page_leave")
    assert found["url.path"] == "/tracking"
    assert 290 <= found["duration_ms"] < 600_000
    assert "url.query" not in found


def test_page_restored_by_back_button_sends_second_page_leave(caching_browser: Browser, sites: Sites) -> None:
    with caching_browser.new_context() as context:
        reader = Visitor(context, sites)
        reader.send_answer(analytics=True)
        open_page(reader, "/tracking")
        reader.mark()
        for left in (1, 3):
            reader.page.locator("#after").click()
            event(reader, "page_leave", left)
            expect(reader.page).to_have_url(f"{sites.address}/both-scripts")
            reader.ready()
            reader.go_back()
            expect(reader.page).to_have_url(f"{sites.address}/tracking")
            assert eventually(lambda: reader.is_marked)
            event(reader, "page_leave", left + 1)
            reader.ready()
        found = sorted(it["url.path"] for it in events(reader, "page_leave"))
        assert found == ["/both-scripts", "/both-scripts", "/tracking", "/tracking"]
        assert reader.complaints == []


def test_download_and_outbound_events_name_addresses_without_query(reader: Visitor) -> None:
    for site in ("partner", "files"):
        reader.page.route(f"https://{site}.example/**", lambda route: route.fulfill(status=204))
    open_page(reader, "/tracking")
    for number, (link, file) in enumerate(DOWNLOADS.items(), 1):
        reader.page.locator(link).click()
        assert event(reader, "download", number)["event.properties"] == {"file": file}
    for path in ("/tracking", "/outbound"):
        open_page(reader, path)
        for link in ("#blob", "#partner"):
            reader.page.locator(link).click()
    # Only the second page has data-outbound.
    found = event(reader, "outbound")
    assert (found["url.path"], found["event.properties"]) == ("/outbound", {"to": "https://partner.example/年"})


def test_single_page_app_with_data_views_sends_page_views(reader: Visitor) -> None:
    open_page(reader, "/views")
    reader.page.evaluate("history.pushState({}, '', '/room/1?utm_source=letter&key=secret&x=utm_y#there')")
    found = event(reader, "page_view")
    assert (found["url.path"], found["url.query"]) == ("/room/1", "utm_source=letter")
    assert event(reader, "page_leave")["url.path"] == "/views"
    reader.page.evaluate("history.pushState({}, '', '/room/1?another=query')")
    reader.page.evaluate("history.pushState({}, '', '/room/2')")
    assert event(reader, "page_view", 2)["url.path"] == "/room/2"
    reader.page.evaluate("history.go(-3)")
    found = event(reader, "page_view", 3)
    assert (found["url.path"], "url.query" in found) == ("/views", False)
    left = ["/room/1", "/room/2", "/views"]
    # Each event is a request of its own, so the order can change.
    assert eventually(lambda: sorted(leave["url.path"] for leave in events(reader, "page_leave")) == left)
    assert "secret" not in reader.sites.access_log.read_text("utf-8")


def test_events_of_docs_example_are_recorded(newcomer: Visitor) -> None:
    newcomer.send_answer(analytics=True, media=True)
    newcomer.go("/tracking")
    (example,) = blocks("docs/banner.md", "javascript")
    newcomer.page.evaluate(f"() => {{ {example.replace('ads', 'media')} }}")
    assert event(newcomer, "quote")["event.properties"] == {"lines": 3, "of": "Sōseki", "whole": False}
    assert event(newcomer, "liked")["consent.purpose"] == "media"


# Without consent


@pytest.mark.parametrize("answer", [None, {}, {"media": True}], ids=["unanswered", "refused", "other purposes only"])
def test_no_event_is_sent_without_consent_to_tracing(newcomer: Visitor, answer: dict[str, bool] | None) -> None:
    if answer is not None:
        newcomer.send_answer("save", **answer)
    for path in ("/tracking", "/views"):
        newcomer.go(path)
        newcomer.page.evaluate(TRACK)
        newcomer.page.evaluate("consent.track('liked', {}, { purpose: 'media' })")
        newcomer.page.locator("#report").click()
        newcomer.page.evaluate("history.pushState({}, '', '/room/1')")
    newcomer.go("/plain")
    newcomer.go("/plain")
    assert sent_count(newcomer) == 0
    assert "visitor" not in newcomer.cookies


def test_events_start_with_grant_and_stop_with_withdrawal(newcomer: Visitor) -> None:
    newcomer.open_with_banner("/tracking")
    newcomer.mark()
    newcomer.accept()
    newcomer.page.evaluate(TRACK)
    event(newcomer, "quote")
    assert newcomer.is_marked
    newcomer.go("/tracking?again")
    assert event(newcomer, "page_leave")["url.path"] == "/tracking"
    before = sent_count(newcomer)
    with newcomer.page.expect_event("load"):
        newcomer.withdraw()
    assert not newcomer.ready()["analytics"]
    newcomer.page.evaluate(TRACK)
    newcomer.go("/plain")
    newcomer.go("/plain")
    assert sent_count(newcomer) == before


def test_page_learns_of_withdrawal_elsewhere_when_visible(reader: Visitor) -> None:
    open_page(reader, "/tracking")
    reader.page.evaluate(LISTEN)
    reader.send_answer()
    reader.page.evaluate(SHOW)
    assert not reader.ready()["analytics"]
    assert not reader.page.evaluate("consent.allows('analytics')")
    assert reader.page.evaluate("document.heard") == {"necessary": True, "analytics": False, "media": False}
    reader.page.evaluate(TRACK)
    assert sent_count(reader) == 0
    reader.send_answer(analytics=True)
    reader.page.evaluate(SHOW)
    reader.page.evaluate(TRACK)
    event(reader, "quote")


# Together with choices.js


@pytest.mark.parametrize("path", ["/both-scripts", "/both-scripts-turned"])
def test_track_script_works_before_and_after_banner_script(newcomer: Visitor, path: str) -> None:
    newcomer.open_with_banner(path)
    newcomer.page.evaluate(LISTEN)
    newcomer.accept()
    assert newcomer.page.evaluate("document.heard.analytics && consent.allows('analytics')")
    newcomer.page.evaluate(TRACK)
    event(newcomer, "quote")
    newcomer.go(path)
    assert newcomer.ready()["analytics"]
    newcomer.page.evaluate(TRACK)
    event(newcomer, "quote", 2)
    newcomer.page.evaluate("consent.show()")
    expect(newcomer.banner).to_be_focused()


def test_track_script_alone_provides_window_consent(reader: Visitor) -> None:
    reader.go("/tracking")
    assert reader.ready() == ONLY_ANALYTICS
    assert reader.page.evaluate("consent.purposes") == ONLY_ANALYTICS
    assert reader.page.evaluate("[consent.allows('analytics'), consent.allows('media')]") == [True, False]
    reader.page.evaluate("consent.on('change', () => { document.stopped = true; })()")
    assert reader.page.evaluate("window.consentChoices === undefined")
    reader.page.evaluate("consent.show()")
    expect(reader.banner).to_be_focused()
    assert reader.page.evaluate("window.consentChoices !== undefined")
    reader.page.evaluate(TRACK)
    event(reader, "quote")
    reader.accept()
    assert reader.page.evaluate("consent.allows('media') && !document.stopped")
