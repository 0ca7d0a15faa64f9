"""Tests of the advice about a policy that can be used: placeholders, and what visitors would miss."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from cookie_consent.policy.advice import advice
from tests.support.policies import full_policy_data, policy_of

TODAY = date(2026, 11, 28)
OWN = {
    "name": "Registry",
    "controller": "Registry Co., Ltd.",
    "contact": "privacy@registry.jp",
    "policy_url": "/privacy",
}


def finished_data() -> dict[str, Any]:
    """Return the data of a policy file in which no placeholder is left."""
    data = full_policy_data()
    data["site"] |= OWN
    data["site"]["authority"]["url"] = "https://www.ppc.go.jp/"
    data["cookies"][1]["domain"] = "registry.jp"
    data["recipients"][0] |= {
        "name": "Maps Inc.",
        "origins": ["https://maps.com"],
        "policy_url": "https://maps.com/privacy",
    }
    data["services"]["shop"]["host"] = "shop.registry.jp"
    return data


def given(data: dict[str, Any]) -> list[str]:
    return [*advice(policy_of(data), TODAY)]


def places(found: list[str]) -> set[str]:
    return {sentence.partition(":")[0] for sentence in found}


def test_finished_policy_needs_no_advice() -> None:
    assert given(finished_data()) == []


def test_each_example_of_the_full_policy_is_named() -> None:
    assert places(given(full_policy_data())) == {
        '[site] key "name"',
        '[site] key "controller"',
        '[site] key "contact"',
        '[site] key "policy_url"',
        '[site.authority] key "url"',
        '[[cookies]] "_ga*" key "domain"',
        '[[recipients]] "example-maps" key "name"',
        '[[recipients]] "example-maps" key "origins"',
        '[[recipients]] "example-maps" key "policy_url"',
        '[services.shop] key "host"',
    }


@pytest.mark.parametrize(
    "contact",
    ["https://registry.jp/contact", "/contact", "a.b@registry.co.jp", "+81 3-1234-5678", "info@my-example.com"],
)
def test_contact_that_reaches_somebody_is_good(contact: str) -> None:
    data = finished_data()
    data["site"]["contact"] = contact
    assert given(data) == []


@pytest.mark.parametrize("contact", ["ask us", "privacy at registry.jp", "privacy@registry", "registry.jp/contact"])
def test_contact_that_reaches_nobody_is_named(contact: str) -> None:
    data = finished_data()
    data["site"]["contact"] = contact
    (sentence,) = given(data)
    assert sentence.startswith(f'[site] key "contact": {contact!r} is no mail address, link or phone number')


@pytest.mark.parametrize(
    "contact", ["privacy@example.com", "https://www.example.co.uk/contact", "a@site.example", "x@EXAMPLE.org"]
)
def test_contact_at_an_example_host_is_named(contact: str) -> None:
    data = finished_data()
    data["site"]["contact"] = contact
    (sentence,) = given(data)
    assert sentence == f'[site] key "contact": {contact!r} is an example. Write the real one.'


def test_missing_policy_url_is_named() -> None:
    data = finished_data()
    del data["site"]["policy_url"]
    (sentence,) = given(data)
    assert sentence.startswith('[site] key "policy_url": visitors find no link to your privacy policy. Write its path')


@pytest.mark.parametrize("days", [-1, 0, 1])
def test_date_in_the_future_is_named(days: int) -> None:
    data = finished_data()
    data["changes"][0]["date"] = data["site"]["updated"] = TODAY + timedelta(days)
    future = {'[[changes]] no. 1 key "date"', '[site] key "updated"'}
    assert places(given(data)) == (future if days > 0 else set())


def test_text_to_be_written_is_named() -> None:
    data = finished_data()
    data["features"]["map"]["title"]["ja"] = "… Map"
    data["site"]["authority"]["url"] = "https://…"
    data["texts"] = {"en": {"accept_all": "…", "days": {"one": "… day", "other": "{number} days"}}}
    assert given(data) == [
        "[site.authority] key \"url\": 'https://…' is an example. Write the real one.",
        "[features.map] key \"title\": '… Map' is a placeholder. Write the text.",
        "[texts.en] key \"accept_all\": '…' is a placeholder. Write the text.",
        "[texts.en] key \"days\": '… day' is a placeholder. Write the text.",
    ]
