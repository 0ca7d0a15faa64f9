"""Tests of docs/questions.md: each question leads to the page and the heading that it names."""

from __future__ import annotations

import re

import pytest

from tests.docs.test_docs import anchors
from tests.support.documentation import ROOT

PAGE = ROOT / "docs" / "questions.md"
ROWS = re.findall(r"^\| (.*\?) \| \[(.*)\]\(([^)#]+)#([^)]+)\) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
ASKED = {
    "Where is a list of all options?": "reference/options.md",
    "What does `POST` take?": "reference/http.md",
    "How do I leave out /admin?": "how-to/leave-admin-out.md",
    "How do I use Google Analytics 4 (GA4)?": "how-to/gate-google-analytics-4.md",
    "Which platforms, servers and browsers?": "start.md",
    "How am I asked again?": "how-to/ask-again-while-developing.md",
    "How do I test a granted page?": "how-to/test-as-a-consenting-visitor.md",
}
"""What new developers could not find."""


@pytest.mark.parametrize(("question", "text", "file", "anchor"), ROWS, ids=[row[0] for row in ROWS])
def test_question_leads_to_the_heading_that_it_names(question: str, text: str, file: str, anchor: str) -> None:
    page = PAGE.parent / file
    assert page.is_file()
    assert anchor in anchors(page), f"{file} has no heading with the anchor {anchor} any more"
    title = page.read_text("utf-8").partition("# ")[2].partition("\n")[0]
    heading = text.removeprefix(title).removeprefix(": ") or title
    assert re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") == anchor


def test_each_row_has_a_question_and_a_heading() -> None:
    assert len(re.findall(r"^\| (?!question|---)", PAGE.read_text("utf-8"), re.MULTILINE)) == len(ROWS)
    assert len({row[0] for row in ROWS}) == len(ROWS)


def test_questions_of_new_developers_are_answered() -> None:
    pages = {question: file for question, _, file, _ in ROWS}
    assert ASKED.items() <= pages.items()
