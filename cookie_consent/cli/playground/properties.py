"""The custom properties that a site themes the question with, as controls of the page; see docs/banner.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parents[2]
_FOLDERS = (_HERE / "themes", _HERE.parent / "examples" / "themes")
"""The folder of the example themes in a wheel, and in an editable install."""


@dataclass(frozen=True, slots=True)
class Property:
    """A custom property.

    Args:
        name: its name, without "--pchoice-".
        title: what it is, in a few words.
        default: the value in its absence.
        kind: the control: "colour", "length", "choice" or "text".
        choices: values to choose from, or to suggest.
        most: the largest value of the slider of a length, in em.
    """

    name: str
    title: str
    default: str
    kind: str = "text"
    choices: tuple[str, ...] = ()
    most: float = 0


PROPERTIES = (
    Property("fill", "Buttons", "#2a73c2", "colour"),
    Property("on-fill", "Text on buttons", "#fff", "colour"),
    Property("back", "Background", "Canvas", "colour"),
    Property("text", "Text and links", "CanvasText", "colour"),
    Property("line", "Edge of the box", "#767676", "colour"),
    Property("ring", "Ring of the focus", "var(--pchoice-text, CanvasText)", "colour"),
    Property("wrong", "Bar of an error", "#d5281b", "colour"),
    Property("scheme", "Colours are for", "inherit", "choice", ("light", "dark", "light dark")),
    Property("radius", "Corners", "0.5em", "length", most=2),
    Property("width", "Width (corner)", "23em", "length", most=40),
    Property("gap", "Gap to the edges", "1em", "length", most=4),
    Property("size", "Size of the text", "medium", "text", ("small", "medium", "large", "1.1rem")),
    Property(
        "font",
        "Typeface",
        "system-ui, sans-serif",
        "text",
        ('Georgia, "Noto Serif", serif', '"Trebuchet MS", sans-serif', "ui-monospace, monospace"),
    ),
    Property("shadow", "Shadow", "0 0 1.5em #0004", "text", ("none", "0 0.3em 1em rgb(0 0 0 / 30%)")),
)


@cache
def themes() -> Mapping[str, str]:
    """Return the example themes: name -> CSS."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return {path.stem.title(): path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.css"))}
