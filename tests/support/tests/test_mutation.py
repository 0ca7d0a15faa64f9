"""Tests of the table for mutation testing."""

from __future__ import annotations

import tomllib
from pathlib import Path

TABLE = Path(__file__).parents[1] / "mutation.toml"
ROOT = TABLE.parents[2]


def test_mutation_table_names_existing_modules_and_tests() -> None:
    table: dict[str, list[str]] = tomllib.loads(TABLE.read_text())
    named = [f"cookie_consent/{module}.py" for module in table]
    named += [f"tests/{each}" for tests in table.values() for each in tests]
    assert [name for name in named if not (ROOT / name).exists()] == []
