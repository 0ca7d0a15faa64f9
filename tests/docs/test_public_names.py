"""Tests of the names that the package exports."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import cookie_consent
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


def test_documentation_and_examples_import_only_what_is_public() -> None:
    texts = [path.read_text("utf-8") for path in (*PAGES, *(ROOT / "examples").rglob("*.py"))]
    found = re.findall(r"^\s*from (cookie_consent[\w.]*) import (\([^)]+\)|.+)", "\n".join(texts), re.MULTILINE)
    imported = {(module, name) for module, names in found for name in re.findall(r"\w+", names)}
    assert len(imported) > 20
    public = {(module, name) for module in MODULES for name in importlib.import_module(module).__all__}
    assert imported <= public
