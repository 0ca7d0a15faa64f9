"""Tests of the banner on other people's pages: their styles and policies, a late stylesheet, and the page's end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect

from cookie_consent.pages.pages import LAYOUTS
from tests.support.browsers.life_browser import another_tab
from tests.support.browsers.surroundings import ending_page, policy_page, styled_page
from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor, with_and_without_scripts
from tests.support.policies import text_of
from tests.support.sites.surroundings_site import ENDS, FRAMEWORKS, POLICIES, STYLES, policy
from tests.support.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

Look = dict[str, dict[str, str]]
DESK, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=360, height=640)
PLACES = {"corner": DESK, "bar": DESK, "modal": PHONE}
"""Layout -> the screen that it is tested on."""
STYLED = [name for name in (*STYLES, *FRAMEWORKS) if name != "none"]
LOOK = """([selector, around]) => {
    const root = document.querySelector(selector), look = {};
    document.activeElement?.blur();
    for (const [number, element] of [root, ...root.querySelectorAll("*")].entries()) {
        const name = `${number} ${element.tagName} ${element.className}`;
        for (const pseudo of ["", "::before", "::after", ...(element.tagName === "SUMMARY" ? ["::marker"] : [])]) {
            const style = getComputedStyle(element, pseudo);
            const properties = pseudo && style.content === "none" ? ["content"] : [...style];
            look[name + pseudo] = Object.fromEntries(properties.map(it => [it, style.getPropertyValue(it)]));
        }
        const { x, y, width, height } = element.getBoundingClientRect();
        if (around) look[`${name} box`] = { x: `${x}px`, y: `${y}px`, width: `${width}px`, height: `${height}px` };
    }
    return JSON.stringify(look);
}"""
ON_TOP = """element => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return [[0.1, 0.5], [0.5, 0.1], [0.5, 0.5], [0.5, 0.9], [0.9, 0.5]].every(([x, y]) =>
        element.contains(document.elementFromPoint(left + width * x, top + height * y)));
}"""
MEASURE = re.compile(r"(-?[\d.]+)px")
SIZES = re.compile(r"(block|inline|perspective|transform|inset|margin|padding)-|width|height|left|right|top|bottom")
HOOKS = ("pchoice", "pchoice-button", "pchoice-text", "pchoice-links", "pchoice-answers", "pchoice-purposes")
MARKED = "rgb(1, 2, 3)"
PROPERTIES = {
    "back": (MARKED, ".pchoice, .pchoice-box, .pchoice-status", "background-color", MARKED),
    "text": (MARKED, ".pchoice, .pchoice h2, .pchoice a, .pchoice-box, .pchoice-status", "color", MARKED),
    "line": (MARKED, ".pchoice, .pchoice-box, .pchoice-status", "border-top-color", MARKED),
    "fill": (MARKED, ".pchoice-button", "background-color", MARKED),
    "on-fill": (MARKED, ".pchoice-button", "color", MARKED),
    "wrong": (MARKED, ".pchoice-alert", "border-left-color", MARKED),
    "ring": (MARKED, ".pchoice [name=choice]:focus", "outline-color", MARKED),
    "radius": ("21px", ".pchoice, .pchoice-box, .pchoice-status", "border-top-left-radius", "21px"),
    "font": ("monospace", ".pchoice, .pchoice p, .pchoice-box, .pchoice-status", "font-family", "monospace"),
    "size": ("21px", ".pchoice, .pchoice-box, .pchoice-status", "font-size", "21px"),
    "width": ("421px", ".pchoice, .pchoice-status", "width", "421px"),
    "gap": ("42px", ".pchoice, .pchoice-status", "left", "42px"),
    "shadow": (f"{MARKED} 1px 2px 3px 4px", ".pchoice", "box-shadow", f"{MARKED} 1px 2px 3px 4px"),
    "scheme": ("dark", ".pchoice, .pchoice-box, .pchoice-status", "background-color", "rgb(18, 18, 18)"),
}
"""A property without its prefix -> its value, the elements that show it, the CSS property, and its expected value."""


OPEN = """async it => {
    it.open = true;
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame);  // what follows from it has been done
    it.parentElement.scrollTop = 0;
}"""


@pytest.fixture(scope="module")
def sites(surroundings: Sites) -> Sites:
    """The sites under test."""
    return surroundings


@pytest.fixture(scope="module")
def plain_looks(browser: Browser, sites: Sites) -> dict[str, Look]:
    """The look of the banner on a page without styles: layout -> look."""
    with browser.new_context() as context:
        visitor = Visitor(context, sites)
        return {layout: look_at(visitor, "none", layout) for layout in LAYOUTS}


def look_at(visitor: Visitor, style: str, layout: str) -> Look:
    """Return the look of the unfolded banner on a page with a style."""
    visitor.page.set_viewport_size(PLACES[layout])
    visitor.go(styled_page(style, layout))
    visitor.page.wait_for_selector(".pchoice:is(:popover-open, :modal)", state="attached")
    visitor.banner.locator("details").evaluate(OPEN)
    return look(visitor, ".pchoice", around=True)


def look(visitor: Visitor, selector: str, *, around: bool) -> Look:
    """Return the computed styles of an element and its descendants; `around` adds their places."""
    found: Look = json.loads(visitor.page.evaluate(LOOK, [selector, around]))
    return found


def is_near(one: str, other: str) -> bool:
    """Return whether two values are equal, with a tolerance of one pixel."""
    ones, others = MEASURE.split(one), MEASURE.split(other)
    return ones[::2] == others[::2] and all(
        abs(float(left) - float(right)) <= 1 for left, right in zip(ones[1::2], others[1::2], strict=True)
    )


def differences(one: Look, other: Look) -> list[str]:
    """Return the differences of two looks."""
    assert one.keys() == other.keys()
    return [
        f"{name} {{ {property_}: {value} -> {other[name].get(property_)} }}"
        for name, values in one.items()
        for property_, value in values.items()
        if property_ != "color-scheme"  # the page's, as documented
        and value != other[name].get(property_)
        and not is_near(value, other[name].get(property_, ""))
    ]


def style_of(element: Locator, name: str) -> str:
    """Return a computed style."""
    value: str = element.evaluate("(it, name) => getComputedStyle(it).getPropertyValue(name)", name)
    return value


def add_rules(visitor: Visitor, *rules: str) -> None:
    """Add rules to the page, before our stylesheet, as a site does."""
    visitor.page.evaluate(
        "rules => document.head.prepend(Object.assign(document.createElement('style'), { textContent: rules }))",
        "\n".join(rules),
    )


# Styles of the page


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test each style with all layouts; outside the full matrix with one, in turn."""
    if "layouts" in metafunc.fixturenames:
        turns = [[layout] for _, layout in zip(STYLED, cycle(LAYOUTS), strict=False)]
        layouts = [LAYOUTS] * len(STYLED) if metafunc.config.getoption("--full-matrix") else turns
        metafunc.parametrize(("style", "layouts"), [*zip(STYLED, layouts, strict=True)], ids=STYLED)


