"""Tests of the playground's page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect
from selenium.webdriver.common.by import By

from cookie_consent.cli.demo.site import LOOPBACK, started
from cookie_consent.texts.catalog import shipped
from tests.support.browsers.axe import COLOURS, Findings, run_axe
from tests.support.browsers.engines import ENGINES, Setting, engine
from tests.support.browsers.visitor_browser import ROOT
from tests.support.waiting import eventually

pytestmark = pytest.mark.browser

GOOD = "The preview shows this policy."
SIZES = {"1440": (1440, 900), "390": (390, 844)}
ROOM = "[document.documentElement.scrollWidth, innerWidth]"
TABS = ("Policy", "Look", "Take it with you")
FOCUSED = "[document.activeElement.tagName, document.activeElement.id || document.activeElement.textContent.trim()]"


class Opened(NamedTuple):
    """A page with its console messages and its requests."""

    page: Page
    console: list[str]
    requests: list[str]

    @property
    def site(self) -> FrameLocator:
        """The page in the preview."""
        return self.page.frame_locator("#site")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the playground."""
    log = tmp_path_factory.mktemp("playground") / "log"
    with started("tests.support.sites.playground_site:app", ROOT, log, (LOOPBACK, 0), {}) as site:
        yield f"{site.address}/"


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A context of its own for each test: the page keeps a draft for a reload."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield context
    context.close()


@pytest.fixture
def playground(context: BrowserContext, address: str) -> Iterator[Opened]:
    """The opened playground. No script may fail, and nothing may come from elsewhere."""
    page, said, asked = context.new_page(), list[str](), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    opened = Opened(page, said, asked)
    page.goto(address)
    shows(opened)
    yield opened
    # Chromium tells of each answer that it empties the cache, as it should.
    assert [text for text in said if not text.startswith("Clear-Site-Data")] == []
    assert [url for url in asked if not url.startswith((address, "data:"))] == []


def shows(opened: Opened) -> None:
    """Wait until the preview shows the policy."""
    expect(opened.page.locator("#status")).to_have_text(GOOD)
    expect(opened.site.get_by_role("heading", level=1)).to_be_visible()


def question(opened: Opened, language: str = "en") -> Any:
    """Return the question in the preview, once it is there."""
    found = opened.site.locator(".pchoice")
    expect(found.get_by_role("button", name=str(shipped(language)["refuse_all"]))).to_be_visible()
    return found


def policy_of(opened: Opened) -> str:
    return opened.page.get_by_label("Policy file").input_value()


def press(opened: Opened, name: str) -> None:
    opened.page.get_by_role("button", name=name).click()


# The preview


def test_preview_follows_the_policy_and_keeps_the_focus(playground: Opened) -> None:
    expect(question(playground)).to_contain_text("May Example Museum store")
    playground.page.get_by_role("tab", name="Look").click()
    playground.page.get_by_label("Modal").check()
    expect(playground.site.locator("dialog.pchoice:modal")).to_be_visible()
    playground.page.get_by_role("tab", name="Policy").click()
    editor = playground.page.get_by_label("Policy file")
    editor.fill(policy_of(playground).replace("Example Museum", "Our House"))
    editor.press("Control+End")
    expect(question(playground)).to_contain_text("May Our House store")
    # A dialog takes the focus where it is a page of its own. Here somebody types.
    expect(editor).to_be_focused()
    playground.page.keyboard.type("# the end")
    assert policy_of(playground).endswith("# the end")


