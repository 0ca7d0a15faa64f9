"""What a ledger is given to keep of an answer: each field, and nothing that says more of the visitor."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.record import SOURCES, ConsentRecord, State
from cookie_consent.ledgers import Entry, MemoryLedger
from cookie_consent.ledgers.records import (
    REPEATED_WITHIN,
    Circumstances,
    Shown,
    answer_at,
    digest,
    document,
    entry,
    event,
    newest_answer,
    note_entry,
    repeats,
    signal_entry,
)
from cookie_consent.policy.policy import canonical_json
from cookie_consent.sinks import MemorySink
from cookie_consent.visitors.pages.evidence import build
from tests.support.asgi import NOW as ARRIVED
from tests.support.asgi import PHONE, PREFIX, SITE, Clock, Visitor, install, page
from tests.support.asgi import policy as site_policy
from tests.support.browsers.browser import forms
from tests.support.policies import NOW, answered, full, policies, policy_of, records, small

POLICY = policy_of(full())
RECORD = answered(
    POLICY,
    {"media": State.GRANTED},
    source="settings",
    language="en",
    signals=frozenset({"gpc", "dnt"}),
    consent_id="an-id",
)
LIFETIME = timedelta(days=180)
GIVEN = Circumstances(record_id="record-1", policy=POLICY, lifetime=LIFETIME)
SHOWN = Shown(surface="box", feature="map", html="<p>May we?</p>", prevailing_html="<p>いいですか</p>", build="b" * 16)


CITED = {
    "policy": POLICY.version,
    "policy_sha256": hashlib.sha256(canonical_json(POLICY.document())).hexdigest(),
    "prevailing_language": "ja",
    "service": None,
}
UNTIL = "2028-12-11T15:06:40Z"
"""Half a year, and three years more."""


def kept(record: ConsentRecord = RECORD, given: Circumstances = GIVEN, **more: Any) -> Entry:
    return entry(record, given, **{"before": None, "previous": None, "form_id": "", "shown": SHOWN, **more})


# The record as plain data.


def test_a_record_is_plain_data() -> None:
    assert document(RECORD, LIFETIME) == {
        "schema": 2,
        "consent_id": "an-id",
        "policy": POLICY.version,
        "status": "partial",
        "decided_at": "2025-06-15T15:06:40Z",
        "expires_at": "2025-12-12T15:06:40Z",
        "source": "settings",
        "language": "en",
        "signals": ["dnt", "gpc"],
        "granted": ["media"],
        "refused": ["analytics"],
        "facts": {id_: answer.facts for id_, answer in RECORD.answers.items()},
    }


def test_what_was_not_answered_is_neither_granted_nor_refused() -> None:
    record = answered(POLICY, {"analytics": State.UNANSWERED, "media": State.REFUSED})
    made = document(record, LIFETIME)
    assert (made["granted"], made["refused"]) == ([], ["media"])


def test_without_a_ledger_there_is_no_id() -> None:
    assert document(answered(POLICY, {}), LIFETIME)["consent_id"] is None


# What a ledger is given.


def test_what_is_kept_is_the_answer_with_all_that_has_to_be_shown_of_it() -> None:
    before = answered(POLICY, {}, decided_at=NOW - 86_400)
    shop = POLICY.under(POLICY.services[1])
    made = kept(given=replace(GIVEN, policy=shop), before=before, previous="record-0")
    assert made.document == {
        **document(RECORD, LIFETIME),
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
        "repeat_key": made.idempotency_key,
    }
    assert made.texts == {digest(text): text for text in (SHOWN.html, SHOWN.prevailing_html)}
    assert made.policies == {POLICY.version: POLICY.document()}
    assert made.decided_at == NOW


def test_the_version_of_a_policy_is_the_begin_of_the_hash_that_a_record_has_of_it() -> None:
    assert kept().document["policy_sha256"].startswith(kept().document["policy"])


def test_a_first_answer_on_the_site_itself_has_nothing_before_it() -> None:
    said = kept().document
    assert (said["answered_before"], said["previous"], said["service"]) == (None, None, None)


def test_where_the_site_asked_in_its_own_way_no_text_is_claimed() -> None:
    made = kept(shown=None)
    names = ("text", "prevailing_text", "surface", "feature", "build")
    assert {made.document[name] for name in names} == {None}
    assert made.document["prevailing_language"] == "ja"
    assert made.texts == {}


def test_in_the_prevailing_language_one_text_is_kept() -> None:
    made = kept(shown=replace(SHOWN, prevailing_html=SHOWN.html))
    assert made.document["text"] == made.document["prevailing_text"]
    assert list(made.texts.values()) == [SHOWN.html]


@pytest.mark.parametrize("days", [1, 180, 400])
@pytest.mark.parametrize("keep", ["1 second", "3 years"])
def test_a_record_is_kept_for_the_time_of_the_policy_after_its_consent(days: int, keep: str) -> None:
    policy = policy_of({**full(), "records": {"keep": keep}})
    seconds = {"1 second": 1, "3 years": 3 * 365 * 86_400}[keep]
    given = Circumstances(record_id="record-1", policy=policy, lifetime=timedelta(days=days))
    end = NOW + days * 86_400 + seconds
    assert kept(given=given).keep_until == end
    about = dict(kept(given=given).document)
    later = NOW + 40 * 86_400
    assert noted(about, given, now=later).keep_until == max(end, later + seconds)
    assert signalled(given=given, now=later).keep_until == end


def test_a_time_that_no_calendar_has_is_its_last_day() -> None:
    policy = policy_of({**full(), "records": {"keep": "999999 years"}})
    assert kept(given=replace(GIVEN, policy=policy)).document["keep_until"] == "9999-12-31T00:00:00Z"


# What happened.

_STATES = (State.GRANTED, State.REFUSED, State.UNANSWERED)
_ALL = [dict(zip(("ads", "media"), states, strict=True)) for states in itertools.product(_STATES, repeat=2)]


def what_happened(had: frozenset[str], has: frozenset[str]) -> str:
    """Return the event, put another way than the code does."""
    if not has:
        return "withdrawn" if had else "refused"
    return "changed" if had and had != has else "granted"


@pytest.mark.parametrize("before", [None, *_ALL])
@pytest.mark.parametrize("after", _ALL)
def test_an_event_says_what_became_of_what_was_granted(
    before: dict[str, State] | None, after: dict[str, State]
) -> None:
    policy = small("ads", "media")
    had, has = (
        frozenset(id_ for id_, state in (states or {}).items() if state is State.GRANTED) for states in (before, after)
    )
    made = event(None if before is None else answered(policy, before), answered(policy, after))
    assert made == what_happened(had, has)


@pytest.mark.parametrize(
    ("answers", "events"),
    [
        (["accept_all"], ["granted"]),
        (["refuse_all"], ["refused"]),
        (["accept_all", "refuse_all"], ["granted", "withdrawn"]),
        (["accept_all", "media", "analytics"], ["granted", "changed", "changed"]),
        (["media", "accept_all", "refuse_all", "refuse_all"], ["granted", "changed", "withdrawn", "refused"]),
        (["accept_all", "accept_all"], ["granted", "granted"]),
    ],
)
def test_a_life_of_answers_is_told_by_its_events(answers: list[str], events: list[str]) -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    for answer in answers:
        plain = answer.endswith("_all")
        visitor.post({"choice": answer} if plain else {"choice": "save", "purposes": {answer: True}})
        clock.forward(days=1)
    said = ledger.kept
    assert [record["event"] for record in said] == events
    assert [record["previous"] for record in said] == [None, *(record["record_id"] for record in said[:-1])]
    assert [record["answered_before"] for record in said] == [None, *(record["decided_at"] for record in said[:-1])]
    assert len({record["record_id"] for record in said}) == len(said)


def test_after_an_answer_has_expired_the_next_one_begins_anew() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    visitor.accept()
    clock.forward(days=180)
    visitor.refuse()
    first, second = ledger.kept
    assert (second["event"], second["previous"], second["answered_before"]) == ("refused", None, None)
    assert second["consent_id"] != first["consent_id"]


# What is the same.


def said_after(seconds: float, record: ConsentRecord = RECORD, **changes: Any) -> Entry:
    return kept(replace(record, decided_at=NOW + int(seconds), **changes))


def test_the_same_within_a_minute_is_a_repetition() -> None:
    last = dict(kept().document)
    assert REPEATED_WITHIN == 60
    assert [repeats(last, said_after(seconds)) for seconds in (-1, 0, 60, 61)] == [True, True, True, False]
    assert repeats(last, said_after(1, source="banner", language="ja", consent_id="other"))


@pytest.mark.parametrize(
    "changes",
    [
        {"answers": answered(POLICY, {"analytics": State.GRANTED}).answers},
        {"answers": answered(POLICY, {"media": State.GRANTED, "analytics": State.UNANSWERED}).answers},
        {"answers": {id_: replace(answer, facts="other") for id_, answer in RECORD.answers.items()}},
        {"policy": "0" * 16},
        {"signals": frozenset({"gpc"})},
    ],
)
def test_whatever_differs_is_none(changes: dict[str, Any]) -> None:
    assert not repeats(dict(kept().document), said_after(1, **changes))
    assert kept().idempotency_key != kept(replace(RECORD, **changes)).idempotency_key


def test_an_answer_repeats_neither_a_signal_nor_a_note() -> None:
    refused = answered(POLICY, {}, signals=frozenset({"gpc"}))
    by_signal = signalled()
    assert by_signal.document["refused"] == document(refused, LIFETIME)["refused"]
    no_longer = signalled(off=frozenset(), signals=("dnt", "gpc"))
    assert not repeats(dict(no_longer.document), kept())
    for last in (by_signal, noted(kept().document)):
        assert not repeats(dict(last.document), kept(refused))


def test_a_key_is_that_of_the_record_before_else_of_the_form_else_of_nothing_else() -> None:
    def key(**more: Any) -> str:
        return kept(**more).idempotency_key

    assert key(previous="a") == key(previous="a", form_id="1") == key(previous="a", form_id="2")
    assert key(form_id="1") == kept(replace(RECORD, consent_id="other"), form_id="1").idempotency_key
    other = replace(GIVEN, record_id="record-2")
    assert key(form_id="1") == key(form_id="1", given=other)
    assert len({key(), key(given=other), key(form_id="1"), key(form_id="2"), key(previous="a"), key(previous="b")}) == 6
    assert [kept(previous=previous).repeat_within for previous in ("a", None)] == [60, 10]


# Signals and notes.


def signalled(record: ConsentRecord = RECORD, given: Circumstances = GIVEN, **more: Any) -> Entry:
    said = {"now": NOW, "off": frozenset({"media"}), "signals": ("gpc",), "previous": None}
    return signal_entry(record, given, **{**said, **more})


def noted(about: Mapping[str, Any], given: Circumstances = GIVEN, **more: Any) -> Entry:
    return note_entry(about, given, **{"now": NOW, "text": "No.", "language": "en", "previous": "record-1", **more})


def test_a_signal_is_kept_as_what_it_leaves_of_the_answer() -> None:
    record = answered(POLICY, {"analytics": State.GRANTED, "media": State.GRANTED}, consent_id="an-id")
    shop = replace(GIVEN, policy=POLICY.under(POLICY.services[1]))
    made = signalled(record, shop, now=NOW + 86_400.5, signals=("dnt", "gpc"), previous="record-0")
    assert made.document == {
        **document(record, LIFETIME),
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
        "repeat_key": made.idempotency_key,
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
def test_the_status_after_a_signal_is_that_of_an_answer_that_says_the_same(
    analytics: State, off: list[str], status: str
) -> None:
    record = answered(POLICY, {"analytics": analytics, "media": State.GRANTED})
    made = signalled(record, off=frozenset(off)).document
    says = {id_: State.REFUSED if id_ in off else answer.state for id_, answer in record.answers.items()}
    assert made["status"] == status == answered(POLICY, says).status


def test_without_a_signal_what_was_answered_holds_again() -> None:
    made = signalled(off=frozenset(), signals=()).document
    said = document(RECORD, LIFETIME)
    assert (made["event"], made["source"], made["signals"]) == ("changed", "signal", [])
    assert [made[name] for name in ("status", "granted", "refused")] == [
        said[name] for name in ("status", "granted", "refused")
    ]


def test_a_signal_is_kept_once_for_what_it_switches_off_after_a_record() -> None:
    first, later = signalled(previous="a"), signalled(now=NOW + 9_999_999, previous="a")
    assert first.idempotency_key == later.idempotency_key
    assert later.decided_at - later.repeat_within <= first.decided_at
    others = [
        signalled(replace(RECORD, consent_id="other"), previous="a"),
        signalled(replace(RECORD, decided_at=NOW + 1), previous="a"),
        signalled(off=frozenset({"media", "analytics"}), previous="a"),
        signalled(previous="b"),
    ]
    assert len({entry.idempotency_key for entry in (first, *others)}) == 5


def test_a_note_says_what_it_is_about_and_nothing_of_the_answer() -> None:
    about = dict(kept().document)
    second, third = (replace(GIVEN, record_id=f"record-{number}") for number in (2, 3))
    made = noted(about, second, now=NOW + 60, text="It was not I.", language="ja")
    assert made.document == {
        "schema": 2,
        "record_id": "record-2",
        "event": "note",
        "decided_at": "2025-06-15T15:07:40Z",
        "language": "ja",
        "consent_id": "an-id",
        "about": "record-1",
        "note": "It was not I.",
        "previous": "record-1",
        "keep_until": UNTIL,
        "repeat_key": made.idempotency_key,
    }
    assert (made.policies, made.texts, made.repeat_within) == ({}, {}, 60)
    again = noted(about, third, now=NOW + 61, text="It was not I.", previous="record-2")
    other = noted(about, third, now=NOW + 61, text="It was I.", previous="record-2")
    assert again.idempotency_key == made.idempotency_key != other.idempotency_key


# What is read of records again.


@given(records(POLICY).filter(lambda record: record.source != "signal"))
def test_an_answer_is_read_from_its_record_as_it_was_given(record: ConsentRecord) -> None:
    record = replace(record, consent_id="an-id")
    others = [kept(replace(record, decided_at=record.decided_at + seconds)).document for seconds in (-1, 1)]
    signal, note = signalled(record, now=record.decided_at), noted(kept(record).document, now=record.decided_at)
    found = [*others, signal.document, note.document]
    assert answer_at(found, record.decided_at) is None
    assert answer_at([*found, kept(record).document], record.decided_at) == record


def test_the_newest_answer_grants_what_no_signal_has_switched_off_since() -> None:
    both = answered(POLICY, {"analytics": State.GRANTED, "media": State.GRANTED}, consent_id="an-id")
    answer, before = kept(both).document, kept().document
    signal, note = signalled(both).document, noted(answer).document
    gone = signalled(both, off=frozenset(), signals=()).document
    assert newest_answer([]) == newest_answer([signal, note]) == (None, frozenset())
    assert (
        newest_answer([before, answer])
        == newest_answer([before, answer, note])
        == (answer, frozenset({"analytics", "media"}))
    )
    assert newest_answer([before, answer, signal, note, gone]) == (answer, frozenset({"analytics"}))
    assert newest_answer([answer, signal, before]) == (before, frozenset({"media"}))


# What is kept can be kept, and says no more than it should.


@given(st.data())
@pytest.mark.slow
def test_whatever_is_answered_can_be_kept(data: st.DataObject) -> None:
    policy = data.draw(policies())
    record, before = data.draw(records(policy)), data.draw(st.none() | records(policy))
    given = Circumstances(record_id="record-1", policy=policy, lifetime=LIFETIME)
    made = kept(record, given, before=before, previous=data.draw(st.sampled_from([None, "r"])))
    read = json.loads(made.text)
    assert read == made.document
    assert read["event"] in ("granted", "refused", "changed", "withdrawn")
    assert read["source"] in SOURCES
    assert made.keep_until is not None
    assert made.keep_until > made.decided_at
    assert {*read["granted"], *read["refused"]} <= read["facts"].keys()
    assert not {*read["granted"]} & {*read["refused"]}


MARKS = ("203.0.113.77", "50123", "Pixel", "Mozilla", "Android", "secret-page", "partner.example", "fr-CA", "basic-abc")


def test_neither_address_nor_browser_nor_page_nor_visitor_id_is_in_what_is_kept() -> None:
    clock, ledger, sink = Clock(), MemoryLedger(), MemorySink()
    app = install(page(), ledger=ledger, access_log=sink, clock=clock)
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
    visitor.post({"record": ledger.kept[0]["record_id"], "note": "Hello"}, path=f"{PREFIX}/records/note")
    whole = json.dumps([ledger.kept, [text for _, _, text in ledger.cited()]])
    assert [record["surface"] for record in ledger.kept[:4]] == ["banner", "again", "settings", "page"]
    assert [mark for mark in (*MARKS, visitor_id, *visitor.jar.values()) if mark in whole] == []


def test_nothing_of_a_record_is_in_an_access_record_but_the_policy() -> None:
    ledger, sink = MemoryLedger(), MemorySink()
    visitor = Visitor(install(ledger=ledger, access_log=sink), [("user-agent", PHONE)])
    visitor.accept()
    visitor.get("/one")
    (traced,), (record,) = sink.records, ledger.kept
    assert {str(value) for value in traced.values()} & {str(value) for value in record.values()} == {record["policy"]}


@pytest.mark.parametrize("surface", ["banner", "settings"])
def test_what_an_answer_cites_is_kept_under_its_hash(surface: str) -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger), [("accept-language", "ja")])
    visitor.post({"choice": "accept_all", "source": surface, "surface": surface})
    (record,) = ledger.kept
    for kind, name, content in ledger.cited():
        if kind == "texts":
            assert hashlib.sha256(content.encode()).hexdigest() == name
        else:
            assert json.loads(content) == site_policy().document()
            assert name == site_policy().version
    assert {record["text"], record["prevailing_text"]} == {name for kind, name, _ in ledger.cited() if kind == "texts"}
    assert (record["language"], record["prevailing_language"]) == ("ja", "en")
    assert record["build"] == build()


def test_an_answer_under_a_service_says_so_and_cites_the_policy_of_the_site() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger))
    visitor.post({"choice": "accept_all", "source": "banner", "service": "whois"})
    (record,) = ledger.kept
    assert (record["service"], record["granted"], record["refused"]) == ("whois", ["media"], [])
    assert record["policy"] == site_policy().version


def test_the_clock_of_a_record_is_the_servers() -> None:
    ledger = MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=Clock()), [("date", "Thu, 01 Jan 1970 00:00:00 GMT")])
    visitor.post({"choice": "accept_all", "decided_at": "1970-01-01T00:00:00Z"})
    assert ledger.kept[0]["decided_at"] == "2025-06-15T15:06:40Z"
    assert int(ARRIVED) == NOW


def test_another_lifetime_is_the_records_too() -> None:
    ledger = MemoryLedger()
    text = SITE + '\n[records]\nkeep = "1 day"\n'
    app = install(text=text, ledger=ledger, clock=Clock(), consent_days=30)
    Visitor(app).accept()
    assert ledger.kept[0]["expires_at"] == "2025-07-15T15:06:40Z"
    due = NOW + 31 * 86_400
    assert ledger.remove(now=due - 1, make_id=lambda: "x").records == 0
    assert ledger.remove(now=due, make_id=lambda: "x").records == 1
