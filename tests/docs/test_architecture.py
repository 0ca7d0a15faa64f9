"""Tests that the files, functions and make targets that the documentation names exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from tests.support.documentation import ROOT

PLACE = re.compile(r"`([\w./-]+(?:/|\.(?:py|toml|sql|html|js|css|md|json))(?::[\w.]+)?)`")
PLACEHOLDER = re.compile(r"\b(?!README|CHANGELOG)[A-Z]{3,}\b")


def places(page: str) -> list[str]:
    """Return the files, folders and names in files that a page names."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [place for place in PLACE.findall(text) if not PLACEHOLDER.search(place.partition(":")[0])]


@cache
def names(path: Path) -> set[str]:
    """Return the names that a module or its classes define; names in a class have the class as prefix."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        found |= names_in(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for part in node.body for name in names_in(part)}
    return found


def names_in(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def exists(place: str) -> bool:
    """Return whether a file is in the package, or else in the checkout, and has the name."""
    path, _, name = place.partition(":")
    file = next((file for file in (ROOT / "cookie_consent" / path, ROOT / path) if file.exists()), None)
    return file is not None and (not name or name in names(file))


def test_named_places_exist() -> None:
    named = [*places("docs/architecture.md"), *places("CONTRIBUTING.md")]
    assert len(named) > 100
    assert [place for place in named if not exists(place)] == []


def test_code_files_named_in_documentation_exist() -> None:
    pages = [page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").rglob("*.md")]
    named = {place.partition(":")[0] for page in pages for place in places(page)}
    assert [path for path in named if re.search(r"/.*\.(?:py|sql)$", path) and not exists(path)] == []


def test_named_make_targets_exist() -> None:
    text = (ROOT / "README.md").read_text("utf-8") + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"demo", "check", "test"} <= set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
