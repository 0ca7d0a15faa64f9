"""Tests of the banner's place and size, on pages of all styles: little is covered, and both answers are alike.

Also: the rules and properties that a site may set, and the link at the end of the page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import cycle, product
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests.support.browsers.visitor_browser import Sites, Visitor, serve
from tests.support.sites.house import ENDS, FRAMEWORKS, STYLES
from tests.support.sites.share_site import LANGUAGES, LINKS
from tests.support.sites.share_site import app as share_app

pytestmark = [pytest.mark.browser, pytest.mark.each_value]

SCREENS = {
    "320 x 568": ViewportSize(width=320, height=568),
    "360 x 640": ViewportSize(width=360, height=640),
    "390 x 844": ViewportSize(width=390, height=844),
    "768 x 1024": ViewportSize(width=768, height=1024),
    "1440 x 900": ViewportSize(width=1440, height=900),
}
SHARE = """selector => {
    const { left, right, top, bottom } = document.querySelector(selector).getBoundingClientRect();
    const wide = Math.min(right, innerWidth) - Math.max(left, 0);
    const high = Math.min(bottom, innerHeight) - Math.max(top, 0);
    return 100 * wide * high / (innerWidth * innerHeight);
}"""
# Japanese letters are one em wide. Where no font has them, each is a narrower box, and is widened.
WIDEN_JAPANESE = r"""() => {
    const banner = document.querySelector(".pchoice"), pen = document.createElement("canvas").getContext("2d");
    pen.font = `100px ${getComputedStyle(banner).fontFamily}`;
    const missing = 1 - pen.measureText("語").width / 100;
    const walker = document.createTreeWalker(banner, NodeFilter.SHOW_TEXT), texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    for (const text of texts) {
        const parts = text.data.split(/([\u3000-\u9fff\uff00-\uffef]+)/).map((part, n) => {
            if (n % 2 === 0) return part;
            const wide = document.createElement("span");
            wide.style.letterSpacing = `${missing}em`;
            wide.textContent = part;
            return wide;
        });
        if (parts.length > 1) text.replaceWith(...parts);
    }
}"""
Look = dict[str, dict[str, str]]
NewBanner = Callable[[str, str], Page]
"""Shows the banner in a layout and a language."""
LAYOUTS = ("corner", "bar", "modal")
SHORT, LONG = ("en",), ("de", "fr", "ja")
"""A translation says one thing more: which language prevails."""
LIMITS = {
    ("corner", SHORT): (45, 38, 30, 12, 7),
    ("corner", LONG): (58, 48, 38, 15, 9),
    ("bar", SHORT): (45, 38, 30, 12, 12),
    ("bar", LONG): (58, 48, 38, 18, 12),
    ("modal", SHORT): (47, 38, 30, 15, 9),
    ("modal", LONG): (58, 48, 38, 17, 10),
}
"""Layout and languages -> the percentage of each window that the banner may cover."""
FROM_360 = {name: size for name, size in SCREENS.items() if size["width"] >= 360}
SMALL = {
    "phone": ViewportSize(width=320, height=568),
    "landscape": ViewportSize(width=640, height=360),
    "enlarged": ViewportSize(width=320, height=256),  # a window of 1280 x 1024 at 400 % (WCAG 1.4.10)
}
MOST_TAB_STOPS = 4
"""Before the button that accepts."""
CONTROLS = "a, button, summary, input"
ANSWERS = "button[value=refuse_all], button[value=accept_all]"
SCROLLED = """it => [it, ...it.querySelectorAll("*")]
    .filter(it => it.scrollHeight > it.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(it).overflowY))
    .map(it => it.outerHTML.slice(0, 40))"""
PINNED = f"""it => [...it.querySelectorAll("*")]
    .filter(it => /sticky|fixed/.test(getComputedStyle(it).position) && it.checkVisibility())
    .filter(it => !it.matches("{ANSWERS}") && !it.querySelector("{ANSWERS}")
        || it.querySelector(":is({CONTROLS}):not({ANSWERS})"))
    .map(it => it.outerHTML.slice(0, 40))"""
OUTSIDE = f"""it => [...it.querySelectorAll("{CONTROLS}")].filter(it => it.checkVisibility()).filter(it => {{
    const {{ left, right, top, bottom }} = it.getBoundingClientRect();
    return left < 0 || top < 0 || right > innerWidth || bottom > innerHeight;
}}).map(it => it.textContent)"""
HIDDEN = f"""it => [...it.querySelectorAll("{CONTROLS}")].filter(it => it.checkVisibility()).filter(it => {{
    it.scrollIntoView({{ block: "nearest" }});
    const [box] = it.getClientRects();
    return !it.contains(document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2));
}}).map(it => it.textContent)"""
LOOKS = [
    *("font-family", "font-size", "font-weight", "line-height", "text-transform", "text-decoration-line"),
    *("color", "background-color", "background-image", "box-shadow", "opacity", "visibility", "filter", "transform"),
    *("border-top-color", "border-top-style", "border-top-width", "border-top-left-radius"),
    *("padding-top", "padding-left", "cursor"),
]
LOOK = """(buttons, names) => buttons.map(button => {
    const { width, height } = button.getBoundingClientRect(), style = getComputedStyle(button);
    return { width, height, look: Object.fromEntries(names.map(name => [name, style[name]])) };
})"""
FOCUSED = """() => {
    const it = document.activeElement;
    if (it === document.body) return null;
    const places = [[0.5, 0.5], [0.1, 0.5], [0.9, 0.5], [0.5, 0.2], [0.5, 0.8]];
    return [it.textContent, [...it.getClientRects()].some(box => places.some(([x, y]) => {
        const top = document.elementFromPoint(box.left + box.width * x, box.top + box.height * y);
        return top && it.contains(top);
    }))];
}"""
"""The text of the element that has the focus, and whether it is visible; null for none."""
WATCH_SHIFTS = """
document.shifts = [];
document.watching = new PerformanceObserver(list => document.shifts.push(...list.getEntries()));
document.watching.observe({ type: "layout-shift", buffered: true });
"""
SHIFTS = """async () => {
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame);
    document.shifts.push(...document.watching.takeRecords());
    return document.shifts.map(shift =>
        [shift.value, ...shift.sources.map(({ node, previousRect: from, currentRect: to }) =>
            `${node?.nodeName} "${node?.textContent}" ${from.top}-${from.bottom} -> ${to.top}-${to.bottom}`)]);
}"""
DESK = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=360, height=640)
TALL_PHONE = ViewportSize(width=390, height=844)
STYLED = [name for name in (*STYLES, *FRAMEWORKS) if name != "none"]
COMPUTED = """selector => {
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
        look[`${name} box`] = { x: `${x}px`, y: `${y}px`, width: `${width}px`, height: `${height}px` };
    }
    return JSON.stringify(look);
}"""
ON_TOP = """element => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return [[0.1, 0.5], [0.5, 0.1], [0.5, 0.5], [0.5, 0.9], [0.9, 0.5]].every(([x, y]) =>
        element.contains(document.elementFromPoint(left + width * x, top + height * y)));
}"""
MEASURE = re.compile(r"(-?[\d.]+)px")
HOOKS = [
    *("pchoice", "pchoice-button", "pchoice-text", "pchoice-links", "pchoice-answers", "pchoice-purposes"),
    *("pchoice-box", "pchoice-status"),
]
MARKED = "rgb(1, 2, 3)"
COLOURS_AND_SIZES = {
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
}
"""A property without its prefix -> its value, the elements that show it, the CSS property, and its expected value."""
SCHEME = ("dark", ".pchoice, .pchoice-box, .pchoice-status", "background-color", "rgb(18, 18, 18)")


OPEN = """async it => {
    it.open = true;
    for (const _ of [1, 2]) await new Promise(requestAnimationFrame);  // what follows from it has been done
    it.parentElement.scrollTop = 0;
}"""


@pytest.fixture(scope="module")
def new_banner(browser: Browser) -> Iterator[NewBanner]:
    """Shows the banner to somebody who has not answered, as wide as where all fonts are; in one page for all tests."""
    with serve(share_app) as site, browser.new_context() as context:
        page = context.new_page()

        def new_banner(layout: str, language: str) -> Page:
            context.clear_cookies()
            page.set_viewport_size(SCREENS["1440 x 900"])
            page.goto(f"{site.address}/{layout}/{language}/")
            page.locator(".pchoice[data-live]").wait_for()
            page.evaluate(WIDEN_JAPANESE)
            return page

        yield new_banner


def shares(page: Page) -> dict[str, float]:
    """Return the percentage of the window that the banner covers: size of the window -> percentage."""
    found = {}
    for name, size in SCREENS.items():
        page.set_viewport_size(size)
        found[name] = round(page.evaluate(SHARE, ".pchoice"), 1)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Test all combinations; outside the full matrix each language and style with one layout, in turn."""
    for name, values in (("language", LANGUAGES), ("style", STYLED)):
        if name in metafunc.fixturenames:
            in_turns = zip(cycle(LAYOUTS), values, strict=False)
            rows = list(product(LAYOUTS, values) if metafunc.config.getoption("--full-matrix") else in_turns)
            metafunc.parametrize(("layout", name), rows)


