"""Tests of the declarations for compiled wheels. `make compiled` runs the other tests on such a build."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECLARATIONS = sorted(ROOT.glob("cookie_consent/**/*.pxd"))


def declared_attributes(text: str) -> dict[str, set[str]]:
    """Return the attributes that a .pxd file declares, by class."""
    attributes: dict[str, set[str]] = {}
    for line in text.splitlines():
        if begun := re.match(r"cdef class (\w+)", line):
            attributes[begun[1]] = names = set()
        elif field := re.match(r"    cdef (?:public )?\w+ (.+)", line):
            names |= set(field[1].split(", "))
    return attributes


def assigned_attributes(cls: ast.ClassDef) -> set[str]:
    """Return the attributes that the methods of a class assign to self."""
    return {
        node.attr
        for node in ast.walk(cls)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
    }


@pytest.mark.parametrize("path", DECLARATIONS, ids=lambda path: path.stem)
def test_pxd_file_declares_each_attribute_that_its_classes_assign(path: Path) -> None:
    classes = {
        node.name: node
        for file in DECLARATIONS
        for node in ast.parse(file.with_suffix(".py").read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    everywhere = {name: own for file in DECLARATIONS for name, own in declared_attributes(file.read_text()).items()}

    def inherited(name: str) -> set[str]:
        bases = map(ast.unparse, classes[name].bases)
        return set[str]().union(*(everywhere[base] | inherited(base) for base in bases))

    for name, declared in declared_attributes(path.read_text()).items():
        assert declared - {"__weakref__"} == assigned_attributes(classes[name]) - inherited(name)


def test_compiled_modules_exist_and_include_all_with_a_pxd_file() -> None:
    hooks = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]
    compiled = {ROOT / f"{module.replace('.', '/')}.py" for module in hooks["custom"]["modules"]}
    assert all(path.is_file() for path in compiled)
    assert {path.with_suffix(".py") for path in DECLARATIONS} <= compiled