@pytest.mark.each_value(at_most=3)
def test_page_styles_do_not_change_or_cover_banner(
    new_visitor: NewVisitor, plain_looks: dict[str, Look], style: str, layouts: Sequence[str]
) -> None:
    visitor = new_visitor()
    for layout in layouts:
        assert differences(plain_looks[layout], look_at(visitor, style, layout)) == [], layout
        for part in (visitor.banner, *visitor.banner.locator(".pchoice-answers button:visible").all()):
            assert part.evaluate(ON_TOP), layout


# Rules for our classes and properties


@pytest.mark.each_value(at_most=3)
@pytest.mark.parametrize("hook", [*HOOKS, "pchoice-box", "pchoice-status"])
def test_important_rule_for_class_applies(new_visitor: NewVisitor, hook: str) -> None:
    visitor = new_visitor()
    visitor.go(f"{styled_page('none')}?box")
    add_rules(visitor, f".{hook} {{ background-color: {MARKED} !important; display: grid !important }}")
    if hook == "pchoice-status":
        visitor.refuse()
        expect(visitor.status).not_to_be_empty()
    elements = visitor.page.locator(f".{hook}").all()
    assert elements
    for element in elements:
        assert style_of(element, "background-color") == MARKED
        assert style_of(element, "display") == "grid"


@pytest.mark.each_value(at_most=3)
@pytest.mark.parametrize("name", PROPERTIES)
def test_custom_property_of_root_sets_look(new_visitor: NewVisitor, name: str) -> None:
    value, selector, shown, expected = PROPERTIES[name]
    visitor = new_visitor()
    visitor.page.set_viewport_size(DESK)
    visitor.go(f"{styled_page('none')}?box")
    before = show_all(visitor, shown, selector)
    visitor.context.clear_cookies()
    visitor.go(f"{styled_page('none')}?box")
    add_rules(visitor, f":root {{ --pchoice-{name}: {value} }}")
    after = show_all(visitor, shown, selector)
    assert set(after) == {expected}
    assert expected not in before
    assert len(after) == len(before) >= selector.count(",") + 1


def show_all(visitor: Visitor, property_: str, selector: str) -> list[str]:
    """Return a style of all elements that match a selector, also of the message after an answer."""

    def found() -> list[Any]:
        return [style_of(element, property_) for element in visitor.page.locator(selector).all()]

    visitor.page.route("**/privacy-choices", lambda route: route.abort())
    visitor.choice("refuse_all").focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.alert).not_to_be_empty()
    styles = found()
    if ".pchoice-status" not in selector:
        return styles
    visitor.page.unroute_all()
    visitor.refuse()
    expect(visitor.status).not_to_be_empty()
    return styles + found()


