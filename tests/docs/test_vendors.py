"""Tests of docs/vendors.md: each recipe is put into a page, and its tag waits, runs and is told in the right order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect, sync_playwright

from cookie_consent.policy.vendors import vendor_advice, vendors
from tests.support.browsers.visitor_browser import CHROMIUM_OPTIONS, ROOT, Sites, Visitor
from tests.support.servers.child_site import LOOPBACK, started
from tests.support.sites.recipe_site import recipes
from tests.support.waiting import eventually

RECIPES = recipes()
G_DENIED = {
    **dict.fromkeys(("ad_storage", "ad_user_data", "ad_personalization", "analytics_storage"), "denied"),
    **dict.fromkeys(("functionality_storage", "personalization_storage", "security_storage"), "denied"),
}
G_ANALYTICS = {**G_DENIED, "analytics_storage": "granted"}
G_ALL = {**G_ANALYTICS, **dict.fromkeys(("ad_storage", "ad_user_data", "ad_personalization"), "granted")}
DATE = "a date"
GA4 = [["js", DATE], ["config", "G-XXXXXXXXXX"]]
ORDER: dict[str, tuple[str, list[Any]]] = {
    "google-analytics-4": (
        "dataLayer.map((call) => [...call])",
        [["consent", "default", G_DENIED], ["consent", "update", G_ANALYTICS], *GA4],
    ),
    "advanced-mode": (
        "dataLayer.map((call) => [...call])",
        [
            ["consent", "default", {**G_DENIED, "wait_for_update": 500}],
            *GA4,
            ["consent", "update", G_ANALYTICS],
        ],
    ),
    "google-tag-manager": (
        "dataLayer.map((call) => call.event ?? [...call])",
        [["consent", "default", G_DENIED], ["consent", "update", G_ALL], "gtm.js"],
    ),
    "microsoft-advertising": (
        "uetq.heard",
        [
            *("consent", "default", {"ad_storage": "denied"}),
            *("consent", "update", {"ad_storage": "granted"}),
            "pageLoad",
        ],
    ),
    "microsoft-clarity": (
        "clarity.q.map((call) => [...call])",
        [["consentv2", dict.fromkeys(("ad_Storage", "analytics_Storage"), value)] for value in ("denied", "granted")],
    ),
    "meta-pixel": (
        "fbq.queue.map((call) => [...call])",
        [["consent", "revoke"], ["consent", "grant"], ["init", "1234567890123456"], ["track", "PageView"]],
    ),
    "tiktok-pixel": ("[...ttq]", [["holdConsent"], ["grantConsent"], ["page"]]),
    "linkedin-insight-tag": ("_linkedin_data_partner_ids", ["1234567"]),
    "pinterest-tag": (
        "pintrk.queue",
        [["setconsent", False], ["setconsent", True], ["load", "1234567890123"], ["page"]],
    ),
    "matomo": (
        "_paq",
        [
            *(["requireConsent"], ["setConsentGiven"]),
            *(["setTrackerUrl", "https://matomo.example.jp/matomo.php"], ["setSiteId", "1"]),
            *(["trackPageView"], ["enableLinkTracking"]),
        ],
    ),
    "plausible": ("[plausible.o]", [{}]),
    "posthog": (
        "[...posthog, posthog._i[0][0]]",
        [["opt_out_capturing"], ["opt_in_capturing", {"captureEventName": False}], "phc_XXXXXXXX"],
    ),
    "hotjar": ("[_hjSettings]", [{"hjid": 1234567, "hjsv": 6}]),
    "segment": ("analytics.map(([name]) => name)", ["addSourceMiddleware", "page"]),
}
"""Recipe -> what shows the calls that a vendor's script would find, and these calls in order after a grant."""
UET = "window.UET = class { constructor({ q }) { this.heard = q } push(...given) { this.heard.push(...given) } };"
NORMAL = "JSON.stringify({} ?? null, (key, value) => key && /^\\d{{4}}-\\d\\d-\\d\\dT/.test(value) ? '{}' : value)"


def test_each_vendor_has_a_recipe() -> None:
    named = [mapping.id for recipe in RECIPES.values() for mapping in recipe.policy.vendors]
    assert set(named) == set(vendors())
    assert named[0] == "google_consent_mode"
    assert [*RECIPES] == [*ORDER]


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_declares_its_recipients_and_cookies(name: str) -> None:
    policy = RECIPES[name].policy
    assert [
        sentence for sentence in vendor_advice(policy.vendors, policy.recipients) if "no recipient" in sentence
    ] == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    folder = tmp_path_factory.mktemp("recipes")
    with started("tests.support.sites.recipe_site:app", ROOT, folder / "site.log", (LOOPBACK, 0), {}) as site:
        yield Sites(site.address, "", folder / "access.jsonl")


@pytest.mark.requirement("VC-09", "VC-10", "VC-11", "VC-14")
@pytest.mark.browser
@pytest.mark.server
@pytest.mark.parametrize("name", RECIPES)
def test_tag_of_recipe_waits_and_is_told_in_order(browser: Browser, site: Sites, name: str) -> None:
    """The vendor's script is one of ours, which comes from here."""
    asked: list[str] = []

    def vendor(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(content_type="text/javascript", body=UET)

    calls, expected = ORDER[name]
    with browser.new_context() as context:
        visitor = Visitor(context, site)
        context.route(lambda address: not address.startswith(site.address), vendor)
        visitor.go(f"/{name}/")
        visitor.ready()
        expect(visitor.banner).to_be_visible()
        waits = name != "advanced-mode"
        assert bool(asked) != waits
        visitor.accept()
        of_recipe = re.findall(r'https://[^"\s?]+\.js|https://www\.clarity\.ms/tag/\w+', RECIPES[name].html)

        def asked_and_told() -> bool:
            """Whether the scripts were asked for and the calls in order. `vendor` answers while the page is asked."""
            visitor.page.evaluate("0")
            if not asked or not all(any(url.startswith(part) for url in asked) for part in of_recipe):
                return False
            return bool(json.loads(visitor.page.evaluate(NORMAL.format(calls, DATE))) == expected)

        assert eventually(asked_and_told)
        assert visitor.complaints == []
