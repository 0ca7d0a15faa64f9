"""The problems that the endpoints answer with, as the code raises them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cookie_consent
from tests.support.reference.markdown import code, table

_NAMES = ("Problem", "too_many")
_WORDS = re.compile("[a-z]{3}")


class Raised(NamedTuple):
    """A problem in the code.

    Args:
        status: the status code.
        detail: what it says to developers, with "…" for what depends on the request.
        text: the name of the text that people read.
    """

    status: int
    detail: str
    text: str


def raised() -> list[Raised]:
    """Return the problems, by status and detail."""
    package = Path(cookie_consent.__path__[0])
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py")))
    found = {problem for tree in trees for node in ast.walk(tree) for problem in _in(node)}
    return sorted(found)


def _in(node: ast.AST) -> Iterator[Raised]:
    if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in _NAMES:
        return
    first, *more = [_text(argument) for argument in node.args]
    if node.func.id == "too_many":  # type: ignore[attr-defined]
        yield Raised(429, more[0], "error_too_many")
    elif first.isdecimal():
        yield Raised(int(first), more[0], more[1] if len(more) > 1 and more[1] else "error_malformed")


def _text(node: ast.expr) -> str:
    """Return a text, with "…" for what is filled in; "" for what is no text."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def problems_table() -> str:
    """Return a table of all problems."""
    # Without the words for the status: those of 413 differ between versions of Python.
    rows = ((f"`{status}`", code(detail), code(text)) for status, detail, text in raised() if _WORDS.search(detail))
    return table(("status", "`detail`", "text for people"), rows)
