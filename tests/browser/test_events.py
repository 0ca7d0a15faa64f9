"""Tests of track.js: which events a page sends, and that it sends none without consent."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

from cookie_consent.report import report
from tests.support.browsers.visitor_browser import PREFIX, ROOT, NewVisitor, Sites, Visitor
from tests.support.documentation import blocks
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

HIDE = """() => {
  Object.defineProperty(document, "hidden", { configurable: true, value: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
SHOW = HIDE.replace("true });", "false });")


class Reader:
    """A visitor with a unique user agent, so that the events of different visitors can be before apart.

    Args:
        new_visitor: opens a browser context.
        options: options of the context.
    """

    def __init__(self, new_visitor: NewVisitor, **options: Any) -> None:
        self.agent = f"Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0.0.0 Safari/537.36 Reader/{secrets.token_hex(8)}"
        self.visitor = new_visitor(user_agent=self.agent, **options)
        self.page, self.go, self.ready = self.visitor.page, self.visitor.go, self.visitor.ready

    def answer(self, **purposes: bool) -> None:
        """Answer by a request of its own, so that the open page does not notice."""
        sites, own = self.visitor.sites, {"sec-fetch-site": "same-origin"}
        data = {"choice": "save", "purposes": purposes}
        assert self.visitor.context.request.post(f"{sites.address}{PREFIX}", data=data, headers=own).ok

    @property
    def id(self) -> str:
        return str(self.visitor.cookies["visitor"]["value"]).partition(".")[0]

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """Return the recorded events, with one name or all."""
        of_kind = [record for record in self.visitor.sites.records if record["record.kind"] == "event"]
        return [event for event in of_kind if event["visitor.id"] == self.id and name in ("", event["event.name"])]

    def event(self, name: str, number: int = 1) -> dict[str, Any]:
        """Wait for a number of events with this name, and return the last one."""
        assert eventually(lambda: len(self.events(name)) >= number), f"{name}: {self.events()}"
        assert len(self.events(name)) == number
        return self.events(name)[-1]

    def sent_count(self) -> int:
        """Return how many events the page has sent, recorded or not."""
        agents: list[str] = httpx.get(f"{self.visitor.sites.address}/told").json()
        return agents.count(self.agent)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The site of `events_site`."""
    folder = tmp_path_factory.mktemp("events")
    environ = {"EVENTS_ACCESS_LOG": str(folder / "access.jsonl")}
    with started("tests.support.sites.events_site:app", ROOT, folder / "site.log", (LOOPBACK, 0), environ) as site:
        yield Sites(site.address, "", folder / "access.jsonl")


@pytest.fixture
def reader(new_visitor: NewVisitor) -> Reader:
    """A reader who allows tracing."""
    reader = Reader(new_visitor)
    reader.answer(analytics=True)
    return reader


# With consent


def test_event_is_recorded_with_visitor_id(reader: Reader) -> None:
    reader.go("/?utm_source=letter&key=secret")
    reader.page.evaluate("consent.track('quote', { lines: 3, of: 'Sōseki', whole: false })")
    event = reader.event("quote")
    assert (event["url.path"], event["event.properties"]) == ("/", {"lines": 3, "of": "Sōseki", "whole": False})
    views = [record for record in reader.visitor.sites.records if record["visitor.id"] == event["visitor.id"]]
    assert views[0]["record.kind"] == "view"
    reader.page.evaluate(f"import('{PREFIX}/track.js').then(({{ track }}) => track('imported'))")
    assert "event.properties" not in reader.event("imported")
    assert reader.visitor.cookies.keys() == {"consent", "visitor"}
    assert reader.page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_failed_event_request_raises_no_script_error(reader: Reader) -> None:
    reader.page.route("**/events", lambda route: route.abort())
    reader.go("/")
    reader.page.evaluate("consent.track('lost')")
    assert reader.visitor.complaints == []


def test_page_leave_event_tells_viewing_time(reader: Reader) -> None:
    reader.go("/")
    reader.ready()
    reader.page.evaluate("new Promise((resolve) => setTimeout(resolve, 300))")
    reader.page.locator("#next").click()
    event = reader.event("page_leave")
    assert event["url.path"] == "/"
    assert 290 <= event["duration_ms"] < 600_000
    assert "url.query" not in event


def test_page_restored_by_back_button_sends_second_page_leave(caching_browser: Browser, sites: Sites) -> None:
    with ExitStack() as opened:
        reader = Reader(lambda **how: Visitor(opened.enter_context(caching_browser.new_context(**how)), sites))
        reader.answer(analytics=True)
        reader.go("/")
        reader.ready()
        reader.visitor.mark()
        for left in (1, 3):
            reader.page.locator("#next").click()
            expect(reader.page).to_have_url(f"{sites.address}/next")
            reader.event("page_leave", left)
            reader.page.wait_for_load_state()
            reader.ready()
            reader.visitor.go_back()
            expect(reader.page).to_have_url(f"{sites.address}/")
            assert eventually(lambda: reader.visitor.is_marked)
            reader.event("page_leave", left + 1)
            reader.ready()
        assert sorted(event["url.path"] for event in reader.events("page_leave")) == ["/", "/", "/next", "/next"]
        assert reader.visitor.complaints == []


@pytest.mark.parametrize(
    ("link", "file"),
    [
        ("#report", "/files/report.pdf"),
        ("#inside", "/files/年報"),
        ("#elsewhere", "https://files.example/a.zip"),
    ],
)
def test_download_event_names_file_without_query(reader: Reader, link: str, file: str) -> None:
    reader.page.route("https://files.example/**", lambda route: route.fulfill(status=204))
    reader.go("/")
    reader.ready()
    reader.page.locator(link).click()
    event = reader.event("download")
    assert (event["url.path"], event["event.properties"]) == ("/", {"file": file})


def test_outbound_event_names_address_without_query_if_site_wants_it(reader: Reader) -> None:
    for site in ("partner", "files"):
        reader.page.route(f"https://{site}.example/**", lambda route: route.fulfill(status=204))
    for path in ("/", "/outbound"):
        reader.go(path)
        reader.ready()
        for link in ("#elsewhere", "#blob", "#partner"):
            reader.page.locator(link).click()
        reader.page.evaluate("consent.track('last')")
        reader.event("last", 1 if path == "/" else 2)
    # Each event is a request of its own, so the order can change.
    reader.event("outbound")
    reader.event("download", 2)
    told = [(event["url.path"], event["event.properties"]) for event in reader.events("outbound")]
    assert told == [("/outbound", {"to": "https://partner.example/年"})]
    listed = report(reader.visitor.sites.access_log, since=date(2020, 1, 1), until=date(2029, 1, 1), threshold=1)
    assert {"to": "https://partner.example/年", "events": 1, "visitors": 1} in listed["outbound"]
    assert "https://files.example/a.zip" in {row["file"] for row in listed["downloads"]}


def test_single_page_app_with_data_views_sends_page_views(reader: Reader) -> None:
    reader.go("/views")
    reader.ready()
    reader.page.evaluate("history.pushState({}, '', '/room/1?utm_source=letter&key=secret&x=utm_y#there')")
    event = reader.event("page_view")
    assert (event["url.path"], event["url.query"]) == ("/room/1", "utm_source=letter")
    assert reader.event("page_leave")["url.path"] == "/views"
    reader.page.evaluate("history.pushState({}, '', '/room/1?another=query')")
    reader.page.evaluate("history.pushState({}, '', '/room/2')")
    assert reader.event("page_view", 2)["url.path"] == "/room/2"
    reader.page.evaluate("history.go(-3)")
    event = reader.event("page_view", 3)
    assert (event["url.path"], "url.query" in event) == ("/views", False)
    left = ["/room/1", "/room/2", "/views"]
    # Each event is a request of its own, so the order can change.
    assert eventually(lambda: sorted(leave["url.path"] for leave in reader.events("page_leave")) == left)
    assert "secret" not in reader.visitor.sites.access_log.read_text("utf-8")


def test_events_of_docs_example_are_recorded(new_visitor: NewVisitor) -> None:
    reader = Reader(new_visitor)
    reader.answer(analytics=True, ads=True)
    reader.go("/")
    (example,) = blocks("docs/banner.md", "javascript")
    reader.page.evaluate(f"() => {{ {example} }}")
    assert reader.event("quote")["event.properties"] == {"lines": 3, "of": "Sōseki", "whole": False}
    assert reader.event("liked")["consent.purpose"] == "ads"


# Without consent


@pytest.mark.parametrize("answer", [None, {}, {"ads": True}], ids=["unanswered", "refused", "other purposes only"])
def test_no_event_is_sent_without_consent_to_tracing(new_visitor: NewVisitor, answer: dict[str, bool] | None) -> None:
    reader = Reader(new_visitor)
    if answer is not None:
        reader.answer(**answer)
    for path in ("/", "/views"):
        reader.go(path)
        reader.page.evaluate("consent.track('quote')")
        reader.page.evaluate("consent.track('liked', {}, { purpose: 'ads' })")
        reader.page.locator("#report").click()
        reader.page.evaluate("history.pushState({}, '', '/room/1')")
    reader.go("/plain")
    reader.go("/plain")
    assert reader.sent_count() == 0
    assert "visitor" not in reader.visitor.cookies


def test_events_start_with_grant_and_stop_with_withdrawal(new_visitor: NewVisitor) -> None:
    reader = Reader(new_visitor)
    reader.go("/")
    reader.visitor.mark()
    reader.visitor.accept()
    reader.page.evaluate("consent.track('quote')")
    reader.event("quote")
    assert reader.visitor.is_marked
    reader.go("/next")
    assert reader.event("page_leave")["url.path"] == "/"
    before = reader.sent_count()
    reader.page.evaluate("consent.show()")
    with reader.page.expect_event("load"):
        reader.visitor.answer(reader.visitor.choice("refuse_all"))
    assert not reader.ready()["analytics"]
    reader.page.evaluate("consent.track('quote')")
    reader.go("/plain")
    reader.go("/plain")
    assert reader.sent_count() == before


def test_page_learns_of_withdrawal_elsewhere_when_visible(reader: Reader) -> None:
    reader.go("/")
    reader.page.evaluate("void consent.on('change', (purposes) => { document.heard = purposes; })")
    assert reader.ready()["analytics"]
    reader.answer()
    reader.page.evaluate(SHOW)
    assert not reader.ready()["analytics"]
    assert not reader.page.evaluate("consent.allows('analytics')")
    assert reader.page.evaluate("document.heard") == {"necessary": True, "analytics": False, "ads": False}
    reader.page.evaluate("consent.track('quote')")
    assert reader.sent_count() == 0
    reader.answer(analytics=True)
    reader.page.evaluate(SHOW)
    reader.page.evaluate("consent.track('quote')")
    reader.event("quote")


# Together with choices.js


@pytest.mark.parametrize("order", ["before", "after"])
def test_track_script_works_before_and_after_banner_script(new_visitor: NewVisitor, order: str) -> None:
    reader = Reader(new_visitor)
    reader.go(f"/{order}")
    expect(reader.visitor.banner).to_be_visible()
    reader.page.evaluate("void consent.on('change', (purposes) => { document.heard = purposes; })")
    reader.visitor.accept()
    assert reader.page.evaluate("document.heard.analytics && consent.allows('analytics')")
    reader.page.evaluate("consent.track('quote')")
    reader.event("quote")
    reader.go(f"/{order}")
    assert reader.ready()["analytics"]
    reader.page.evaluate("consent.track('quote')")
    reader.event("quote", 2)
    reader.page.evaluate("consent.show()")
    expect(reader.visitor.banner).to_be_focused()


def test_track_script_alone_provides_window_consent(reader: Reader) -> None:
    reader.go("/")
    assert reader.ready() == {"necessary": True, "analytics": True, "ads": False}
    assert reader.page.evaluate("consent.purposes") == {"necessary": True, "analytics": True, "ads": False}
    assert reader.page.evaluate("[consent.allows('analytics'), consent.allows('ads')]") == [True, False]
    reader.page.evaluate("consent.on('change', () => { document.stopped = true; })()")
    assert reader.page.evaluate("window.consentChoices === undefined")
    reader.page.evaluate("consent.show()")
    expect(reader.visitor.banner).to_be_focused()
    assert reader.page.evaluate("window.consentChoices !== undefined")
    reader.page.evaluate("consent.track('quote')")
    reader.event("quote")
    reader.visitor.accept()
    assert reader.page.evaluate("consent.allows('ads') && !document.stopped")
