"""The surfaces: everything that visitors see of the package, on the museum's site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

from tests.support.browsers.visitor_browser import PREFIX, ROOT, Sites, Visitor
from tests.support.servers.child_site import LOOPBACK, started

Surface = Callable[[Visitor, str], None]
"""A function that shows a surface to a visitor, in a language."""
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


@contextmanager
def museum_site(folder: Path) -> Iterator[Sites]:
    """Start the site of `three_language_site`."""
    with started("tests.support.sites.three_language_site:app", ROOT, folder / "museum.log", (LOOPBACK, 0), {}) as site:
        yield Sites(site.address, "", folder / "access.jsonl")


def forget_answer(visitor: Visitor) -> None:
    """Make the visitor one who has not answered."""
    visitor.page.unroute_all()
    visitor.context.clear_cookies()


def send_answer(visitor: Visitor, choice: str, **more: str) -> None:
    """Send an answer without opening a page.

    Args:
        visitor: the visitor who answers.
        choice: the answer.
        more: further fields of the form.
    """
    address = f"{visitor.sites.address}/corner{PREFIX}"
    assert visitor.context.request.post(address, data={"choice": choice, **more}, headers=SAME_ORIGIN).ok


def _show_banner(visitor: Visitor, language: str, layout: str = "corner") -> None:
    forget_answer(visitor)
    visitor.go(f"/{layout}/{language}/")
    expect(visitor.page.locator(".pchoice[data-live]")).to_be_visible()


def _show_bar(visitor: Visitor, language: str) -> None:
    _show_banner(visitor, language, "bar")


def _show_dialog(visitor: Visitor, language: str) -> None:
    _show_banner(visitor, language, "modal")


def _open_the_purposes(visitor: Visitor, language: str) -> None:
    _show_banner(visitor, language)
    visitor.banner.locator("summary").click()


def _fail_to_answer(visitor: Visitor, language: str) -> None:
    _show_banner(visitor, language)
    visitor.page.route(f"**{PREFIX}", lambda route: route.abort())
    visitor.choice("refuse_all").click()
    expect(visitor.alert).to_be_visible()


def _answer(visitor: Visitor, language: str) -> None:
    _show_banner(visitor, language)
    visitor.refuse()
    expect(visitor.status).to_be_visible()
    expect(visitor.status).not_to_be_empty()


def _open_the_settings_in_place(visitor: Visitor, language: str) -> None:
    forget_answer(visitor)
    send_answer(visitor, "refuse_all")
    visitor.go(f"/corner/{language}/")
    visitor.page.locator("[data-privacy-settings]").click()
    expect(visitor.page.locator(".pchoice[data-live]")).to_be_visible()


def _show_the_link(visitor: Visitor, language: str) -> None:
    forget_answer(visitor)
    send_answer(visitor, "refuse_all")
    visitor.go(f"/linked/{language}/")
    visitor.page.locator("[data-privacy-settings]").scroll_into_view_if_needed()


def _show_fallback_box(visitor: Visitor, language: str) -> None:
    forget_answer(visitor)
    send_answer(visitor, "refuse_all")
    visitor.go(f"/corner/{language}/way")
    expect(visitor.page.locator(".pchoice-box")).to_be_visible()


def _show_card(visitor: Visitor, language: str) -> None:
    forget_answer(visitor)
    send_answer(visitor, "refuse_all")
    visitor.go(f"/corner/{language}/map")
    expect(visitor.page.locator(".pchoice-box")).to_be_visible()


def _show_explaining_page(visitor: Visitor, language: str) -> None:
    forget_answer(visitor)
    visitor.go(f"/corner/{language}/film")
    expect(visitor.choice("grant")).to_be_visible()


def _show_the_settings(visitor: Visitor, language: str) -> None:
    forget_answer(visitor)
    visitor.go(f"/corner{PREFIX}?language={language}&next=/corner/{language}/")


def _show_settings_after_answer(visitor: Visitor, language: str) -> None:
    forget_answer(visitor)
    send_answer(visitor, "accept_all")
    visitor.go(f"/corner{PREFIX}?language={language}&next=/corner/{language}/")


def _show_settings_after_error(visitor: Visitor, language: str) -> None:
    _show_the_settings(visitor, language)
    visitor.page.evaluate("document.querySelector('[name=policy]').value = '0123456789abcdef'")
    visitor.answer(visitor.choice("refuse_all"))
    expect(visitor.page.locator("[role=alert]")).to_be_visible()


def _show_the_requests(visitor: Visitor, language: str) -> None:
    forget_answer(visitor)
    visitor.go(f"/corner{PREFIX}/requests?language={language}")


def _send_a_request_without_text(visitor: Visitor, language: str) -> None:
    _show_the_requests(visitor, language)
    visitor.page.locator("form").evaluate("form => form.noValidate = true")
    visitor.page.locator("main button").first.click()
    expect(visitor.page.locator("[role=alert]")).to_be_visible()


SURFACES: dict[str, Surface] = {
    "first layer": _show_banner,
    "first layer in a bar": _show_bar,
    "first layer in a dialog": _show_dialog,
    "purposes open": _open_the_purposes,
    "error": _fail_to_answer,
    "answer kept": _answer,
    "settings in place": _open_the_settings_in_place,
    "link": _show_the_link,
    "fallback box": _show_fallback_box,
    "card": _show_card,
    "explaining page": _show_explaining_page,
    "settings page": _show_the_settings,
    "settings page after an answer": _show_settings_after_answer,
    "settings page after an error": _show_settings_after_error,
    "requests page": _show_the_requests,
    "requests page after an error": _send_a_request_without_text,
}
