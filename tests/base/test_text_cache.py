"""Tests of the text cache and its bounds."""

from __future__ import annotations

from cookie_consent.base.bounds import TextCache


def test_cached_text_is_made_once() -> None:
    texts, made = TextCache(2, 100), list[str]()

    def get(key: str, text: str = "text") -> str:
        def make() -> str:
            made.append(key)
            return text

        return texts.get(key, make)

    assert [get(key) for key in ("a", "b", "a", "b")] == ["text"] * 4
    assert made == ["a", "b"]
    get("c")
    get("c")
    get("a")
    assert made == ["a", "b", "c", "a"], "there is room for two"
    assert get("long", "x" * 101) == get("long", "x" * 101) == "x" * 101
    assert made[4:] == ["long", "long"], "a text over the total size is not cached"


def test_text_cache_is_bounded_in_size() -> None:
    texts = TextCache(1000, 100)
    made = 0

    def make() -> str:
        nonlocal made
        made += 1
        return "x" * 40

    for key in (1, 2, 3, 3, 1, 1):
        texts.get(key, make)
    assert made == 4, "the third text did not fit beside the first two"
