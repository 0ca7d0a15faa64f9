"""Tests of vendors.js: the exact calls to each vendor and their order, and that none of them loads anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor, serve
from tests.support.sites.vendor_site import app, shared
from tests.support.waiting import eventually

pytestmark = pytest.mark.browser

QUEUES = """() => JSON.stringify({
    google: dataLayer.map((call) => [...call]),
    uet: [...uetq],
    clarity: clarity.q.map((call) => [...call]),
    meta: fbq.queue.map((call) => [...call]),
    tiktok: [...ttq],
    pinterest: pintrk.queue,
    matomo: [..._paq],
    posthog: [...posthog],
    segment: analytics.map(([name, ...given]) => [name, ...given.map((it) => typeof it)]),
})"""
"""What each vendor's queue holds, as its script would find it."""
KEEPS_THE_LAST = f"addEventListener('pagehide', () => {{ sessionStorage.last = ({QUEUES})() }})"
"""Makes each page leave its queues for the next one."""
OPTIONS = [["set", "url_passthrough", True], ["set", "ads_data_redaction", True]]
MIDDLEWARE = [["addSourceMiddleware", "function"]]


def google(command: str, *, ads: str, analytics: str) -> list[Any]:
    of_ads = {"ad_storage": ads, "ad_user_data": ads, "ad_personalization": ads, "analytics_storage": analytics}
    rest = {"functionality_storage": "denied", "personalization_storage": "denied", "security_storage": "granted"}
    return ["consent", command, of_ads | rest]


def clarity(*, ads: str, analytics: str) -> list[Any]:
    return ["consentv2", {"ad_Storage": ads, "analytics_Storage": analytics}]


DENIED: dict[str, list[Any]] = {
    "google": [google("default", ads="denied", analytics="denied"), *OPTIONS],
    "uet": ["consent", "default", {"ad_storage": "denied"}],
    "clarity": [clarity(ads="denied", analytics="denied")],
    "meta": [["consent", "revoke"]],
    "tiktok": [["holdConsent"]],
    "pinterest": [["setconsent", False]],
    "matomo": [["requireConsent"]],
    "posthog": [["opt_out_capturing"]],
    "segment": MIDDLEWARE,
}
"""What a page tells whose visitor has not answered, or has refused."""
GRANTED: dict[str, list[Any]] = {
    "google": [google("default", ads="granted", analytics="granted"), *OPTIONS],
    "uet": ["consent", "default", {"ad_storage": "granted"}],
    "clarity": [clarity(ads="granted", analytics="granted")],
    "meta": [["consent", "grant"]],
    "tiktok": [["grantConsent"]],
    "pinterest": [["setconsent", True]],
    "matomo": [["requireConsent"], ["setConsentGiven"]],
    "posthog": [["opt_in_capturing", {"captureEventName": False}]],
    "segment": MIDDLEWARE,
}
"""What a page tells whose visitor has accepted all."""
GRANT: dict[str, list[Any]] = {
    "google": [google("update", ads="granted", analytics="granted")],
    "uet": ["consent", "update", {"ad_storage": "granted"}],
    "clarity": [clarity(ads="granted", analytics="granted")],
    "meta": [["consent", "grant"]],
    "tiktok": [["grantConsent"]],
    "pinterest": [["setconsent", True]],
    "matomo": [["setConsentGiven"]],
    "posthog": [["opt_in_capturing", {"captureEventName": False}]],
    "segment": [],
}
WITHDRAWAL: dict[str, list[Any]] = {
    "google": [google("update", ads="denied", analytics="denied")],
    "uet": ["consent", "update", {"ad_storage": "denied"}],
    "clarity": [clarity(ads="denied", analytics="denied")],
    "meta": [["consent", "revoke"]],
    "tiktok": [["revokeConsent"]],
    "pinterest": [["setconsent", False]],
    "matomo": [["forgetConsentGiven"]],
    "posthog": [["opt_out_capturing"]],
    "segment": [],
}


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    with serve(app) as sites:
        yield sites


@pytest.fixture
def visitor(new_visitor: NewVisitor) -> Iterator[Visitor]:
    """A visitor whose browser may load the site alone. It fails if anything else was asked for."""
    visitor = new_visitor()
    yield visitor
    assert visitor.hosts() == {visitor.sites.address}


def told(visitor: Visitor) -> dict[str, Any]:
    """Return what the current page has told each vendor, in order."""
    queues: dict[str, Any] = json.loads(visitor.page.evaluate(QUEUES))
    return queues


