"""HTML that is kept once rendered, with holes for what differs from page to page."""

from __future__ import annotations

from collections.abc import Mapping


class HtmlTemplate:
    """HTML that was rendered with marks, each of them the name of a hole between two NULs.

    Args:
        html: the HTML, encoded. It has no other NULs.

    Attributes:
        parts: what stands between the holes, and in between the names of these.
        holes: the position of each name among the parts, and the name.
    """

    __slots__ = ("holes", "parts")

    def __init__(self, html: bytes) -> None:
        self.parts = html.split(b"\0")
        self.holes = [*enumerate(self.parts)][1::2]

    def fill(self, values: Mapping[bytes, bytes]) -> bytes:
        """Return the HTML with what stands in the holes, by their names."""
        parts = self.parts.copy()
        for position, name in self.holes:
            parts[position] = values[name]
        return b"".join(parts)
