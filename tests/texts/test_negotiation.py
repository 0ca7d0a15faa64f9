"""Tests of language negotiation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.texts.locales import accepted_language, match_language

OFFERED = ("ja", "en-GB", "pt", "zh-Hant")
SUBTAGS = st.sampled_from(["ja", "JA", "en", "GB", "x", "Hant", "zh", "9a"]) | st.text("abAB1", min_size=1, max_size=8)
TAGS = st.lists(SUBTAGS, min_size=1, max_size=4).map("-".join)


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("ja", "ja"),
        ("JA", "ja"),
        ("ja-JP", "ja"),
        ("ja-Latn-JP-x-private", "ja"),
        ("en-gb", "en-GB"),
        ("en", "en-GB"),
        ("en-US", "en-GB"),
        ("pt-BR", "pt"),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh-TW", "zh-Hant"),
        ("de", None),
        ("j", None),
        ("", None),
    ],
)
def test_tag_matches_itself_then_general_then_special_language(tag: str, language: str | None) -> None:
    assert match_language(tag, OFFERED) == language


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        *(("zh-TW", "zh-Hant"), ("zh-HK", "zh-Hant"), ("zh-Hant-HK", "zh-Hant"), ("ZH-tw", "zh-Hant")),
        *(("zh", "zh-Hans"), ("zh-CN", "zh-Hans"), ("zh-SG", "zh-Hans"), ("zh-Hans-TW", "zh-Hans")),
        *(("nb", "no"), ("nn-NO", "no"), ("nb-Latn-NO", "no"), ("no-NO", "no")),
        *(("sr", "sr-Cyrl"), ("sr-Latn", "sr-Latn"), ("sr-Latn-RS", "sr-Latn"), ("sr-RS", "sr-Cyrl")),
    ],
)
def test_related_language_in_same_script_is_preferred(tag: str, language: str) -> None:
    offered = ("sr-Latn", "zh-Hans", "no", "zh-Hant", "sr-Cyrl")
    assert match_language(tag, offered) == language
    assert match_language(tag, offered[::-1]) == language


def test_related_language_in_other_script_is_better_than_none() -> None:
    assert match_language("zh-TW", ("ja", "zh-Hans")) == "zh-Hans"
    assert match_language("no", ("en", "nn", "nb")) == "nn"
    assert match_language("nn", ("en", "nb")) == "nb"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ja", "ja"),
        ("de, en;q=0.5, ja;q=0.9", "ja"),
        ("en;q=0.5, ja;q=0.5", "en-GB"),
        ("ja;q=0.5,en", "en-GB"),
        (" ja ; q = 1.000 , en", "ja"),
        ("ja;Q=0.1", "ja"),
        ("ja;q=0", None),
        ("ja;q=0.000, en;q=0.001", "en-GB"),
        ("de-DE, de, fr", None),
        ("*", None),
        ("", None),
        (",,;,", None),
    ],
)
def test_best_offered_language_is_chosen(header: str, language: str | None) -> None:
    assert accepted_language(header, OFFERED) == language


@pytest.mark.parametrize(
    "bad", ["ja;q=1.5", "ja;q=2", "ja;q=-1", "ja;q=0.1234", "ja;q=", "ja;q=nan", "ja q=1", "ja_JP", "日本"]
)
def test_unreadable_language_range_is_skipped(bad: str) -> None:
    assert accepted_language(f"{bad}, pt;q=0.1", OFFERED) == "pt"


def test_only_beginning_of_long_accept_language_is_read() -> None:
    assert accepted_language("de," * 300 + "ja", OFFERED) is None


@given(st.text() | st.lists(TAGS).map(",".join), st.lists(TAGS, unique=True).map(tuple))
def test_accepted_language_is_offered_or_none(header: str, offered: tuple[str, ...]) -> None:
    assert accepted_language(header, offered) in (None, *offered)


@given(st.text() | TAGS, st.lists(TAGS, unique=True).map(tuple))
def test_matched_language_is_offered_or_none(tag: str, offered: tuple[str, ...]) -> None:
    assert match_language(tag, offered) in (None, *offered)


@given(st.lists(TAGS, min_size=1).map(tuple), st.data())
def test_offered_language_matches_itself(offered: tuple[str, ...], data: st.DataObject) -> None:
    tag = data.draw(st.sampled_from(offered))
    found = match_language(tag, offered)
    assert found is not None
    assert found.lower() == tag.lower()
