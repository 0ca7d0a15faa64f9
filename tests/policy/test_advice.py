"""Tests of the advice about a policy that can be used: placeholders, and what visitors would miss."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from cookie_consent.policy.advice import advice, advice_at_start, placeholders
from tests.support.policies import full_policy_data, policy_of

TODAY = date(2026, 11, 28)
OWN = {
    "name": "Registry",
    "controller": "Registry Co., Ltd.",
    "contact": "privacy@registry.jp",
    "data_protection_officer": "+81 3-1234-5678",
    "policy_url": "/privacy",
}

GOOGLE = {"id": "google", "name": "Google LLC", "purpose": "analytics", "receives": {"en": "Address", "ja": "住所"}}


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
    data["recipients"].append(GOOGLE)
    data["services"]["shop"]["host"] = "shop.registry.jp"
    return data


def given(data: dict[str, Any]) -> list[str]:
    policy = policy_of(data)
    return [*(str(error) for _, error in placeholders(policy)), *advice(policy, TODAY)]


def places(found: list[str]) -> set[str]:
    return {sentence.partition(":")[0] for sentence in found}


def test_finished_policy_needs_no_advice() -> None:
    assert given(finished_data()) == []


def test_each_example_of_the_full_policy_is_named() -> None:
    assert places(given(full_policy_data())) == {
        '[site] key "name"',
        '[site] key "controller"',
        '[site] key "contact"',
        '[site] key "data_protection_officer"',
        '[site] key "policy_url"',
        '[site.authority] key "url"',
        '[[cookies]] "_ga*" key "domain"',
        '[[cookies]] "_ga*" key "name"',
        '[[recipients]] "example-maps" key "name"',
        '[[recipients]] "example-maps" key "origins"',
        '[[recipients]] "example-maps" key "policy_url"',
        '[services.shop] key "host"',
    }


@pytest.mark.parametrize("key", ["contact", "data_protection_officer"])
@pytest.mark.parametrize(
    ("contact", "sentence"),
    [
        ("https://registry.jp/contact", ""),
        ("/contact", ""),
        ("a.b@registry.co.jp", ""),
        ("+81 3-1234-5678", ""),
        ("info@my-example.com", ""),
        ("ask us", "is no mail address, link or phone number"),
        ("privacy@registry", "is no mail address, link or phone number"),
        ("registry.jp/contact", "is no mail address, link or phone number"),
        ("privacy@example.com", "is an example. Write the real one."),
        ("https://www.example.co.uk/contact", "is an example. Write the real one."),
        ("x@EXAMPLE.org", "is an example. Write the real one."),
    ],
)
def test_contact_that_reaches_nobody_is_named(key: str, contact: str, sentence: str) -> None:
    data = finished_data()
    data["site"][key] = contact
    found = given(data)
    start = f'[site] key "{key}": {contact!r} {sentence}'
    assert [message.startswith(start) for message in found] == [True] * bool(sentence)


def test_missing_policy_url_is_named() -> None:
    data = finished_data()
    assert [*advice_at_start(policy_of(data))] == []
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


# Cookies of third parties.


def given_with(cookie: dict[str, Any], **site: Any) -> list[str]:
    """Return the advice on a finished policy with another cookie, without recipients."""
    data = finished_data()
    data["recipients"], data["cookies"][1] = [], cookie
    data["site"] |= site
    return given(data)


def test_third_partys_cookie_without_its_recipient_is_named() -> None:
    (sentence,) = given_with({"name": "_ga*", "purpose": "analytics"})
    assert sentence == (
        '[[cookies]] "_ga*" key "name": cookies of this name are those of Google, and visitors do not read that it '
        'gets data. Declare it in [[recipients]], with purpose = "analytics".'
    )


@pytest.mark.parametrize(
    "change", [{"purpose": "media"}, {"name": "Other Ltd."}, {"name": "Other Ltd.", "origins": ["https://goog.com"]}]
)
def test_recipient_of_another_purpose_or_company_is_not_the_third_party(change: dict[str, Any]) -> None:
    data = finished_data()
    data["recipients"][1] = GOOGLE | change
    assert places(given(data)) == {'[[cookies]] "_ga*" key "name"'}


def test_recipient_that_is_reached_at_the_third_party_is_it() -> None:
    data = finished_data()
    data["recipients"][1] = GOOGLE | {"name": "Tags Ltd.", "origins": ["https://www.googletagmanager.com"]}
    assert given(data) == []


def test_third_partys_cookie_that_is_declared_necessary_is_named() -> None:
    for name, vendor, usual in (("_fbp", "Meta", "ads"), ("_pk_id*", "Matomo", "analytics")):
        (sentence,) = given_with({"name": name, "purpose": "necessary"})
        assert sentence == (
            f'[[cookies]] "{name}" key "purpose": cookies of this name are those of {vendor}, usually for "{usual}". '
            "No site needs them. Write a purpose that visitors can refuse."
        )


def test_cookie_of_what_the_site_runs_itself_needs_no_recipient_once_it_says_so() -> None:
    matomo = {"name": "_pk_*", "purpose": "analytics"}
    (sentence,) = given_with(matomo)
    assert sentence.endswith('If you run it yourself and nobody else gets data, write recipients = "none" in [site].')
    assert given_with(matomo, recipients="none") == []
    (sentence,) = given_with({"name": "_gid", "purpose": "analytics"}, recipients="none")
    assert "those of Google" in sentence, "Google runs it wherever the site is"


# What is told at the start, too.


def test_start_names_first_placeholders_and_counts_the_others() -> None:
    first, *others = advice_at_start(policy_of(full_policy_data()))
    assert first == (
        'The policy still says "Example Registry", "Example Registry Co., Ltd.", "privacy@example.jp" and 9 more: '
        "examples in place of what is true of the site. Visitors read them. `cookie-consent check` names each."
    )
    assert places(others) == {'[[cookies]] "_ga*" key "name"'}


@pytest.mark.parametrize(("retention", "told"), [("395 days", 0), ("13 months", 0), ("396 days", 1), ("2 years", 1)])
def test_retention_longer_than_a_visitor_id_is_told_by_check_and_start(retention: str, told: int) -> None:
    data = finished_data()
    data["purposes"]["analytics"]["retention"] = retention
    policy = policy_of(data)
    at_start = [*advice_at_start(policy)]
    assert len(at_start) == told
    assert [*advice(policy, TODAY)] == at_start
    assert {sentence.partition(":")[0] for sentence in at_start} <= {'[purposes.analytics] key "retention"'}
