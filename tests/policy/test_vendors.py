"""Tests of [vendors] in a policy file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.reader import read_tables
from cookie_consent.policy.vendors import vendor_advice
from tests.support.policies import recipient

SITE = {
    "name": "Site",
    "controller": "Site Ltd.",
    "contact": "privacy@site.example",
    "languages": ["en"],
    "prevailing_language": "en",
}
PURPOSES = {id_: {"title": {"en": id_}, "description": {"en": id_}} for id_ in ("ads", "analytics")}


def policy_with(vendors: Any) -> Policy:
    return Policy(**vars(read_tables({"site": SITE, "purposes": PURPOSES, "vendors": vendors})))


@pytest.mark.parametrize(
    ("table", "purposes", "options"),
    [
        (
            {"google_consent_mode": {"ad_storage": "ads", "url_passthrough": True}},
            {"ad_storage": "ads"},
            {"url_passthrough": True},
        ),
        ({"meta_pixel": "ads"}, {"": "ads"}, {}),
        ({"segment": {"Anything": "ads"}}, {"Anything": "ads"}, {}),
    ],
)
def test_vendor_has_purposes_and_options(
    table: dict[str, Any], purposes: dict[str, str], options: dict[str, object]
) -> None:
    (vendor,) = policy_with(table).vendors
    assert (vendor.purposes, vendor.options) == (purposes, options)


@pytest.mark.parametrize(
    ("vendors", "message"),
    [
        ([], "this is no table"),
        ({"meta_pixl": "ads"}, 'there is no vendor "meta_pixl". Did you mean "meta_pixel"?'),
        ({"meta_pixl": {"a": "ads"}}, 'Did you mean "meta_pixel"?'),
        ({"meta_pixel": "add"}, 'there is no purpose "add". Did you mean "ads"?'),
        ({"meta_pixel": 1}, "1 is no purpose"),
        ({"meta_pixel": {"ad_storage": "ads"}}, 'Meta Pixel goes by one purpose. Write it as in meta_pixel = "ads".'),
        ({"microsoft_clarity": "ads"}, 'Write which goes by which purpose: { ad_Storage = "ads" }.'),
        ({"microsoft_clarity": {}}, "Microsoft Clarity has signals of its own"),
        ({"segment": "ads"}, '{ Advertising = "ads" }'),
        ({"microsoft_clarity": {"ad_storage": "ads"}}, 'has no signal "ad_storage". Did you mean "ad_Storage"?'),
        ({"microsoft_clarity": {"ad_Storage": True}}, "True is no purpose"),
        ({"google_consent_mode": {"ad_storage": "ads", "mode": "advance"}}, 'Did you mean "advanced"?'),
        ({"google_consent_mode": {"ad_storage": "ads", "url_passthrough": 1}}, "1 is not valid for url_passthrough."),
        ({"google_consent_mode": {"ad_storage": "ads", "wait_for_update": 500}}, "in basic mode no tag runs before"),
        (
            {"google_consent_mode": {"ad_storage": "ads", "mode": "advanced", "wait_for_update": True}},
            "is not valid for wait_for_update. Write a number of milliseconds",
        ),
    ],
)
def test_wrong_table_is_refused_with_what_would_be_right(vendors: Any, message: str) -> None:
    with pytest.raises(PolicyError) as error:
        policy_with(vendors)
    assert message in str(error.value)
    assert str(error.value).startswith("[vendors]")


def test_unknown_option_in_a_document_is_refused() -> None:
    document = policy_with({"meta_pixel": "ads"}).document()
    document["vendors"][0]["options"] = {"mode": "basic"}
    with pytest.raises(PolicyError, match="'basic' is not valid for mode"):
        Policy.from_document(document)


def test_vendors_come_back_from_the_document() -> None:
    google = {"ad_storage": "ads", "mode": "advanced", "wait_for_update": 500}
    policy = policy_with({"google_consent_mode": google, "linkedin": "ads"})
    again = Policy.from_document(json.loads(json.dumps(policy.document())))
    assert again.vendors == policy.vendors
    assert again.version == policy.version


@pytest.mark.parametrize(
    ("purpose", "origins", "is_noticed"),
    [
        ("ads", ("https://connect.facebook.net",), False),
        ("analytics", ("https://connect.facebook.net",), True),
        ("ads", ("https://notfacebook.net",), True),
        ("ads", (), True),
    ],
)
def test_vendor_without_a_recipient_is_noticed(purpose: str, origins: tuple[str, ...], is_noticed: bool) -> None:
    vendors = policy_with({"meta_pixel": "ads", "matomo": "analytics"}).vendors
    found = [*vendor_advice(vendors, [recipient("m", purpose, *origins)])]
    assert [message.partition(",")[0] for message in found] == ['[vendors] meta_pixel goes by "ads"'] * is_noticed


@pytest.mark.requirement("VC-09")
def test_advanced_mode_is_noticed() -> None:
    google = {"ad_storage": "ads", "mode": "advanced"}
    found = [*vendor_advice(policy_with({"google_consent_mode": google}).vendors, [])]
    assert found[0] == (
        "[vendors] google_consent_mode: in advanced mode, tags send data about the visit before there is an answer."
    )
