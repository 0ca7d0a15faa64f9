"""Tests of warnings that are logged once."""

from __future__ import annotations

import logging
from functools import partial

import pytest

from cookie_consent.base.messages import (
    check,
    check_booleans,
    escape_for_log,
    forget_warnings,
    forget_with_others,
    is_list,
    is_told,
    log_failure,
    warn_once,
)


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


def test_forgetting_warnings_forgets_what_else_was_noted() -> None:
    forgotten: list[str] = []

    class Notes:
        def forget(self) -> None:
            forgotten.append("notes")

    notes = Notes()
    forget_with_others(notes)
    forget_warnings()
    assert forgotten == ["notes"]
    del notes
    forget_warnings()
    assert forgotten == ["notes"]


def test_wrong_option_is_named_with_its_remedy() -> None:
    check("days", 1, is_valid=True, remedy="")
    check_booleans(inject=True, csp=False)
    with pytest.raises(ValueError, match=r"^days: 'x' is not valid\. Write a number\.$"):
        check("days", "x", is_valid=False, remedy="Write a number.")
    for wrong in (1, None, "True"):
        with pytest.raises(ValueError, match=r"^csp: .* is not valid\. Write True or False\.$"):
            check_booleans(inject=True, csp=wrong)


@pytest.mark.parametrize(
    ("value", "is_one"),
    [([], True), ((1,), True), ({}, True), (iter(""), True), ("ab", False), (b"ab", False), (1, False)],
)
def test_text_is_no_list(value: object, is_one: bool) -> None:
    assert is_list(value) is is_one


@pytest.mark.requirement("LP-08")
def test_text_of_a_client_is_safe_for_a_log() -> None:
    assert escape_for_log('a\n"b" é\x1b') == "a\\n'b' \\xe9\\x1b"
    assert escape_for_log("\n" * 90) == "\\n" * 50


@pytest.mark.parametrize("level", [logging.INFO, pytest.param(logging.DEBUG, marks=pytest.mark.logs_an_exception)])
def test_failure_is_one_line_and_has_a_traceback_at_level_debug(level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(level, "cookie_consent")
    log_failure("No record is kept", OSError("full\nsecond line"))
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", "No record is kept: OSError full")
    assert bool(record.exc_info) is (level == logging.DEBUG)
