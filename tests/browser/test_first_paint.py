"""Tests with our stylesheet held open, or not to be had: the page never waits for it, and says nothing untrue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatch

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browsers.surroundings import policy_page, styled_page, surroundings_site
from tests.support.browsers.visitor_browser import NewVisitor, Sites, Visitor, with_and_without_scripts
from tests.support.policies import text_of
from tests.support.sites.surroundings_site import policy
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

PAINTED = "performance.getEntriesByName('first-contentful-paint').length === 1"
SCRIPTS_RAN = "document.readyState === 'interactive' && 'consent' in window"
STYLESHEET = "**/choices.*.css"
WATCH_DISPLAY = """
window.displays = [];
requestAnimationFrame(function look() {
    const question = document.querySelector(".pchoice");
    if (question) displays.push(getComputedStyle(question).display);
    requestAnimationFrame(look);
});
"""


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """The sites under test."""
    with surroundings_site(tmp_path_factory.mktemp("surroundings")) as sites:
        yield sites


def open_without_stylesheet(visitor: Visitor, path: str) -> Callable[[], None]:
    """Open a page while requests for our stylesheet stay unanswered; return what answers them."""
    held: list[Route] = []
    visitor.page.route(STYLESHEET, lambda route: held.append(route))
    httpx.get(f"{visitor.sites.address}/reports")
    visitor.page.goto(visitor.sites.address + path, wait_until="commit")
    assert eventually(lambda: visitor.page.evaluate(PAINTED))
    expect(visitor.page.locator("main")).to_be_visible()

    def release() -> None:
        visitor.page.route(STYLESHEET, lambda route: route.continue_())
        for route in held:
            route.continue_()

    return release


def expect_styled(visitor: Visitor) -> None:
    expect(visitor.banner).to_be_visible()
    expect(visitor.banner).to_have_css("position", "fixed")


def expect_no_violation(visitor: Visitor) -> None:
    visitor.page.wait_for_load_state()
    assert httpx.get(f"{visitor.sites.address}/reports").json() == []


@with_and_without_scripts
@pytest.mark.parametrize("path", [styled_page("none"), policy_page("nonces"), f"{policy_page('nonces')}?apart"])
def test_banner_with_inline_style_requests_no_stylesheet(new_visitor: NewVisitor, path: str, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    open_without_stylesheet(visitor, path)
    expect_styled(visitor)
    visitor.page.wait_for_load_state()
    assert not [request.url for request in visitor.requests() if fnmatch(request.url, STYLESHEET)]
    expect_no_violation(visitor)


def test_first_frame_does_not_wait_for_the_question(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.add_init_script(WATCH_DISPLAY)
    visitor.page.route("**/choices.*.js", lambda _: None)
    visitor.page.goto(visitor.sites.address + styled_page("none"), wait_until="commit")
    expect_styled(visitor)
    displays = visitor.page.evaluate("displays")
    assert displays[0] == "none"
    assert displays[-1] == "block"


def test_page_that_pauses_its_animations_has_the_question(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.add_init_script("""addEventListener("DOMContentLoaded", () => {
        document.head.append(Object.assign(document.createElement("style"), {
            textContent: "* { animation-play-state: paused !important; animation-duration: 9s !important }"
        }));
    })""")
    visitor.page.route("**/choices.*.js", lambda route: route.abort())
    visitor.page.goto(visitor.sites.address + styled_page("none"))
    expect_styled(visitor)


@with_and_without_scripts
@pytest.mark.parametrize("name", ["files", "trusted types", "no scripts"])
def test_page_with_deferred_stylesheet_is_painted_before_it(new_visitor: NewVisitor, name: str, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    release = open_without_stylesheet(visitor, policy_page(name))
    expect(visitor.banner).to_be_hidden()
    release()
    expect_styled(visitor)
    visitor.refuse()
    if name != "no scripts":  # the page of the test has a script of its own
        expect_no_violation(visitor)


def test_scripts_of_page_do_not_wait_for_deferred_stylesheet(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    release = open_without_stylesheet(visitor, policy_page("files"))
    assert eventually(lambda: visitor.page.evaluate(SCRIPTS_RAN))
    release()
    expect_styled(visitor)


@with_and_without_scripts
def test_dialog_with_deferred_stylesheet_opens_with_it(new_visitor: NewVisitor, scripts: bool) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    release = open_without_stylesheet(visitor, f"/modal{policy_page('files')}")
    expect(visitor.banner).to_be_hidden()
    release()
    expect_styled(visitor)
    expect(visitor.page.locator(".pchoice:modal")).to_have_count(1 if scripts else 0)


def test_banner_is_shown_when_deferred_stylesheet_cannot_be_had(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.route(STYLESHEET, lambda route: route.abort())
    visitor.go(policy_page("files"))
    expect(visitor.banner).to_be_visible()
    visitor.refuse()
    assert visitor.state["status"] == "refused"


def test_file_is_loaded_where_a_proxy_forbids_the_inline_style(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()

    def forbid(route: Route) -> None:
        response = route.fetch()
        headers = response.headers | {"content-security-policy": "style-src 'self'"}
        route.fulfill(response=response, headers=headers)

    visitor.page.route(f"**{styled_page('none')}", forbid)
    visitor.go(styled_page("none"))
    expect_styled(visitor)
    expect(visitor.page.locator("style.pchoice-style")).to_have_count(0)


def test_box_and_what_follows_it_are_painted_before_stylesheet(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.go(styled_page("none"))
    visitor.refuse()
    release = open_without_stylesheet(visitor, f"{styled_page('none')}?box")
    box = visitor.page.locator(".pchoice-box")
    expect(box).to_be_visible()
    assert eventually(lambda: visitor.page.evaluate(SCRIPTS_RAN))
    release()
    expect(box).to_have_css("border-top-width", "1px")


def test_question_that_is_swapped_in_gets_its_stylesheet(new_visitor: NewVisitor) -> None:
    """Libraries put the body of another page into the page, which keeps its own policy."""
    visitor = new_visitor()
    swap = """async path => {
        const page = await (await fetch(path)).text();
        document.body.replaceWith(new DOMParser().parseFromString(page, "text/html").body);
    }"""
    for path in (styled_page("none"), policy_page("files"), policy_page("nonces")):
        visitor.go(path)
        expect_styled(visitor)
        visitor.page.evaluate(swap, path)
        expect(visitor.page.locator(".pchoice[data-live]")).to_have_count(1)
        if path != policy_page("nonces"):  # another page's nonce does not count
            expect_styled(visitor)
        expect(visitor.banner).to_be_visible()


def test_stylesheet_is_no_text_of_page_that_shows_all(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.go(styled_page("inline"))
    expect(visitor.page.locator("style.pchoice-style")).to_have_css("display", "none")


# Without the stylesheet nothing untrue is said.


def without_is(page: Page) -> None:
    """Take the rules that browsers before 2021 drop out of our stylesheet."""
    page.evaluate(
        r"""() => {
            const style = document.querySelector(".pchoice-style"), rules = [...style.sheet.cssRules];
            const dropped = /:is\(|:not\([^)]*[,#]/;
            style.textContent = rules.map(it => it.cssText).filter(it => !dropped.test(it)).join("");
        }"""
    )


UNTRUE = text_of(policy(), "en", "cookies_blocked")
"""Until it is known that the browser keeps no cookies."""


@with_and_without_scripts
@pytest.mark.parametrize("layout", ["corner", "bar", "modal"])
@pytest.mark.parametrize("without", ["stylesheet", ":is()"])
def test_banner_without_its_rules_says_nothing_untrue(
    new_visitor: NewVisitor, layout: str, without: str, scripts: bool
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    visitor.go(styled_page("none", layout))
    if without == ":is()":
        without_is(visitor.page)
    else:
        visitor.page.evaluate("document.querySelector('.pchoice-style').remove()")
    text = visitor.banner.inner_text()
    assert UNTRUE not in text
    assert "Refuse all" in text
    expect(visitor.banner.locator("button:not([type=submit])")).to_have_count(0)
    visitor.banner.locator("summary").click()
    expect(visitor.banner.locator("[value=save]:not([hidden])")).to_be_visible()
    visitor.refuse()
    assert visitor.state["status"] == "refused"


@pytest.mark.parametrize("path", ["/privacy-choices", f"{styled_page('none')}?box"])
def test_pages_without_stylesheet_say_nothing_untrue(new_visitor: NewVisitor, path: str) -> None:
    visitor = new_visitor(java_script_enabled=False)
    visitor.page.route("**/*.css", lambda route: route.abort())
    visitor.go(path)
    assert UNTRUE not in visitor.page.locator("body").inner_text()


@pytest.mark.parametrize(
    "path", [styled_page("none"), policy_page("files"), styled_page("bootstrap"), "/privacy-choices"]
)
def test_who_keeps_no_cookies_is_told_after_the_answer(new_visitor: NewVisitor, path: str) -> None:
    """The answer's form leads to this fragment. Bootstrap says [hidden] { display: none !important }."""
    visitor = new_visitor(java_script_enabled=False)
    visitor.go(f"{path}#pchoice")
    expect(visitor.page.locator("#pchoice")).to_be_visible()
    expect(visitor.page.locator("#pchoice")).to_contain_text(UNTRUE)
