"""What is kept of what clients send stays bounded, and so does how often they may ask."""

from __future__ import annotations

import pytest

from cookie_consent.base.limits import RateLimit, evict_if_full

NOW = 1_750_000_000.0


def test_what_is_full_is_emptied() -> None:
    for kept in ({1: 1, 2: 2}, {1, 2}):
        evict_if_full(kept, 3)
        assert len(kept) == 2
        evict_if_full(kept, 2)
        assert not kept


@pytest.mark.parametrize("most", [1, 3])
def test_so_much_may_be_done_in_a_window_and_no_more(most: int) -> None:
    limit = RateLimit(most, 60)
    assert [limit.wait("a", NOW + second) for second in range(most)] == [0] * most
    assert limit.wait("a", NOW + 10) == 50
    assert limit.wait("a", NOW + 59.5) == 0.5
    assert limit.wait("a", NOW + 60) == 0


def test_a_refusal_does_not_count() -> None:
    limit = RateLimit(2, 60)
    assert [limit.wait("a", NOW) for _ in range(9)] == [0, 0, *[60] * 7]
    assert [limit.wait("a", NOW + 60) for _ in range(3)] == [0, 0, 60]


def test_each_key_is_counted_by_itself() -> None:
    limit = RateLimit(1, 60)
    assert [limit.wait(key, NOW) for key in ("a", "b", "a", "", "b", "")] == [0, 0, 60, 0, 60, 60]


def test_a_clock_that_goes_back_locks_nobody_out() -> None:
    limit = RateLimit(1, 60)
    assert limit.wait("a", NOW) == 0
    assert limit.wait("a", NOW - 3600) == 0
    assert limit.wait("a", NOW - 3600) == 60


def test_so_many_keys_are_counted_and_no_more() -> None:
    limit = RateLimit(2, 60)
    for number in range(10_000):
        assert limit.wait(str(number), NOW) == 0
    assert limit.wait("one more", NOW) == 0
    assert len(limit._counts) == 5001
    assert [limit.wait("one more", NOW) for _ in range(2)] == [0, 60]


def test_who_has_to_wait_or_did_most_is_not_forgotten_for_others() -> None:
    limit = RateLimit(3, 60)
    for key in ("waits", "waits", "waits", "nearly", "nearly"):
        limit.wait(key, NOW)
    for number in range(30_000):
        limit.wait(str(number), NOW + number / 1000)
    assert limit.wait("waits", NOW + 40) == 20
    assert [limit.wait("nearly", NOW + 40) for _ in range(2)] == [0, 20]
    assert len(limit._counts) <= 10_000


def test_as_long_as_all_have_to_wait_nobody_is_forgotten_and_others_are_not_kept_waiting() -> None:
    limit = RateLimit(1, 60)
    for number in range(10_000):
        assert limit.wait(str(number), NOW) == 0
    for second in range(3):
        assert [limit.wait("one more", NOW + second) for _ in range(3)] == [0] * 3
    assert len(limit._counts) == 10_000
    assert limit.wait("0", NOW + 3) == 57
    assert [limit.wait("one more", NOW + 60) for _ in range(2)] == [0, 60]
    assert len(limit._counts) == 1


def test_a_long_key_takes_no_more_room_than_a_short_one() -> None:
    limit = RateLimit(1, 60)
    for letter in "ab\ud800":
        assert [limit.wait(letter * 100_000, NOW) for _ in range(2)] == [0, 60]
    assert max(map(len, limit._counts)) <= 256
