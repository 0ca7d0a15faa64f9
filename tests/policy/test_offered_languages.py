"""Tests of offered languages that the texts spell otherwise: one error blames the list of languages."""

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
    ("languages", "wrong", "right"),
    [
        (["ja", "EN"], "EN", "en"),
        (["ja", "english"], "english", "en"),
        (["jp", "en"], "jp", "ja"),
        (["ja", "de"], "de", "en"),
    ],
)
def test_language_that_no_text_has_is_blamed_alone(languages: list[str], wrong: str, right: str) -> None:
    data = data_in(languages)
    data["site"]["prevailing_language"] = right
    with pytest.raises(PolicyError) as caught:
        policy_of(data)
    assert str(caught.value) == (
        f'[site] key "languages": no text is in "{wrong}", but texts are in "{right}". '
        f'Write "{right}", or write each text in "{wrong}".'
    )


def test_each_language_in_other_case_is_blamed() -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of(data_in(["JA", "EN"]))
    assert [error.remedy.partition(",")[0] for error in caught.value.errors] == ['Write "ja"', 'Write "en"']


def test_language_listed_again_in_other_case_is_blamed_and_no_text_is() -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of(data_in(["ja", "en", "EN"]))
    assert str(caught.value) == ('[site] key "languages": "EN" is the same language as "en". Take "EN" out.')


@pytest.mark.parametrize("languages", [["ja", "en", "de"], ["ja"]])
def test_language_that_replaces_none_of_the_texts_is_not_blamed(languages: list[str]) -> None:
    with pytest.raises(PolicyError) as caught:
        policy_of(data_in(languages))
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
