"""Tests of offered languages that no text has: one error blames the list of languages."""

from __future__ import annotations

from typing import Any

import pytest

from cookie_consent.policy.errors import PolicyError
from tests.support.policies import full_policy_data, policy_of


def data_in(languages: list[Any]) -> dict[str, Any]:
    data = full_policy_data()
    data["site"]["languages"] = languages
    return data


@pytest.mark.parametrize(
    ("languages", "unwritten"),
    [
        (["ja", "EN"], ["EN"]),
        (["ja", "eng"], ["eng"]),
        (["ja", "de"], ["de"]),
        (["ja", "en", "EN"], ["EN"]),
        (["ja", "en", "de"], ["de"]),
        (["JA", "EN", "ja"], ["JA", "EN"]),
    ],
)
def test_language_that_no_text_has_is_blamed_and_no_text_is(languages: list[str], unwritten: list[str]) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of(data_in(languages))
    assert [str(error) for error in caught.value.errors] == [
        f'[site] key "languages": no text is in "{language}". Write each text in it, or take it out. '
        "Texts are in: en, ja."
        for language in unwritten
    ]


def test_each_text_in_a_language_that_is_not_offered_is_blamed() -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of(data_in(["ja"]))
    assert {error.table for error in caught.value.errors}.isdisjoint({"[site]"})


def test_languages_may_be_in_any_case_if_the_texts_agree() -> None:
    site = {**full_policy_data()["site"], "languages": ["EN"], "prevailing_language": "EN"}
    del site["authority"]
    purpose = {"title": {"EN": "Maps"}, "description": {"EN": "We show maps."}}
    assert policy_of({"site": site, "purposes": {"media": purpose}}).site.languages == ("EN",)


@pytest.mark.parametrize("languages", ["ja", 1, ["ja", 1], []])
def test_languages_that_cannot_be_read_are_blamed_and_no_text_is(languages: Any) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of({**data_in(languages), "texts": {}})
    assert {error.table for error in caught.value.errors} == {"[site]"}
