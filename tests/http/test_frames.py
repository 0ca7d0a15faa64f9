"""Tests of pages in frames: they get neither the banner nor the link to the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.asgi import PAGE, PHONE, Visitor, install, page_app, reply_app

HTML = [("accept", "text/html"), ("user-agent", PHONE)]
FRAMES = ("iframe", "frame", "embed", "object", "fencedframe")
ANSWERS: dict[str, Callable[[Visitor], object]] = {
    "none": lambda visitor: None,
    "refused": lambda visitor: visitor.refuse(),
    "granted": lambda visitor: visitor.accept(),
}
for_each_answer = pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)


def visit(answer: Callable[[Visitor], object], **options: Any) -> Visitor:
    """Return a visitor who gave this answer. By default the site has a banner and a link to the settings."""
    visitor = Visitor(install(page_app(), **{"settings_link": True, **options}), HTML)
    answer(visitor)
    return visitor


@for_each_answer
@pytest.mark.parametrize("destination", FRAMES)
def test_framed_page_is_unchanged(answer: Callable[[Visitor], object], destination: str) -> None:
    reply = visit(answer).get(headers=[("sec-fetch-dest", destination)])
    assert reply.body == PAGE
    assert reply.get("link") == ""


@for_each_answer
@pytest.mark.parametrize("destination", ["document", "empty", "nonsense", ""])
def test_top_level_page_gets_settings_link_and_asks_if_unanswered(
    answer: Callable[[Visitor], object], destination: str
) -> None:
    visitor = visit(answer)
    html = visitor.get(headers=[("sec-fetch-dest", destination)] if destination else []).text
    assert "data-privacy-settings" in html
    assert ("refuse_all" in html) is (answer is ANSWERS["none"])


@for_each_answer
@pytest.mark.parametrize("destination", ["document", "iframe"])
def test_page_varies_on_sec_fetch_dest(answer: Callable[[Visitor], object], destination: str) -> None:
    reply = visit(answer).get(headers=[("sec-fetch-dest", destination)])
    assert "sec-fetch-dest" in reply.get("vary").lower().split(", ")
    assert "private" in reply.get("cache-control")


def test_page_without_banner_or_link_omits_sec_fetch_dest_from_vary() -> None:
    for visitor in (
        visit(ANSWERS["refused"], settings_link=False),
        visit(ANSWERS["none"], inject=False),
        Visitor(install(reply_app(b"{}", "application/json"), settings_link=True), HTML),
    ):
        assert "sec-fetch-dest" not in visitor.get().get("vary").lower()
