"""Tests of the decision: answers, signals, services and changes of the policy."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.decision import (
    BY_SIGNAL,
    Decision,
    decide,
)
from cookie_consent.decision.record import CONSENT_LIFETIME, Answer, ConsentRecord, State
from cookie_consent.policy.diff import digests, widened
from cookie_consent.policy.parts import NECESSARY, Change, Cookie, Service, ServicePurpose, SignalRules
from cookie_consent.policy.policy import Policy
from tests.support.examples import examples
from tests.support.policies import (
    NOW,
    consent_record,
    feature,
    full_policy_data,
    granting_record,
    policy_of,
    purpose,
    recipient,
    refusing_record,
    small_policy,
)
from tests.support.policy_strategies import SIGNALS, policies, records

GRANTED, REFUSED, UNANSWERED = State.GRANTED, State.REFUSED, State.UNANSWERED
NO_SIGNAL: frozenset[str] = frozenset()
GPC, DNT, BOTH = frozenset({"gpc"}), frozenset({"dnt"}), frozenset({"gpc", "dnt"})
POLICY = small_policy("analytics", "media", recipients=(recipient("maps", "media"),))
"""GPC refuses "media", DNT refuses "analytics"."""
BOTH_REFUSED = small_policy("ads", signals=SignalRules(gpc=("ads",), dnt=("ads",)))


def allowed(decision: Decision) -> set[str]:
    """The optional purposes that are allowed."""
    return {id_ for id_, allows in decision.purposes.items() if allows and id_ != NECESSARY}


# Answers


def test_only_necessary_is_allowed_before_answer() -> None:
    decision = decide(POLICY, None, NO_SIGNAL, NOW)
    assert decision.purposes == {NECESSARY: True, "analytics": False, "media": False}
    assert (decision.status, decision.should_ask, decision.signals, decision.record) == ("unknown", True, (), None)


@pytest.mark.parametrize(
    ("states", "purposes", "status", "should_ask"),
    [
        ({"analytics": GRANTED, "media": GRANTED}, {"analytics", "media"}, "granted", False),
        ({"analytics": GRANTED, "media": REFUSED}, {"analytics"}, "partial", False),
        ({"analytics": REFUSED, "media": REFUSED}, set(), "refused", False),
        ({"analytics": GRANTED, "media": UNANSWERED}, {"analytics"}, "partial", True),
        ({"analytics": UNANSWERED, "media": UNANSWERED}, set(), "unknown", True),
    ],
)
def test_each_purpose_follows_its_own_answer(
    states: dict[str, State], purposes: set[str], status: str, should_ask: bool
) -> None:
    decision = decide(POLICY, consent_record(POLICY, states), NO_SIGNAL, NOW)
    assert (allowed(decision), decision.status, decision.should_ask) == (purposes, status, should_ask)


def test_site_without_optional_purposes_does_not_ask() -> None:
    decision = decide(small_policy(), None, NO_SIGNAL, NOW)
    assert (decision.purposes, decision.should_ask) == ({NECESSARY: True}, False)


@pytest.mark.parametrize("record", [granting_record(POLICY), refusing_record(POLICY)], ids=["granted", "refused"])
@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (NOW - 1, False),
        (NOW - 0.001, False),
        (NOW, True),
        (NOW + 184 * 86_400 - 0.001, True),
        (NOW + 184 * 86_400, False),
        (math.inf, False),
        (-math.inf, False),
        (math.nan, False),
    ],
)
def test_grant_and_refusal_hold_for_six_months(record: ConsentRecord, now: float, holds: bool) -> None:
    decision = decide(POLICY, record, NO_SIGNAL, now)
    assert (decision.record, decision.status) == ((record, record.status) if holds else (None, "unknown"))
    assert decision.should_ask is not holds


def test_lifetime_of_answer_can_be_set() -> None:
    assert timedelta(days=184) == CONSENT_LIFETIME
    record = granting_record(POLICY, lifetime=10)
    assert allowed(decide(POLICY, record, NO_SIGNAL, NOW + 9))
    assert not allowed(decide(POLICY, record, NO_SIGNAL, NOW + 10))


@pytest.mark.parametrize(
    ("states", "signals", "is_reason"),
    [
        (None, GPC, True),
        (None, NO_SIGNAL, False),
        ({"media": UNANSWERED}, GPC, True),
        ({"media": GRANTED}, GPC, True),
        ({"media": REFUSED}, GPC, False),
        ({"media": REFUSED}, BOTH, False),
        ({"analytics": GRANTED}, GPC, True),
        ({"analytics": GRANTED}, NO_SIGNAL, False),
        ({"analytics": GRANTED}, BOTH, True),
    ],
)
def test_signal_is_the_reason_unless_the_visitor_refused_everything(
    states: dict[str, State] | None, signals: frozenset[str], is_reason: bool
) -> None:
    record = None if states is None else consent_record(POLICY, states)
    assert (not BY_SIGNAL.isdisjoint(decide(POLICY, record, signals, NOW).reasons.values())) is is_reason


@pytest.mark.parametrize(
    ("states", "signals", "outcome"),
    [
        (None, NO_SIGNAL, "unknown"),
        (None, GPC, "unknown"),
        (None, BOTH, "necessary"),
        ({"analytics": GRANTED, "media": GRANTED}, NO_SIGNAL, "granted"),
        ({"analytics": GRANTED, "media": GRANTED}, GPC, "partial"),
        ({"analytics": GRANTED}, NO_SIGNAL, "partial"),
        ({"analytics": GRANTED, "media": UNANSWERED}, NO_SIGNAL, "partial"),
        ({"media": UNANSWERED}, NO_SIGNAL, "opted_out"),
        ({"media": UNANSWERED}, GPC, "necessary"),
        ({"media": GRANTED}, GPC, "necessary"),
        ({"analytics": UNANSWERED, "media": GRANTED}, GPC, ""),
        ({}, NO_SIGNAL, "refused"),
    ],
)
def test_outcome_heeds_answers_and_signals(
    states: dict[str, State] | None, signals: frozenset[str], outcome: str
) -> None:
    record = None if states is None else consent_record(POLICY, states)
    assert decide(POLICY, record, signals, NOW).outcome == outcome


def test_outcome_without_anything_to_allow_is_empty() -> None:
    assert decide(small_policy(), None, NO_SIGNAL, NOW).outcome == ""


# Signals and services: the order of precedence


ORDER = [
    # covered by the service's refusal, signals now, signals when answered, the answer -> allowed, asked
    (False, NO_SIGNAL, NO_SIGNAL, None, False, True),
    (False, NO_SIGNAL, NO_SIGNAL, GRANTED, True, False),
    (False, NO_SIGNAL, NO_SIGNAL, REFUSED, False, False),
    (False, NO_SIGNAL, NO_SIGNAL, UNANSWERED, False, True),
    (False, NO_SIGNAL, GPC, GRANTED, True, False),
    (False, GPC, NO_SIGNAL, None, False, False),
    (False, GPC, NO_SIGNAL, GRANTED, False, False),
    (False, GPC, NO_SIGNAL, REFUSED, False, False),
    (False, GPC, GPC, GRANTED, True, False),
    (False, GPC, GPC, REFUSED, False, False),
    (False, GPC, GPC, UNANSWERED, False, False),
    (False, GPC, DNT, GRANTED, False, False),
    (False, DNT, GPC, GRANTED, False, False),
    (False, BOTH, GPC, GRANTED, False, False),
    (False, BOTH, DNT, GRANTED, False, False),
    (False, BOTH, BOTH, GRANTED, True, False),
    (False, GPC, BOTH, GRANTED, True, False),
    (True, NO_SIGNAL, NO_SIGNAL, None, False, False),
    (True, NO_SIGNAL, NO_SIGNAL, GRANTED, False, False),
    (True, GPC, GPC, GRANTED, False, False),
    (True, NO_SIGNAL, NO_SIGNAL, UNANSWERED, False, False),
]


def _named(value: object) -> str:
    """Return a test id for a value. Sets are sorted, because their order differs between processes."""
    return "+".join(sorted(value)) or "no signal" if isinstance(value, frozenset) else str(value)


@pytest.mark.parametrize(("by_service", "now", "before", "state", "is_allowed", "asked"), ORDER, ids=_named)
def test_decision_follows_order_of_precedence(
    by_service: bool, now: frozenset[str], before: frozenset[str], state: State | None, is_allowed: bool, asked: bool
) -> None:
    service = Service(id="s", path="/s", purposes={"ads": ServicePurpose(refused=by_service)})
    policy = BOTH_REFUSED.under(service)
    record = None if state is None else consent_record(policy, {"ads": state}, signals=before)
    decision = decide(policy, record, now, NOW)
    assert (decision.allows("ads"), decision.should_ask) == (is_allowed, asked)
    assert decision.allows(NECESSARY)


@pytest.mark.parametrize(
    ("signals", "purposes"),
    [
        (NO_SIGNAL, {"analytics", "media"}),
        (GPC, {"analytics"}),
        (DNT, {"media"}),
        (BOTH, set()),
        ({"new"}, {"analytics", "media"}),
    ],
)
def test_gpc_refuses_recipients_and_dnt_refuses_tracing(signals: frozenset[str], purposes: set[str]) -> None:
    decision = decide(POLICY, granting_record(POLICY), signals, NOW)
    assert allowed(decision) == purposes
    assert decision.signals == tuple(sorted(signals))


def test_signal_does_not_change_recorded_answer() -> None:
    record = granting_record(POLICY)
    decision = decide(POLICY, record, BOTH, NOW)
    assert (decision.status, decision.record) == ("granted", record)
    assert allowed(decide(POLICY, record, NO_SIGNAL, NOW)) == {"analytics", "media"}


@pytest.mark.parametrize(("signals", "asks"), [(NO_SIGNAL, True), (GPC, True), (DNT, True), (BOTH, False)])
def test_nothing_is_asked_if_signals_answer_every_purpose(signals: frozenset[str], asks: bool) -> None:
    assert decide(POLICY, None, signals, NOW).should_ask is asks


def test_service_that_refuses_every_purpose_does_not_ask() -> None:
    off = ServicePurpose(refused=True)
    service = Service(id="s", path="/s", purposes={"analytics": off, "media": off})
    assert not decide(POLICY.under(service), None, NO_SIGNAL, NOW).should_ask


# Changes of the policy


ADDED = small_policy("ads", "analytics", "media", recipients=POLICY.recipients)
WIDER = replace(POLICY, cookies=(Cookie(name="new", purpose="media"),))
REWORDED = replace(POLICY, site=replace(POLICY.site, name="Other"))


@pytest.mark.parametrize("history", [(), (POLICY,)], ids=["without history", "with history"])
@pytest.mark.parametrize(
    ("new", "purposes", "asks"),
    [(REWORDED, {"analytics", "media"}, False), (WIDER, {"analytics"}, True), (ADDED, {"analytics", "media"}, True)],
    ids=["reworded", "added cookie", "added purpose"],
)
def test_material_change_denies_and_asks_only_affected_purposes(
    new: Policy, purposes: set[str], asks: bool, history: tuple[Policy, ...]
) -> None:
    decision = decide(new.with_history(history), granting_record(POLICY), NO_SIGNAL, NOW)
    assert (allowed(decision), decision.should_ask) == (purposes, asks)


@pytest.mark.parametrize("new", [WIDER, REWORDED], ids=["added cookie", "reworded"])
def test_refusal_survives_policy_change_without_asking(new: Policy) -> None:
    decision = decide(new, refusing_record(POLICY), NO_SIGNAL, NOW)
    assert (allowed(decision), decision.should_ask, decision.status) == (set(), False, "refused")


@pytest.mark.parametrize(
    ("history", "asks"), [((), True), ((small_policy("ads"), WIDER), False)], ids=["without history", "with history"]
)
def test_narrower_policy_does_not_ask_again_with_history(history: tuple[Policy, ...], asks: bool) -> None:
    decision = decide(POLICY.with_history(history), granting_record(WIDER), NO_SIGNAL, NOW)
    assert decision.should_ask is asks
    assert decision.allows("media") is not asks


def test_answer_to_version_missing_in_history_is_compared_by_digests() -> None:
    policy = WIDER.with_history([small_policy("ads")])
    assert allowed(decide(policy, granting_record(POLICY), NO_SIGNAL, NOW)) == {"analytics"}


@pytest.mark.parametrize("then", [NO_SIGNAL, GPC])
def test_changed_purpose_refused_by_signal_is_not_asked(then: frozenset[str]) -> None:
    accepted = consent_record(POLICY, {"analytics": GRANTED, "media": GRANTED}, signals=then)
    assert not decide(WIDER, accepted, GPC, NOW).should_ask


@pytest.mark.parametrize("version", ["0" * 16, "f" * 16])
def test_change_is_news_to_who_answered_before_it_alone(version: str) -> None:
    change = Change(date=datetime.fromtimestamp(NOW, UTC).date(), text={"en": "New."})
    policy = small_policy("analytics", changes=(change,))
    before, after = (
        replace(granting_record(policy), policy=version, decided_at=NOW - days * 86_400) for days in (2, 0)
    )
    assert decide(policy, before, NO_SIGNAL, NOW).news != decide(policy, after, NO_SIGNAL, NOW).news


def test_future_change_is_not_news_yet() -> None:
    day = datetime.fromtimestamp(NOW, UTC).date()
    later = replace(REWORDED, changes=(Change(date=day + timedelta(days=1), text={"en": "Clearer words."}),))
    assert decide(later, granting_record(POLICY), NO_SIGNAL, NOW).news is None
    assert decide(later, granting_record(POLICY), NO_SIGNAL, NOW + 86_400).news == day + timedelta(days=1)


# What an app reads


def test_unknown_purpose_raises_lookup_error_naming_known_purposes() -> None:
    decision = decide(POLICY, None, NO_SIGNAL, NOW)
    with pytest.raises(LookupError, match=r'there is no purpose "analytcs"\. Did you mean "analytics"\?'):
        decision.allows("analytcs")
    with pytest.raises(LookupError, match="Known: analytics, media, necessary"):
        decision.allows("xyz")


def test_feature_is_available_once_all_its_purposes_are_allowed() -> None:
    policy = small_policy(
        "analytics", "media", features=(feature("map", "media", "analytics"), feature("list", NECESSARY))
    )
    some = decide(policy, consent_record(policy, {"analytics": GRANTED}), NO_SIGNAL, NOW)
    assert (some.feature("map").available, some.feature("map").missing) == (False, ("media",))
    assert some.feature("map").fallback == "No map."
    assert some.feature("list").available
    everything = decide(policy, granting_record(policy), NO_SIGNAL, NOW).feature("map")
    assert (everything.available, everything.missing) == (True, ())


def test_feature_fallback_is_in_requested_language() -> None:
    decision = decide(policy_of(full_policy_data()), None, NO_SIGNAL, NOW)
    assert decision.feature("map").fallback == "住所は下にあります。"
    assert decision.feature("map", language="en").fallback == "The addresses are listed below."
    with pytest.raises(LookupError, match=r'"de" is not offered\. Did you mean "en"\?'):
        decision.feature("map", language="de")


def test_unknown_feature_raises_lookup_error_naming_known_features() -> None:
    with pytest.raises(LookupError, match=r'there is no feature "mapp"\. Did you mean "map"\?'):
        decide(policy_of(full_policy_data()), None, NO_SIGNAL, NOW).feature("mapp")
    with pytest.raises(LookupError, match="None is declared"):
        decide(POLICY, None, NO_SIGNAL, NOW).feature("map")


def test_purposes_of_decision_are_read_only() -> None:
    decision = decide(POLICY, None, NO_SIGNAL, NOW)
    with pytest.raises(TypeError):
        decision.purposes["media"] = True  # type: ignore[index]
    assert not decision.allows("media")


# Any policy, record and signals


@st.composite
def cases(draw: st.DrawFn) -> tuple[Policy, ConsentRecord | None, frozenset[str]]:
    """Generate the policy of a site or of a service, a record or None, and signals."""
    policy = draw(policies())
    record = draw(st.none() | records(policy) | records(policy) | records(policy))
    places = st.sampled_from([policy, *(policy.under(service) for service in policy.services)])
    return draw(places), record, draw(SIGNALS)


def holds(record: ConsentRecord | None) -> bool:
    return record is not None and NOW - 184 * 86_400 < record.decided_at <= NOW


def state_of(record: ConsentRecord | None, id_: str) -> State:
    if record is None or not holds(record) or id_ not in record.answers:
        return UNANSWERED
    return record.answers[id_].state


def rules_of(policy: Policy) -> dict[str, frozenset[str]]:
    return {"gpc": policy.gpc_refuses, "dnt": policy.dnt_refuses}


def may_be_allowed(policy: Policy, record: ConsentRecord | None, signals: frozenset[str], id_: str) -> bool:
    """Return whether there is no reason to deny a purpose: the rules of `decide` in another form."""
    reasons_to_deny = [
        state_of(record, id_) is not GRANTED,
        policy.in_force[id_].refused,
        any(id_ in rules_of(policy)[signal] for signal in signals - (record.signals if record else NO_SIGNAL)),
        record is not None
        and record.policy != policy.version
        and record.answers.get(id_, Answer(GRANTED, "")).facts != digests(policy)[id_],
    ]
    return not any(reasons_to_deny)


@examples(200)
@given(cases())
@pytest.mark.slow
def test_purpose_is_allowed_exactly_if_no_reason_denies_it(
    case: tuple[Policy, ConsentRecord | None, frozenset[str]],
) -> None:
    policy, record, signals = case
    decision = decide(policy, record, signals, NOW)
    assert decision.purposes.keys() == {own.id for own in policy.purposes}
    assert decision.purposes[NECESSARY] is True
    assert allowed(decision) == {id_ for id_ in policy.optional if may_be_allowed(policy, record, signals, id_)}


@given(cases())
@pytest.mark.slow
def test_optional_purpose_needs_explicit_grant(
    case: tuple[Policy, ConsentRecord | None, frozenset[str]],
) -> None:
    policy, record, signals = case
    for id_ in allowed(decide(policy, record, signals, NOW)):
        assert record is not None
        assert holds(record)
        assert record.answers[id_].state is GRANTED


@given(cases())
@pytest.mark.slow
def test_refused_purpose_is_never_allowed_or_asked(
    case: tuple[Policy, ConsentRecord | None, frozenset[str]],
) -> None:
    policy, record, signals = case
    for id_ in policy.optional:
        if state_of(record, id_) is REFUSED:
            assert not decide(policy, record, signals, NOW).allows(id_)
    if all(state_of(record, id_) is REFUSED for id_ in policy.optional):
        assert not decide(policy, record, signals, NOW).should_ask


@given(cases())
@pytest.mark.slow
def test_site_asks_exactly_if_a_purpose_is_unanswered(
    case: tuple[Policy, ConsentRecord | None, frozenset[str]],
) -> None:
    policy, record, signals = case
    decision = decide(policy, record, signals, NOW)
    open_ = []
    for id_ in policy.optional:
        is_settled = state_of(record, id_) is REFUSED or (state_of(record, id_) is GRANTED and decision.allows(id_))
        unseen = signals - record.signals if is_settled and record else signals
        if policy.in_force[id_].refused or any(id_ in rules_of(policy)[signal] for signal in unseen):
            continue
        if state_of(record, id_) is UNANSWERED or (state_of(record, id_) is GRANTED and not decision.allows(id_)):
            open_.append(id_)
    assert decision.should_ask is bool(open_)


@given(policies(), st.data())
@pytest.mark.slow
def test_service_never_widens_decision_of_site(policy: Policy, data: st.DataObject) -> None:
    record, signals = data.draw(records(policy)), data.draw(SIGNALS)
    ours = decide(policy, record, signals, NOW)
    for service in policy.services:
        theirs = decide(policy.under(service), record, signals, NOW)
        off = {id_ for id_, own in service.purposes.items() if own.refused}
        assert allowed(theirs) == allowed(ours) - off
        assert ours.should_ask or not theirs.should_ask


@given(cases(), SIGNALS)
@pytest.mark.slow
def test_further_signal_never_widens_decision(
    case: tuple[Policy, ConsentRecord | None, frozenset[str]], more: frozenset[str]
) -> None:
    policy, record, signals = case
    fewer, all_ = decide(policy, record, signals, NOW), decide(policy, record, signals | more, NOW)
    assert allowed(all_) <= allowed(fewer)
    assert fewer.should_ask or not all_.should_ask


@given(policies(), SIGNALS, st.data(), st.booleans())
@pytest.mark.slow
def test_added_purpose_affects_only_itself(
    policy: Policy, signals: frozenset[str], data: st.DataObject, with_history: bool
) -> None:
    states = {id_: data.draw(st.sampled_from(State)) for id_ in policy.optional}
    record = consent_record(policy, states, signals=data.draw(SIGNALS))
    new = replace(policy, purposes=(*policy.purposes, purpose("zzz")), history=(policy,) if with_history else ())
    before, after = decide(policy, record, signals, NOW), decide(new, record, signals, NOW)
    assert after.purposes == {**before.purposes, "zzz": False}
    assert after.should_ask


@given(policies(), policies(), SIGNALS, st.data())
@pytest.mark.slow
def test_only_widened_purposes_are_denied_with_history(
    old: Policy, new: Policy, signals: frozenset[str], data: st.DataObject
) -> None:
    states = {id_: data.draw(st.sampled_from(State)) for id_ in old.optional}
    record = consent_record(old, states, signals=signals)
    decision = decide(new.with_history([old]), record, signals, NOW)
    wider = frozenset() if old.version == new.version else widened(old, new)
    assert allowed(decision) == {id_ for id_ in new.optional if states.get(id_) is GRANTED and id_ not in wider}


@given(cases())
@pytest.mark.slow
def test_equal_arguments_yield_equal_decisions(case: tuple[Policy, ConsentRecord | None, frozenset[str]]) -> None:
    policy, record, signals = case
    copy = None if record is None else replace(record, answers=dict(record.answers))
    assert decide(policy, record, signals, NOW) == decide(policy, copy, frozenset([*signals]), NOW)


ANY_ANSWERS: st.SearchStrategy[dict[str, Answer]] = st.dictionaries(
    st.text(max_size=5) | st.sampled_from(["analytics", "media", NECESSARY]),
    st.builds(Answer, st.sampled_from(State), st.text(max_size=5)),
    max_size=4,
)
ANY_RECORD = st.builds(
    ConsentRecord,
    answers=ANY_ANSWERS,
    policy=st.text(max_size=5) | st.just(POLICY.version),
    decided_at=st.integers(0, 2**63) | st.just(NOW),
    source=st.text(max_size=5),
    language=st.text(max_size=5),
    signals=st.frozensets(st.text(max_size=5)),
    consent_id=st.text(max_size=5),
)


@given(st.none() | ANY_RECORD, st.frozensets(st.text(max_size=5)) | SIGNALS, st.floats() | st.just(float(NOW)))
def test_decide_accepts_any_record_signals_and_time(record: Any, signals: frozenset[str], now: float) -> None:
    decision = decide(POLICY, record, signals, now)
    assert decision.allows(NECESSARY)
    assert decision.status in ("unknown", "granted", "refused", "partial")
    assert allowed(decision) <= {"analytics", "media"}
