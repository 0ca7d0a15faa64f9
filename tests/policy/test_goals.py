"""Tests of goals and funnels in a policy file, and in a file of their own."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.goals import Funnel, Goal
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.reader import read_goals
from tests.support.policies import full_policy_data, policy_of, small_policy, write_policy_file

TABLES = """
[goals.signup]
event = "signup"

[goals.welcomed]
page = "/welcome*"

[funnels.buy]
steps = ["/shop*", "/cart", "event:paid", "goal:welcomed"]
"""
GOALS = (Goal(id="signup", event="signup"), Goal(id="welcomed", page="/welcome*"))
FUNNELS = (Funnel(id="buy", steps=("/shop*", "/cart", "event:paid", "goal:welcomed")),)


def test_policy_file_has_read_goals(tmp_path: Path) -> None:
    policy = Policy.load(write_policy_file(tmp_path, full_policy_data() | tomllib.loads(TABLES)))
    assert (policy.goals, policy.funnels) == (GOALS, FUNNELS)


def test_goals_and_funnels_are_read_alone() -> None:
    assert read_goals(tomllib.loads(TABLES)) == (GOALS, FUNNELS)
    assert read_goals({}) == ((), ())


def test_what_reports_use_changes_neither_version_nor_document() -> None:
    without = policy_of(full_policy_data())
    data = full_policy_data()
    policy = policy_of(data | tomllib.loads(TABLES) | {"site": {**data["site"], "time_zone": "Asia/Tokyo"}})
    assert policy.version == without.version
    assert policy.document() == without.document()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"goals": {"a": {}}}, '[goals.a] key "event": the goal has neither an event nor a page.'),
        (
            {"goals": {"a": {"event": "b", "page": "/b"}}},
            '[goals.a] key "event": the goal has both an event and a page.',
        ),
        ({"goals": {"a": {"event": "Sign up"}}}, "[goals.a] key \"event\": 'Sign up' is no name of an event."),
        ({"goals": {"a": {"evnt": "b"}}}, '[goals.a] key "evnt": there is no key "evnt" here. Did you mean "event"?'),
        ({"goals": {"a": {"page": "/a*b"}}}, "[goals.a] key \"page\": '/a*b' is no path of a page."),
        ({"goals": {"a": {"page": 1}}}, '[goals.a] key "page": 1 is no text. Put it in quotes.'),
        ({"goals": {"A b": {"event": "b"}}}, "[goals.A b] key \"id\": 'A b' is not valid here."),
        ({"funnels": {"a": {}}}, '[funnels.a] key "steps": the key is missing. Add it.'),
        ({"funnels": {"a": {"steps": ["/"]}}}, '[funnels.a] key "steps": the number of steps is 1. Write 2 to 20'),
        ({"funnels": {"a": {"steps": ["/", "cart"]}}}, "[funnels.a] key \"steps\": 'cart' is no step."),
        (
            {"funnels": {"a": {"steps": ["/", "event:"]}}},
            "[funnels.a] key \"steps\": '' is no name of an event.",
        ),
        ({"funnels": {"a": {"steps": ["/", "goal:b"]}}}, '[funnels.a] key "steps": there is no goal "b".'),
    ],
)
def test_wrong_tables_are_named_with_advice(data: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as own:
        read_goals(data)
    assert str(own.value).startswith(says)
    path = write_policy_file(tmp_path, full_policy_data() | data)
    with pytest.raises(PolicyError) as whole:
        Policy.load(path)
    assert str(whole.value).startswith(f"{path}: {says.partition('?')[0]}")


def test_every_wrong_table_is_named_at_once() -> None:
    with pytest.raises(PolicyError) as wrong:
        read_goals({"goals": {"a": {"event": 1}, "b": {}}, "funnels": {"c": {"steps": ["/", "goal:x"]}}})
    assert [error.table for error in wrong.value.errors] == ["[goals.a]", "[goals.b]", "[funnels.c]"]


def test_goals_of_one_id_are_refused() -> None:
    with pytest.raises(PolicyError, match=r'\[goals\] key "id": "signup" is declared twice'):
        small_policy("media", goals=(GOALS[0], GOALS[0]))
