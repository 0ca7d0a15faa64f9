"""Who is not asked again is told of a change of the policy, by one line, for as long as it is new."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.asgi import PREFIX, SITE, Clock, Visitor, install, page
from tests.support.policies import text_of

REWORDED = SITE.replace("We count visits.", "We count each visit.")
CHANGE = '\n[[changes]]\ndate = {}\ntext = {{ en = "Clearer words.", ja = "表現の見直し" }}\n'
"""The clock of the tests begins on 2025-06-15."""
LINE = '<a class="pchoice-news" href="'


def visits(text: str, *, days: float, **options: Any) -> tuple[Visitor, Clock]:
    """Return somebody who accepted the policy of before, and comes back so many days later."""
    clock = Clock()
    visitor = Visitor(install(page(), clock=clock))
    visitor.accept()
    clock.forward(days=days)
    later = Visitor(install(page(), text, clock=clock, **options))
    later.jar = visitor.jar
    return later, clock


def test_one_line_tells_of_a_change_and_leads_to_it() -> None:
    visitor, _ = visits(REWORDED + CHANGE.format("2025-06-20"), days=6)
    html = visitor.get("/").text
    assert html.count(LINE) == 1
    assert f'{LINE}{PREFIX}?language=en&amp;next=/#pchoice-changes"' in html
    assert 'Our policy changed on <time datetime="2025-06-20">June 20, 2025</time>. See what changed</a>' in html
    assert "pchoice-title" not in html
    assert 'id="pchoice-changes"' in visitor.get(PREFIX).text


@pytest.mark.parametrize(
    ("days", "told"),
    [(4, False), (5, True), (34, True), (35, False), (100, False)],
)
def test_it_is_told_from_its_day_on_for_thirty_days(days: float, told: bool) -> None:
    visitor, _ = visits(REWORDED + CHANGE.format("2025-06-20"), days=days)
    assert (LINE in visitor.get("/").text) == told


def test_the_same_visitor_sees_it_come_and_go() -> None:
    visitor, clock = visits(REWORDED + CHANGE.format("2025-06-20"), days=4)
    seen = []
    for _ in range(35):
        seen.append([LINE in visitor.get("/").text for _ in range(3)])
        clock.forward(days=1)
    assert seen == [[False] * 3] + [[True] * 3] * 30 + [[False] * 3] * 4


def test_the_newest_change_that_has_come_is_told() -> None:
    dates = ("2025-06-18", "2025-06-20", "2025-09-01", "2025-01-01")
    visitor, _ = visits(REWORDED + "".join(map(CHANGE.format, dates)), days=6)
    html = visitor.get("/").text
    assert html.count(LINE) == 1
    assert 'datetime="2025-06-20"' in html


@pytest.mark.parametrize(
    "text",
    [
        REWORDED,
        SITE,
        REWORDED + CHANGE.format("2025-06-15"),
        REWORDED + CHANGE.format("2025-06-01"),
        REWORDED + CHANGE.format("2025-12-01"),
    ],
    ids=["nothing announced", "nothing changed", "announced on the day of the answer", "before it", "in the future"],
)
def test_where_there_is_nothing_new_nothing_is_told(text: str) -> None:
    visitor, _ = visits(text, days=6)
    assert LINE not in visitor.get("/").text


def test_who_is_asked_again_reads_it_in_the_question_alone() -> None:
    wider = REWORDED.replace('retention = "', 'retention = "1') + CHANGE.format("2025-06-20")
    visitor, _ = visits(wider, days=6)
    html = visitor.get("/").text
    assert "pchoice-title" in html
    assert LINE not in html


def test_who_has_not_answered_is_told_nothing() -> None:
    clock = Clock()
    visitor = Visitor(install(page(), REWORDED + CHANGE.format("2025-06-20"), clock=clock))
    clock.forward(days=6)
    assert LINE not in visitor.get("/").text


def test_an_answer_to_the_policy_of_now_ends_it() -> None:
    visitor, _ = visits(REWORDED + CHANGE.format("2025-06-20"), days=6)
    assert LINE in visitor.get("/").text
    visitor.refuse()
    assert LINE not in visitor.get("/").text


def test_a_site_with_a_link_of_its_own_has_the_line_all_the_same() -> None:
    visitor, _ = visits(REWORDED + CHANGE.format("2025-06-20"), days=6, settings_link=False)
    html = visitor.get("/").text
    assert LINE in html
    assert "data-privacy-settings" not in html
    assert visitor.request("POST", "/").text.count(LINE) == 0


def test_a_site_that_wants_nothing_put_in_gets_nothing() -> None:
    visitor, _ = visits(REWORDED + CHANGE.format("2025-06-20"), days=6, inject=False)
    assert LINE not in visitor.get("/").text


def test_it_is_told_in_the_language_of_the_page() -> None:
    visitor, _ = visits(REWORDED + CHANGE.format("2025-06-20"), days=6, language=lambda request: "ja")
    html = visitor.get("/").text
    assert text_of(install(page())._installed.policy, "ja", "announced").partition("{date}")[2] in html
    assert "2025年6月20日" in html