@pytest.mark.requirement("UI-03", "UI-04", "UI-13")
def test_banner_covers_little_and_shows_both_answers_alike_in_each_window(
    new_banner: NewBanner, layout: str, language: str
) -> None:
    page = new_banner(layout, language)
    limits = LIMITS[layout, SHORT if language in SHORT else LONG]
    assert {size: share for (size, share), most in zip(shares(page).items(), limits, strict=True) if share > most} == {}
    for name, size in {**SCREENS, **SMALL}.items():
        page.set_viewport_size(size)
        check_answers(page, name)
    for name, size in FROM_360.items():
        page.set_viewport_size(size)
        assert page.locator(".pchoice form").evaluate(SCROLLED) == [], name
        assert page.locator(".pchoice").evaluate(OUTSIDE) == [], name


def check_answers(page: Page, name: str) -> None:
    """Check that both answers look alike, and are in view."""
    buttons = page.locator(".pchoice").locator(ANSWERS)
    refuse, accept = buttons.evaluate_all(LOOK, LOOKS)
    assert abs(refuse["width"] - accept["width"]) < 1, name
    assert refuse["height"] == accept["height"] >= 44, name
    assert refuse["look"] == accept["look"], name
    if name in SCREENS:
        for button in buttons.all():
            expect(button).to_be_in_viewport(ratio=1)