def test_answers_count_as_on_any_site(playground: Opened) -> None:
    holds = playground.site.locator("[data-holds=media]")
    expect(holds).to_have_text("no")
    question(playground).get_by_role("button", name="Accept all").click()
    expect(holds).to_have_text("yes")
    expect(playground.site.get_by_text("Here Map of the museum would be.")).to_be_visible()
    playground.site.get_by_role("link", name="About").click()
    expect(playground.site.get_by_role("heading", name="About")).to_be_visible()
    expect(playground.site.locator(".pchoice-buttons, form .pchoice-button")).to_have_count(0)
    playground.site.get_by_role("link", name=re.compile("Privacy settings")).click()
    expect(playground.site.get_by_text("You accepted all purposes.")).to_be_visible()
    playground.site.get_by_role("button", name="Refuse all").first.click()
    expect(playground.site.get_by_text("You refused all purposes").first).to_be_visible()
    playground.site.get_by_role("link", name="Back to the page").first.click()
    expect(playground.site.locator("[data-holds=media]")).to_have_text("no")
    press(playground, "Ask again")
    question(playground)


def test_problems_stand_beside_the_editor_and_lead_to_their_lines(playground: Opened) -> None:
    editor = playground.page.get_by_label("Policy file")
    good = policy_of(playground)
    editor.fill(good.replace("languages =", "lnguages =").replace("country =", "contry ="))
    expect(playground.page.locator("#status")).to_have_text(
        "2 problems. The preview shows the last policy that was good."
    )
    expect(editor).to_have_attribute("aria-invalid", "true")
    problems = playground.page.locator("#problems")
    expect(problems).to_have_attribute("aria-live", "polite")
    expect(problems.get_by_role("listitem").first).to_contain_text('[site] key "lnguages": there is no key')
    question(playground)
    playground.page.get_by_role("tab", name="Look").click()
    press(playground, "Go to line 28")
    expect(editor).to_be_focused()
    selected = "it => it.value.slice(it.selectionStart, it.selectionEnd)"
    assert editor.evaluate(selected) == 'contry = "US"'
    expect(playground.page.locator("#gutter .wrong")).to_have_text(["8", "28"])
    playground.page.reload()
    expect(playground.page.locator("#status")).to_have_text("2 problems. The preview waits for a good policy.")
    editor.fill(good)
    shows(playground)
    expect(editor).to_have_attribute("aria-invalid", "false")
    expect(problems.get_by_role("listitem")).to_have_count(0)


# Look


def test_look_changes_without_another_question(playground: Opened) -> None:
    page = playground.page
    page.get_by_role("tab", name="Look").click()
    press(playground, "Night")
    button = question(playground).get_by_role("button", name="Refuse all")
    expect(button).to_have_css("background-color", "rgb(169, 190, 255)")
    expect(page.get_by_label("Buttons", exact=True)).to_have_value("#a9beff")
    page.get_by_label("Text on buttons", exact=True).fill("#a0b0f0")
    expect(button).to_have_css("color", "rgb(160, 176, 240)")
    expect(page.locator("#contrast .low")).to_have_text("Text on buttons 1.1 : 1, too low: 4.5 is needed")
    page.get_by_label("Corners: slide, in em").fill("0.3")
    assert "--pchoice-radius: 0.3em;" in page.get_by_label("Style sheet", exact=True).input_value()
    page.get_by_label("Style sheet", exact=True).fill(":root { --pchoice-fill: #005500; --pchoice-size: large }")
    expect(button).to_have_css("background-color", "rgb(0, 85, 0)")
    expect(page.get_by_label("Size of the text")).to_have_value("large")
    page.get_by_label("Size of the text").fill("")
    page.get_by_label("Buttons", exact=True).fill("")
    expect(button).to_have_css("background-color", "rgb(42, 115, 194)")
    page.get_by_text("Dark", exact=True).click()
    expect(playground.site.locator("html")).to_have_css("color-scheme", "dark")
    page.get_by_label("Buttons: pick a colour", exact=True).fill("#880000")
    expect(button).to_have_css("background-color", "rgb(136, 0, 0)")


