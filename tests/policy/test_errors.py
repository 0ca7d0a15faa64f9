"""Tests of the errors in a policy."""

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
def test_message_has_place_problem_and_remedy(error: PolicyError, message: str) -> None:
    assert str(error) == message


def test_policy_error_is_value_error() -> None:
    assert issubclass(PolicyError, ValueError)


def test_at_fills_in_missing_places() -> None:
    error = PolicyError("it is wrong", "Right it.").at(table="[site]", key="name").at(file="consent.toml")
    assert (error.file, error.table, error.key) == ("consent.toml", "[site]", "name")
    assert (error.problem, error.remedy) == ("it is wrong", "Right it.")


def test_at_keeps_named_places() -> None:
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
def test_did_you_mean_suggests_nearest_word_or_lists_all(word: str, sentence: str) -> None:
    assert did_you_mean(word, ["title", "retention"]) == sentence


def test_did_you_mean_without_words_says_none_is_declared() -> None:
    assert did_you_mean("map", []) == "None is declared."
