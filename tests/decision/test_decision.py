"""Tests of the decision: answers, signals, services and changes of the policy."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.decision import Decision, decide, deny_optional, depends_on_signals, refused_in_storage
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.policy.diff import digests, widened
from cookie_consent.policy.laws import laws
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


@pytest.mark.requirement("ST-01", "EU-01")
def test_only_necessary_is_allowed_before_answer() -> None:
    decision = decide(POLICY, None, NO_SIGNAL, NOW)
    assert decision.purposes == {NECESSARY: True, "analytics": False, "media": False}
    assert (decision.status, decision.should_ask, decision.signals, decision.record) == ("unknown", True, (), None)


@pytest.mark.requirement("ST-07")
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


@pytest.mark.requirement("CK-11")
@pytest.mark.parametrize("record", [granting_record(POLICY), refusing_record(POLICY)], ids=["granted", "refused"])
@pytest.mark.parametrize(
    ("now", "holds"),
    [
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


@pytest.mark.requirement("SG-04", "SG-24")
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


@pytest.mark.requirement("SG-03")
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


REASONS = [
    # answers, signals, the reasons for analytics and media and the outcome if one opts in, the outcome if one opts out
    (None, NO_SIGNAL, "why_unanswered", "why_unanswered", "unknown", "unknown_opt_out"),
    (None, GPC, "why_unanswered", "why_gpc", "unknown", "unknown_opt_out"),
    (None, BOTH, "why_dnt", "why_gpc", "necessary", "necessary"),
    ({"analytics": GRANTED, "media": GRANTED}, NO_SIGNAL, "granted", "granted", "granted", "granted"),
    ({"analytics": GRANTED, "media": GRANTED}, GPC, "granted", "why_gpc", "partial", "partial"),
    ({"analytics": GRANTED}, NO_SIGNAL, "granted", "why_refused", "partial", "partial"),
    ({"analytics": GRANTED}, BOTH, "why_dnt", "why_gpc", "necessary", "necessary"),
    ({"analytics": GRANTED, "media": UNANSWERED}, NO_SIGNAL, "granted", "why_unanswered", "partial", "partial"),
    ({"media": UNANSWERED}, NO_SIGNAL, "why_refused", "why_unanswered", "opted_out", "opted_out"),
    ({"media": UNANSWERED}, GPC, "why_refused", "why_gpc", "necessary", "necessary"),
    ({"media": GRANTED}, GPC, "why_refused", "why_gpc", "necessary", "necessary"),
    ({"analytics": UNANSWERED, "media": GRANTED}, GPC, "why_unanswered", "why_gpc", "", "partial"),
    ({}, NO_SIGNAL, "why_refused", "why_refused", "refused", "refused"),
    ({}, BOTH, "why_refused", "why_refused", "refused", "refused"),
]


@pytest.mark.parametrize(("states", "signals", "analytics", "media", "outcome", "under_opt_out"), REASONS)
def test_reasons_and_outcome_say_who_has_decided(
    states: dict[str, State] | None,
    signals: frozenset[str],
    analytics: str,
    media: str,
    outcome: str,
    under_opt_out: str,
) -> None:
    record = None if states is None else consent_record(POLICY, states)
    decision = decide(POLICY, record, signals, NOW)
    assert (decision.reasons, decision.outcome) == ({"analytics": analytics, "media": media}, outcome)
    opt_out = decide(POLICY.under_law(laws()["us-optout"]), record, signals, NOW)
    runs = {"why_unanswered": "unrefused"}
    assert opt_out.reasons == {"analytics": runs.get(analytics, analytics), "media": runs.get(media, media)}
    assert (opt_out.outcome, opt_out.should_ask) == (under_opt_out, False)


def test_nothing_to_allow_is_nothing_to_ask() -> None:
    off = ServicePurpose(refused=True)
    service = Service(id="s", path="/s", purposes={"analytics": off, "media": off})
    for policy in (small_policy(), POLICY.under(service)):
        decision = decide(policy, None, NO_SIGNAL, NOW)
        assert (decision.should_ask, decision.outcome, allowed(decision)) == (False, "", set())
    assert set(decision.reasons.values()) == {"refused_here"}


@pytest.mark.parametrize(
    ("at_answer", "since", "now", "off", "overruled", "honours_gpc"),
    [
        (NO_SIGNAL, NO_SIGNAL, NO_SIGNAL, set(), set(), False),
        (NO_SIGNAL, NO_SIGNAL, GPC, {"media": "why_gpc"}, {"media"}, True),
        (NO_SIGNAL, GPC, NO_SIGNAL, {"media": "why_signal"}, {"media"}, True),
        (NO_SIGNAL, GPC, DNT, {"media": "why_signal", "analytics": "why_dnt"}, {"media", "analytics"}, True),
        (NO_SIGNAL, DNT, NO_SIGNAL, {"analytics": "why_signal"}, {"analytics"}, False),
        (GPC, GPC, NO_SIGNAL, set(), set(), False),
        (GPC, NO_SIGNAL, GPC, set(), set(), False),
    ],
)
def test_signal_that_is_gone_still_overrules_an_earlier_grant(
    at_answer: frozenset[str],
    since: frozenset[str],
    now: frozenset[str],
    off: dict[str, str],
    overruled: set[str],
    honours_gpc: bool,
) -> None:
    record = granting_record(POLICY, signals=at_answer, overridden_by=since)
    decision = decide(POLICY, record, now, NOW)
    assert allowed(decision) == {"analytics", "media"} - set(off)
    assert {id_: reason for id_, reason in decision.reasons.items() if reason != "granted"} == dict(off)
    assert decision.overruled == overruled
    assert decision.honours_gpc is honours_gpc
    assert (decision.status, decision.record, decision.should_ask) == ("granted", record, False)
    assert not decide(POLICY, refusing_record(POLICY, overridden_by=since), now, NOW).overruled


@pytest.mark.parametrize(
    ("states", "signals", "opted_out"),
    [
        (None, NO_SIGNAL, False),
        (None, GPC, True),
        ({"ads": REFUSED}, NO_SIGNAL, True),
        ({"ads": GRANTED}, NO_SIGNAL, False),
        ({"ads": GRANTED}, GPC, True),
        ({"ads": REFUSED, "media": GRANTED}, NO_SIGNAL, True),
    ],
)
def test_visitor_has_opted_out_of_every_sale_by_answer_or_signal(
    states: dict[str, State] | None, signals: frozenset[str], opted_out: bool
) -> None:
    policy = small_policy(purposes=(replace(purpose("ads"), sells=True), purpose("media")))
    record = None if states is None else consent_record(policy, states)
    assert decide(policy, record, signals, NOW).opted_out is opted_out
    assert not decide(POLICY, refusing_record(POLICY), BOTH, NOW).opted_out  # there is no sale


# After an error, and in the browser


def test_denied_decision_allows_only_what_is_necessary() -> None:
    denied = deny_optional(decide(POLICY, granting_record(POLICY), NO_SIGNAL, NOW))
    assert denied.purposes == {NECESSARY: True, "analytics": False, "media": False}
    assert (denied.reasons, denied.outcome) == ({"analytics": "why_unanswered", "media": "why_unanswered"}, "")
    refused = decide(POLICY, refusing_record(POLICY), NO_SIGNAL, NOW)
    assert deny_optional(refused) == refused
    assert deny_optional(decide(POLICY, None, GPC, NOW)).reasons["media"] == "why_gpc"
    with pytest.raises(TypeError):
        denied.purposes["media"] = True  # type: ignore[index]


def test_storage_is_cleared_of_what_the_visitor_refused_or_a_consent_allowed() -> None:
    keys = [Cookie(name=f"{id_}-key", purpose=id_, kind="storage") for id_ in ("analytics", "media", NECESSARY)]
    policy = replace(POLICY, cookies=tuple(keys))
    some = decide(policy, consent_record(policy, {"analytics": GRANTED}), NO_SIGNAL, NOW)
    assert (refused_in_storage(some), refused_in_storage(some, has_ended=True)) == (("media",), ("media",))
    nobody = decide(policy, None, BOTH, NOW)
    assert (refused_in_storage(nobody), refused_in_storage(nobody, has_ended=True)) == ((), ("analytics", "media"))
    assert refused_in_storage(decide(POLICY, refusing_record(POLICY), NO_SIGNAL, NOW)) == ()


def test_decision_depends_on_signals_if_one_could_refuse_a_grant() -> None:
    only_analytics = consent_record(POLICY, {"analytics": GRANTED})
    deaf = replace(POLICY, signals=SignalRules(gpc=("media",), dnt=()))
    assert depends_on_signals(decide(POLICY, only_analytics, NO_SIGNAL, NOW))
    assert depends_on_signals(decide(POLICY, granting_record(POLICY), GPC, NOW))
    assert not depends_on_signals(decide(deaf, only_analytics, NO_SIGNAL, NOW))
    assert not depends_on_signals(decide(POLICY, refusing_record(POLICY), NO_SIGNAL, NOW))
    assert not depends_on_signals(decide(POLICY, None, GPC, NOW))


# Changes of the policy


ADDED = small_policy("ads", "analytics", "media", recipients=POLICY.recipients)
WIDER = replace(POLICY, cookies=(Cookie(name="new", purpose="media"),))
REWORDED = replace(POLICY, site=replace(POLICY.site, name="Other"))


@pytest.mark.requirement("PO-06")
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


@pytest.mark.requirement("IT-01", "PO-06")
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


@pytest.mark.parametrize("then", [NO_SIGNAL, GPC])
def test_changed_purpose_refused_by_signal_is_not_asked(then: frozenset[str]) -> None:
    accepted = consent_record(POLICY, {"analytics": GRANTED, "media": GRANTED}, signals=then)
    assert not decide(WIDER, accepted, GPC, NOW).should_ask


@pytest.mark.parametrize("version", ["0" * 16, "f" * 16])
@pytest.mark.parametrize(
    ("changed", "answered", "is_news"),
    [(0, -1, True), (0, 0, False), (1, -1, False), (-29, -30, True), (-30, -31, False), (-5, -4, False)],
)
def test_change_is_news_for_a_month_to_who_answered_before_it(
    changed: int, answered: int, is_news: bool, version: str
) -> None:
    day = datetime.fromtimestamp(NOW, UTC).date() + timedelta(days=changed)
    older = Change(date=day - timedelta(days=1), text={"en": "Old."})
    policy = small_policy("analytics", changes=(Change(date=day, text={"en": "New."}), older))
    record = replace(granting_record(policy), policy=version, decided_at=NOW + answered * 86_400)
    news = decide(policy, record, NO_SIGNAL, NOW).news
    assert news == day if is_news else news != day
    assert decide(policy, replace(record, policy=policy.version), NO_SIGNAL, NOW).news is None
    assert decide(policy, replace(record, answers={}), NO_SIGNAL, NOW).news is None  # it is asked instead


# What an app reads


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


def test_texts_are_in_an_offered_language_and_wrong_names_raise() -> None:
    decision = decide(policy_of(full_policy_data()), None, NO_SIGNAL, NOW)
    assert decision.feature("map").fallback == "住所は下にあります。"
    assert decision.feature("map", language="en").fallback == "The addresses are listed below."
    for ask, message in (
        (lambda: decision.feature("map", language="de"), r'"de" is not offered\. Did you mean "en"\?'),
        (lambda: decision.feature("mapp"), r'there is no feature "mapp"\. Did you mean "map"\?'),
        (lambda: decision.allows("analytcs"), r'there is no purpose "analytcs"\. Did you mean "analytics"\?'),
        (lambda: decision.allows("xyz"), "Known: analytics, media, necessary"),
        (lambda: decision.sources("frame"), r'recipients have no directive "frame"\. Did you mean "frame-src"\?'),
    ):
        with pytest.raises(LookupError, match=message):
            ask()


def test_sources_are_the_origins_of_allowed_recipients() -> None:
    maps = replace(recipient("maps", "media", "https://a.example", "https://b.example"), directives=("frame", "img"))
    forms = replace(
        recipient("forms", "media", "https://c.example", "https://a.example"), directives=("form-action", "img")
    )
    counted = replace(recipient("counts", "analytics", "https://d.example"), directives=("img",))
    policy = small_policy("analytics", "media", recipients=(maps, forms, counted))
    some = decide(policy, consent_record(policy, {"media": GRANTED}), NO_SIGNAL, NOW)
    assert some.sources("img-src") == ("https://a.example", "https://b.example", "https://c.example")
    assert some.sources("form-action") == ("https://c.example", "https://a.example")
    assert (some.sources("script-src"), some.traces, some.consent_id) == ((), False, "")
    traced = decide(policy, granting_record(policy, consent_id="id"), NO_SIGNAL, NOW)
    assert (traced.traces, traced.consent_id) == (True, "id")


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


@pytest.mark.requirement("ST-08")
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


@st.composite
def both_laws(draw: st.DrawFn) -> tuple[Decision, Decision, ConsentRecord | None]:
    """Generate the decisions under both laws on the same answer, of this policy or of another one."""
    policy = draw(policies())
    services = [None, *policy.services]
    service = draw(st.sampled_from(services))
    here = policy if service is None else policy.under(service)
    record = draw(st.none() | records(draw(st.just(policy) | policies())))
    signals = draw(SIGNALS)
    now = record.decided_at if record else NOW
    opt_in, opt_out = (decide(here.under_law(laws()[code]), record, signals, now) for code in ("eu", "us-optout"))
    return opt_in, opt_out, record


@given(both_laws())
def test_opting_in_never_allows_more(both: tuple[Decision, Decision, ConsentRecord | None]) -> None:
    opt_in, opt_out, _ = both
    assert allowed(opt_in) <= allowed(opt_out)
    assert not opt_out.should_ask
    assert opt_in.status == opt_out.status


@given(both_laws())
def test_what_is_refused_is_off_under_both_laws(both: tuple[Decision, Decision, ConsentRecord | None]) -> None:
    opt_in, opt_out, record = both
    policy = opt_out.policy
    refused = set(record.refused) if record else set[str]()
    never = {id_ for id_, purpose in policy.in_force.items() if purpose.refused}
    new = set(opt_out.signals) - (record.signals if record else frozenset())
    by_gpc = policy.gpc_refuses if "gpc" in new else frozenset()
    by_dnt = policy.dnt_refuses if "dnt" in new else frozenset()
    for decision in (opt_in, opt_out):
        assert allowed(decision).isdisjoint(refused | never | by_gpc | by_dnt)


@given(both_laws())
def test_only_what_nobody_answered_tells_the_laws_apart(both: tuple[Decision, Decision, ConsentRecord | None]) -> None:
    opt_in, opt_out, record = both
    for id_ in allowed(opt_out) - allowed(opt_in):
        answer = record.answers.get(id_) if record else None
        # What was granted before the policy changed needs a new grant only where consent is needed.
        assert (
            record is None
            or answer is None
            or answer.state is State.UNANSWERED
            or record.policy != opt_in.policy.version
        )
