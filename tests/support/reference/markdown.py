"""Markdown for the pages: tables, code, and links to pages wherever in docs/ they are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
FOLDER = DOCS / "reference"
_CODE = re.compile(r"(`+[^`]+`+)")
_ACTIVE = re.compile(r"([*<]|__)")
"""What Markdown would read as more than text, outside of code."""
_QUOTED = re.compile(r'(\["[^"\s`]+"(?:, "[^"\s`]+")*\]|"[^"\s`]+")')
"""A value in quotes, or a list of them, as opposed to words that somebody reads."""


def plain(text: str) -> str:
    """Return text as Markdown that shows it word for word."""
    return _ACTIVE.sub(r"\\\1", text)


def prose(text: str) -> str:
    """Return text of a docstring as Markdown: code and values in quotes are code, all else is plain."""
    parts = _CODE.split(_with_values_as_code(text))
    return "".join(part if number % 2 else plain(part) for number, part in enumerate(parts))


def _with_values_as_code(text: str) -> str:
    parts = _CODE.split(text)
    return "".join(part if number % 2 else _QUOTED.sub(r"`\1`", part) for number, part in enumerate(parts))


def sentence(text: str) -> str:
    """Return text of a docstring as a sentence of its own: a capital first, a full stop last."""
    text = prose(text).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) else ".")


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a docstring as Markdown. One before a list ends with a colon."""
    parts = text.split("\n\n")
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        yield sentence(f"{part.rstrip('.:')}:" if following.startswith("- ") else part)


def code(text: str) -> str:
    """Return text as code in a line, whatever backticks it has."""
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{space}{text}{space}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. Cells are Markdown."""
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text.strip()).replace("|", "\\|")


def block(kind: str, text: str) -> str:
    """Return a fenced block."""
    return f"```{kind}\n{text.rstrip()}\n```\n"


def blocks_of(name: str, kind: str) -> list[str]:
    """Return the fenced blocks of a kind in a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```", found(name).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def anchor(heading: str) -> str:
    """Return the anchor that code hosts give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link(text: str, to: str) -> str:
    """Return a link to a page of docs/ or to README.md.

    Args:
        text: what the reader reads.
        to: the name of the page's file, with the anchor: "policy.md#signals".
    """
    name, _, heading = to.partition("#")
    path = os.path.relpath(found(name), FOLDER).replace(os.sep, "/")
    return f"[{text}]({path}{'#' if heading else ''}{heading})"


@cache
def found(name: str) -> Path:
    """Return README.md, a page of the reference, or else the one page with this name, wherever in docs/ it is."""
    if name == "README.md" or name.startswith("reference/"):
        return (ROOT if name == "README.md" else DOCS) / name
    (page,) = DOCS.rglob(name)
    return page


def joined(*parts: str) -> str:
    """Return the parts of a page with an empty line between them."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"
