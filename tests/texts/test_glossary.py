"""Tests that docs/languages.md gives each shipped language its terms, and that the texts use them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cookie_consent.texts import catalog

PAGE = Path(__file__).parents[2] / "docs" / "languages.md"
TEXTS_OF_TERM = {
    "purpose": ("purposes", "status_granted", "status_refused"),
    "consent": ("banner_withdraw", "erased_on_withdrawal"),
    "refuse": ("refuse_all", "banner_freedom", "status_refused", "event_refused"),
    "withdraw": ("banner_withdraw", "event_withdrawn", "withdraw"),
    "third party": ("banner_recipients", "no_recipients"),
    "controller": ("banner_asked_by", "controller"),
    "tracing": ("erase", "kept_traces", "erased"),
}
"""Term -> the texts whose English sentence uses it."""


def glossary() -> dict[str, dict[str, list[str]]]:
    """Return the page's tables: language -> term -> its stems."""
    tables: dict[str, dict[str, list[str]]] = {}
    for section in PAGE.read_text("utf-8").split("\n## ")[1:]:
        if language := re.match(r".*\(`([\w-]+)`\)\n", section):
            rows = re.findall(r"^\| ([\w ]+) \| (.+) \|$", section, re.MULTILINE)
            tables[language[1]] = {term: cell.split(", ") for term, cell in rows if term != "term"}
    return tables


def forms(text: catalog.Text) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


def plain(form: str) -> str:
    """Return a text without its placeholders, in lower case."""
    return re.sub(r"\{\w+\}", "", form).casefold()


def test_page_has_shipped_languages_in_order() -> None:
    assert list(glossary()) == catalog.shipped_languages()


@pytest.mark.parametrize("language", catalog.shipped_languages())
def test_page_has_each_term(language: str) -> None:
    table = glossary()[language]
    assert list(table) == list(TEXTS_OF_TERM)
    assert [term for term, stems in table.items() if not all(re.search(r"\w", stem) for stem in stems)] == []


@pytest.mark.parametrize("language", catalog.shipped_languages())
def test_texts_use_the_terms_of_the_page(language: str) -> None:
    table, texts = glossary()[language], catalog.shipped(language)
    without = [
        (term, name, form)
        for term, stems in table.items()
        for name in TEXTS_OF_TERM[term]
        for form in forms(texts[name])
        if not any(stem.casefold() in plain(form) for stem in stems)
    ]
    assert without == []
