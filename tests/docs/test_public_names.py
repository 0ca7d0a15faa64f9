"""Tests of the names that the package exports."""

from __future__ import annotations

from types import ModuleType

import pytest

import cookie_consent
from cookie_consent import ledgers, sinks

CONTRACT = {
    *("ConsentMiddleware", "Policy", "Purpose", "Cookie", "Recipient", "Service", "Feature", "Decision", "PolicyError"),
    "requires",
}


def test_all_lists_every_public_name() -> None:
    submodules = {name for name, value in vars(cookie_consent).items() if isinstance(value, ModuleType)}
    exported = {name for name in vars(cookie_consent) if not name.startswith("_")} - submodules
    assert set(cookie_consent.__all__) == exported
    assert cookie_consent.__all__ == sorted(cookie_consent.__all__, key=lambda name: (name.islower(), name))


@pytest.mark.parametrize(
    ("module", "more"),
    [
        (ledgers, {"Entry", "Removal", "Requests", "Purged"}),
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


@pytest.mark.parametrize("name", cookie_consent.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    public = getattr(cookie_consent, name)
    assert public.__doc__
    assert public.__module__.startswith("cookie_consent.")


def test_policy_error_is_a_value_error() -> None:
    assert issubclass(cookie_consent.PolicyError, ValueError)
