"""Texts that are made once and kept: bounded in number and in size."""

from __future__ import annotations

from collections.abc import Callable, Hashable


class TextCache:
    """Keeps texts by what they are made from. Where there is no more room, all are made anew.

    Args:
        most: how many are kept.
        largest: how many characters they have together.
    """

    def __init__(self, most: int, largest: int) -> None:
        self._most, self._largest = most, largest
        self._texts: dict[Hashable, str] = {}
        self._size = 0

    def get(self, key: Hashable, make: Callable[[], str]) -> str:
        """Return a text; it is made where it is not kept.

        Args:
            key: all that it is made from, in short: what a client sends has to be bounded before.
            make: makes it.
        """
        text = self._texts.get(key)
        if text is None:
            text = make()
            if len(self._texts) >= self._most or self._size + len(text) > self._largest:
                self._texts.clear()
                self._size = 0
            if len(text) <= self._largest:
                self._texts[key] = text
                self._size += len(text)
        return text
