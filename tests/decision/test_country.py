"""Tests of which law applies to a request, by the visitor's country."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import HTTPConnection

from cookie_consent.http.options import read_country
from cookie_consent.policy.laws import laws
from cookie_consent.policy.policy import Policy
from tests.policy.test_laws import under
from tests.support.asgi import scope
from tests.support.policies import full_policy_data, policy_of

FIELD = "CF-IPCountry"


def policy() -> Policy:
    return policy_of(under("eu", "fr", "us-optout", "ca-qc", "jp", "jp-optout"))


def law_of(*values: str, among: Policy | None = None) -> str:
    """Return the law for a request with these values of the field."""
    chosen = read_country(FIELD, among or policy())
    assert chosen is not None
    law = chosen.find_law(scope(headers=[(FIELD, value) for value in values]))
    return law.code if law else ""


@pytest.mark.parametrize(
    ("country", "code"),
    [
        *((country, "us-optout") for country in ("US", "us", " US ", "US-CA")),
        *((country, "eu") for country in ("DE", "DE-BY", "BR", "CA", "CA-ON")),
        ("FR", "fr"),
        ("CA-QC", "ca-qc"),
        ("JP", "jp"),
    ],
)
def test_field_names_the_place(country: str, code: str) -> None:
    assert law_of(country) == code


@pytest.mark.parametrize(
    "country", ["", "XX", "T1", "ZZ", "EU", "USA", "U", "US,", "\xff\xff", "US" * 40, f"US{' ' * 14}DE", "US-", "-QC"]
)
def test_unknown_place_gets_the_first_law_of_opting_in_or_none(country: str) -> None:
    assert law_of(country, among=policy_of(under("us-optout", "de", "eu"))) == "de"
    assert law_of(country, among=policy_of(under("us-optout"))) == ""


def test_several_fields_or_none_are_an_unknown_place() -> None:
    """A visitor may have sent one of them."""
    assert law_of("US", "US") == law_of() == "eu"


@pytest.mark.parametrize(("told", "code"), [("US", "us-optout"), ("CA-QC", "ca-qc"), (None, "eu"), ("nowhere", "eu")])
def test_function_tells_the_place(told: str | None, code: str) -> None:
    seen: list[str] = []

    def country(request: HTTPConnection) -> str | None:
        seen.append(request.url.path)
        return told

    chosen = read_country(country, policy())
    assert chosen is not None
    law = chosen.find_law(scope(path="/page"))
    assert law
    assert law.code == code
    assert seen == ["/page"]
    assert chosen.field == ""


@pytest.mark.logs_an_exception
@pytest.mark.parametrize("result", [7, ZeroDivisionError()])
def test_failing_function_is_an_unknown_place(result: Any) -> None:
    def country(_: HTTPConnection) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    chosen = read_country(country, policy_of(under("us-optout", "de")))
    assert chosen is not None
    assert chosen.find_law(scope()) is laws()["de"]


async def asynchronous(_: HTTPConnection) -> str:
    return "US"


@pytest.mark.parametrize("country", [7, "", "Two Words", "a" * 65, "Field:", asynchronous])
def test_option_is_checked(country: Any) -> None:
    with pytest.raises(ValueError, match=r"country: .* is not valid. Write the name of a header field"):
        read_country(country, policy())


def test_option_and_policy_have_to_go_together() -> None:
    with pytest.raises(ValueError, match="country: it is missing, and the policy names a law of opting out"):
        read_country(None, policy())
    with pytest.raises(ValueError, match="country: nothing depends on it"):
        read_country(FIELD, policy_of(under("eu")))
    assert read_country(None, policy_of(full_policy_data())) is None
