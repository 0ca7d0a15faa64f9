"""A cache for texts, bounded in number and in size."""

from __future__ import annotations

from collections.abc import Callable, Hashable


class TextCache:
    """A cache for texts. When it is full, it is emptied.

    Args:
        most: the largest number of texts.
        largest: the largest number of characters of all texts together.
    """

    def __init__(self, most: int, largest: int) -> None:
        self._most, self._largest = most, largest
        self._texts: dict[Hashable, str] = {}
        self._size = 0

    def get(self, key: Hashable, make: Callable[[], str]) -> str:
        """Return a text from the cache, or make it.

        Args:
            key: everything that the text depends on. A client's input in it must be of limited length.
            make: returns the text.
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
