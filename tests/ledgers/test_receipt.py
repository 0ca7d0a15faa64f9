"""Tests of the consent receipt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.ledgers.glossary import ACCESS_RECORD, COUNTRY
from cookie_consent.ledgers.receipt import receipt
from cookie_consent.ledgers.records import describe_record
from tests.support.policies import full_policy_data, policy_of, small_policy
from tests.support.policy_strategies import policies, records

POLICY = policy_of(full_policy_data())
LIFETIME = timedelta(days=184)
ADDRESS = "https://example.jp/privacy-choices"
KEPT: Mapping[str, Any] = {
    "schema": 2,
    "record_id": "record-2",
    "consent_id": "an-id",
    "event": "changed",
    "decided_at": "2026-11-25T19:00:00Z",
    "expires_at": "2027-05-24T19:00:00Z",
    "source": "settings",
    "status": "partial",
    "granted": ["media"],
    "refused": ["analytics"],
    "facts": {"analytics": "x1Y2z", "media": "a3B4c"},
    "language": "en",
    "text": "a" * 64,
    "prevailing_language": "ja",
    "prevailing_text": "b" * 64,
    "surface": "settings",
    "feature": None,
    "answered_before": "2026-05-01T08:00:00Z",
    "policy": "0123456789abcdef",
    "policy_sha256": "0123456789abcdef" * 4,
    "service": None,
    "signals": ["gpc"],
    "build": "c" * 64,
    "previous": "record-1",
    "keep_until": "2030-05-23T19:00:00Z",
    "repeat_key": "d" * 64,
}
LEDGER_ONLY = (
    "record_id", "consent_id", "event", "text", "prevailing_text", "surface", "feature", "answered_before", "build",
    "previous", "policy_sha256", "keep_until", "repeat_key",
)  # fmt: skip
LEFT_OUT = {*LEDGER_ONLY, "prevailing_language", "service"}
UNKEPT = {key: value for key, value in KEPT.items() if key not in LEFT_OUT}
"""The same record on a site without a ledger."""


DPV_TERMS = {
    "dpv:Consent",
    "dpv:ConsentGiven",
    "dpv:ConsentRefused",
    "dpv:ConsentUnknown",
    "dpv:ConsentWithdrawn",
    "dpv:DataController",
    "dpv:ExplicitlyExpressedConsent",
    "dpv:ExpressedConsent",
    "dpv:LegalEntity",
    "dpv:Recipient",
    "dpv:ThirdParty",
}
"""The terms of the Data Privacy Vocabulary 2.2 that receipts use. Each was looked up there."""


def dpv_terms_in(value: object) -> Iterator[str]:
    """Yield all terms with the prefix of the vocabulary in plain data."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list):
        for item in value:
            yield from dpv_terms_in(item)
    elif isinstance(value, str) and value.startswith("dpv:"):
        yield value


def purpose_of(made: Mapping[str, Any], id_: str) -> dict[str, Any]:
    """Return the entry of one purpose in a receipt."""
    found: dict[str, Any]
    (found,) = (purpose for purpose in made["purposes"] if purpose["id"] == id_)
    return found


