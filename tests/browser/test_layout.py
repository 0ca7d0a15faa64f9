"""Tests of the place of the banner: both answers in view, the page usable, nothing shifted or hidden."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from tests.support.browsers.visitor_browser import PREFIX, NewVisitor, Sites, Visitor
from tests.support.sites.browser_site import LINKS

pytestmark = [pytest.mark.browser, pytest.mark.each_value(at_most=1)]

SCREENS = {
    "phone": ViewportSize(width=320, height=568),
    "tablet": ViewportSize(width=768, height=1024),
    "desk": ViewportSize(width=1440, height=900),
    "enlarged": ViewportSize(width=320, height=256),  # a window of 1280 x 1024 at 400 % (WCAG 1.4.10)
}
on_all_screens = pytest.mark.parametrize("size", SCREENS.values(), ids=SCREENS)
LOOKS = [
    *("font-family", "font-size", "font-weight", "line-height", "text-transform", "text-decoration-line"),
    *("color", "background-color", "background-image", "box-shadow", "opacity", "visibility", "filter", "transform"),
    *("border-top-color", "border-top-style", "border-top-width", "border-top-left-radius"),
    *("padding-top", "padding-left", "cursor"),
]
LOOK = """(button, names) => Object.fromEntries(names.map(name => [name, getComputedStyle(button)[name]]))"""
IS_VISIBLE = """() => {
    const it = document.activeElement, box = it.getBoundingClientRect();
    const places = [[0.5, 0.5], [0.1, 0.5], [0.9, 0.5], [0.5, 0.2], [0.5, 0.8]];
    return places.some(([x, y]) => {
        const top = document.elementFromPoint(box.left + box.width * x, box.top + box.height * y);
        return top && it.contains(top);
    });
}"""
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


@pytest.mark.parametrize("locale", ["en-GB", "ja-JP"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_refusing_is_as_easy_as_accepting(new_visitor: NewVisitor, locale: str, scheme: Any) -> None:
    visitor = new_visitor(locale=locale, color_scheme=scheme)
    visitor.go("/")
    refuse, accept = (visitor.banner.locator(f"button[value={value}]") for value in ("refuse_all", "accept_all"))
    for size in SCREENS.values():
        visitor.page.set_viewport_size(size)
        accept.scroll_into_view_if_needed()  # in very small windows the whole question scrolls
        for button in (refuse, accept):
            expect(button).to_have_count(1)
            expect(button).to_be_in_viewport(ratio=1)
        assert refuse.evaluate(LOOK, LOOKS) == accept.evaluate(LOOK, LOOKS)
        sizes = [button.bounding_box() for button in (refuse, accept)]
        areas = [box["width"] * box["height"] for box in sizes if box]
        assert 0.9 < areas[0] / areas[1] < 1.1
        assert all(box and box["height"] >= 44 for box in sizes)


@pytest.mark.parametrize("locale", ["en-GB", "ja-JP"])
def test_pages_fit_screen_width(new_visitor: NewVisitor, locale: str) -> None:
    visitor = new_visitor(locale=locale)
    for path in ("/", "/offices", "/tour", PREFIX):
        visitor.go(path)
        expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()
        for name, size in SCREENS.items():
            visitor.page.set_viewport_size(size)
            over = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert over <= 0, (path, name)


@on_all_screens
def test_page_is_usable_while_banner_is_open(new_visitor: NewVisitor, size: ViewportSize) -> None:
    visitor = new_visitor(viewport=size)
    page = visitor.page
    visitor.go("/")
    for part in ("html", "body"):
        expect(page.locator(part)).to_have_css("overflow", "visible")
    # Scroll to the end, which the banner does not cover.
    page.mouse.move(20, 20)
    page.mouse.wheel(0, 5000)
    page.wait_for_function("scrollY + innerHeight >= document.documentElement.scrollHeight - 1")
    end = page.get_by_role("contentinfo").get_by_role("link", name="Privacy settings")
    expect(end).to_be_in_viewport(ratio=1)
    end.click(trial=True)
    page.evaluate("scrollTo(0, 0)")
    page.get_by_role("link", name="WHOIS").first.click()
    expect(page.get_by_role("heading", name="WHOIS")).to_be_visible()
    expect(visitor.banner).to_be_visible()


@on_all_screens
def test_whole_banner_is_readable(new_visitor: NewVisitor, size: ViewportSize) -> None:
    visitor = new_visitor(viewport=size)
    visitor.go("/")
    visitor.banner.get_by_text("Choose").click()
    for part in visitor.banner.locator(
        "p:not(.pchoice-alert, .pchoice-blocked), summary, legend, label, button:not([hidden])"
    ).all():
        part.scroll_into_view_if_needed()
        expect(part).to_be_in_viewport(ratio=0.3)
        assert part.evaluate("it => it.scrollWidth <= it.clientWidth + 1")


@on_all_screens
def test_banner_never_hides_focused_element(browser: Browser, plain: Sites, size: ViewportSize) -> None:
    with browser.new_context(viewport=size) as context:
        visitor = Visitor(context, plain)
        visitor.go("/long")
        for key in ("Tab", "Shift+Tab"):
            reached = set()
            visitor.page.keyboard.press(key)
            while now := visitor.focused():
                assert visitor.page.evaluate(IS_VISIBLE), f"{now}, by {key}"
                reached.add(now)
                visitor.page.keyboard.press(key)
            assert {f"Link {number}" for number in range(LINKS)} < reached


@on_all_screens
def test_banner_causes_no_layout_shift(new_visitor: NewVisitor, size: ViewportSize) -> None:
    visitor = new_visitor(viewport=size)
    visitor.page.add_init_script(WATCH_SHIFTS)
    for choice in ("refuse_all", "accept_all"):
        visitor.go("/names")
        visitor.answer(visitor.choice(choice))
        expect(visitor.status).to_be_visible()
        assert visitor.page.evaluate(SHIFTS) == []
        visitor.context.clear_cookies()
