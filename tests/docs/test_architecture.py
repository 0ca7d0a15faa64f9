"""Tests that docs/architecture.md and CONTRIBUTING.md name existing files, functions, rooms and commands."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from cookie_consent.visitors.answers.answer import Answers

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "cookie_consent"
PAGE = ROOT / "docs" / "architecture.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PLACE = re.compile(r"[\w./-]+(?:/|\.(?:py|toml|sql|html|js|css|md|json))(?::[\w.]+)?")
PLACEHOLDER = re.compile(r"\b(?!README|CHANGELOG)[A-Z]{3,}\b")


def places(page: Path) -> list[str]:
    """Return the files, folders and names in files that a page names."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = [span for span in dict.fromkeys(re.findall(r"`([^`\n]+)`", text)) if PLACE.fullmatch(span)]
    return [place for place in found if not PLACEHOLDER.search(place.partition(":")[0])]


def found(path: str) -> Path | None:
    """Return the file or folder in the package, or else in the checkout."""
    return next((place for place in (PACKAGE / path, ROOT / path) if place.exists()), None)


@cache
def names(path: Path) -> frozenset[str]:
    """Return the names that a module defines; names in a class have the class as prefix."""
    return frozenset(_names(ast.parse(path.read_text("utf-8")).body))


def _names(body: list[ast.stmt], inside: str = "") -> list[str]:
    made: list[str] = []
    for part in body:
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            made.append(f"{inside}{part.name}")
            if isinstance(part, ast.ClassDef):
                made += _names(part.body, f"{inside}{part.name}.")
        elif isinstance(part, ast.Assign | ast.AnnAssign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            made += [f"{inside}{target.id}" for target in targets if isinstance(target, ast.Name)]
    return made


@pytest.mark.parametrize("place", places(PAGE) + places(CONTRIBUTING))
def test_named_place_exists(place: str) -> None:
    path, _, name = place.partition(":")
    file = found(path)
    assert file is not None, f"{path} does not exist: change the page that names it"
    assert not name or name in names(file), f"{path} has no {name}: change the page that names it"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_code_files_named_in_documentation_exist(page: Path) -> None:
    named = [place.partition(":")[0] for place in places(page) if re.search(r"/.*\.(?:py|sql)\b", place)]
    assert [path for path in named if found(path) is None] == []


def test_architecture_page_names_many_places() -> None:
    assert len(places(PAGE)) > 70


def test_steps_of_an_answer_follow_the_code() -> None:
    section = PAGE.read_text("utf-8").partition("## An answer, step by step\n\n")[2].partition("\n\n")[0]
    steps = re.findall(r"`[\w/]+\.py:(?:\w+\.)?(\w+)`", section)
    code = inspect.getsource(Answers._take)
    called = {step: call.start() for step in steps if (call := re.search(rf"\b{step}\(", code))}
    assert len(called) > 4
    assert list(called) == sorted(called, key=called.__getitem__)


@pytest.mark.parametrize("page", [CONTRIBUTING, ROOT / "README.md"], ids=lambda page: page.name)
def test_named_make_targets_exist(page: Path) -> None:
    commands = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"demo", "check", "test"} <= commands <= targets


def test_contributing_names_each_target_that_is_no_part_of_another() -> None:
    parts = {
        "quick",
        "lint",
        "types",
        "built",
        "unit",
        "browser-side",
        "system",
        "on-other-pythons",
        "quick-on-other-pythons",
    }
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = set(re.findall(r"`make ([a-z-]+)", CONTRIBUTING.read_text("utf-8")))
    assert set(targets.split()) - parts - named == set()


def test_test_paths_named_in_contributing_exist() -> None:
    paths = re.findall(r"(?:pytest |ARGS=)([\w./]+)", CONTRIBUTING.read_text("utf-8"))
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_room_is_listed_with_its_floor() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)(?:/|\.py)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    floors = {name: len(layers) - at for at, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | {"middleware"}
    assert {name: int(floor) for floor, name in rows} == {name: floors[name] for name in rooms}
