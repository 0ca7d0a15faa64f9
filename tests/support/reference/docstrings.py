"""Reads docstrings in Google's form: what comes first, and the sections "Args", "Attributes" and "Raises"."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\n((?:    .*\n|\n)*)", re.MULTILINE)
_ENTRY = re.compile(r"^(\w[\w.]*): (.*(?:\n    .*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Docstring:
    """A docstring, read.

    Args:
        text: what comes before the first section, as paragraphs.
        entries: section -> name -> text, for sections that list names.
    """

    text: str
    entries: Mapping[str, Mapping[str, str]]

    @property
    def names(self) -> dict[str, str]:
        """Name -> text, of the arguments and the attributes."""
        return {**self.entries.get("Args", {}), **self.entries.get("Attributes", {})}

    @property
    def raises(self) -> Mapping[str, str]:
        """Error -> when it is raised."""
        return self.entries.get("Raises", {})


def docstring_of(documented: object) -> Docstring:
    """Return the docstring of a class, a function or a property."""
    text = f"{inspect.cleandoc(getattr(documented, '__doc__', None) or '')}\n"
    sections = {section: dedent(body).strip() for section, body in _SECTION.findall(text)}
    before = _SECTION.split(text, maxsplit=1)[0]
    paragraphs = [_one_line(paragraph) for paragraph in before.strip().split("\n\n")]
    entries = {
        section: {name: _one_line(meaning) for name, meaning in _ENTRY.findall(body)}
        for section, body in sections.items()
    }
    return Docstring("\n\n".join(paragraphs), entries)


def _one_line(text: str) -> str:
    """Join the lines of a paragraph, but not the items of a list."""
    return re.sub(r"\s*\n\s*(?!- )", " ", re.sub(r"\s*\n\s*(?=- )", "\n", text.strip()))