@pytest.mark.requirement("AX-03")
def test_open_purposes_and_small_windows_scroll_the_whole_form(
    new_banner: NewBanner, layout: str, language: str
) -> None:
    page = new_banner(layout, language)
    form = page.locator(".pchoice form")
    for name, size in SMALL.items():
        page.set_viewport_size(size)
        assert [it for it in form.evaluate(SCROLLED) if not it.startswith("<form")] == [], name
        assert form.evaluate(PINNED) == [], name
        assert form.evaluate(HIDDEN) == [], name
    page.set_viewport_size(SCREENS["1440 x 900"])
    page.locator(".pchoice summary").click()
    for name, size in FROM_360.items():
        page.set_viewport_size(size)
        assert page.locator(".pchoice-button[value=save]").is_visible()
        assert form.evaluate(SCROLLED) == [], name
        assert page.locator(".pchoice-answers").evaluate(OUTSIDE) == [], name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_banner_and_answer_cause_no_layout_shift_and_few_tab_stops_come_before_accepting(
    new_banner: NewBanner, layout: str
) -> None:
    page = new_banner(layout, "en")
    stops: list[str] = []
    while "accept_all" not in "".join(stops):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.closest('.pchoice') && document.activeElement.outerHTML"))
        assert len(stops) <= MOST_TAB_STOPS + 1, stops
    page.add_init_script(WATCH_SHIFTS)
    for size in SCREENS.values():
        page.set_viewport_size(size)
        page.reload()
        page.locator(".pchoice[data-live] [value=refuse_all]").click()
        expect(page.locator(".pchoice-status")).not_to_be_empty()
        assert page.evaluate(SHIFTS) == [], size
        page.context.clear_cookies()


@pytest.mark.requirement("AX-01")
@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize("layout", ["corner", "bar"])
@pytest.mark.parametrize("size", [SMALL["enlarged"], *SCREENS.values()], ids=["enlarged", *SCREENS])
def test_banner_never_hides_focused_element_or_end_of_page(
    new_banner: NewBanner, layout: str, size: ViewportSize
) -> None:
    page = new_banner(layout, "en")
    page.set_viewport_size(size)
    for key in ("Tab", "Shift+Tab"):
        reached = set()
        page.keyboard.press(key)
        while focused := page.evaluate(FOCUSED):
            text, is_visible = focused
            assert is_visible, f"{text}, by {key}"
            reached.add(text)
            page.keyboard.press(key)
        assert {f"Link {number}" for number in range(LINKS)} < reached
    page.mouse.move(20, 20)
    page.mouse.wheel(0, 100_000)
    end = page.locator("[data-privacy-settings]")
    expect(end).to_be_in_viewport(ratio=1)
    end.click(trial=True)
    page.evaluate("scrollTo(0, 0)")
    page.get_by_role("link", name="Link 0", exact=True).click()
    expect(page.locator(".pchoice")).to_be_visible()


# Styles of the page


@pytest.fixture(scope="module")
def guest(browser: Browser, house: Sites) -> Iterator[Visitor]:
    """A visitor of the house with one page, shared by the following tests."""
    with browser.new_context() as context:
        yield Visitor(context, house)


@pytest.fixture(scope="module")
def plain_looks(guest: Visitor) -> dict[str, Look]:
    """The look of the banner on a page without styles: layout -> look."""
    return {layout: look_at(guest, "none", layout) for layout in LAYOUTS}


