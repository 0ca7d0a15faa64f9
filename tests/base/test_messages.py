"""Tests of warnings that are logged once."""

from __future__ import annotations

from functools import partial

import pytest

from cookie_consent.base.messages import forget_warnings, is_told, warn_once


def test_warning_is_logged_once_for_each_key_of_a_kind(caplog: pytest.LogCaptureFixture) -> None:
    assert [warn_once(kind, key, f"{kind} {key}") for kind in "ab" for key in "xxy"] == [True, False, True] * 2
    assert caplog.messages == ["a x", "a y", "b x", "b y"]
    forget_warnings()
    assert not is_told("a", "x")
    assert warn_once("a", "x", "again")


def test_text_is_made_only_for_the_first_and_an_empty_one_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    made: list[str] = []

    def make(key: str) -> str:
        made.append(key)
        return key

    for key in ("x", "x", ""):
        warn_once("a", key, partial(make, key))
    assert made == ["x", ""]
    assert caplog.messages == ["x"]


def test_each_kind_has_room_for_a_hundred_keys_and_the_last_one_says_so(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(150):
        warn_once("hosts", str(number), "100% new")
    assert caplog.messages == ["100% new"] * 100 + ["Further warnings about hosts are not logged."]
    assert warn_once("pages", "1", "another kind")


def test_long_keys_are_shortened() -> None:
    assert warn_once("hosts", "x" * 300, "x")
    assert not warn_once("hosts", "x" * 400, "x")
    assert is_told("hosts", "x" * 256)
