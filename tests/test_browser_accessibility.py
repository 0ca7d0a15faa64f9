"""axe-core on what visitors read, in both languages, light and dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.visitor_browser import PREFIX, ROOT, Visitor

pytestmark = pytest.mark.browser

Arrive = Callable[..., Visitor]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async rules => {
    const { violations } = await axe.run({ resultTypes: ["violations"], ...(rules && { runOnly: rules }) });
    return violations.map(({ id, nodes }) => [id, ...nodes.map(node => node.html)]);
}"""

OF_COLOURS = ["color-contrast", "link-in-text-block"]


def ask(visitor: Visitor) -> None:
    visitor.go("/")
    expect(visitor.banner).to_be_visible()


def ask_for_each_purpose(visitor: Visitor) -> None:
    ask(visitor)
    visitor.banner.locator("summary").click()


def fail_to_keep_the_answer(visitor: Visitor) -> None:
    ask(visitor)
    visitor.page.route(f"**{PREFIX}", lambda route: route.abort())
    visitor.choice("refuse_all").click()
    expect(visitor.alert).to_be_visible()


def keep_the_answer(visitor: Visitor) -> None:
    ask(visitor)
    visitor.refuse()
    expect(visitor.status).to_be_visible()


def degrade(visitor: Visitor) -> None:
    visitor.go("/offices")
    visitor.refuse()
    visitor.go("/offices")
    expect(visitor.page.locator(".pchoice-box")).to_be_visible()


def show_the_settings(visitor: Visitor) -> None:
    visitor.go(PREFIX)


def show_what_was_answered(visitor: Visitor) -> None:
    visitor.go(f"{PREFIX}?next=/names")
    visitor.answer(visitor.choice("accept_all"))
    visitor.go(f"{PREFIX}?next=/names")


def explain_what_is_off(visitor: Visitor) -> None:
    visitor.go("/tour")
    expect(visitor.page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.parametrize("locale", ["en-GB", "ja-JP"])
@pytest.mark.parametrize(
    "show",
    [
        ask, ask_for_each_purpose, fail_to_keep_the_answer, keep_the_answer, degrade, show_the_settings,
        show_what_was_answered, explain_what_is_off,
    ],
)  # fmt: skip
def test_axe_finds_nothing(arrive: Arrive, show: Callable[[Visitor], None], locale: str) -> None:
    visitor = arrive(locale=locale)
    show(visitor)
    # By the debugger's way, which no Content-Security-Policy stops.
    visitor.page.evaluate(AXE.read_text("utf-8"))
    assert visitor.page.evaluate(RUN) == []
    visitor.page.emulate_media(color_scheme="dark")
    assert visitor.page.evaluate(RUN, OF_COLOURS) == []