def test_layout_closing_and_width(playground: Opened) -> None:
    page = playground.page
    page.get_by_role("tab", name="Look").click()
    page.get_by_label("Bar", exact=True).check()
    expect(playground.site.locator(".pchoice-bar")).to_be_visible()
    page.get_by_text("refuses", exact=True).click()
    expect(question(playground).get_by_role("button", name="Close and refuse")).to_be_visible()
    page.get_by_text("Phone", exact=True).click()
    assert eventually(lambda: playground.site.locator("html").evaluate("() => innerWidth") == 390)
    page.get_by_role("tab", name="Take it with you").click()
    expect(page.locator("#code")).to_contain_text('layout="bar", later="refuse")')
    page.reload()
    shows(playground)
    expect(playground.site.locator(".pchoice-bar")).to_be_visible()


# Languages and purposes


def test_language_is_shown_and_added_to_the_file(playground: Opened) -> None:
    page = playground.page
    page.get_by_label("Language").select_option("ar")
    shown = question(playground, "ar")
    expect(shown).to_have_attribute("dir", "rtl")
    expect(shown).to_contain_text("الخرائط ومقاطع الفيديو")
    assert '"ar"' not in policy_of(playground)
    expect(page.locator("#note")).to_contain_text("Your file does not offer Arabic.")
    press(playground, "Add it to the file")
    expect(page.locator("#note")).to_be_hidden()
    assert 'languages = ["en", "ar"]' in policy_of(playground)
    expect(page.get_by_label("Title (ar)").first).to_have_value("إحصاءات الزيارات")
    expect(page.locator("#offered option")).to_have_count(2)
    expect(page.locator("#language option")).to_have_count(39)
    question(playground, "ar")


def test_purposes_are_added_and_renamed(playground: Opened) -> None:
    page = playground.page
    press(playground, "Add a purpose")
    title = page.get_by_label("Title (en)").last
    expect(title).to_be_focused()
    expect(title).to_have_value("Advertising")
    page.keyboard.type("Offers")
    page.keyboard.press("Tab")
    expect(question(playground)).to_contain_text("Visitor statistics, Maps and videos, and Offers")
    page.get_by_label("Id", exact=True).last.fill("offers")
    page.keyboard.press("Tab")
    expect(playground.site.locator("[data-holds=offers]")).to_be_visible()
    page.get_by_label("Id", exact=True).last.fill("Not an id")
    page.keyboard.press("Tab")
    expect(page.locator("#status")).to_contain_text("is not valid here")
    expect(page.get_by_label("Id", exact=True).last).to_have_value("offers")


def test_purposes_are_removed_and_brought_back(playground: Opened) -> None:
    page = playground.page
    press(playground, "Remove Maps and videos")
    expect(page.get_by_role("button", name="Add a purpose")).to_be_focused()
    expect(playground.site.locator("[data-holds=media]")).to_have_count(0)
    assert "example-maps" not in policy_of(playground)
    press(playground, "Undo the last button")
    expect(playground.site.locator("[data-holds=media]")).to_be_visible()
    assert "example-maps" in policy_of(playground)
    press(playground, "Remove Visitor statistics")
    expect(playground.site.locator("[data-holds=analytics]")).to_have_count(0)
    press(playground, "Start over")
    expect(playground.site.locator("[data-holds=analytics]")).to_be_visible()
    press(playground, "Undo the last button")
    expect(playground.site.locator("[data-holds=analytics]")).to_have_count(0)


# Keyboard and copying


def test_keyboard_reaches_everything_and_leaves_the_editor(playground: Opened) -> None:
    page = playground.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip the preview")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name="Policy")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="Take it with you")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Take it with you")).to_be_visible()
    page.keyboard.press("Home")
    expect(page.get_by_role("tab", name="Policy")).to_be_focused()
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(FOCUSED)[1])
        if seen[-1] == "policy":
            break
    assert seen[0] == "title-analytics"
    assert {"id-media", "remove-media", "add-purpose"} <= set(seen)
    assert seen[-1] == "policy"
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)[1] != "policy"


