"""Tests of durations as texts."""

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
def test_duration_is_number_and_unit(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "", "395", "days", "395days", "395  days", " 395 days", "395 days ", "395 days\n", "0 days", "-1 days",
        "+1 day", "1.5 days", "1e3 days", "007 days", "1000000 days", "395 Days", "395 DAYS", "395 d",
        "1 day 2 hours", "１ day", "one day", "session", "P395D",
    ],
)  # fmt: skip
def test_invalid_duration_is_rejected_with_example(text: str) -> None:
    with pytest.raises(ValueError, match='write a whole number and a unit, as in "395 days"'):
        parse_duration(text)


@given(st.text())
def test_any_parsed_duration_is_positive(text: str) -> None:
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
def test_duration_is_written_in_largest_exact_unit(seconds: float, text: str) -> None:
    assert written_duration(seconds) == text


@given(st.floats(min_value=0.001, max_value=34_560_000))
def test_written_duration_parses_and_is_never_shorter(seconds: float) -> None:
    assert 0 <= parse_duration(written_duration(seconds)).total_seconds() - seconds < 61
