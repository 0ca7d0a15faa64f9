from __future__ import annotations

import tomllib
from pathlib import Path

TABLE = Path(__file__).parents[1] / "mutation.toml"
ROOT = TABLE.parents[2]


def test_the_table_of_make_mutate_names_modules_and_tests_that_exist() -> None:
    table: dict[str, list[str]] = tomllib.loads(TABLE.read_text())
    named = [f"cookie_consent/{module}.py" for module in table]
    named += [f"tests/{each}" for tests in table.values() for each in tests]
    assert [name for name in named if not (ROOT / name).exists()] == []
