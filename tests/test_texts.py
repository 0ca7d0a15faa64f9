from __future__ import annotations

import re

import pytest

from cookie_consent import texts

PLACEHOLDER = re.compile(r"\{\w+\}")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_shipped_language_has_every_text(language: str) -> None:
    assert texts.shipped(language).keys() == texts.names()
    assert all(text.strip() for text in texts.shipped(language).values())


@pytest.mark.parametrize("name", sorted(texts.names()))
def test_each_language_fills_the_same_places(name: str) -> None:
    english, japanese = (sorted(PLACEHOLDER.findall(texts.shipped(tag)[name])) for tag in ("en", "ja"))
    assert english == japanese


def test_a_regional_language_has_the_texts_of_its_language() -> None:
    assert texts.shipped("en-GB") == texts.shipped("en")


@pytest.mark.parametrize("language", ["", "de", "de-CH", "-", "EN"])
def test_a_language_that_does_not_ship_has_none(language: str) -> None:
    assert texts.shipped(language) == {}


@pytest.mark.parametrize(
    ("language", "direction"),
    [("ja", "ltr"), ("en-GB", "ltr"), ("ar", "rtl"), ("he-IL", "rtl"), ("FA", "rtl"), ("arn", "ltr")],
)
def test_the_writing_direction_follows_the_language(language: str, direction: str) -> None:
    assert texts.direction(language) == direction
