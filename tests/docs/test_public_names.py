"""Tests of the names that the package exports."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

import cookie_consent
from cookie_consent import ledgers, sinks
from tests.docs.test_docs import PAGES
from tests.support.documentation import ROOT

MODULES = re.findall(r"^## `(.+)`$", (ROOT / "docs/reference/public-api.md").read_text("utf-8"), re.MULTILINE)
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


PACKAGE = Path(cookie_consent.__file__).parent


@pytest.mark.parametrize("name", MODULES)
def test_public_module_names_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__, key=lambda public: (public.islower(), public))
    for public in module.__all__:
        documented = getattr(module, public)
        assert documented.__doc__, f"{name}.{public} has no docstring"
        assert documented.__module__.startswith("cookie_consent.")


def test_every_room_without_a_public_name_says_that_it_is_internal() -> None:
    for path in sorted(PACKAGE.glob("*/__init__.py")):
        is_public = any(name.startswith(f"cookie_consent.{path.parent.name}") for name in MODULES)
        assert is_public or "internal" in path.read_text(encoding="utf-8").lower(), path


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