@pytest.mark.requirement("PC-02")
def test_receipt_has_all_fields_of_iso_27560() -> None:
    controller, maps = f"{ADDRESS}#controller", f"{ADDRESS}#recipient-example-maps"
    assert receipt(KEPT, POLICY, ADDRESS) == {
        **KEPT,
        "schema_version": "https://w3id.org/dpv/schema/dpv-27560#receipt",
        "receipt_id": "record-2",
        "pii_principal_id": "an-id",
        "site": "Example Registry",
        "controller": "Example Registry Co., Ltd.",
        "contact": "privacy@example.jp",
        "data_protection_officer": "officer@example.jp",
        "policy_url": f"{ADDRESS}/policy/0123456789abcdef",
        "privacy_notice": {
            "url": f"{ADDRESS}/policy/0123456789abcdef",
            "version": "0123456789abcdef",
            "sha256": "a" * 64,
            "prevailing_sha256": "b" * 64,
        },
        "described_by": {"version": POLICY.version, "language": "en"},
        "purposes": [
            {
                "id": "analytics",
                "title": "Access tracing",
                "granted": False,
                "recipients": [],
                "purpose": "We count visits.",
                "lawful_basis": "dpv:Consent",
                "pii_information": [
                    {"pii_type": field, "party_id": controller} for field in ACCESS_RECORD if field != COUNTRY
                ],
                "storage_locations": [
                    {"cookie": "_ga*", "kind": "cookie", "duration": "P395D", "path": "/", "domain": "example.jp"}
                ],
                "retention_period": "P395D",
                "recipient_third_parties": [],
            },
            {
                "id": "media",
                "title": "Maps and videos",
                "granted": True,
                "recipients": ["Example Maps Inc."],
                "purpose": "We show maps and videos.",
                "lawful_basis": "dpv:Consent",
                "pii_information": [{"pii_type": "IP address, address of the page", "party_id": maps}],
                "storage_locations": [
                    {"cookie": "player", "kind": "cookie", "duration": "P30D", "path": "/videos", "domain": None}
                ],
                "retention_period": None,
                "recipient_third_parties": [maps],
            },
        ],
        "pii_controllers": [controller],
        "services": [],
        "jurisdiction": None,
        "withdraw_at": ADDRESS,
        "withdrawal_method": ADDRESS,
        "privacy_rights": ADDRESS,
        "party_identification": [
            {
                "party_id": controller,
                "party_name": "Example Registry Co., Ltd.",
                "party_address": None,
                "party_contact": "privacy@example.jp",
                "party_url": "https://example.jp/privacy",
                "party_role": "dpv:DataController",
                "party_type": "dpv:LegalEntity",
            },
            {
                "party_id": maps,
                "party_name": "Example Maps Inc.",
                "party_address": None,
                "party_contact": None,
                "party_url": "https://maps.example.com/privacy",
                "party_role": "dpv:ThirdParty",
                "party_type": "dpv:Recipient",
            },
        ],
        "events": [
            {
                "event_time": "2026-11-25T19:00:00Z",
                "validity_duration": "P180D",
                "entity_id": "an-id",
                "event_type": "dpv:ExplicitlyExpressedConsent",
                "event_state": "dpv:ConsentRefused",
                "purposes": ["analytics"],
            },
            {
                "event_time": "2026-11-25T19:00:00Z",
                "validity_duration": "P180D",
                "entity_id": "an-id",
                "event_type": "dpv:ExplicitlyExpressedConsent",
                "event_state": "dpv:ConsentGiven",
                "purposes": ["media"],
            },
        ],
    }


def test_receipt_without_ledger_has_same_fields_but_no_ids() -> None:
    made = receipt(UNKEPT, POLICY, ADDRESS)
    assert made.keys() == receipt(KEPT, POLICY, ADDRESS).keys()
    assert {made[key] for key in (*LEDGER_ONLY, "receipt_id", "pii_principal_id")} == {None}
    assert ({event["entity_id"] for event in made["events"]}, made["privacy_notice"]["sha256"]) == ({None}, None)
    assert made["prevailing_language"] == "ja"
    assert receipt({**KEPT, "prevailing_language": "en"}, POLICY, ADDRESS)["prevailing_language"] == "en"


def test_receipt_in_dropped_language_uses_prevailing_language() -> None:
    made = receipt({**KEPT, "language": "de"}, POLICY, ADDRESS)
    assert [purpose["title"] for purpose in made["purposes"]] == ["アクセス履歴の追跡", "地図と動画"]
    assert purpose_of(made, "media")["pii_information"][0]["pii_type"] == "IPアドレス、ページのアドレス"
    assert (made["language"], made["described_by"]["language"]) == ("de", "ja")


def test_deleted_purpose_is_named_by_its_id() -> None:
    made = receipt({**KEPT, "facts": {"ads": "x", "media": "y"}, "granted": ["ads"]}, POLICY, ADDRESS)
    assert [purpose["id"] for purpose in made["purposes"]] == ["analytics", "media", "ads"]
    assert purpose_of(made, "ads") == {
        "id": "ads",
        "title": "ads",
        "granted": True,
        "recipients": [],
        "purpose": None,
        "lawful_basis": "dpv:Consent",
        "pii_information": [],
        "storage_locations": [],
        "retention_period": None,
        "recipient_third_parties": [],
    }


SITE_URL = "https://example.jp/privacy"


