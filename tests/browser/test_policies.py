"""The question under the Content-Security-Policies that sites have: it works, and nothing in it is against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.browsers.surroundings import governed, surroundings
from tests.support.browsers.visitor_browser import PREFIX, Sites, Visitor, soon
from tests.support.sites.surroundings_site import POLICIES

pytestmark = pytest.mark.browser

Arrive = Callable[..., Visitor]
WITH_SCRIPTS = ("files", "trusted types", "nonces")
"""The policies under which our script can do all that it does."""
WATCH = """
document.said = [];
addEventListener("securitypolicyviolation", it => document.said.push(`${it.effectiveDirective} ${it.blockedURI}`));
const hear = all => document.said.push(...all.map(it => `${it.type} ${it.body?.blockedURL}`));
new ReportingObserver(hear, { buffered: true }).observe();
"""
LONGEST = 10_000
WITNESS = "https://witness.example/"
"""What no policy here lets a page fetch."""
UNASKED = (WITNESS, "/favicon.ico")
"""What is no doing of ours. Browsers fetch the icon by themselves."""
NOT_RUN = "Blocked script execution in"
"""What Chromium says of each script on a page that is in a sandbox without scripts."""


class Watched:
    """A visitor, and all that the browser says against what happens on the pages that they see.

    Args:
        visitor: who visits.

    Attributes:
        errors: what was said in the console.
        violations: what was said to the pages.
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
        """Note what was said to the page so far, before another one takes its place."""
        if self.visitor.scripts and self.page.url.startswith("http"):
            self.violations += filter(_is_asked, self.page.evaluate("document.said.splice(0)"))

    def reports(self) -> list[Any]:
        """Return what was reported to the server; complete once that of a last violation has come."""
        self.note()
        self.page.evaluate("address => fetch(address).catch(() => {})", WITNESS)
        found: list[Any] = []

        def has_witness() -> bool:
            found.extend(self._new_reports())
            return any(report["blocked-uri"].startswith(WITNESS) for report in found)

        assert soon(has_witness)
        self.errors[:] = list(filter(_is_asked, self.errors))
        return [report for report in found if _is_asked(report["blocked-uri"])]

    def _new_reports(self) -> list[Any]:
        reports: list[Any] = httpx.get(f"{self.visitor.sites.address}/reports").json()
        return [report["csp-report"] for report in reports]


def _is_asked(what: str) -> bool:
    return not any(address in what for address in UNASKED)


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """Where visitors arrive here."""
    with surroundings(tmp_path_factory.mktemp("surroundings")) as sites:
        yield sites


@pytest.fixture
def watched(arrive: Arrive) -> Watched:
    """Somebody whose browser is listened to."""
    return Watched(arrive())


def answer(visitor: Visitor, choice: str) -> int:
    """Press a button that gives an answer, and return the status of what the server says to it."""
    with visitor.page.expect_response(lambda it: urlsplit(it.url).path == PREFIX, timeout=LONGEST) as answered:
        visitor.choice(choice).click()
    expect(visitor.banner).to_have_count(0)
    return answered.value.status


def expect_the_question(visitor: Visitor) -> None:
    """Expect that it stands on the page, with its style."""
    expect(visitor.banner).to_be_visible()
    expect(visitor.banner).to_have_css("position", "fixed")
    for choice in ("refuse_all", "accept_all"):
        expect(visitor.choice(choice)).to_be_in_viewport(ratio=1)
        expect(visitor.choice(choice)).to_have_css("background-color", "rgb(42, 115, 194)")


def refuse_and_think_again(watched: Watched, path: str) -> None:
    """Refuse on a page; come back, open the settings in place, and accept."""
    visitor = watched.visitor
    watched.go(path)
    expect_the_question(visitor)
    visitor.mark()
    assert answer(visitor, "refuse_all") == 200
    expect(visitor.status).not_to_be_empty()
    assert visitor.is_marked
    assert visitor.state["status"] == "refused"
    watched.go(path)
    expect(visitor.banner).to_have_count(0)
    visitor.mark()
    visitor.page.evaluate("consent.ready.then(() => consent.show())")
    expect_the_question(visitor)
    visitor.banner.get_by_label("Maps").check()
    assert answer(visitor, "save") == 200
    assert visitor.is_marked
    assert visitor.state["status"] == "partial"


@pytest.mark.parametrize("mode", ["", "?trial"])
@pytest.mark.parametrize("name", WITH_SCRIPTS)
def test_banner_and_settings_cause_no_policy_violation(watched: Watched, name: str, mode: str) -> None:
    refuse_and_think_again(watched, governed(name) + mode)
    assert watched.reports() == []
    assert watched.violations == []
    assert watched.errors == []


def test_separate_nonces_for_scripts_and_styles_work(watched: Watched) -> None:
    refuse_and_think_again(watched, f"{governed('nonces')}?apart")
    assert watched.reports() == []
    assert watched.violations == []
    assert watched.errors == []


@pytest.mark.parametrize("name", POLICIES)
def test_form_works_without_javascript_under_each_policy(arrive: Arrive, name: str) -> None:
    watched = Watched(arrive(java_script_enabled=False))
    visitor = watched.visitor
    visitor.go(governed(name))
    expect_the_question(visitor)
    assert answer(visitor, "refuse_all") == 303
    assert visitor.path == governed(name)
    assert visitor.state["status"] == "refused"
    assert [error for error in watched.errors if NOT_RUN not in error] == []


def test_form_works_in_sandbox_without_scripts(watched: Watched) -> None:
    visitor = watched.visitor
    visitor.go(governed("sandbox"))
    expect_the_question(visitor)
    assert answer(visitor, "refuse_all") == 303
    assert visitor.path == governed("sandbox")
    assert visitor.state["status"] == "refused"
    visitor.page.get_by_role("link", name="Privacy settings").click()
    expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    assert answer(visitor, "accept_all") == 303
    assert visitor.state["status"] == "granted"
    assert {error.partition("'")[0].strip() for error in watched.errors} == {NOT_RUN}


def test_form_is_sent_when_policy_blocks_connections(watched: Watched) -> None:
    visitor, path = watched.visitor, governed("no connections")
    watched.go(path)
    expect_the_question(visitor)
    assert watched.reports() == []
    visitor.mark()
    assert answer(visitor, "refuse_all") == 303
    assert not visitor.is_marked
    assert visitor.path == path
    assert visitor.state["status"] == "refused"
    expect(visitor.banner).to_have_count(0)
    visitor.page.wait_for_load_state()
    visitor.page.evaluate("consent.ready.then(() => consent.show())")
    expect(visitor.page.get_by_role("heading", name="Privacy settings")).to_be_visible()
    assert answer(visitor, "accept_all") == 303
    assert visitor.path == path
    assert visitor.state["status"] == "granted"
    assert {report["effective-directive"] for report in watched.reports()} == {"connect-src"}


def test_report_only_policy_blocks_nothing(watched: Watched) -> None:
    refuse_and_think_again(watched, f"{governed('no connections')}?trial")
    assert {report["disposition"] for report in watched.reports()} == {"report"}