def test_editor_indents_and_comments_and_can_be_undone(playground: Opened) -> None:
    page, editor = playground.page, playground.page.get_by_label("Policy file")
    before = policy_of(playground)
    editor.press("Control+End")
    page.keyboard.type('\n[vendors]\n  one = "1"\ntwo = "2"')
    assert policy_of(playground).endswith('[vendors]\n  one = "1"\n  two = "2"')
    page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Control+/")
    assert policy_of(playground).endswith('\n#   one = "1"\n#   two = "2"')
    page.keyboard.press("Control+/")
    assert policy_of(playground).endswith('\n  one = "1"\n  two = "2"')
    for _ in range(60):
        page.keyboard.press("Control+z")
    assert policy_of(playground) == before


def test_copy_buttons_copy_or_select(playground: Opened, context: BrowserContext) -> None:
    page = playground.page
    page.evaluate("() => { navigator.clipboard.writeText = async text => { window.copied = text } }")
    press(playground, "Copy the policy file")
    assert page.evaluate("copied") == policy_of(playground)
    expect(page.locator("#status")).to_have_text("Copied.")
    page.get_by_role("tab", name="Take it with you").click()
    press(playground, "Copy the Python")
    assert page.evaluate("copied").startswith("import os\n")
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()) }")
    press(playground, "Copy the Python")
    expect(page.locator("#status")).to_contain_text("The text is selected")
    assert page.evaluate("getSelection().toString()").startswith("import os\n")


# Accessibility


@pytest.mark.parametrize(
    ("size", "colours"),
    [
        ("1440", "light"),
        ("390", "dark"),
        pytest.param("1440", "dark", marks=pytest.mark.full_matrix),
        pytest.param("390", "light", marks=pytest.mark.full_matrix),
        pytest.param("1440", "forced", marks=pytest.mark.full_matrix),
    ],
)
def test_axe_finds_nothing_wrong(playground: Opened, size: str, colours: str) -> None:
    page, (width, height) = playground.page, SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(**COLOURS[colours])
    question(playground)
    with page.expect_popup() as opening:
        page.get_by_role("link", name="Open in a tab").click()
    opening.value.emulate_media(**COLOURS[colours])
    expect(opening.value.get_by_role("button", name="Refuse all")).to_be_visible()
    found = {"preview": axe_findings(opening.value, colours)}
    for tab in TABS:
        page.get_by_role("tab", name=tab).click()
        found[tab] = axe_findings(page, colours)
        room, there = page.evaluate(ROOM)
        assert room <= there == width
    page.get_by_role("tab", name="Policy").click()
    page.get_by_label("Language").select_option("fi")
    page.get_by_label("Policy file").fill("[site]\nname = 1")
    expect(page.locator("#problems li").first).to_be_visible()
    found["problems"] = axe_findings(page, colours)
    assert {tab: findings for tab, findings in found.items() if findings} == {}


def axe_findings(page: Page, colours: str) -> Findings:
    """Return the findings of axe on a page without the preview in it, which is looked at as a page of its own."""
    found = run_axe(page, forced_colours=colours == "forced")
    return replace(found, undecided=[it for it in found.undecided if it[0] != "frame-tested"])


# Other engines


@pytest.mark.full_matrix
@pytest.mark.parametrize("name", ENGINES)
def test_playground_works_in_each_engine(name: str, address: str) -> None:
    with engine(name, Setting(size=(1024, 768))) as driver:
        driver.get(address)
        assert eventually(lambda: driver.find_element(By.ID, "status").text == GOOD)
        driver.find_element(By.ID, "tab-look").click()
        driver.find_element(By.CSS_SELECTOR, "input[value=bar]").click()
        in_preview = "return document.getElementById('site').contentDocument?.querySelector(arguments[0])?.className"
        assert eventually(lambda: driver.execute_script(in_preview, ".pchoice") == "pchoice pchoice-bar pchoice-part")
        assert eventually(lambda: "Text on buttons" in driver.find_element(By.ID, "contrast").text)