@pytest.mark.parametrize(
    ("service", "conditions", "url"),
    [
        ("whois", ("Tracing of searches", "We count searches.", "P30D"), "/whois/terms"),
        ("shop", ("Access tracing", "We count visits.", "P395D"), SITE_URL),  # it has no address of its own
        ("mail", ("Access tracing", "We count visits.", "P395D"), SITE_URL),  # it is deleted
    ],
)
def test_receipt_for_service_has_its_conditions(service: str, conditions: tuple[str, ...], url: str) -> None:
    made = receipt({**KEPT, "service": service}, POLICY, ADDRESS)
    traced = purpose_of(made, "analytics")
    assert tuple(traced[name] for name in ("title", "purpose", "retention_period")) == conditions
    assert (made["services"], made["party_identification"][0]["party_url"]) == ([service], url)


def test_what_the_policy_does_not_say_is_none_and_a_session_has_a_word() -> None:
    made = receipt(KEPT, small_policy("analytics", "media"), ADDRESS)
    assert made["party_identification"][0]["party_url"] is None
    data = full_policy_data()
    data["cookies"][2]["duration"] = "session"
    (cookie,) = purpose_of(receipt(KEPT, policy_of(data), ADDRESS), "media")["storage_locations"]
    assert cookie["duration"] == "session"


@pytest.mark.requirement("ST-02")
@pytest.mark.parametrize(
    ("changes", "purposes"),
    [
        *(
            ({"event": event}, {"dpv:ConsentRefused": ["analytics"], "dpv:ConsentGiven": ["media"]})
            for event in ("granted", "refused", "changed", "signal", None)
        ),
        ({"event": "withdrawn"}, {"dpv:ConsentWithdrawn": ["analytics"], "dpv:ConsentGiven": ["media"]}),
        ({"refused": []}, {"dpv:ConsentUnknown": ["analytics"], "dpv:ConsentGiven": ["media"]}),
        ({"granted": ["media", "analytics"], "refused": []}, {"dpv:ConsentGiven": ["analytics", "media"]}),
        ({"facts": {"media": "y"}, "granted": [], "refused": ["media"]}, {"dpv:ConsentRefused": ["media"]}),
    ],
)
def test_each_state_has_one_event_with_its_purposes(changes: dict[str, Any], purposes: dict[str, list[str]]) -> None:
    made = receipt({**KEPT, **changes}, POLICY, ADDRESS)
    assert {event["event_state"]: event["purposes"] for event in made["events"]} == purposes
    assert [purpose["id"] for purpose in made["purposes"]] == sorted(chain(*purposes.values()))


@pytest.mark.parametrize(
    ("source", "expressed"),
    [
        ("banner", "dpv:ExplicitlyExpressedConsent"),
        ("settings", "dpv:ExplicitlyExpressedConsent"),
        ("feature", "dpv:ExpressedConsent"),
        ("api", "dpv:ExpressedConsent"),
        ("signal", "dpv:Consent"),
    ],
)
def test_source_decides_whether_consent_was_explicit(source: str, expressed: str) -> None:
    made = receipt({**KEPT, "source": source}, POLICY, ADDRESS)
    assert {event["event_type"] for event in made["events"]} == {expressed}


@pytest.mark.parametrize(
    ("expires_at", "duration"),
    [
        ("2026-11-25T19:00:00Z", "P0D"),
        ("2026-11-25T19:00:01Z", "PT1S"),
        ("2026-11-25T20:30:00Z", "PT1H30M"),
        ("2026-11-27T19:00:00Z", "P2D"),
        ("2026-11-27T21:00:09Z", "P2DT2H9S"),
    ],
)
def test_validity_duration_is_iso_8601(expires_at: str, duration: str) -> None:
    made = receipt({**KEPT, "expires_at": expires_at}, POLICY, ADDRESS)
    assert {event["validity_duration"] for event in made["events"]} == {duration}


@given(st.data())
@pytest.mark.slow
def test_every_answer_has_receipt_with_known_dpv_terms(data: st.DataObject) -> None:
    policy = data.draw(policies())
    record = data.draw(records(policy))
    made = receipt(describe_record(record), policy, "/p")
    assert json.loads(json.dumps(made)) == made
    assert {purpose["id"] for purpose in made["purposes"]} == record.answers.keys()
    assert {*dpv_terms_in(made)} <= DPV_TERMS
