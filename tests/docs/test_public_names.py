"""Tests of the names that the package exports."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

import cookie_consent
from cookie_consent import ledgers, sinks
from tests.docs.test_docs import PAGES
from tests.support.documentation import ROOT
from tests.support.reference.public_api import MODULES

DOCS = ROOT / "docs"
CONTRACT = {
    *("ConsentMiddleware", "Policy", "Purpose", "Cookie", "Recipient", "Service", "Feature", "Decision", "PolicyError"),
    *("FeatureState", "RequestConsent", "consent_of", "requires"),
}


def test_all_lists_every_public_name() -> None:
    defined = [name for names in cookie_consent._MODULES.values() for name in names]
    assert cookie_consent.__all__ == sorted(defined, key=lambda name: (name.islower(), name))
    assert set(cookie_consent.__all__) <= set(dir(cookie_consent))


def test_public_name_is_that_of_its_module() -> None:
    for module, names in cookie_consent._MODULES.items():
        imported = importlib.import_module(f"cookie_consent.{module}")
        assert [getattr(cookie_consent, name) for name in names] == [getattr(imported, name) for name in names]


def test_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Consent'"):
        cookie_consent.Consent  # noqa: B018 (its access is what is tested)


@pytest.mark.parametrize(
    ("module", "more"),
    [
        (ledgers, {"Entry", "Removal", "Requests"}),
        (sinks, {"CannotEraseError", "InvalidLinesError", "Store", "without_spill"}),
    ],
    ids=["ledgers", "sinks"],
)
def test_ledgers_and_sinks_export_their_public_names(module: ModuleType, more: set[str]) -> None:
    kinds = {
        name for name, value in vars(module).items() if isinstance(value, type) and name.endswith(("Ledger", "Sink"))
    }
    opening = {name for name in vars(module) if name.startswith("open_")}
    assert set(module.__all__) == kinds | opening | more


def test_contract_names_are_exported() -> None:
    assert set(cookie_consent.__all__) >= CONTRACT


def test_policy_error_is_a_value_error() -> None:
    assert issubclass(cookie_consent.PolicyError, ValueError)


# The list of what is public: docs/reference/public-api.md.

PACKAGE = Path(cookie_consent.__file__).parent
ALL_MODULES = {
    ".".join(("cookie_consent", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def docstring(module: str) -> str:
    """Return the docstring of a module, without an import."""
    return ast.get_docstring(ast.parse(ALL_MODULES[module].read_text(encoding="utf-8"))) or ""


def is_said_to_be_internal(module: str) -> bool:
    """Return whether a module says that it is internal, or a package that it is in."""
    parts = module.split(".")
    # The package itself is public.
    return any("internal" in docstring(".".join(parts[:length])).lower() for length in range(2, len(parts) + 1))


@pytest.mark.parametrize("name", MODULES)
def test_public_module_names_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__, key=lambda public: (public.islower(), public))
    for public in module.__all__:
        documented = getattr(module, public)
        assert documented.__doc__, f"{name}.{public} has no docstring"
        assert documented.__module__.startswith("cookie_consent.")


def test_page_lists_what_the_public_modules_name() -> None:
    page = (DOCS / "reference" / "public-api.md").read_text(encoding="utf-8")
    sections = re.split(r"^## `(.*)`$", page, flags=re.MULTILINE)[1:]
    listed = {name: re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) for name, text in batched(sections)}
    assert listed == {name: list(importlib.import_module(name).__all__) for name in MODULES}


def batched(texts: list[str]) -> list[tuple[str, str]]:
    return list(zip(texts[::2], texts[1::2], strict=True))


@pytest.mark.parametrize("module", [name for name in ALL_MODULES if name not in MODULES])
def test_every_other_module_is_said_to_be_internal(module: str) -> None:
    assert is_said_to_be_internal(module), (
        f"list {module} in tests/support/reference/public_api.py, or say in it that it is internal"
    )


def imports(code: str) -> list[tuple[str, str]]:
    """Return what code imports from this package, as modules and names."""
    found = re.findall(r"^\s*from (cookie_consent[\w.]*) import (\([^)]+\)|.+)", code, re.MULTILINE)
    return [(module, name) for module, names in found for name in re.findall(r"\w+", names)]


def test_documentation_and_examples_import_only_what_is_public() -> None:
    pages = {
        page: re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE) for page in PAGES
    }
    pages |= {path: [path.read_text("utf-8")] for path in (ROOT / "examples").rglob("*.py")}
    imported = [(page.name, *found) for page, blocks in pages.items() for block in blocks for found in imports(block)]
    assert len(imported) > 30
    assert [
        (page, module, name)
        for page, module, name in imported
        if module not in MODULES or name not in importlib.import_module(module).__all__
    ] == []
