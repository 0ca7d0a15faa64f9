"""Tests of the records that a ledger gets: their fields, and that they hold nothing else about the visitor."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.record import SOURCES, ConsentRecord, State, name_event
from cookie_consent.ledgers import Entry, MemoryLedger
from cookie_consent.ledgers.records import (
    REPEAT_WINDOW,
    RecordContext,
    ShownText,
    answer_at,
    describe_record,
    digest,
    find_newest_answer,
    make_signal_entry,
    repeats,
)
from cookie_consent.ledgers.records import make_entry as make_answer_entry
from cookie_consent.policy.policy import canonical_json
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PHONE, PREFIX, Clock, Visitor, install, page_app
from tests.support.asgi import policy as site_policy
from tests.support.browsers.browser import forms
from tests.support.policies import (
    NOW,
    consent_record,
    full_policy_data,
    policy_of,
    small_policy,
)
from tests.support.policy_strategies import policies, records

POLICY = policy_of(full_policy_data())
RECORD = consent_record(
    POLICY,
    {"media": State.GRANTED},
    source="settings",
    language="en",
    signals=frozenset({"gpc", "dnt"}),
    consent_id="an-id",
)
GIVEN = RecordContext(record_id="record-1", policy=POLICY)
SHOWN = ShownText(
    surface="box", feature="map", html="<p>May we?</p>", prevailing_html="<p>いいですか</p>", build="b" * 16
)


CITED = {
    "policy": POLICY.version,
    "policy_sha256": hashlib.sha256(canonical_json(POLICY.document())).hexdigest(),
    "prevailing_language": "ja",
    "service": None,
    "law": "jp",
}
UNTIL = "2028-12-15T15:06:40Z"
"""The end of the consent, and three years more."""


def make_entry(record: ConsentRecord = RECORD, given: RecordContext = GIVEN, **more: Any) -> Entry:
    return make_answer_entry(record, given, **{"before": None, "previous": None, "form_id": "", "shown": SHOWN, **more})


# The record as plain data.


@pytest.mark.requirement("PC-02")
def test_document_has_all_fields_of_record() -> None:
    assert describe_record(RECORD) == {
        "schema": 2,
        "consent_id": "an-id",
        "policy": POLICY.version,
        "status": "partial",
        "decided_at": "2025-06-15T15:06:40Z",
        "expires_at": "2025-12-16T15:06:40Z",
        "source": "settings",
        "language": "en",
        "signals": ["dnt", "gpc"],
        "granted": ["media"],
        "refused": ["analytics"],
        "facts": {id_: answer.facts for id_, answer in RECORD.answers.items()},
    }


def test_document_without_answer_names_no_purpose_and_no_consent_id() -> None:
    made = describe_record(consent_record(POLICY, {"analytics": State.UNANSWERED, "media": State.REFUSED}))
    assert (made["granted"], made["refused"], made["consent_id"]) == ([], ["media"], None)


# The entry of an answer.


@pytest.mark.requirement("PC-05")
def test_entry_has_all_fields_of_answer_and_its_texts() -> None:
    before = consent_record(POLICY, {}, decided_at=NOW - 86_400)
    shop = POLICY.under(POLICY.services[1])
    made = make_entry(given=replace(GIVEN, policy=shop), before=before, previous="record-0")
    assert made.document == {
        **describe_record(RECORD),
        **CITED,
        "record_id": "record-1",
        "event": "granted",
        "text": hashlib.sha256(b"<p>May we?</p>").hexdigest(),
        "prevailing_text": hashlib.sha256("<p>いいですか</p>".encode()).hexdigest(),
        "surface": "box",
        "feature": "map",
        "answered_before": "2025-06-14T15:06:40Z",
        "service": "shop",
        "build": "b" * 16,
        "previous": "record-0",
        "keep_until": UNTIL,
        "repeat_key": made.columns["repeat_key"],
    }
    assert made.texts == {digest(text): text for text in (SHOWN.html, SHOWN.prevailing_html)}
    assert made.policies == {POLICY.version: POLICY.document()}
    assert made.columns["decided_at"] == NOW


def test_first_answer_to_a_custom_banner_cites_the_policy_alone() -> None:
    made = make_entry(shown=None)
    absent = ("answered_before", "previous", "service", "text", "prevailing_text", "surface", "feature", "build")
    assert {made.document[name] for name in absent} == {None}
    assert made.document["policy_sha256"].startswith(made.document["policy"])
    assert (made.document["prevailing_language"], made.texts) == ("ja", {})


def test_exact_time_of_a_refusal_before_the_first_consent_is_not_linked() -> None:
    before = {
        name: consent_record(POLICY, {"media": state})
        for name, state in (("no", State.REFUSED), ("yes", State.GRANTED))
    }
    linked = {name: make_entry(before=record).document["answered_before"] for name, record in before.items()}
    assert linked == {"no": None, "yes": "2025-06-15T15:06:40Z"}
    assert make_entry(before=before["no"], previous="r").document["answered_before"] == linked["yes"]


@pytest.mark.parametrize(("keep", "seconds"), [("1 second", 1), ("3 years", 3 * 365 * 86_400)])
def test_record_retention_begins_at_end_of_consent(keep: str, seconds: int) -> None:
    given = RecordContext(record_id="record-1", policy=policy_of({**full_policy_data(), "records": {"keep": keep}}))
    record = replace(RECORD, lifetime=400 * 86_400)
    end = NOW + 400 * 86_400 + seconds
    assert make_entry(record, given).columns["keep_until"] == end
    assert signal_entry_of(record, given, now=NOW + 40 * 86_400).columns["keep_until"] == end


def test_retention_beyond_year_9999_is_capped() -> None:
    policy = policy_of({**full_policy_data(), "records": {"keep": "999999 years"}})
    assert make_entry(given=replace(GIVEN, policy=policy)).document["keep_until"] == "9999-12-31T00:00:00Z"


# Events.

_STATES = (State.GRANTED, State.REFUSED, State.UNANSWERED)
_ALL = [dict(zip(("ads", "media"), states, strict=True)) for states in itertools.product(_STATES, repeat=2)]


def expected_event(had: frozenset[str], has: frozenset[str]) -> str:
    """Return the event, computed in another way than in the package."""
    if not has:
        return "withdrawn" if had else "refused"
    return "changed" if had and had != has else "granted"


@pytest.mark.parametrize("before", [None, *_ALL])
@pytest.mark.parametrize("after", _ALL)
def test_event_compares_granted_purposes(before: dict[str, State] | None, after: dict[str, State]) -> None:
    policy = small_policy("ads", "media")
    had, has = (
        frozenset(id_ for id_, state in (states or {}).items() if state is State.GRANTED) for states in (before, after)
    )
    made = name_event(None if before is None else consent_record(policy, before), consent_record(policy, after))
    assert made == expected_event(had, has)


def test_successive_answers_have_their_events() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock, consent_days=30))
    for answer in ("media", "accept_all", "accept_all", "refuse_all", "refuse_all"):
        plain = answer.endswith("_all")
        visitor.post({"choice": answer} if plain else {"choice": "save", "purposes": {answer: True}})
        clock.forward(days=1)
    kept = ledger.kept
    assert [record["event"] for record in kept] == ["granted", "changed", "granted", "withdrawn", "refused"]
    assert [record["previous"] for record in kept] == [None, *(record["record_id"] for record in kept[:-1])]
    assert [record["answered_before"] for record in kept] == [None, *(record["decided_at"] for record in kept[:-1])]
    assert kept[0]["expires_at"] == "2025-07-15T15:06:40Z"
    clock.forward(days=30)
    visitor.refuse()
    last = ledger.kept[-1]
    assert (last["event"], last["previous"], last["answered_before"]) == ("refused", None, None)
    assert last["consent_id"] != kept[0]["consent_id"], "an answer after the end of consent starts anew"


# Repeats.


def kept_after(seconds: float, record: ConsentRecord = RECORD, **changes: Any) -> dict[str, Any]:
    return dict(make_entry(replace(record, decided_at=NOW + int(seconds), **changes)).document)


def test_same_answer_within_a_minute_is_a_repeat() -> None:
    last = dict(make_entry().document)
    assert REPEAT_WINDOW == 60
    assert [repeats(last, kept_after(seconds)) for seconds in (-1, 0, 60, 61)] == [True, True, True, False]
    assert repeats(last, kept_after(1, source="banner", language="ja", consent_id="other"))


@pytest.mark.parametrize(
    "changes",
    [
        {"answers": consent_record(POLICY, {"analytics": State.GRANTED}).answers},
        {"answers": consent_record(POLICY, {"media": State.GRANTED, "analytics": State.UNANSWERED}).answers},
        {"answers": {id_: answer._replace(facts="other") for id_, answer in RECORD.answers.items()}},
        {"policy": "0" * 16},
        {"signals": frozenset({"gpc"})},
    ],
)
def test_different_answer_is_not_a_repeat(changes: dict[str, Any]) -> None:
    assert not repeats(dict(make_entry().document), kept_after(1, **changes))
    assert make_entry().columns["repeat_key"] != make_entry(replace(RECORD, **changes)).columns["repeat_key"]


def test_answer_after_signal_is_not_a_repeat() -> None:
    refused = consent_record(POLICY, {}, signals=frozenset({"gpc"}))
    by_signal = signal_entry_of()
    assert by_signal.document["refused"] == describe_record(refused)["refused"]
    no_longer = signal_entry_of(off=frozenset(), signals=("dnt", "gpc"))
    assert not repeats(dict(no_longer.document), dict(make_entry().document))
    assert not repeats(dict(by_signal.document), dict(make_entry(refused).document))


def test_idempotency_key_depends_on_previous_record_or_form() -> None:
    def key(**more: Any) -> str:
        return str(make_entry(**more).columns["repeat_key"])

    assert key(previous="a") == key(previous="a", form_id="1") == key(previous="a", form_id="2")
    assert key(form_id="1") == make_entry(replace(RECORD, consent_id="other"), form_id="1").columns["repeat_key"]
    other = replace(GIVEN, record_id="record-2")
    assert key(form_id="1") == key(form_id="1", given=other)
    assert len({key(), key(given=other), key(form_id="1"), key(form_id="2"), key(previous="a"), key(previous="b")}) == 6
    assert [make_entry(previous=previous).repeat_within for previous in ("a", None)] == [60, 10]


# Signals and notes.


def signal_entry_of(record: ConsentRecord = RECORD, given: RecordContext = GIVEN, **more: Any) -> Entry:
    defaults = {"now": NOW, "off": frozenset({"media"}), "signals": ("gpc",), "previous": None}
    return make_signal_entry(record, given, **{**defaults, **more})


def test_signal_entry_has_remaining_answer() -> None:
    record = consent_record(POLICY, {"analytics": State.GRANTED, "media": State.GRANTED}, consent_id="an-id")
    shop = replace(GIVEN, policy=POLICY.under(POLICY.services[1]))
    made = signal_entry_of(record, shop, now=NOW + 86_400.5, signals=("dnt", "gpc"), previous="record-0")
    assert made.document == {
        **describe_record(record),
        **CITED,
        "service": "shop",
        "record_id": "record-1",
        "event": "signal",
        "source": "signal",
        "status": "partial",
        "decided_at": "2025-06-16T15:06:40Z",
        "signals": ["dnt", "gpc"],
        "granted": ["analytics"],
        "refused": ["media"],
        "answered_before": "2025-06-15T15:06:40Z",
        "previous": "record-0",
        "keep_until": UNTIL,
        "repeat_key": made.columns["repeat_key"],
    }
    assert made.policies == {POLICY.version: POLICY.document()}
    assert made.texts == {}


@pytest.mark.parametrize(
    ("analytics", "off", "status"),
    [
        (State.REFUSED, ["media"], "refused"),
        (State.UNANSWERED, ["media"], "partial"),
        (State.GRANTED, ["media"], "partial"),
        (State.GRANTED, ["analytics", "media"], "refused"),
    ],
)
def test_signal_entry_has_status_of_equivalent_answer(analytics: State, off: list[str], status: str) -> None:
    record = consent_record(POLICY, {"analytics": analytics, "media": State.GRANTED})
    made = signal_entry_of(record, off=frozenset(off)).document
    states = {id_: State.REFUSED if id_ in off else answer.state for id_, answer in record.answers.items()}
    assert made["status"] == status == consent_record(POLICY, states).status


def test_entry_after_end_of_signal_restores_answer() -> None:
    made = signal_entry_of(off=frozenset(), signals=()).document
    answer = describe_record(RECORD)
    assert (made["event"], made["source"], made["signals"]) == ("changed", "signal", [])
    assert [made[name] for name in ("status", "granted", "refused")] == [
        answer[name] for name in ("status", "granted", "refused")
    ]


def test_signal_key_depends_on_answer_and_refused_purposes() -> None:
    first, later = signal_entry_of(previous="a"), signal_entry_of(now=NOW + 9_999_999, previous="a")
    assert first.columns["repeat_key"] == later.columns["repeat_key"]
    assert later.repeated_since <= first.columns["decided_at"]
    others = [
        signal_entry_of(replace(RECORD, consent_id="other"), previous="a"),
        signal_entry_of(replace(RECORD, decided_at=NOW + 1), previous="a"),
        signal_entry_of(off=frozenset({"media", "analytics"}), previous="a"),
        signal_entry_of(previous="b"),
    ]
    assert len({entry.columns["repeat_key"] for entry in (first, *others)}) == 5


# Reading records.


@given(records(POLICY).filter(lambda record: record.source != "signal"))
def test_answer_is_restored_from_its_record(record: ConsentRecord) -> None:
    record = replace(record, consent_id="an-id")
    others = [make_entry(replace(record, decided_at=record.decided_at + seconds)).document for seconds in (-1, 1)]
    found = [*others, signal_entry_of(record, now=record.decided_at).document]
    assert answer_at(found, record.decided_at) is None
    assert answer_at([*found, make_entry(record).document], record.decided_at) == record


def test_answer_is_found_by_its_time() -> None:
    found = [signal_entry_of().document, make_entry().document]
    assert (answer_at(found, NOW), answer_at(found, NOW + 1), answer_at(found[:1], NOW)) == (RECORD, None, None)


def test_newest_answer_lacks_purposes_refused_by_later_signal() -> None:
    both = consent_record(POLICY, {"analytics": State.GRANTED, "media": State.GRANTED}, consent_id="an-id")
    answer, before = make_entry(both).document, make_entry().document
    signal = signal_entry_of(both).document
    gone = signal_entry_of(both, off=frozenset(), signals=()).document
    assert find_newest_answer([]) == find_newest_answer([signal]) == (None, frozenset())
    assert find_newest_answer([before, answer]) == (answer, frozenset({"analytics", "media"}))
    assert find_newest_answer([before, answer, signal, gone]) == (answer, frozenset({"analytics"}))
    assert find_newest_answer([answer, signal, before]) == (before, frozenset({"media"}))


# Records of a site.


@given(st.data())
@pytest.mark.slow
def test_every_answer_makes_valid_entry(data: st.DataObject) -> None:
    policy = data.draw(policies())
    record, before = data.draw(records(policy)), data.draw(st.none() | records(policy))
    given = RecordContext(record_id="record-1", policy=policy)
    made = make_entry(record, given, before=before, previous=data.draw(st.sampled_from([None, "r"])))
    read = json.loads(made.text)
    assert read == made.document
    assert read["event"] in ("granted", "refused", "changed", "withdrawn")
    assert read["source"] in SOURCES
    assert made.columns["keep_until"] is not None
    assert made.columns["keep_until"] > made.columns["decided_at"]
    assert {*read["granted"], *read["refused"]} <= read["facts"].keys()
    assert not {*read["granted"]} & {*read["refused"]}


PERSONAL_DATA = (
    "203.0.113.77",
    "50123",
    "Pixel",
    "Mozilla",
    "Android",
    "secret-page",
    "partner.example",
    "fr-CA",
    "basic-abc",
)


@pytest.mark.requirement("PC-06")
def test_ledger_contains_no_personal_data_of_request() -> None:
    clock, ledger, sink = Clock(), MemoryLedger(), MemorySink()
    app = install(page_app(), ledger=ledger, access_log=sink, clock=clock)
    headers = [
        ("user-agent", PHONE),
        ("accept", "text/html"),
        ("accept-language", "fr-CA, en"),
        ("referer", "https://partner.example/secret-page"),
        ("authorization", "basic-abc"),
        ("x-forwarded-for", "203.0.113.77"),
    ]
    visitor = Visitor(app, headers)

    def press(html: str, value: str, which: int = 0) -> None:
        assert visitor.send_form(forms(html)[which].pressed(value)).status == 303
        clock.forward(days=1)

    press(visitor.get("/secret-page", query=b"q=secret-page").text, "accept_all")
    visitor_id = visitor.jar["__Host-visitor"].partition(".")[0]
    visitor.get("/secret-page")
    press(visitor.get(f"{PREFIX}/question", query=b"again&next=/secret-page").text, "refuse_all")
    press(visitor.get(PREFIX, query=b"next=/secret-page").text, "accept_all")
    visitor.post(
        {"choice": "grant", "purposes": {"media": True}, "source": "feature", "surface": "page", "next": "/secret-page"}
    )
    whole = json.dumps([ledger.kept, [text for _, _, text in ledger.cited()]])
    assert [record["surface"] for record in ledger.kept[:4]] == ["banner", "again", "settings", "page"]
    assert visitor.jar.pop("__Host-consent-saved") == "saved"
    assert [mark for mark in (*PERSONAL_DATA, visitor_id, *visitor.jar.values()) if mark in whole] == []


def test_consent_and_access_record_share_only_the_policy() -> None:
    ledger, sink = MemoryLedger(), MemorySink()
    visitor = Visitor(install(ledger=ledger, access_log=sink), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/one")
    (traced,), (record,) = sink.records, ledger.kept
    assert {str(value) for value in traced.values()} & {str(value) for value in record.values()} == {record["policy"]}


@pytest.mark.requirement("PO-01")
def test_answer_for_service_names_service_and_site_policy() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger))
    visitor.post({"choice": "accept_all", "source": "banner", "service": "whois"})
    (record,) = ledger.kept
    assert (record["service"], record["granted"], record["refused"]) == ("whois", ["media"], [])
    assert record["policy"] == site_policy().version
