"""Tests that the files, functions and make targets that the documentation names exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cookie_consent"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PLACE = re.compile(r"[\w./-]+(?:/|\.(?:py|toml|sql|html|js|css|md|json))(?::[\w.]+)?")
PLACEHOLDER = re.compile(r"\b(?!README|CHANGELOG)[A-Z]{3,}\b")


def places(page: Path) -> list[str]:
    """Return the files, folders and names in files that a page names."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = [span for span in dict.fromkeys(re.findall(r"`([^`\n]+)`", text)) if PLACE.fullmatch(span)]
    return [place for place in found if not PLACEHOLDER.search(place.partition(":")[0])]


@cache
def names(path: Path) -> frozenset[str]:
    """Return the names that a module or its classes define; names in a class have the class as prefix."""
    made = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        for name in _names(node):
            made.add(name)
        if isinstance(node, ast.ClassDef):
            made |= {f"{node.name}.{name}" for part in node.body for name in _names(part)}
    return frozenset(made)


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    return [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)]


def exists(place: str) -> bool:
    """Return whether a file is in the package, or else in the checkout, and has the name."""
    path, _, name = place.partition(":")
    files = [file for file in (PACKAGE / path, ROOT / path) if file.exists()]
    return bool(files) and (not name or name in names(files[0]))


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_named_places_exist(page: str) -> None:
    named = places(ROOT / page)
    assert named
    assert [place for place in named if not exists(place)] == []


def test_code_files_named_in_documentation_exist() -> None:
    named = {place.partition(":")[0] for page in (ROOT / "docs").rglob("*.md") for place in places(page)}
    assert [path for path in named if re.search(r"/.*\.(?:py|sql)$", path) and not exists(path)] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "README.md"])
def test_named_make_targets_exist(page: str) -> None:
    commands = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text("utf-8"), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"demo", "check", "test"} <= commands <= targets


def test_test_paths_named_in_contributing_exist() -> None:
    paths = re.findall(r"(?:pytest |ARGS=)([\w./]+)", CONTRIBUTING.read_text("utf-8"))
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
