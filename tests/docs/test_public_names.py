"""What the package gives to the outside."""

from __future__ import annotations

from types import ModuleType

import pytest

import cookie_consent
from cookie_consent import ledgers, sinks

CONTRACT = {
    *("ConsentMiddleware", "Policy", "Purpose", "Cookie", "Recipient", "Service", "Feature", "Decision", "PolicyError"),
    "requires",
}


def test_all_is_what_the_package_has_to_give() -> None:
    submodules = {name for name, value in vars(cookie_consent).items() if isinstance(value, ModuleType)}
    given = {name for name in vars(cookie_consent) if not name.startswith("_")} - submodules
    assert set(cookie_consent.__all__) == given
    assert cookie_consent.__all__ == sorted(cookie_consent.__all__, key=lambda name: (name.islower(), name))


@pytest.mark.parametrize(
    ("module", "taken"),
    [
        (ledgers, {"Entry", "Removal", "Requests", "Purged"}),
        (sinks, {"CannotEraseError", "InvalidLinesError", "Store", "without_spill"}),
    ],
    ids=["ledgers", "sinks"],
)
def test_what_can_be_kept_in_is_given_too_with_what_it_takes(module: ModuleType, taken: set[str]) -> None:
    kinds = {
        name for name, value in vars(module).items() if isinstance(value, type) and name.endswith(("Ledger", "Sink"))
    }
    opening = {name for name in vars(module) if name.startswith("open_")}
    assert set(module.__all__) == kinds | opening | taken


def test_the_contract_is_kept() -> None:
    assert set(cookie_consent.__all__) >= CONTRACT


@pytest.mark.parametrize("name", cookie_consent.__all__)
def test_every_public_name_says_what_it_is(name: str) -> None:
    public = getattr(cookie_consent, name)
    assert public.__doc__
    assert public.__module__.startswith("cookie_consent.")


def test_a_policy_error_is_a_value_error() -> None:
    assert issubclass(cookie_consent.PolicyError, ValueError)
