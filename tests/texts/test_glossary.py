"""Tests that docs/languages.md gives each shipped language its terms, and that the texts use them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cookie_consent.texts import catalog

PAGE = Path(__file__).parents[2] / "docs" / "languages.md"
TEXTS_OF_TERM = {
    "purpose": ("purposes", "status_granted", "status_refused"),
    "consent": ("banner_withdraw",),
    "refuse": ("refuse_all", "banner_freedom", "status_refused"),
    "withdraw": ("banner_withdraw",),
    "third party": ("banner_recipients", "no_recipients"),
    "controller": ("banner_asked_by",),
    "tracing": ("erase", "kept_traces", "erased"),
}
"""Term -> the texts whose English sentence uses it."""


def glossary() -> dict[str, dict[str, list[str]]]:
    """Return the page's table: language -> term -> its stems."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    head, _, *rows = [line.strip("| ").split(" | ") for line in lines]
    tables = {}
    for language, *cells in rows:
        code = language.partition("`")[2].removesuffix("`)")
        tables[code] = {term: cell.split(", ") for term, cell in zip(head[1:], cells, strict=True)}
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
