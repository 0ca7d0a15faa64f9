"""The surfaces: everything that visitors see of the package, on the museum's site."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from playwright.sync_api import expect

from tests.support.browsers.visitor_browser import PREFIX, Visitor


class Surface(NamedTuple):
    """A surface.

    Args:
        path: the path of the page, with the language in it.
        shows: the selector of what is visible.
        answered: the answer that was given before; "" for none.
        act: what the visitor does on the page.
    """

    path: str
    shows: str = ".pchoice[data-live]"
    answered: str = ""
    act: Callable[[Visitor], object] = lambda visitor: None


def _fail_to_answer(visitor: Visitor) -> None:
    visitor.ready()
    visitor.page.route(f"**{PREFIX}", lambda route: route.abort())
    visitor.choice("refuse_all").click()


def _refuse(visitor: Visitor) -> None:
    visitor.ready()
    visitor.refuse()


def _answer_an_old_question(visitor: Visitor) -> None:
    visitor.page.evaluate("document.querySelector('[name=policy]').value = '0123456789abcdef'")
    visitor.answer(visitor.choice("refuse_all"))


def _send_no_text(visitor: Visitor) -> None:
    visitor.page.locator("form").evaluate("form => form.noValidate = true")
    visitor.page.locator("main button").first.click()


def _open_the_settings(visitor: Visitor) -> None:
    visitor.ready()
    visitor.page.locator("[data-privacy-settings]").click()


def _unfold(visitor: Visitor) -> None:
    visitor.page.locator("details.pchoice-fold").evaluate_all("all => all.forEach(it => it.open = true)")


START = "/corner/{}/"
SETTINGS = f"/corner{PREFIX}?language={{}}&next=/corner/en/"
REQUESTS = f"/corner{PREFIX}/requests?language={{}}"
SURFACES = {
    "first layer": Surface(START),
    "first layer in a bar": Surface("/bar/{}/"),
    "first layer in a dialog": Surface("/modal/{}/"),
    "purposes open": Surface(START, act=lambda visitor: visitor.banner.locator("summary").click()),
    "error": Surface(START, ".pchoice [role=alert]", act=_fail_to_answer),
    "answer kept": Surface(START, ".pchoice-status:not(:empty)", act=_refuse),
    "settings in place": Surface(START, answered="refuse_all", act=_open_the_settings),
    "link": Surface("/linked/{}/", "[data-privacy-settings]", "refuse_all"),
    "fallback box": Surface("/corner/{}/way", ".pchoice-box", "refuse_all"),
    "card": Surface("/corner/{}/map", ".pchoice-box", "refuse_all"),
    "explaining page": Surface("/corner/{}/film", "button[value=grant]"),
    "settings page": Surface(SETTINGS, "button[value=save]"),
    "folds of the settings page": Surface(SETTINGS, "table", act=_unfold),
    "settings page after an answer": Surface(SETTINGS, "button[value=save]", "accept_all"),
    "settings page after an error": Surface(SETTINGS, "[role=alert]", act=_answer_an_old_question),
    "requests page": Surface(REQUESTS, "main button"),
    "requests page after an error": Surface(REQUESTS, "[role=alert]", act=_send_no_text),
}


def show_surface(visitor: Visitor, name: str, language: str) -> None:
    """Show a surface of `SURFACES` to a visitor, in a language."""
    surface = SURFACES[name]
    visitor.page.unroute_all()
    visitor.context.clear_cookies()
    if surface.answered:
        visitor.send_answer(surface.answered)
    visitor.go(surface.path.format(language))
    surface.act(visitor)
    shown = visitor.page.locator(surface.shows).first
    expect(shown).to_be_visible()
    shown.scroll_into_view_if_needed()
