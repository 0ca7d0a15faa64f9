"""The requirements of laws and standards, and the tests that prove them: what `docs/conformance.md` says.

A test names what it proves: `@pytest.mark.requirement("CK-08")`. The requirements are in `docs/requirements.toml`.
"""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATUSES = {
    "proved": "A test proves it.",
    "works": "It holds, and no test proves it.",
    "part": "It holds in part.",
    "not": "It does not hold.",
    "owner": "It is the duty of the site's owner.",
    "out": "It does not apply.",
}
"""Status of a requirement -> what it means."""
NEED_A_TEST = ("proved", "part")


@dataclass(frozen=True)
class Requirement:
    """One requirement.

    Args:
        id: its id, such as "CK-08".
        says: what it asks for, in a sentence.
        source: the law or standard that it is from.
        status: one of `STATUSES`.
        note: what is missing, what the package gives to the owner, or why it does not apply.
    """

    id: str
    says: str
    source: str
    status: str
    note: str = ""


def requirements() -> list[Requirement]:
    """Return all requirements in the order of the file."""
    tables = tomllib.loads((ROOT / "docs" / "requirements.toml").read_text(encoding="utf-8"))
    return [Requirement(id_, **table) for id_, table in tables.items()]


def proofs() -> Mapping[str, list[str]]:
    """Return the id of each requirement -> the tests that name it, as pytest calls them."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "mark.requirement(" in text:
            for name, id_ in _marks(ast.parse(text)):
                found.setdefault(id_, []).append(f"{path.relative_to(ROOT).as_posix()}::{name}")
    return found


def _marks(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the name of each test of a module with the id of a requirement that it names."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.requirement":
                    yield from ((node.name, ast.literal_eval(argument)) for argument in mark.args)


def statement() -> str:
    """Return a list for each status, as Markdown: the requirements, their sources, and their tests or notes."""
    known, tests = requirements(), proofs()
    lists = []
    for status, meaning in STATUSES.items():
        entries = [_entry(it, tests.get(it.id, [])) for it in known if it.status == status]
        if entries:
            lists.append("\n".join([f"## {meaning.removesuffix('.')} ({len(entries)})", "", *entries]))
    return "\n\n".join(lists)


def _entry(requirement: Requirement, tests: list[str]) -> str:
    shown = [*([requirement.note] if requirement.note else []), *(f"`{test}`" for test in tests)]
    first = f"- **{requirement.id}** {requirement.says} ({requirement.source})"
    return "\n".join([first, *(f"  - {line}" for line in shown)])
