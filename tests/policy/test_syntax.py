from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.policy.syntax import parse_duration, written_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1 second", timedelta(seconds=1)),
        ("30 minutes", timedelta(minutes=30)),
        ("36 hours", timedelta(hours=36)),
        ("395 days", timedelta(days=395)),
        ("2 weeks", timedelta(days=14)),
        ("6 months", timedelta(days=180)),
        ("1 year", timedelta(days=365)),
        ("1 years", timedelta(days=365)),
        ("999999 years", timedelta(days=999_999 * 365)),
    ],
)
def test_a_whole_number_and_a_unit_are_a_duration(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "", "395", "days", "395days", "395  days", " 395 days", "395 days ", "395 days\n", "0 days", "-1 days",
        "+1 day", "1.5 days", "1e3 days", "007 days", "1000000 days", "395 Days", "395 DAYS", "395 d",
        "1 day 2 hours", "１ day", "one day", "session", "P395D",
    ],
)  # fmt: skip
def test_anything_else_is_none_and_the_error_shows_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match='write a whole number and a unit, as in "395 days"'):
        parse_duration(text)


@given(st.text())
def test_any_text_is_a_positive_duration_or_a_value_error(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert duration > timedelta(0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1, "1 second"),
        (45, "45 seconds"),
        (1800, "30 minutes"),
        (3599.5, "1 hour"),
        (3601, "61 minutes"),
        (86_400, "1 day"),
        (1_209_599.2, "14 days"),
        (90_000, "25 hours"),
        (34_560_000, "400 days"),
        (31_536_001, "525601 minutes"),
    ],
)
def test_a_duration_is_written_in_the_largest_unit_that_says_it(seconds: float, text: str) -> None:
    assert written_duration(seconds) == text


@given(st.floats(min_value=0.001, max_value=34_560_000))
def test_what_is_written_is_read_again_and_never_shorter(seconds: float) -> None:
    assert 0 <= parse_duration(written_duration(seconds)).total_seconds() - seconds < 61
