"""Everything that visitors see of the package, each on the museum's site, and how to come to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect

from cookie_consent.cli.demo.site import LOOPBACK, started
from tests.support.browsers.visitor_browser import PREFIX, ROOT, Sites, Visitor

Surface = Callable[[Visitor, str], None]
"""Shows something to a visitor, in a language."""
FROM_HERE = {"sec-fetch-site": "same-origin"}


@contextmanager
def museum_site(folder: Path) -> Iterator[Sites]:
    """Start the site of `three_language_site`."""
    with started("tests.support.sites.three_language_site:app", ROOT, folder / "museum.log", (LOOPBACK, 0), {}) as site:
        yield Sites(site.address, "", folder / "access.jsonl")


def come_anew(visitor: Visitor) -> None:
    """Come as somebody who has not answered."""
    visitor.page.unroute_all()
    visitor.context.clear_cookies()


def have_answered(visitor: Visitor, choice: str, **more: str) -> None:
    """Answer without looking at a page.

    Args:
        visitor: answers.
        choice: the answer.
        more: what else a form of ours says.
    """
    address = f"{visitor.sites.address}/corner{PREFIX}"
    assert visitor.context.request.post(address, data={"choice": choice, **more}, headers=FROM_HERE).ok


def _ask(visitor: Visitor, language: str, layout: str = "corner") -> None:
    come_anew(visitor)
    visitor.go(f"/{layout}/{language}/")
    expect(visitor.page.locator(".pchoice[data-live]")).to_be_visible()


def _ask_in_a_bar(visitor: Visitor, language: str) -> None:
    _ask(visitor, language, "bar")


def _ask_in_a_dialog(visitor: Visitor, language: str) -> None:
    _ask(visitor, language, "modal")


def _open_the_purposes(visitor: Visitor, language: str) -> None:
    _ask(visitor, language)
    visitor.banner.locator("summary").click()


def _fail_to_keep_the_answer(visitor: Visitor, language: str) -> None:
    _ask(visitor, language)
    visitor.page.route(f"**{PREFIX}", lambda route: route.abort())
    visitor.choice("refuse_all").click()
    expect(visitor.alert).to_be_visible()


def _keep_the_answer(visitor: Visitor, language: str) -> None:
    _ask(visitor, language)
    visitor.refuse()
    expect(visitor.status).to_be_visible()
    expect(visitor.status).not_to_be_empty()


def _open_the_settings_in_place(visitor: Visitor, language: str) -> None:
    come_anew(visitor)
    have_answered(visitor, "refuse_all")
    visitor.go(f"/corner/{language}/")
    visitor.page.locator("[data-privacy-settings]").click()
    expect(visitor.page.locator(".pchoice[data-live]")).to_be_visible()


def _degrade(visitor: Visitor, language: str) -> None:
    come_anew(visitor)
    have_answered(visitor, "refuse_all")
    visitor.go(f"/corner/{language}/way")
    expect(visitor.page.locator(".pchoice-box")).to_be_visible()


def _explain(visitor: Visitor, language: str) -> None:
    come_anew(visitor)
    visitor.go(f"/corner/{language}/film")
    expect(visitor.choice("grant")).to_be_visible()


def _show_the_settings(visitor: Visitor, language: str) -> None:
    come_anew(visitor)
    visitor.go(f"/corner{PREFIX}?language={language}&next=/corner/{language}/")


def _show_what_was_answered(visitor: Visitor, language: str) -> None:
    come_anew(visitor)
    have_answered(visitor, "accept_all")
    visitor.go(f"/corner{PREFIX}?language={language}&next=/corner/{language}/")


def _ask_again_for_an_old_answer(visitor: Visitor, language: str) -> None:
    _show_the_settings(visitor, language)
    visitor.page.evaluate("document.querySelector('[name=policy]').value = '0123456789abcdef'")
    visitor.answer(visitor.choice("refuse_all"))
    expect(visitor.page.locator("[role=alert]")).to_be_visible()


def _show_own(visitor: Visitor, language: str, path: str) -> None:
    """Show a page of those who accepted in the question."""
    come_anew(visitor)
    have_answered(visitor, "accept_all", source="banner", surface="banner", language=language)
    visitor.go(f"/corner{PREFIX}{path}?language={language}")


def _show_the_records(visitor: Visitor, language: str) -> None:
    """Show two records, a note to one of them that is hard to fit in, and the form for another note."""
    _show_own(visitor, language, "/records")
    _write_a_note(visitor, f"Not the films.\nOnly {'the map ' * 20}{'.' * 200}")
    visitor.page.locator(".pchoice-attach button").first.click()
    expect(visitor.page.locator(".pchoice-written")).to_be_visible()
    have_answered(visitor, "refuse_all", source="settings", surface="settings", language=language)
    visitor.go(f"/corner{PREFIX}/records?language={language}&noted")
    _write_a_note(visitor, "I refused on the phone, too.")


def _write_a_note(visitor: Visitor, text: str) -> None:
    visitor.page.locator(".pchoice-attach summary").first.click()
    visitor.page.locator(".pchoice-attach textarea").first.fill(text)


def _show_what_was_shown(visitor: Visitor, language: str) -> None:
    _show_own(visitor, language, "/records")
    visitor.page.locator("a[href*='/records/shown']").click()
    visitor.page.locator(".pchoice-shown summary").click()


def _show_the_receipt(visitor: Visitor, language: str) -> None:
    _show_own(visitor, language, "/receipt/page")


def _show_the_requests(visitor: Visitor, language: str) -> None:
    come_anew(visitor)
    visitor.go(f"/corner{PREFIX}/requests?language={language}")


def _send_a_request_too_fast(visitor: Visitor, language: str) -> None:
    _show_the_requests(visitor, language)
    visitor.page.locator("[name=kind]").first.check()
    visitor.page.locator("[name=text]").fill("I was never asked.")
    visitor.page.locator("main button").first.click()
    expect(visitor.page.locator("[role=alert]")).to_be_visible()


SURFACES: dict[str, Surface] = {
    "first layer": _ask,
    "first layer in a bar": _ask_in_a_bar,
    "first layer in a dialog": _ask_in_a_dialog,
    "purposes open": _open_the_purposes,
    "error": _fail_to_keep_the_answer,
    "answer kept": _keep_the_answer,
    "settings in place": _open_the_settings_in_place,
    "box": _degrade,
    "explaining page": _explain,
    "settings page": _show_the_settings,
    "settings page after an answer": _show_what_was_answered,
    "settings page after an error": _ask_again_for_an_old_answer,
    "records page": _show_the_records,
    "what was shown": _show_what_was_shown,
    "receipt page": _show_the_receipt,
    "requests page": _show_the_requests,
    "requests page after an error": _send_a_request_too_fast,
}
