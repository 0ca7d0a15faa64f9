"""Rendered HTML with holes for the parts that differ from page to page."""

from __future__ import annotations

from collections.abc import Mapping


class HtmlTemplate:
    """Rendered HTML in which each hole is marked by its name between two NULs.

    Args:
        html: the encoded HTML. It must have no other NULs.

    Attributes:
        parts: the HTML between the holes and the names of the holes, in turn.
        holes: the position among the parts and the name of each hole.
    """

    __slots__ = ("holes", "parts")

    def __init__(self, html: bytes) -> None:
        self.parts = html.split(b"\0")
        self.holes = [*enumerate(self.parts)][1::2]

    def fill(self, values: Mapping[bytes, bytes]) -> bytes:
        """Return the HTML with the holes filled.

        Args:
            values: name of each hole -> HTML.
        """
        parts = self.parts.copy()
        for position, name in self.holes:
            parts[position] = values[name]
        return b"".join(parts)
