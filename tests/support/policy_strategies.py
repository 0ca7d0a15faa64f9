"""Hypothesis strategies for policies and consent records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from hypothesis import strategies as st

from cookie_consent.decision.record import SOURCES, Answer, ConsentRecord, State
from cookie_consent.policy.diff import digests
from cookie_consent.policy.parts import NECESSARY, Cookie, Service, ServicePurpose, SignalRules
from cookie_consent.policy.policy import Policy
from tests.support.policies import NOW, purpose, recipient, site

IDS = ("ads", "analytics", "media", "social")


def subset(items: Sequence[str]) -> st.SearchStrategy[frozenset[str]]:
    """Generate subsets of these texts."""
    return st.frozensets(st.sampled_from(items)) if items else st.just(frozenset())


def _ordered(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(items))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Generate English policies: purposes, cookies, recipients, services that refuse, rules for signals."""
    ids = _ordered(draw(subset(IDS)))
    some = st.sampled_from((*ids, NECESSARY))
    days = st.none() | st.integers(1, 400)
    purposes = tuple(purpose(id_, traces=draw(st.booleans()), days=draw(days)) for id_ in ids)
    cookies = tuple(
        Cookie(name=name, purpose=draw(some), duration=None if (length := draw(days)) is None else timedelta(length))
        for name in _ordered(draw(subset(("_a", "_b*", "c", "d"))))
    )
    recipients = tuple(
        recipient(id_, draw(some), *_ordered(draw(subset(("https://x.example", "https://y.example")))))
        for id_ in _ordered(draw(subset(("r1", "r2"))))
    )
    services = tuple(
        Service(id=id_, path=f"/{id_}", purposes={own: ServicePurpose(refused=True) for own in draw(subset(ids))})
        for id_ in _ordered(draw(subset(("s1", "s2"))))
    )
    covered = st.none() | subset(ids).map(_ordered)
    rules = SignalRules(gpc=draw(covered), dnt=draw(covered))
    return Policy(
        site=site(), purposes=purposes, cookies=cookies, recipients=recipients, services=services, signals=rules
    )


SIGNALS = subset(("gpc", "dnt"))
"""Generates sets of signals."""


@st.composite
def records(draw: st.DrawFn, policy: Policy) -> ConsentRecord:
    """Generate consent records: of this policy and of others, of now and of other times."""
    facts = digests(policy)
    ids = draw(subset(IDS))
    answers = {
        id_: Answer(draw(st.sampled_from(State)), draw(st.sampled_from([facts.get(id_, "-----"), "00000"])))
        for id_ in sorted(ids)
    }
    return ConsentRecord(
        answers=answers,
        policy=draw(st.sampled_from([policy.version, "0" * 16])),
        decided_at=NOW + draw(st.integers(-200, 1)) * 86_400,
        source=draw(st.sampled_from(SOURCES)),
        language="en",
        signals=draw(SIGNALS),
        consent_id=draw(st.sampled_from(["", "an-id"])),
    )
