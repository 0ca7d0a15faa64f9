"""Tests of how languages, known and unknown, write lists, numbers, dates and plurals."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.texts.catalog import shipped_languages
from cookie_consent.texts.locales import (
    between_sentences,
    country_name,
    direction,
    is_country,
    language_and_script,
    language_name,
    listed,
    plural,
    written_date,
    written_number,
)

DAY = date(2026, 1, 2)
UNKNOWN = ["xx", "x-private", "i-klingon", "tlh-Latn", "ja_JP", ""]
TAGS = st.lists(st.text("abzJN01-_é", max_size=9), min_size=1, max_size=4).map("-".join) | st.text()


@pytest.mark.parametrize(
    ("language", "one", "two", "four"),
    [
        ("en", "a", "a and b", "a, b, c, and d"),
        ("en-GB", "a", "a and b", "a, b, c and d"),
        ("ja", "a", "a、b", "a、b、c、d"),
        ("zh-Hans", "a", "a和b", "a、b、c和d"),
        ("de", "a", "a und b", "a, b, c und d"),
        ("xx", "a", "a, b", "a, b, c, d"),
    ],
)
def test_list_is_written_as_in_language(language: str, one: str, two: str, four: str) -> None:
    assert listed([], language) == ""
    assert listed(iter("a"), language) == one
    assert listed(("a", "b"), language) == two
    assert listed("abcd", language) == four


@pytest.mark.parametrize(
    ("language", "name"),
    [
        *(("en", "United States"), ("de", "Vereinigte Staaten"), ("ja", "アメリカ合衆国"), ("zh-Hant", "美國")),
        *(("de-CH", "Vereinigte Staaten"), ("xx", "United States"), ("", "United States")),
    ],
)
def test_country_has_name_in_language_or_english(language: str, name: str) -> None:
    assert country_name("US", language) == name


def test_each_shipped_language_names_countries() -> None:
    codes = ("DE", "GB", "IE", "IN", "JP", "SG", "US")
    english = [country_name(code, "en") for code in codes]
    for language in shipped_languages():
        names = [country_name(code, language) for code in codes]
        assert len(set(names)) == len(codes), language
        assert language == "en" or names != english, language


def test_country_is_a_code_of_iso_3166() -> None:
    codes = ["US", "JP", "GB", "TW", "HK", "XK"]
    others = ["", "us", "USA", "UK", "EU", "ZZ", "XA", "UN", "001", "840", "Japan"]
    assert [code for code in [*codes, *others] if is_country(code)] == codes


@pytest.mark.parametrize(
    ("language", "written"),
    [("en", "1,234,567"), ("de", "1.234.567"), ("fr", "1\u202f234\u202f567"), ("hi", "12,34,567"), ("xx", "1,234,567")],
)
def test_number_is_grouped_as_in_language(language: str, written: str) -> None:
    assert written_number(1234567, language) == written
    assert written_number(7, language) == "7"


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("en", "January 2, 2026"),
        ("en-GB", "2 January 2026"),
        ("ja", "2026年1月2日"),
        ("pl", "2 stycznia 2026"),
        ("hu", "2026. január 2."),
        ("th", "2 มกราคม ค.ศ. 2026"),
    ],
)
def test_date_has_month_in_words(language: str, written: str) -> None:
    assert written_date(DAY, language) == written


@pytest.mark.parametrize(
    ("language", "categories"),
    [
        ("en", {0: "other", 1: "one", 2: "other"}),
        ("fr", {0: "one", 1: "one", 2: "other", 1_000_000: "many"}),
        ("pl", {1: "one", 2: "few", 5: "many", 12: "many", 22: "few"}),
        ("ar", {0: "zero", 1: "one", 2: "two", 3: "few", 11: "many", 100: "other"}),
        ("nb", {1: "one", 2: "other"}),
        ("ja", {0: "other", 1: "other"}),
        ("xx", {0: "other", 1: "other"}),
    ],
)
def test_number_has_plural_category_of_language(language: str, categories: dict[int, str]) -> None:
    assert {number: plural(number, language) for number in categories} == categories


@pytest.mark.parametrize(
    ("language", "way"),
    [
        *(("ja", "ltr"), ("en-GB", "ltr"), ("arn", "ltr"), ("az", "ltr"), ("", "ltr")),
        *(("ar", "rtl"), ("he-IL", "rtl"), ("FA", "rtl"), ("az-Arab", "rtl"), ("ar-x-private", "rtl")),
    ],
)
def test_writing_direction_follows_language(language: str, way: str) -> None:
    assert direction(language) == way


@pytest.mark.parametrize(
    ("language", "name"),
    [("en", "English"), ("ja", "日本語"), ("no", "norsk"), ("zh-Hant", "中文 (繁體)"), ("fa", "فارسی"), ("xx", "xx")],
)
def test_language_is_named_in_itself(language: str, name: str) -> None:
    assert language_name(language) == name


@pytest.mark.parametrize(
    ("language", "reader", "name"),
    [
        *(
            ("ja", "en", "Japanese"),
            ("ja", "de-CH", "Japanisch"),
            ("en", "ja", "英語"),
            ("pt-BR", "fr", "portugais (Brésil)"),
        ),
        *(("zh-Hant", "en", "Chinese (Traditional)"), ("ja", "xx", "日本語"), ("xx", "en", "xx")),
    ],
)
def test_language_is_named_in_language_of_reader(language: str, reader: str, name: str) -> None:
    assert language_name(language, reader) == name


@pytest.mark.parametrize(
    ("language", "between"),
    [
        *((tag, "") for tag in ("ja", "zh-Hans", "zh-TW", "ja-JP")),
        *((tag, " ") for tag in ("en", "ko", "th", "ar", "xx")),
    ],
)
def test_sentences_are_separated_as_in_language(language: str, between: str) -> None:
    assert between_sentences(language) == between


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        *(("zh", ("zh", "hans")), ("zh-TW", ("zh", "hant")), ("zh-hk", ("zh", "hant")), ("ZH-Hans-TW", ("zh", "hans"))),
        *(("en-US", ("en", "latn")), ("ja-JP", ("ja", "jpan")), ("sr", ("sr", "cyrl")), ("sr-Latn", ("sr", "latn"))),
        *(("nb", ("no", "latn")), ("nn-NO", ("no", "latn")), ("no", ("no", "latn"))),
        *(("xx", ("xx", "")), ("xx-Latn", ("xx", "latn")), ("xx-1234", ("xx", "")), ("", ("", ""))),
    ],
)
def test_tag_without_script_gets_likely_script(tag: str, found: tuple[str, str]) -> None:
    assert language_and_script(tag) == found


@pytest.mark.parametrize("tag", UNKNOWN)
def test_unknown_language_is_written_plainly(tag: str) -> None:
    assert written_number(1234, tag) == "1,234"
    assert language_name(tag) == tag
    assert "2026" in written_date(DAY, tag)


@given(TAGS)
def test_any_tag_is_accepted(tag: str) -> None:
    assert direction(tag) in ("ltr", "rtl")
    assert plural(5, tag) in ("zero", "one", "two", "few", "many", "other")
    assert len(language_and_script(tag)) == 2
    assert language_name(tag) or not tag
    assert language_name("ja", tag)
    assert listed("ab", tag).startswith("a")
