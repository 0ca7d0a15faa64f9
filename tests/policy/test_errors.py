"""Tests of the errors in a policy."""

from __future__ import annotations

import pytest

from cookie_consent.policy.errors import PolicyError, did_you_mean, raise_all


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


def test_message_of_several_errors_has_a_line_for_each() -> None:
    first, second = PolicyError("it is wrong", "Right it.", key="name", table="[site]"), PolicyError("so is this")
    with pytest.raises(PolicyError) as caught:
        raise_all([first, second])
    error = caught.value.at(file="a.toml")
    assert str(error) == 'a.toml: [site] key "name": it is wrong. Right it.\na.toml: so is this.'
    assert (error.file, error.table, error.key, error.problem) == ("a.toml", "[site]", "name", "it is wrong")
    assert [str(one) for one in error.errors] == str(error).splitlines()
    assert [len(one.errors) for one in error.errors] == [1, 1]


@pytest.mark.parametrize(("number", "last"), [(20, "error 19."), (21, "and 1 more error"), (45, "and 25 more errors")])
def test_message_has_twenty_errors_and_the_number_of_the_rest(number: int, last: str) -> None:
    with pytest.raises(PolicyError) as caught:
        raise_all(PolicyError(f"error {one}") for one in range(number))
    lines = str(caught.value).splitlines()
    assert lines[:20] == [f"error {one}." for one in range(20)]
    assert lines[-1] == last
    assert len(caught.value.errors) == number


def test_errors_are_raised_once_each_and_side_by_side() -> None:
    raise_all([])
    several = PolicyError("one", others=[PolicyError("two")])
    with pytest.raises(ValueError, match=r"^one\.\ntwo\.\nthree\.$") as caught:
        raise_all([several, PolicyError("three"), PolicyError("two")])
    assert isinstance(caught.value, PolicyError)
    assert [error.problem for error in caught.value.errors] == ["one", "two", "three"]


def test_places_are_filled_in_where_they_are_missing() -> None:
    error = PolicyError("it is wrong", "Right it.").at(table="[site]", key="name").at(file="consent.toml")
    assert (error.file, error.table, error.key) == ("consent.toml", "[site]", "name")
    assert (error.problem, error.remedy) == ("it is wrong", "Right it.")
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
    assert did_you_mean(word, []) == "None is declared."