def and_then(first: dict[str, list[Any]], later: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {vendor: [*calls, *later[vendor]] for vendor, calls in first.items()}


@pytest.mark.requirement("VC-02", "VC-03")
def test_first_visit_is_denied_before_the_first_script_of_the_site(visitor: Visitor) -> None:
    visitor.go("/")
    assert visitor.page.evaluate("toldBefore") == len(DENIED["google"])
    expect(visitor.banner).to_be_visible()
    assert told(visitor) == DENIED


@pytest.mark.requirement("VC-05")
def test_grant_is_told_once_and_withdrawal_before_the_page_reloads(visitor: Visitor) -> None:
    visitor.context.add_init_script(KEEPS_THE_LAST)
    visitor.go("/")
    visitor.accept()
    assert told(visitor) == and_then(DENIED, GRANT)
    visitor.go("/other")
    assert visitor.page.evaluate("toldBefore") == len(GRANTED["google"])
    assert told(visitor) == GRANTED
    visitor.ready()
    visitor.page.get_by_role("link", name="Privacy settings").first.click()
    with visitor.page.expect_event("load"):
        visitor.choice("refuse_all").click()
    assert told(visitor) == DENIED
    assert json.loads(visitor.page.evaluate("sessionStorage.last")) == and_then(GRANTED, WITHDRAWAL)


def test_opt_out_signal_denies_what_was_granted(visitor: Visitor) -> None:
    visitor.go("/")
    visitor.accept()
    visitor.context.set_extra_http_headers({"sec-gpc": "1"})
    visitor.go("/other")
    assert told(visitor) == {
        **{vendor: GRANTED[vendor] for vendor in ("matomo", "posthog", "segment")},
        **{vendor: DENIED[vendor] for vendor in ("uet", "meta", "tiktok", "pinterest")},
        "google": [google("default", ads="denied", analytics="granted"), *OPTIONS],
        "clarity": [clarity(ads="denied", analytics="granted")],
    }


def test_tag_that_waits_runs_after_the_vendors_are_told_of_an_answer_in_another_tab(visitor: Visitor) -> None:
    visitor.go("/")
    visitor.refuse()
    visitor.go("/waiting")
    first = visitor.page
    visitor.page = visitor.context.new_page()
    visitor.go("/other")
    visitor.ready()
    visitor.page.get_by_role("link", name="Privacy settings").first.click()
    visitor.accept()
    visitor.page = first
    assert eventually(lambda: visitor.page.evaluate("window.toldBeforeTag") == len(DENIED["google"]) + 1)
    assert told(visitor) == and_then(DENIED, GRANT)


def test_page_that_is_the_same_for_everybody_denies_and_then_tells_what_is_granted(
    new_visitor: NewVisitor,
) -> None:
    with serve(shared) as site:
        visitor = new_visitor()
        visitor.page.goto(site.address)
        visitor.accept()
        assert told(visitor) == and_then(DENIED, GRANT)
        visitor.page.goto(f"{site.address}/plain")
        assert eventually(lambda: told(visitor) == and_then(DENIED, GRANT))
        assert visitor.hosts() == {site.address}


def test_libraries_that_are_there_are_called_and_a_failing_one_stops_no_other(visitor: Visitor) -> None:
    visitor.go("/")
    visitor.page.evaluate(
        """() => {
            window.heard = [];
            ttq.grantConsent = () => { throw new Error("TikTok") };
            fbq.callMethod = (...given) => heard.push(["meta", ...given]);
            window.posthog = { opt_in_capturing: (given) => heard.push(["posthog", given]) };
            window.clarity = undefined;
        }"""
    )
    visitor.accept()
    assert visitor.page.evaluate("heard") == [
        ["meta", "consent", "grant"],
        ["posthog", {"captureEventName": False}],
    ]


START_SERVICE_WORKER = """async () => {
    await navigator.serviceWorker.register("worker.js");
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller)
        await new Promise(resolve => navigator.serviceWorker.addEventListener("controllerchange", resolve));
}"""


@pytest.mark.parametrize("kept_by", ["back button", "service worker"])
def test_kept_page_tells_what_was_answered_since(caching_browser: Browser, sites: Sites, kept_by: str) -> None:
    with caching_browser.new_context() as context:
        visitor = Visitor(context, sites)
        visitor.go("/")
        visitor.refuse()
        if kept_by == "service worker":
            visitor.page.evaluate(START_SERVICE_WORKER)
        visitor.go("/plain")
        visitor.go("/other")
        visitor.ready()
        visitor.page.get_by_role("link", name="Privacy settings").first.click()
        visitor.accept()
        if kept_by == "service worker":
            visitor.go("/plain")
        else:
            visitor.go_back()
            assert eventually(lambda: visitor.path == "/plain")
        assert eventually(lambda: told(visitor) == and_then(DENIED, GRANT))


def test_segment_events_carry_what_holds_when_they_are_sent(visitor: Visitor) -> None:
    visitor.go("/")
    stamp = """() => {
        const payload = { obj: { context: { page: 1 } } };
        analytics[0][1]({ payload, next() {} });
        return payload.obj.context;
    }"""
    stamped = [visitor.page.evaluate(stamp)]
    visitor.accept()
    stamped.append(visitor.page.evaluate(stamp))
    assert stamped == [
        {"page": 1, "consent": {"categoryPreferences": {"Advertising": allowed, "Analytics": allowed}}}
        for allowed in (False, True)
    ]
