"""Tests of the decision under a law of opting out, compared with the same under one of opting in."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.policy.laws import laws
from tests.support.policies import NOW
from tests.support.policy_strategies import SIGNALS, policies, records


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


def on(purposes: Mapping[str, bool]) -> set[str]:
    return {id_ for id_, is_allowed in purposes.items() if is_allowed}


@given(both_laws())
def test_opting_in_never_allows_more(both: tuple[Decision, Decision, ConsentRecord | None]) -> None:
    opt_in, opt_out, _ = both
    assert on(opt_in.purposes) <= on(opt_out.purposes)
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
        assert on(decision.purposes).isdisjoint((refused | never | by_gpc | by_dnt) - {"necessary"})


@given(both_laws())
def test_only_what_nobody_answered_tells_the_laws_apart(both: tuple[Decision, Decision, ConsentRecord | None]) -> None:
    opt_in, opt_out, record = both
    for id_ in on(opt_out.purposes) - on(opt_in.purposes):
        answer = record.answers.get(id_) if record else None
        # What was granted before the policy changed needs a new grant only where consent is needed.
        assert (
            record is None
            or answer is None
            or answer.state is State.UNANSWERED
            or record.policy != opt_in.policy.version
        )