# Policies of the page

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


# Our stylesheet held open, or not to be had

PAINTED = "performance.getEntriesByName('first-contentful-paint').length === 1"
STYLESHEET = "**/choices.*.css"


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


@with_and_without_scripts
@pytest.mark.parametrize("name", ["files", "trusted types", "no scripts"])
def test_banner_with_linked_stylesheet_is_never_seen_without_it(
    new_visitor: NewVisitor, name: str, scripts: bool
) -> None:
    visitor = new_visitor(java_script_enabled=scripts)
    held: list[Route] = []
    visitor.page.route(STYLESHEET, lambda route: held.append(route))
    httpx.get(f"{visitor.sites.address}/reports")
    visitor.page.goto(visitor.sites.address + policy_page(name), wait_until="commit")
    assert eventually(lambda: not visitor.page.evaluate(PAINTED) and held)
    visitor.page.route(STYLESHEET, lambda route: route.continue_())
    for route in held:
        route.continue_()
    expect_styled(visitor)
    visitor.refuse()
    if name != "no scripts":  # the page of the test has a script of its own
        expect_no_violation(visitor)


def test_banner_is_shown_when_stylesheet_cannot_be_had(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.page.route(STYLESHEET, lambda route: route.abort())
    visitor.go(policy_page("files"))
    expect(visitor.banner).to_be_visible()
    visitor.refuse()
    assert visitor.state["status"] == "refused"


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
    expect(visitor.banner.locator("button:not([type=submit])")).to_be_hidden()
    visitor.banner.locator("summary").click()
    expect(visitor.banner.locator("[value=save]:not([hidden])")).to_be_visible()
    visitor.refuse()
    assert visitor.state["status"] == "refused"


# The link to the settings at the end of the page

TALL_PHONE = ViewportSize(width=390, height=844)
LINK = "[data-privacy-settings]"
WIDENS = "() => document.documentElement.scrollWidth > innerWidth"


@pytest.fixture(scope="module")
def refusing_visitor(browser: Browser, sites: Sites) -> Iterator[Visitor]:
    """A visitor who has refused."""
    with browser.new_context() as context:
        visitor = Visitor(context, sites)
        refuse(visitor)
        yield visitor


def refuse(visitor: Visitor) -> None:
    own = {"sec-fetch-site": "same-origin"}
    assert visitor.context.request.post(visitor.sites.address + PREFIX, data={"choice": "refuse_all"}, headers=own).ok


def middle_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2


def shown(visitor: Visitor, name: str, screen: ViewportSize, **more: str) -> Locator:
    """Open a page and return its link."""
    visitor.page.set_viewport_size(screen)
    visitor.go(ending_page(name, **more))
    return visitor.page.locator(LINK)


@pytest.mark.each_value(at_most=4)
@pytest.mark.parametrize("screen", [DESK, TALL_PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", [*ENDS, "bootstrap", "pico", "tailwind"])
def test_link_is_large_and_centred_below_the_page(refusing_visitor: Visitor, name: str, screen: ViewportSize) -> None:
    visitor = refusing_visitor
    link = shown(visitor, name, screen)
    expect(link).to_have_text("Privacy settings: refused")
    box = link.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    # Inside of the page's margins; in a row, there is no room but below it.
    page = visitor.page.locator("body")
    centre = screen["width"] / 2 if name in ("card", "columns") else middle_of(page)
    assert middle_of(link) == pytest.approx(centre, abs=1)
    ends = [it["y"] + it["height"] for part in ("main", "footer") if (it := visitor.page.locator(part).bounding_box())]
    assert box["y"] >= max(ends) - 1
    assert not visitor.page.evaluate(WIDENS)


def test_link_says_what_holds_after_each_answer_in_place_and_in_another_tab(
    new_visitor: NewVisitor, sites: Sites
) -> None:
    visitor = new_visitor()
    visitor.sites = sites
    other = another_tab(visitor)
    links = [shown(tab, "narrow", DESK) for tab in (visitor, other)]
    for tab in (visitor, other):
        tab.ready()
    for link in links:
        expect(link).to_have_text("Privacy settings")
    visitor.refuse()
    for link in links:
        expect(link).to_have_text("Privacy settings: refused")
    expect(visitor.status).to_contain_text("You refused all purposes")
    links[1].click()
    other.accept()
    for link in links:
        expect(link).to_have_text("Privacy settings: accepted")
    # What a message said holds no more.
    expect(visitor.status).to_be_empty()
