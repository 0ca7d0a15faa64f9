"""Contrast ratios (WCAG 2.2) of computed CSS colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

_NUMBER = r"[0-9.]+(?:e-?[0-9]+)?"
_PARTS = re.compile(rf"rgba?\(({_NUMBER}), ({_NUMBER}), ({_NUMBER})(?:, ({_NUMBER}))?\)")


class Colour(NamedTuple):
    """A colour in sRGB: parts from 0 to 255, alpha from 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1

    @property
    def luminance(self) -> float:
        """The relative luminance."""
        parts = (part / 255 for part in self[:3])
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def over(self, below: Colour) -> Colour:
        """Return the blend of this colour on an opaque one."""
        parts = zip(self[:3], below[:3], strict=True)
        return Colour(*(self.alpha * one + (1 - self.alpha) * other for one, other in parts))


def parse_colour(text: str) -> Colour:
    """Return the colour of a computed CSS value.

    Raises:
        ValueError: the value is not in rgb() or rgba() notation.
    """
    if not (match := _PARTS.fullmatch(text)):
        raise ValueError(f"{text} is no colour in rgb() or rgba()")
    red, green, blue = (float(part) for part in match.groups()[:3])
    return Colour(red, green, blue, float(match[4] or 1))


def blend(layers: Sequence[str]) -> Colour:
    """Return the blend of layered colours, the topmost first; the last one is opaque."""
    *above, below = [parse_colour(layer) for layer in layers]
    for layer in reversed(above):
        below = layer.over(below)
    return below


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio, from 1 to 21."""
    darker, lighter = sorted((one.luminance, other.luminance))
    return (lighter + 0.05) / (darker + 0.05)
