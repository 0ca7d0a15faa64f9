"""Tests of consent records: their status, and which of several counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from cookie_consent.decision.record import Answer, ConsentRecord, State, choose_lifetime, choose_newest, name_event
from cookie_consent.policy.policy import Policy
from tests.policy.test_laws import under
from tests.support.policies import policy_of, purpose, small_policy

GRANTED, REFUSED, UNANSWERED = State.GRANTED, State.REFUSED, State.UNANSWERED


def record(*states: State, at: int = 0, policy: str = "v1") -> ConsentRecord:
    answers = {f"p{number}": Answer(state, "facts") for number, state in enumerate(states)}
    return ConsentRecord(answers=answers, policy=policy, decided_at=at, source="api", language="en")


def states(record: ConsentRecord | None) -> list[State]:
    assert record is not None
    return [answer.state for _, answer in sorted(record.answers.items())]


@pytest.mark.requirement("ST-02")
@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([], "unknown"),
        ([UNANSWERED, UNANSWERED], "unknown"),
        ([GRANTED], "granted"),
        ([GRANTED, GRANTED], "granted"),
        ([REFUSED], "refused"),
        ([REFUSED, REFUSED], "refused"),
        ([GRANTED, REFUSED], "partial"),
        ([GRANTED, UNANSWERED], "partial"),
        ([REFUSED, UNANSWERED], "partial"),
        ([GRANTED, REFUSED, UNANSWERED], "partial"),
    ],
)
def test_status_summarizes_answers(answers: list[State], status: str) -> None:
    assert record(*answers).status == status


def test_lifetime_of_a_record_is_that_of_refusals_and_grants() -> None:
    for made in (record(GRANTED, at=5), record(REFUSED, at=5)):
        assert made.expires_at == 5 + 184 * 86_400
        assert replace(made, lifetime=7.5).expires_at == 12.5


@pytest.mark.requirement("CK-08")
def test_newest_record_counts() -> None:
    records = [record(GRANTED, at=1), record(REFUSED, at=3), record(GRANTED, at=2)]
    assert all(choose_newest(order) == record(REFUSED, at=3) for order in permutations(records))
    assert states(choose_newest([record(REFUSED, at=1), record(GRANTED, at=2)])) == [GRANTED]
    assert choose_newest([]) is None


@pytest.mark.requirement("CK-08")
def test_every_refusal_counts_among_equally_new_records() -> None:
    records = [record(GRANTED, REFUSED, at=5), record(REFUSED, GRANTED, at=5), record(GRANTED, GRANTED, at=4)]
    assert all(states(choose_newest(order)) == [REFUSED, REFUSED] for order in permutations(records))
    assert states(choose_newest([record(GRANTED), record(GRANTED, REFUSED)])) == [GRANTED, REFUSED]


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (None, [GRANTED, REFUSED], "granted"),
        (None, [REFUSED, REFUSED], "refused"),
        (None, [UNANSWERED, REFUSED], "refused"),
        ([REFUSED, REFUSED], [REFUSED, REFUSED], "refused"),
        ([REFUSED, REFUSED], [GRANTED, REFUSED], "granted"),
        ([GRANTED, REFUSED], [GRANTED, REFUSED], "granted"),
        ([GRANTED, REFUSED], [GRANTED, GRANTED], "changed"),
        ([GRANTED, GRANTED], [GRANTED, REFUSED], "changed"),
        ([GRANTED, REFUSED], [REFUSED, GRANTED], "changed"),
        ([GRANTED, REFUSED], [REFUSED, REFUSED], "withdrawn"),
        ([GRANTED, GRANTED], [UNANSWERED, REFUSED], "withdrawn"),
    ],
)
def test_event_compares_an_answer_with_the_one_before(
    before: list[State] | None, after: list[State], event: str
) -> None:
    assert name_event(record(*before) if before else None, record(*after)) == event


# How long answers are valid


SELLING = small_policy(purposes=(replace(purpose("ads"), sells=True),))


@pytest.mark.requirement("CK-11")
@pytest.mark.parametrize(
    ("policy", "option", "days"),
    [
        (small_policy("ads"), None, 184),
        (SELLING, None, 366),
        (SELLING, 366, 366),
        (SELLING, 400, 400),
        (small_policy("ads"), 1, 1),
        (small_policy("ads"), 0.5, 0.5),
        (small_policy("ads"), 400, 400),
        (policy_of(under("eu")), 100, 100),
        (policy_of(under("eu")), None, 184),
        (policy_of(under("fr")), 184, 184),
        (policy_of(under("eu", "us-optout")), None, 366),
        (policy_of(under("us-optout", "it")), 366, 366),
    ],
)
def test_answers_last_as_long_as_the_option_or_the_strictest_law_says(
    policy: Policy, option: float | None, days: float
) -> None:
    assert choose_lifetime(option, policy) == timedelta(days=days)


@pytest.mark.requirement("CK-09", "IT-01")
@pytest.mark.parametrize(
    ("policy", "option", "message"),
    [
        *((small_policy("ads"), wrong, "at most 400 days") for wrong in (0, -1, 400.1, True, "184", float("nan"))),
        (SELLING, 365, "not asked again for 12 months: leave it out, or write at least 366"),
        (SELLING, 365.9, "at least 366"),
        (policy_of(under("eu", "it")), 183, "not asked again for 184 days under the law of Italy"),
        (policy_of(under("eu", "us-optout")), 365, "for 366 days under the law of states of the USA"),
    ],
)
def test_lifetime_that_is_too_short_or_none_stops_the_start(policy: Policy, option: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"consent_days: .*{message}"):
        choose_lifetime(option, policy)
