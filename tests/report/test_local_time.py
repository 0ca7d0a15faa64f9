"""Tests of local times: days of 23 and 25 hours, days that do not begin at midnight, and days that do not exist."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.report.local_time import LocalTime, begin_of, day_number, local_time

HOUR = 3_600_000
DAY = 24 * HOUR

ZONES = (
    "UTC", "Asia/Tokyo", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Havana",
    "America/St_Johns", "Pacific/Apia", "America/Nuuk", "Africa/Casablanca", "Pacific/Kiritimati",
)  # fmt: skip


def milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Asia/Tokyo", date(2026, 11, 1), 24),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Africa/Cairo", date(2026, 4, 24), 23),  # it begins at one
        ("Africa/Cairo", date(2026, 10, 29), 25),
        ("America/Nuuk", date(2026, 3, 28), 23),
        ("Pacific/Apia", date(2011, 12, 30), 0),  # it was left out
        ("America/St_Johns", date(2006, 10, 29), 25),  # set back at one minute past midnight
    ],
)
def test_day_has_the_hours_that_clocks_gave_it(zone: str, day: date, hours: float) -> None:
    begin, end = begin_of(day, zone), begin_of(day + timedelta(days=1), zone)
    assert (end - begin) / HOUR == hours
    found = list(local_time(zone, day_number(day) - 1, day_number(day) + 1).hours(begin, end))
    numbers, starts = [number for number, _ in found], [start for _, start in found]
    assert len(set(numbers)) == len(starts) == -(-hours // 1)
    assert starts == sorted(set(starts))
    assert starts[:1] == [begin][: len(starts)]


def test_day_that_has_no_midnight_begins_with_its_first_moment() -> None:
    assert begin_of(date(2026, 4, 24), "Africa/Cairo") == milliseconds(datetime(2026, 4, 23, 22, tzinfo=UTC))


def day_at(local: LocalTime, moment: int) -> int:
    """Return the local day at a time: days since 1970."""
    return (moment + local.offset(moment)) // DAY


@given(st.sampled_from(ZONES), st.dates(date(2012, 1, 1), date(2040, 1, 1)), st.integers(0, 3 * DAY))
def test_local_times_are_those_of_the_zone(zone: str, day: date, later: int) -> None:
    first = day_number(day)
    local = local_time(zone, first - 1, first + 3)
    moment = first * DAY + later
    known = datetime.fromtimestamp(moment / 1000, ZoneInfo(zone))
    assert local.offset(moment) == (known.utcoffset() or timedelta()) // timedelta(milliseconds=1)
    assert day_at(local, moment) == day_number(known.date())
    begin = local.begin(day_at(local, moment))
    assert begin <= moment
    assert day_at(local, begin) == day_at(local, moment) == day_at(local, begin - 1) + 1


@given(st.sampled_from(ZONES), st.dates(date(1971, 1, 1), date(2040, 1, 1)))
def test_days_never_go_back(zone: str, day: date) -> None:
    number = day_number(day)
    local = local_time(zone, number - 1, number + 2)
    days = [day_at(local, number * DAY + half * HOUR // 2) for half in range(48)]
    assert days == sorted(days)


def test_year_has_two_changes_in_new_york_and_none_in_tokyo() -> None:
    first = day_number(date(2026, 1, 1))
    assert len(local_time("America/New_York", first, first + 365).changes) == 2
    assert local_time("Asia/Tokyo", first, first + 365).given == {"changes": 0, "offset_0": 9 * HOUR}


def test_last_day_has_an_end_in_every_zone() -> None:
    last = date(9999, 12, 31)
    for zone in ("Pacific/Kiritimati", "Pacific/Niue", "UTC"):
        assert begin_of(last, zone) < milliseconds(datetime.combine(last, time(23), UTC))


@pytest.mark.parametrize("name", ["", "Tokyo", "../etc/passwd", "/etc/passwd", "Asia", "a\0b", "x" * 1000, "Asia/東京"])
def test_unknown_zone_is_refused_with_advice(name: str) -> None:
    with pytest.raises(ValueError, match='Write a name of the IANA database, like "Asia/Tokyo"'):
        local_time(name, 20_000, 20_001)


def test_machine_without_zones_knows_utc_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr("zoneinfo.ZoneInfo", none)
    assert begin_of(date(2026, 11, 1), "UTC") == milliseconds(datetime(2026, 11, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="pip install tzdata"):
        begin_of(date(2026, 11, 1), "Europe/Berlin")
