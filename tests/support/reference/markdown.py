"""Docstrings in Google's form, and Markdown made of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

FOLDER = Path(__file__).parents[3] / "docs" / "reference"
_MARK = "<!-- Made from the code by `make reference`: change the code, or tests/support/reference. -->"
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\n((?:    .*\n|\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^(\w[\w.]*): (.*(?:\n    .*)*)", re.MULTILINE)
_CODE = re.compile(r"(`+[^`]+`+)")
_ACTIVE = re.compile(r"([*<]|__)")
"""What Markdown would read as more than text, outside of code."""
_QUOTED = re.compile(r'(\["[^"\s`]+"(?:, "[^"\s`]+")*\]|"[^"\s`]+")')
"""A value in quotes, or a list of them, as opposed to words that somebody reads."""


@dataclass(frozen=True)
class Docstring:
    """A docstring, read.

    Args:
        text: what comes before the first section, in one line.
        names: name -> text, of the arguments and the attributes.
        raises: error -> when it is raised.
    """

    text: str
    names: Mapping[str, str]
    raises: Mapping[str, str]

    @property
    def summary(self) -> str:
        """The first paragraph."""
        return self.text.partition("\n\n")[0]


def docstring_of(documented: object) -> Docstring:
    """Return the docstring of a class, a function, a module or a property."""
    text = f"{inspect.cleandoc(getattr(documented, '__doc__', None) or '')}\n"
    entries = {section: _entries(body) for section, body in _SECTION.findall(text)}
    before = _SECTION.split(text, maxsplit=1)[0].strip()
    names = {**entries.get("Args", {}), **entries.get("Attributes", {})}
    return Docstring("\n\n".join(map(_one_line, before.split("\n\n"))), names, entries.get("Raises", {}))


def _entries(body: str) -> dict[str, str]:
    return {name: _one_line(text) for name, text in _ENTRY.findall(dedent(body).strip())}


def _one_line(text: str) -> str:
    """Join the lines of a paragraph, but not the items of a list."""
    return re.sub(r"\s*\n\s*(?!- )", " ", re.sub(r"\s*\n\s*(?=- )", "\n", text.strip()))


def prose(text: str) -> str:
    """Return text of a docstring as Markdown: code and values in quotes are code, all else is plain."""
    with_values = "".join(part if part.startswith("`") else _QUOTED.sub(r"`\1`", part) for part in _CODE.split(text))
    parts = _CODE.split(with_values)
    return "".join(part if part.startswith("`") else _ACTIVE.sub(r"\\\1", part) for part in parts)


def sentence(text: str) -> str:
    """Return text of a docstring as a sentence of its own: a capital first, a full stop last."""
    text = prose(text).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) else ".")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Cells are Markdown."""
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text.strip()).replace("|", "\\|")


def joined(*parts: str) -> str:
    """Return the parts of a page with an empty line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def page_of(title: str, *parts: str) -> str:
    """Return a page that is made from the code."""
    return joined(_MARK, title, *parts)
