"""Tests of answers that are kept with accounts: their format, and which answer applies on a device."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.account import account_document, differ, read_account, stricter
from cookie_consent.decision.decision import CONSENT_LIFETIME, decide
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.policy.material import digests
from tests.support.examples import examples
from tests.support.policies import NOW, consent_record, granting_record, small_policy

POLICY = small_policy("analytics", "media", "ads")
STATES = st.fixed_dictionaries(dict.fromkeys(POLICY.optional, st.sampled_from(State)))
RECORDS = st.builds(
    lambda states, age: consent_record(POLICY, states, decided_at=NOW - age, source="settings"),
    STATES,
    st.integers(0, 1_000),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def states(record: ConsentRecord) -> Mapping[str, State]:
    return {id_: answer.state for id_, answer in record.answers.items()}


def choosing(**recipients: set[str] | None) -> ConsentRecord:
    """Return a record that grants purposes, for some of their recipients where a set is given."""
    record = granting_record(POLICY)
    chosen = {
        id_: replace(record.answers[id_], recipients=None if ids is None else frozenset(ids))
        for id_, ids in recipients.items()
    }
    return replace(record, answers={**record.answers, **chosen})


def read_back(record: ConsentRecord) -> ConsentRecord | None:
    document = json.loads(json.dumps(account_document(record)))
    return read_account(document, POLICY, NOW, CONSENT_LIFETIME)


@examples(100)
@given(RECORDS)
def test_answer_survives_the_account(record: ConsentRecord) -> None:
    back = read_back(record)
    if record.status == "unknown":
        assert back is None
    else:
        assert back == replace(record, source="account")


def test_chosen_recipients_survive_the_account() -> None:
    back = read_back(choosing(ads={"b", "a"}, media=set()))
    assert back is not None
    assert [back.answers[id_].recipients for id_ in POLICY.optional] == [None, frozenset(), frozenset({"a", "b"})]


@examples(200)
@given(st.data())
def test_nothing_that_an_app_returns_raises(data: st.DataObject) -> None:
    document: dict[str, Any] = account_document(granting_record(POLICY))
    key = data.draw(st.sampled_from([*document, "recipients"]))
    where = data.draw(st.sampled_from(["", *POLICY.optional]))
    value = data.draw(JSON)
    if where and isinstance(document.get(key), dict):
        document[key][where] = value
    else:
        document[key] = value
    for given_document in (document, value):
        record = read_account(given_document, POLICY, NOW, CONSENT_LIFETIME)
        assert record is None or decide(POLICY, record, frozenset(), NOW).purposes


@examples(200)
@given(RECORDS, RECORDS)
def test_stricter_grants_nothing_that_either_refused(device: ConsentRecord, account: ConsentRecord) -> None:
    applied = states(stricter(device, account, POLICY))
    for id_ in POLICY.optional:
        both = {states(device)[id_], states(account)[id_]}
        expected = next(state for state in (State.REFUSED, State.GRANTED, State.UNANSWERED) if state in both)
        assert applied[id_] is expected


@examples(100)
@given(RECORDS, RECORDS)
def test_order_of_the_two_makes_no_difference(one: ConsentRecord, other: ConsentRecord) -> None:
    first, second = stricter(one, other, POLICY), stricter(other, one, POLICY)
    assert not differ(first, second)
    assert first.decided_at == second.decided_at
    assert first.decided_at in (one.decided_at, other.decided_at)


def test_recipients_have_to_be_granted_in_both() -> None:
    one, other = choosing(ads={"a", "b"}, media=None), choosing(ads={"b", "c"}, media={"x"})
    applied = stricter(one, other, POLICY).answers
    assert applied["ads"].recipients == frozenset({"b"})
    assert applied["media"].recipients == frozenset({"x"})
    assert applied["analytics"].recipients is None
    assert differ(one, other)
    assert not differ(one, replace(one, decided_at=1))


def test_purpose_without_a_recipient_that_both_grant_is_refused() -> None:
    applied = stricter(choosing(ads={"a"}), choosing(ads={"b"}), POLICY)
    assert (applied.answers["ads"].state, applied.answers["ads"].recipients) == (State.REFUSED, None)
    assert applied.status == "partial"


def test_grant_of_what_has_changed_since_is_asked_again() -> None:
    earlier = replace(granting_record(POLICY), policy="0" * 16)
    changed = replace(earlier, answers={**earlier.answers, "ads": Answer(State.GRANTED, "old00")})
    now = granting_record(POLICY)
    for device, account in ((now, changed), (changed, now)):
        decision = decide(POLICY, stricter(device, account, POLICY), frozenset(), NOW)
        assert decision.purposes == {"necessary": True, "analytics": True, "media": True, "ads": False}
        assert decision.should_ask


def test_purpose_that_neither_has_is_left_out() -> None:
    answers = {"media": Answer(State.GRANTED, digests(POLICY)["media"])}
    one = granting_record(POLICY, answers=answers)
    assert states(stricter(one, one, POLICY)) == {"media": State.GRANTED}
