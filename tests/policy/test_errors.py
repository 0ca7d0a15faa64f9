from __future__ import annotations

import pytest

from cookie_consent.policy.errors import PolicyError, did_you_mean


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PolicyError("it is wrong"), "it is wrong."),
        (PolicyError("it is wrong.", "Right it."), "it is wrong. Right it."),
        (PolicyError("it is wrong", key="name"), 'key "name": it is wrong.'),
        (
            PolicyError("it is wrong", "Right it.", key="name", table="[site]", file="consent.toml"),
            'consent.toml: [site] key "name": it is wrong. Right it.',
        ),
    ],
)
def test_the_message_says_where_what_is_wrong_and_what_would_be_right(error: PolicyError, message: str) -> None:
    assert str(error) == message


def test_it_is_a_value_error() -> None:
    assert issubclass(PolicyError, ValueError)


def test_places_that_were_not_named_are_filled_in() -> None:
    error = PolicyError("it is wrong", "Right it.").at(table="[site]", key="name").at(file="consent.toml")
    assert (error.file, error.table, error.key) == ("consent.toml", "[site]", "name")
    assert (error.problem, error.remedy) == ("it is wrong", "Right it.")


def test_places_that_were_named_stay() -> None:
    error = PolicyError("it is wrong", key="name", table="[site]", file="a.toml")
    assert str(error.at(table="[other]", key="other", file="b.toml")) == str(error)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("retnetion", 'Did you mean "retention"?'),
        ("Title", 'Did you mean "title"?'),
        ("x", "Known: retention, title."),
        ("", "Known: retention, title."),
    ],
)
def test_a_near_miss_names_the_nearest_word_any_other_all_of_them(word: str, sentence: str) -> None:
    assert did_you_mean(word, ["title", "retention"]) == sentence


def test_without_any_word_it_says_so() -> None:
    assert did_you_mean("map", []) == "None is declared."
