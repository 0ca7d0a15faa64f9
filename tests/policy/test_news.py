"""Tests of the announcement: visitors who are not asked again see a line about a recent change of the policy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.asgi import PREFIX, SITE, Clock, Visitor, install, page_app
from tests.support.policies import text_of

REWORDED = SITE.replace("We count visits.", "We count each visit.")
CHANGE = '\n[[changes]]\ndate = {}\ntext = {{ en = "Clearer words.", ja = "表現の見直し" }}\n'
ANNOUNCED = REWORDED + CHANGE.format("2025-06-20")
"""Announced five days after the clock of the tests begins."""
LINE = '<a class="pchoice-news" href="'


def returning_visitor(text: str, *, days: float, **options: Any) -> tuple[Visitor, Clock]:
    """Return a visitor who accepted the earlier policy and comes back this many days later."""
    clock = Clock()
    visitor = Visitor(install(page_app(), clock=clock))
    visitor.accept()
    clock.forward(days=days)
    later = Visitor(install(page_app(), text, clock=clock, **options))
    later.jar = visitor.jar
    return later, clock


@pytest.mark.requirement("PO-07")
def test_page_links_once_to_announced_change() -> None:
    visitor, _ = returning_visitor(ANNOUNCED, days=6)
    html = visitor.get("/").text
    assert html.count(LINE) == 1
    assert f'{LINE}{PREFIX}?language=en&amp;next=/#pchoice-changes"' in html
    assert 'Our policy changed on <time datetime="2025-06-20">June 20, 2025</time>. See what changed</a>' in html
    assert "pchoice-title" not in html
    assert 'id="pchoice-changes"' in visitor.get(PREFIX).text


def test_new_answer_ends_announcement() -> None:
    visitor, _ = returning_visitor(ANNOUNCED, days=6)
    assert LINE in visitor.get("/").text
    visitor.refuse()
    assert LINE not in visitor.get("/").text


def test_announcement_is_shown_without_settings_link() -> None:
    visitor, _ = returning_visitor(ANNOUNCED, days=6, settings_link=False)
    html = visitor.get("/").text
    assert LINE in html
    assert "data-privacy-settings" not in html
    assert visitor.request("POST", "/").text.count(LINE) == 0


def test_announcement_is_not_shown_without_injection() -> None:
    visitor, _ = returning_visitor(ANNOUNCED, days=6, inject=False)
    assert LINE not in visitor.get("/").text


def test_announcement_is_in_page_language() -> None:
    visitor, _ = returning_visitor(ANNOUNCED, days=6, language=lambda request: "ja")
    html = visitor.get("/").text
    assert text_of(install(page_app())._site.policy, "ja", "announced").partition("{date}")[2] in html
    assert "2025年6月20日" in html


def test_policy_without_a_newer_change_is_not_announced() -> None:
    for text in (REWORDED, SITE, REWORDED + CHANGE.format("2025-06-15")):
        visitor, _ = returning_visitor(text, days=6)
        assert LINE not in visitor.get("/").text
    wider, _ = returning_visitor(
        REWORDED.replace('retention = "', 'retention = "1') + CHANGE.format("2025-06-20"), days=6
    )
    assert "pchoice-title" in wider.get("/").text
    assert LINE not in wider.get("/").text
