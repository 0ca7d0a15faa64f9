"""Tests of the option layout: several in turn, or the app's choice."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse
from starlette.routing import Route

from cookie_consent.ledgers import MemoryLedger
from cookie_consent.visitors.pages.layouts import Layouts
from tests.support.asgi import PAGE, PHONE, PREFIX, SITE, Clock, Visitor, install, page_app, scope
from tests.support.browsers.browser import forms
from tests.support.documentation import blocks, run
from tests.support.policies import KEY

HTML = [("accept", "text/html"), ("user-agent", PHONE)]


def layouts_in(html: str) -> tuple[str, str]:
    """Return the layout of the question in a page, and the one that its form names."""
    shown = re.search(r'class="pchoice pchoice-(\w+) pchoice-part"', html)
    assert shown is not None
    return shown[1], dict(forms(html)[0].hidden)["variant"]


def by_header(request: HTTPConnection) -> str:
    return request.headers["x-layout"]


def test_layouts_take_turns_by_day_and_host() -> None:
    clock = Clock()
    layouts = Layouts(["corner", "bar"], clock)
    seen = []
    for _ in range(4):
        seen.append(layouts.of(scope()))
        assert layouts.of(scope(path="/other", host="site.example:8000")) == seen[-1]
        clock.forward(days=1)
    assert seen in (["corner", "bar"] * 2, ["bar", "corner"] * 2)
    assert {layouts.of(scope(host=f"{number}.example")) for number in range(20)} == {"corner", "bar"}


def test_page_and_question_have_the_layout_of_the_day() -> None:
    clock = Clock()
    visitor, seen = Visitor(install(page_app(), layout=["modal", "bar"], clock=clock), HTML), set()
    for _ in range(2):
        shown, named = layouts_in(visitor.get().text)
        assert shown == named
        assert layouts_in(visitor.get().text) == (shown, named)  # the quick way
        assert f"pchoice-{shown}" in visitor.get(f"{PREFIX}/question", query=b"next=%2F").text
        seen.add(shown)
        clock.forward(days=1)
    assert seen == {"modal", "bar"}


def test_app_chooses_the_layout_of_a_request() -> None:
    visitor = Visitor(install(page_app(), layout=by_header), HTML)
    for layout in ("bar", "modal", "corner", "bar"):
        assert layouts_in(visitor.get("/", [("x-layout", layout)]).text) == (layout, layout)
        assert f"pchoice-{layout}" in visitor.get(f"{PREFIX}/question", [("x-layout", layout)]).text


@pytest.mark.parametrize("function", [lambda request: None, lambda request: "sideways"])
def test_layout_that_there_is_not_is_the_usual_one(function: Callable[[HTTPConnection], str | None]) -> None:
    assert layouts_in(Visitor(install(page_app(), layout=function), HTML).get().text) == ("corner", "corner")


@pytest.mark.parametrize("layout", [[], ["corner", "top"], "top", None, 5])
def test_unknown_layout_is_refused(layout: object) -> None:
    with pytest.raises(ValueError, match="layout"):
        Layouts(layout, Clock())  # type: ignore[arg-type]


def test_shared_pages_take_turns_but_do_not_differ_by_request() -> None:
    app = install(page_app(), layout=["modal", "bar"], shared_pages=True)
    assert dict(forms(Visitor(app, HTML).get().text)[0].hidden)["variant"] in ("modal", "bar")
    with pytest.raises(ValueError, match=r"layout: shared_pages are the same for everybody"):
        install(page_app(), layout=by_header, shared_pages=True)


@pytest.mark.parametrize("number", [0, 1], ids=["list", "function"])
def test_examples_of_banner_md_ask_in_the_layout_that_they_say(number: int, tmp_path: Path) -> None:
    app = Starlette(routes=[Route("/{path:path}", lambda request: HTMLResponse(PAGE))])
    (tmp_path / "consent.toml").write_text(SITE, "utf-8")
    code = blocks("docs/banner.md", "python")[number].replace("consent.toml", str(tmp_path / "consent.toml"))
    run(code, app=app, KEYS=KEY)
    shop, other = (layouts_in(Visitor(app, HTML).get(path).text)[0] for path in ("/shop/cart", "/about"))
    assert (shop, other) == ("bar", "corner") if number else shop == other in ("bar", "corner")


@pytest.mark.parametrize(("path", "query"), [("/", b""), (f"{PREFIX}/question", b"again=&next=%2F")])
def test_proof_shows_the_layout_that_was_answered(path: str, query: bytes) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(page_app(), layout=by_header, ledger=ledger), HTML)
    reply = visitor.get(path, [("x-layout", "modal")], query=query)
    visitor.send_form(forms(reply.text)[0].pressed("accept_all"), [("x-layout", "bar")])
    assert any("<dialog" in text for kind, _, text in ledger.cited() if kind == "texts")