def look_at(visitor: Visitor, style: str, layout: str) -> Look:
    """Return the look of the unfolded banner on a page with a style."""
    visitor.context.clear_cookies()
    visitor.page.set_viewport_size(PHONE if layout == "modal" else DESK)
    visitor.move(layout).go(f"/styled/{style}")
    visitor.page.wait_for_selector(".pchoice:is(:popover-open, :modal)", state="attached")
    visitor.banner.locator("details").evaluate(OPEN)
    found: Look = json.loads(visitor.page.evaluate(COMPUTED, ".pchoice"))
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


def test_page_styles_do_not_change_or_cover_banner(
    guest: Visitor, plain_looks: dict[str, Look], layout: str, style: str
) -> None:
    assert differences(plain_looks[layout], look_at(guest, style, layout)) == []
    for part in (guest.banner, *guest.banner.locator(".pchoice-answers button:visible").all()):
        assert part.evaluate(ON_TOP)


# Rules for our classes and properties


def open_box(visitor: Visitor, rules: str = "") -> None:
    """Open a page with the banner and a box, and add rules before our stylesheet, as a site does."""
    visitor.context.clear_cookies()
    visitor.page.set_viewport_size(DESK)
    visitor.move("corner").go("/styled/none?box")
    visitor.ready()
    visitor.page.evaluate(
        "rules => document.head.prepend(Object.assign(document.createElement('style'), { textContent: rules }))", rules
    )


def styles_of(visitor: Visitor, selector: str, property_: str) -> list[str]:
    """Return a computed style of all elements that match a selector."""
    found: list[str] = visitor.page.locator(selector).evaluate_all(
        "(found, name) => found.map(it => getComputedStyle(it).getPropertyValue(name))", property_
    )
    return found


def fail_and_answer(visitor: Visitor) -> Iterator[None]:
    """Show the error message of the banner, with the focus in it; then the message after an answer."""
    visitor.page.route("**/privacy-choices", lambda route: route.abort())
    visitor.choice("refuse_all").focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.alert).not_to_be_empty()
    yield
    visitor.page.unroute_all()
    visitor.refuse()
    expect(visitor.status).not_to_be_empty()
    yield


def test_important_rules_for_our_classes_apply(guest: Visitor) -> None:
    open_box(guest, f".{', .'.join(HOOKS)} {{ background-color: {MARKED} !important; display: grid !important }}")
    seen = set()
    for _ in fail_and_answer(guest):
        for hook in HOOKS:
            found = styles_of(guest, f".{hook}", "background-color") + styles_of(guest, f".{hook}", "display")
            assert set(found) <= {MARKED, "grid"}, hook
            seen.update([hook] * bool(found))
    assert seen == set(HOOKS)


@pytest.mark.parametrize("properties", [COLOURS_AND_SIZES, {"scheme": SCHEME}], ids=["all", "scheme"])
def test_custom_properties_of_root_set_the_look(guest: Visitor, properties: dict[str, Any]) -> None:
    rules = "".join(f"--pchoice-{name}: {value}; " for name, (value, *_) in properties.items())
    looks = []
    for rule in ("", f":root {{ {rules} }}"):
        open_box(guest, rule)
        shown: dict[str, list[str]] = {name: [] for name in properties}
        for _ in fail_and_answer(guest):
            for name, (_, selector, property_, _) in properties.items():
                shown[name] += styles_of(guest, selector, property_)
        looks.append(shown)
    before, after = looks
    for name, (_, selector, _, expected) in properties.items():
        assert set(after[name]) == {expected}, name
        assert expected not in before[name], name
        assert len(after[name]) == len(before[name]) >= selector.count(",") + 1, name


# The link to the settings at the end of the page


def middle_of(element: Locator) -> float:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2


@pytest.mark.each_value(at_most=4)
@pytest.mark.parametrize("name", [*ENDS, *FRAMEWORKS])
def test_link_is_large_and_centred_below_the_page(guest: Visitor, name: str) -> None:
    guest.move("corner").send_answer("refuse_all")
    guest.go(f"/ending/{name}")
    link = guest.page.locator("[data-privacy-settings]")
    expect(link).to_have_text("Privacy settings: refused")
    for screen in (DESK, TALL_PHONE):
        guest.page.set_viewport_size(screen)
        box = link.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        # Inside of the page's margins; in a row, there is no room but below it.
        centre = screen["width"] / 2 if name in ("card", "columns") else middle_of(guest.page.locator("body"))
        assert middle_of(link) == pytest.approx(centre, abs=1)
        parts = [guest.page.locator(part).bounding_box() for part in ("main", "footer")]
        assert box["y"] >= max(part["y"] + part["height"] for part in parts if part) - 1
        assert not guest.page.evaluate("document.documentElement.scrollWidth > innerWidth")
