"""Tests of consent records: their status, and which of several counts."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.record import Answer, ConsentRecord, State, choose_newest

GRANTED, REFUSED, UNANSWERED = State.GRANTED, State.REFUSED, State.UNANSWERED


def record(*states: State, at: int = 0, policy: str = "v1") -> ConsentRecord:
    answers = {f"p{number}": Answer(state, "facts") for number, state in enumerate(states)}
    return ConsentRecord(answers=answers, policy=policy, decided_at=at, source="api", language="en")


def states(record: ConsentRecord | None) -> list[State]:
    assert record is not None
    return [answer.state for _, answer in sorted(record.answers.items())]


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


def test_newest_of_no_records_is_none() -> None:
    assert choose_newest([]) is None


def test_newest_record_counts() -> None:
    records = [record(GRANTED, at=1), record(REFUSED, at=3), record(GRANTED, at=2)]
    assert all(choose_newest(order) == record(REFUSED, at=3) for order in permutations(records))


def test_every_refusal_counts_among_equally_new_records() -> None:
    records = [record(GRANTED, REFUSED, at=5), record(REFUSED, GRANTED, at=5), record(GRANTED, GRANTED, at=4)]
    assert all(states(choose_newest(order)) == [REFUSED, REFUSED] for order in permutations(records))


def test_refusal_counts_if_other_record_lacks_its_purpose() -> None:
    assert states(choose_newest([record(GRANTED), record(GRANTED, REFUSED)])) == [GRANTED, REFUSED]


def test_newer_grant_replaces_older_refusal() -> None:
    assert states(choose_newest([record(REFUSED, at=1), record(GRANTED, at=2)])) == [GRANTED]


@given(st.lists(st.tuples(st.lists(st.sampled_from(State), max_size=3), st.integers(0, 2)), min_size=1), st.data())
def test_refused_purposes_do_not_depend_on_record_order(
    made: list[tuple[list[State], int]], data: st.DataObject
) -> None:
    records = [record(*answers, at=at) for answers, at in made]
    latest = max(at for _, at in made)
    refused = {
        id_
        for one in records
        for id_, answer in one.answers.items()
        if one.decided_at == latest and answer.state is REFUSED
    }
    found = choose_newest(data.draw(st.permutations(records)))
    assert found is not None
    assert found.decided_at == latest
    assert {id_ for id_, answer in found.answers.items() if answer.state is REFUSED} == refused
