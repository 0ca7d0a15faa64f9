"""Tests of times in RFC 3339 format."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.base.clock import rfc3339


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_750_000_000, "2025-06-15T15:06:40Z"),
        (1_750_000_000.75, "2025-06-15T15:06:40Z"),
        (253_402_300_799, "9999-12-31T23:59:59Z"),
    ],
)
def test_timestamp_is_written_in_utc(seconds: float, text: str) -> None:
    assert rfc3339(seconds) == text


@given(st.integers(0, 253_402_300_799))
def test_whole_seconds_are_read_back(seconds: int) -> None:
    assert datetime.fromisoformat(rfc3339(seconds)) == datetime.fromtimestamp(seconds, UTC)
