"""The problems that the endpoints answer with, as the code raises them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
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
    return sorted({problem for tree in trees for problem in _in(tree)})


def _in(tree: ast.Module) -> Iterator[Raised]:
    """Yield the problems that a module raises."""
    named = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _NAMES:
            first, second, *more = [*node.args, ast.Constant("")][:3]
            late = getattr(node.func, "id", "") == "too_many"
            status, detail = (ast.Constant(429), second) if late else (first, second)
            text = "error_too_many" if late else next(iter(_texts(more[0], named)), "") or "error_malformed"
            if isinstance(status, ast.Constant) and isinstance(status.value, int):
                yield from (Raised(status.value, said, text) for said in _texts(detail, named))


def _texts(node: ast.expr, named: Mapping[str, ast.expr]) -> list[str]:
    """Return the texts that an argument can be, with "…" for what is filled in."""
    if isinstance(node, ast.Name) and node.id in named:
        return _texts(named[node.id], named)
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body, named), *_texts(node.orelse, named)]
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
        return ["".join(next(iter(_texts(part, named)), "") or "…" for part in parts)]
    return [str(node.value)] if isinstance(node, ast.Constant) else []


def problems_table() -> str:
    """Return a table of all problems."""
    # Without the words for the status: those of 413 differ between versions of Python.
    rows = ((f"`{status}`", code(detail), code(text)) for status, detail, text in raised() if _WORDS.search(detail))
    return table(("status", "`detail`", "text for people"), rows)
