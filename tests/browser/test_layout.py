"""Tests of the banner's place and size: little is covered, both answers are in view and alike, the page is usable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle, product

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.browsers.share import SCREENS, share_site, shares, show_banner
from tests.support.sites.share_site import LANGUAGES, LINKS

pytestmark = [pytest.mark.browser, pytest.mark.each_value]

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
    const it = document.activeElement, box = it.getBoundingClientRect();
    if (it === document.body) return null;
    const places = [[0.5, 0.5], [0.1, 0.5], [0.9, 0.5], [0.5, 0.2], [0.5, 0.8]];
    return [it.textContent, places.some(([x, y]) => {
        const top = document.elementFromPoint(box.left + box.width * x, box.top + box.height * y);
        return top && it.contains(top);
    })];
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

in_all_layouts = pytest.mark.parametrize("layout", LAYOUTS)
beside_the_page = pytest.mark.parametrize("layout", ["corner", "bar"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Show each layout in all languages; outside the full matrix each language in one, in turn."""
    if "shown" in metafunc.fixturenames:
        in_turns = zip(cycle(LAYOUTS), LANGUAGES, strict=False)
        rows = list(product(LAYOUTS, LANGUAGES) if metafunc.config.getoption("--full-matrix") else in_turns)
        metafunc.parametrize("shown", rows, ids=map("-".join, rows), indirect=True, scope="module")


@pytest.fixture(scope="module")
def new_banner(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewBanner]:
    """Shows the banner to somebody who has not answered, in one page for all tests."""
    with share_site(tmp_path_factory.mktemp("share")) as address, browser.new_context() as context:
        page = context.new_page()

        def new_banner(layout: str, language: str) -> Page:
            page.set_viewport_size(SCREENS["1440 x 900"])
            show_banner(page, address, layout, language)
            return page

        yield new_banner


@pytest.fixture(scope="module")
def shown(request: pytest.FixtureRequest, new_banner: NewBanner) -> tuple[Page, str, str]:
    """A page with the banner, its layout and its language, for all tests of them."""
    layout, language = request.param
    return new_banner(layout, language), layout, language


@pytest.fixture
def page(shown: tuple[Page, str, str]) -> Page:
    """The page, with the purposes folded."""
    page = shown[0]
    page.set_viewport_size(SCREENS["1440 x 900"])
    page.locator(".pchoice details").evaluate("it => { it.open = false; }")
    return page


def test_banner_covers_little_of_the_window(page: Page, shown: tuple[Page, str, str]) -> None:
    _, layout, language = shown
    limits = LIMITS[layout, SHORT if language in SHORT else LONG]
    assert {size: share for (size, share), most in zip(shares(page).items(), limits, strict=True) if share > most} == {}


def test_both_answers_are_alike_and_in_view(page: Page) -> None:
    buttons = page.locator(".pchoice").locator(ANSWERS)
    for name, size in {**SCREENS, **SMALL}.items():
        page.set_viewport_size(size)
        refuse, accept = buttons.evaluate_all(LOOK, LOOKS)
        assert abs(refuse["width"] - accept["width"]) < 1, name
        assert refuse["height"] == accept["height"] >= 44, name
        assert refuse["look"] == accept["look"], name
        if name in SCREENS:
            for button in buttons.all():
                expect(button).to_be_in_viewport(ratio=1)


def test_all_controls_are_in_view_without_scrolling_from_360_px_up(page: Page) -> None:
    for name, size in FROM_360.items():
        page.set_viewport_size(size)
        assert page.locator(".pchoice form").evaluate(SCROLLED) == [], name
        assert page.locator(".pchoice").evaluate(OUTSIDE) == [], name
    page.locator(".pchoice summary").click()
    for name, size in FROM_360.items():
        page.set_viewport_size(size)
        assert page.locator(".pchoice-button[value=save]").is_visible()
        assert page.locator(".pchoice form").evaluate(SCROLLED) == [], name
        assert page.locator(".pchoice-answers").evaluate(OUTSIDE) == [], name


def test_small_windows_scroll_the_whole_form(page: Page) -> None:
    form = page.locator(".pchoice form")
    for name, size in SMALL.items():
        page.set_viewport_size(size)
        assert [it for it in form.evaluate(SCROLLED) if not it.startswith("<form")] == [], name
        assert form.evaluate(PINNED) == [], name
        assert form.evaluate(HIDDEN) == [], name


@in_all_layouts
def test_few_tab_stops_come_before_accepting(new_banner: NewBanner, layout: str) -> None:
    page = new_banner(layout, "en")
    stops = []
    for _ in range(20):
        page.keyboard.press("Tab")
        stop = page.evaluate("document.activeElement.closest('.pchoice') && document.activeElement.outerHTML")
        if stop and "accept_all" in stop:
            break
        stops += [stop] if stop else []
    else:
        pytest.fail("the button that accepts is not reached")
    assert len(stops) <= MOST_TAB_STOPS, stops


@pytest.mark.each_value(at_most=3)
@beside_the_page
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


@in_all_layouts
def test_banner_and_answer_cause_no_layout_shift(new_banner: NewBanner, layout: str) -> None:
    page = new_banner(layout, "en")
    page.add_init_script(WATCH_SHIFTS)
    for size in SCREENS.values():
        page.set_viewport_size(size)
        page.reload()
        page.locator(".pchoice[data-live] [value=refuse_all]").click()
        expect(page.locator(".pchoice-status")).not_to_be_empty()
        assert page.evaluate(SHIFTS) == [], size
        page.context.clear_cookies()
