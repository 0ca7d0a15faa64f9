"""Tests of bounded caches and of rate limits."""

from __future__ import annotations

import pytest

from cookie_consent.base.bounds import Cache, RateLimit

NOW = 1_750_000_000.0


def test_full_cache_is_emptied() -> None:
    cache = Cache[int, str](2)
    assert [cache.keep(number, "kept") for number in range(2)] == ["kept"] * 2
    assert len(cache) == 2
    cache.keep(2, "kept")
    assert cache == {2: "kept"}


def test_large_value_is_returned_and_not_cached() -> None:
    cache = Cache[str, int](10)
    assert [cache.keep("x" * size, size, size) for size in (256, 257)] == [256, 257]
    assert list(cache.values()) == [256]
    large = Cache[int, str](10, largest=1000)
    for size in (1000, 1001):
        large.keep(size, "x" * size, size)
    assert list(large) == [1000]


@pytest.mark.parametrize("most", [1, 3])
def test_rate_limit_allows_set_number_per_window(most: int) -> None:
    limit = RateLimit(most, 60)
    assert [limit.wait("a", NOW + second) for second in range(most)] == [0] * most
    assert limit.wait("a", NOW + 10) == 50
    assert limit.wait("a", NOW + 59.5) == 0.5
    assert limit.wait("a", NOW + 60) == 0


def test_rejected_attempt_does_not_count() -> None:
    limit = RateLimit(2, 60)
    assert [limit.wait("a", NOW) for _ in range(9)] == [0, 0, *[60] * 7]
    assert [limit.wait("a", NOW + 60) for _ in range(3)] == [0, 0, 60]


def test_keys_are_limited_separately() -> None:
    limit = RateLimit(1, 60)
    assert [limit.wait(key, NOW) for key in ("a", "b", "a", "", "b", "")] == [0, 0, 60, 0, 60, 60]


def test_clock_set_back_blocks_no_key() -> None:
    limit = RateLimit(1, 60)
    assert limit.wait("a", NOW) == 0
    assert limit.wait("a", NOW - 3600) == 0
    assert limit.wait("a", NOW - 3600) == 60


def test_number_of_counted_keys_is_bounded() -> None:
    limit = RateLimit(2, 60)
    for number in range(10_000):
        assert limit.wait(str(number), NOW) == 0
    assert limit.wait("new", NOW) == 0
    assert len(limit._counts) == 5001
    assert [limit.wait("new", NOW) for _ in range(2)] == [0, 60]


def test_blocked_and_busiest_keys_survive_eviction() -> None:
    limit = RateLimit(3, 60)
    for key in ("waits", "waits", "waits", "nearly", "nearly"):
        limit.wait(key, NOW)
    for number in range(30_000):
        limit.wait(str(number), NOW + number / 1000)
    assert limit.wait("waits", NOW + 40) == 20
    assert [limit.wait("nearly", NOW + 40) for _ in range(2)] == [0, 20]
    assert len(limit._counts) <= 10_000


def test_new_keys_pass_while_all_counted_keys_are_blocked() -> None:
    limit = RateLimit(1, 60)
    for number in range(10_000):
        assert limit.wait(str(number), NOW) == 0
    for second in range(3):
        assert [limit.wait("new", NOW + second) for _ in range(3)] == [0] * 3
    assert len(limit._counts) == 10_000
    assert limit.wait("0", NOW + 3) == 57
    assert [limit.wait("new", NOW + 60) for _ in range(2)] == [0, 60]
    assert len(limit._counts) == 1


def test_long_keys_are_stored_shortened() -> None:
    limit = RateLimit(1, 60)
    for letter in "ab\ud800":
        assert [limit.wait(letter * 100_000, NOW) for _ in range(2)] == [0, 60]
    assert max(map(len, limit._counts)) <= 256
