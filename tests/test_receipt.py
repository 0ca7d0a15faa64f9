from __future__ import annotations

import json
from datetime import timedelta

from cookie_consent.receipt import document, receipt
from cookie_consent.record import State
from tests.policies import answered, full, policy_of, small

POLICY = policy_of(full())
RECORD = answered(
    POLICY,
    {"analytics": State.REFUSED, "media": State.GRANTED},
    language="en",
    source="settings",
    signals=frozenset({"gpc", "dnt"}),
    consent_id="an-id",
)


def test_a_record_is_plain_data() -> None:
    assert document(RECORD) == {
        "schema": 1,
        "consent_id": "an-id",
        "policy": POLICY.version,
        "status": "partial",
        "decided_at": "2025-06-15T15:06:40Z",
        "source": "settings",
        "language": "en",
        "signals": ["dnt", "gpc"],
        "granted": ["media"],
        "refused": ["analytics"],
        "facts": {id_: answer.facts for id_, answer in RECORD.answers.items()},
    }


def test_what_was_not_answered_is_neither_granted_nor_refused() -> None:
    record = answered(POLICY, {"analytics": State.UNANSWERED, "media": State.REFUSED})
    assert (document(record)["granted"], document(record)["refused"]) == ([], ["media"])


def test_without_a_ledger_there_is_no_id() -> None:
    assert document(answered(POLICY, {}))["consent_id"] is None


def test_a_receipt_says_who_asked_until_when_it_holds_and_where_to_withdraw() -> None:
    made = receipt(RECORD, POLICY, timedelta(days=180), "https://example.jp/privacy-choices")
    assert made | document(RECORD) == made
    assert {key: made[key] for key in made.keys() - document(RECORD).keys() - {"purposes"}} == {
        "expires_at": "2025-12-12T15:06:40Z",
        "site": "Example Registry",
        "controller": "Example Registry Co., Ltd.",
        "contact": "privacy@example.jp",
        "prevailing_language": "ja",
        "policy_url": f"https://example.jp/privacy-choices/policy/{POLICY.version}",
        "withdraw_at": "https://example.jp/privacy-choices",
    }


def test_a_receipt_names_each_purpose_in_the_language_that_was_shown_and_its_recipients() -> None:
    assert receipt(RECORD, POLICY, timedelta(days=180), "/p")["purposes"] == [
        {"id": "analytics", "title": "Access tracing", "granted": False, "recipients": []},
        {"id": "media", "title": "Maps and videos", "granted": True, "recipients": ["Example Maps Inc."]},
    ]


def test_a_language_that_is_no_longer_offered_gives_way_to_the_prevailing_one() -> None:
    record = answered(POLICY, {}, language="de")
    titles = [purpose["title"] for purpose in receipt(record, POLICY, timedelta(days=180), "/p")["purposes"]]
    assert titles == ["アクセス履歴の追跡", "地図と動画"]


def test_a_receipt_names_only_the_purposes_that_were_answered_and_are_still_there() -> None:
    record = answered(small("analytics", "ads"), {"analytics": State.GRANTED})
    purposes = receipt(record, POLICY, timedelta(days=180), "/p")["purposes"]
    assert [(purpose["id"], purpose["granted"]) for purpose in purposes] == [("analytics", True)]


def test_a_receipt_is_json() -> None:
    made = receipt(RECORD, POLICY, timedelta(days=180), "/p")
    assert json.loads(json.dumps(made)) == made
