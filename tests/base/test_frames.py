"""Documents in frames: the page around them asks, and has the link to the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.asgi import PAGE, PHONE, Visitor, answering, install, page

HTML = [("accept", "text/html"), ("user-agent", PHONE)]
FRAMES = ("iframe", "frame", "embed", "object", "fencedframe")
ANSWERS: dict[str, Callable[[Visitor], object]] = {
    "nobody answered": lambda visitor: None,
    "refused": lambda visitor: visitor.refuse(),
    "granted": lambda visitor: visitor.accept(),
}
whatever_was_answered = pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)


def come(answer: Callable[[Visitor], object], **options: Any) -> Visitor:
    """Let somebody come to a site whose pages ask and end with a link, unless the options say otherwise."""
    visitor = Visitor(install(page(), **{"settings_link": True, **options}), HTML)
    answer(visitor)
    return visitor


@whatever_was_answered
@pytest.mark.parametrize("destination", FRAMES)
def test_a_document_in_a_frame_stays_as_it_is(answer: Callable[[Visitor], object], destination: str) -> None:
    reply = come(answer).get(headers=[("sec-fetch-dest", destination)])
    assert reply.body == PAGE
    assert reply.get("link") == ""


@whatever_was_answered
@pytest.mark.parametrize("destination", ["document", "empty", "nonsense", ""])
def test_any_other_page_asks_or_ends_with_the_link(answer: Callable[[Visitor], object], destination: str) -> None:
    visitor = come(answer)
    said = visitor.get(headers=[("sec-fetch-dest", destination)] if destination else []).text
    assert "data-privacy-settings" in said
    assert ("refuse_all" in said) is (answer is ANSWERS["nobody answered"])


@whatever_was_answered
@pytest.mark.parametrize("destination", ["document", "iframe"])
def test_caches_are_told_that_a_page_differs_in_a_frame(answer: Callable[[Visitor], object], destination: str) -> None:
    reply = come(answer).get(headers=[("sec-fetch-dest", destination)])
    assert "sec-fetch-dest" in reply.get("vary").lower().split(", ")
    assert "private" in reply.get("cache-control")


def test_a_page_that_gets_neither_does_not_differ() -> None:
    for visitor in (
        come(ANSWERS["refused"], settings_link=False),
        come(ANSWERS["nobody answered"], inject=False),
        Visitor(install(answering(b"{}", "application/json"), settings_link=True), HTML),
    ):
        assert "sec-fetch-dest" not in visitor.get().get("vary").lower()
