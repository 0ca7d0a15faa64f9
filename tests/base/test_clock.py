"""Tests of times: how they are written and compared, and what is done once a day."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.base.clock import Daily, day_of, is_future, is_within, rfc3339, seconds_of, time_zone

NOW = 1_750_000_000.0
HOUR, DAY = 3600, 86_400


@given(st.integers(0, 253_402_300_799), st.floats(0, 0.99))
def test_time_is_written_in_utc_and_read_back(seconds: int, more: float) -> None:
    assert seconds_of(rfc3339(seconds)) == seconds
    assert rfc3339(1_750_000_000 + more) == "2025-06-15T15:06:40Z"
    assert day_of(seconds) == datetime.fromtimestamp(seconds, UTC).date()


def test_day_is_that_of_utc() -> None:
    assert (day_of(86_399), day_of(86_400)) == (date(1970, 1, 1), date(1970, 1, 2))


@pytest.mark.parametrize(("then", "future"), [(NOW - 1, False), (NOW + 300, False), (NOW + 300.5, True)])
def test_time_is_in_the_future_beyond_what_clocks_differ(then: float, future: bool) -> None:
    assert is_future(then, NOW) is future
    assert is_within(60, then, NOW) is not future
    assert not is_within(60, then - 361, NOW)
    assert is_within(60, NOW - 59.5, NOW)
    assert not is_within(60, NOW - 60, NOW)
    assert not is_within(60, None, NOW)


def test_time_zone_has_its_name_or_an_error_says_what_to_write() -> None:
    assert time_zone("UTC") is UTC
    assert str(time_zone("Asia/Tokyo")) == "Asia/Tokyo"
    for wrong in ("Tokyo", "../etc/passwd", "Asia", ""):
        with pytest.raises(ValueError, match=f'there is no time zone "{wrong}". Write a name of the IANA database'):
            time_zone(wrong)


CALLS = [
    # seconds since the first call, whether only a repetition is asked for -> whether it runs
    (0, True, False),
    (0, False, True),
    (DAY - 1, False, False),
    (DAY, True, False),  # it is due, and runs an hour later
    (DAY + HOUR - 1, True, False),
    (DAY + HOUR, True, True),
    (2 * DAY + HOUR, False, False),
    (9 * DAY + 2 * HOUR, False, False),  # a clock that was far ahead: the hour begins again
    (9 * DAY + 3 * HOUR, False, True),
    (9 * DAY + 3 * HOUR - 300, False, False),
    (2 * DAY, False, False),  # the clock was set back
    (2 * DAY + HOUR, False, True),
]


def test_daily_work_runs_at_once_and_then_an_hour_after_it_is_due(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    ran: list[float] = []
    daily = Daily(ran.append)
    daily.wait()
    for seconds, again, runs in CALLS:
        before = len(ran)
        daily.run_if_due(NOW + seconds, again=again)
        daily.wait()
        assert ran[before:] == [NOW + seconds] * runs, seconds
    assert daily.ran == NOW + 2 * DAY + HOUR
    assert caplog.messages == [
        "The clock was set back by 612000 seconds: what is done once a day is done again.",
    ]
