"""Tests of the banner under Content-Security-Policies: it works and violates none."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.browsers.surroundings import policy_page
from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor
from tests.support.sites.surroundings_site import POLICIES
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

WITH_SCRIPTS = ("files", "trusted types", "nonces")
"""The policies that let our script work."""
WATCH = """
document.said = [];
addEventListener("securitypolicyviolation", it => document.said.push(`${it.effectiveDirective} ${it.blockedURI}`));
const hear = all => document.said.push(...all.map(it => `${it.type} ${it.body?.blockedURL}`));
new ReportingObserver(hear, { buffered: true }).observe();
"""
LONGEST = 10_000
WITNESS = "https://witness.example/"
"""An address that every policy here blocks. Its report shows that all earlier reports have come."""
IGNORED = (WITNESS, "/favicon.ico")
"""Addresses whose violations do not count: browsers fetch the icon by themselves."""
SCRIPT_BLOCKED = "Blocked script execution in"
"""The beginning of Chromium's message about a script in a sandbox without scripts."""


class Watched:
    """A visitor, with the errors and violations that the browser reports.

    Args:
        visitor: the visitor.

    Attributes:
        errors: errors and warnings in the console.
        violations: violations that the pages were told of.
    """

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.page = visitor, visitor.page
        self.errors: list[str] = []
        self.violations: list[str] = []
        self.page.on("console", lambda it: self.errors.extend([it.text] * (it.type in ("error", "warning"))))
        self.page.add_init_script(WATCH)
        self.page.route(f"{WITNESS}**", lambda route: route.fulfill(headers={"access-control-allow-origin": "*"}))
        httpx.get(f"{visitor.sites.address}/reports")

    def go(self, path: str) -> None:
        """Open a page."""
        self.note()
        self.visitor.go(path)

    def note(self) -> None:
        """Note the violations of the page so far, before another page replaces it."""
        if self.visitor.scripts and self.page.url.startswith("http"):
            self.violations += filter(_counts, self.page.evaluate("document.said.splice(0)"))

    def reports(self) -> list[Any]:
        """Return the violations that were reported to the server. A last violation shows that all have come."""
        self.note()
        self.page.evaluate("address => fetch(address).catch(() => {})", WITNESS)
        found: list[Any] = []

        def has_witness() -> bool:
            found.extend(self._new_reports())
            return any(report["blocked-uri"].startswith(WITNESS) for report in found)

        assert eventually(has_witness)
        self.errors[:] = list(filter(_counts, self.errors))
        return [report for report in found if _counts(report["blocked-uri"])]

    def _new_reports(self) -> list[Any]:
        reports: list[Any] = httpx.get(f"{self.visitor.sites.address}/reports").json()
        return [report["csp-report"] for report in reports]


def _counts(what: str) -> bool:
    return not any(address in what for address in IGNORED)


@pytest.fixture(scope="module")
def sites(surroundings: Sites) -> Sites:
    """The sites under test."""
    return surroundings


@pytest.fixture
def watched(new_visitor: NewVisitor) -> Watched:
    """A visitor whose browser's errors and violations are noted."""
    return Watched(new_visitor())


def answer(visitor: Visitor, choice: str) -> int:
    """Press a button that gives an answer, and return the status of the response."""
    with visitor.page.expect_response(lambda it: urlsplit(it.url).path == PREFIX, timeout=LONGEST) as answered:
        visitor.choice(choice).click()
    expect(visitor.banner).to_have_count(0)
    return answered.value.status


def expect_banner(visitor: Visitor) -> None:
    """Expect the banner with its style."""
    expect(visitor.banner).to_be_visible()
    expect(visitor.banner).to_have_css("position", "fixed")
    for choice in ("refuse_all", "accept_all"):
        expect(visitor.choice(choice)).to_be_in_viewport(ratio=1)
        expect(visitor.choice(choice)).to_have_css("background-color", "rgb(42, 115, 194)")


def refuse_then_allow_maps(watched: Watched, path: str) -> None:
    """Refuse on a page; then open the settings in place and allow maps."""
    visitor = watched.visitor
    watched.go(path)
    expect_banner(visitor)
    visitor.ready()
    visitor.mark()
    assert answer(visitor, "refuse_all") == 200
    expect(visitor.status).not_to_be_empty()
    assert visitor.is_marked
    assert visitor.state["status"] == "refused"
    watched.go(path)
    expect(visitor.banner).to_have_count(0)
    visitor.mark()
    visitor.ready()
    visitor.page.evaluate("consent.show()")
    expect_banner(visitor)
    visitor.banner.get_by_label("Maps").check()
    assert answer(visitor, "save") == 200
    assert visitor.is_marked
    assert visitor.state["status"] == "partial"


@pytest.mark.parametrize("mode", ["", "?trial"])
@pytest.mark.parametrize("name", WITH_SCRIPTS)
def test_banner_and_settings_cause_no_policy_violation(watched: Watched, name: str, mode: str) -> None:
    refuse_then_allow_maps(watched, policy_page(name) + mode)
    assert watched.reports() == []
    assert watched.violations == []
    assert watched.errors == []


@pytest.mark.parametrize("name", POLICIES)
def test_form_works_without_javascript_under_each_policy(new_visitor: NewVisitor, name: str) -> None:
    watched = Watched(new_visitor(java_script_enabled=False))
    visitor = watched.visitor
    visitor.go(policy_page(name))
    expect_banner(visitor)
    assert answer(visitor, "refuse_all") == 303
    assert visitor.path == policy_page(name)
    assert visitor.state["status"] == "refused"
    assert [error for error in watched.errors if SCRIPT_BLOCKED not in error] == []
