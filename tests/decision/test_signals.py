"""Tests of reading the signals Sec-GPC and DNT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.visit import read_fields

FIELDS = {b"sec-gpc": "gpc", b"dnt": "dnt"}


@pytest.mark.parametrize(("name", "signal"), FIELDS.items())
def test_signal_is_set_if_field_is_1(name: bytes, signal: str) -> None:
    assert read_fields([(name, b"1")])[1] == {signal}


@pytest.mark.parametrize(
    "value",
    [b"", b"0", b"2", b"11", b" 1", b"1 ", b"1,1", b"1, 1", b" 1,1", b"?1", b"01", b"true", b"yes", b"\xb9"],
)
@pytest.mark.parametrize("name", FIELDS)
def test_other_field_value_is_no_signal(name: bytes, value: bytes) -> None:
    assert read_fields([(name, value)])[1] == frozenset()


@pytest.mark.parametrize("values", [(b"0", b"1"), (b"1", b"0"), (b"1", b"1"), (b"", b"x", b"1")])
@pytest.mark.parametrize(("name", "signal"), FIELDS.items())
def test_one_of_several_fields_sets_signal(name: bytes, signal: str, values: tuple[bytes, ...]) -> None:
    assert read_fields([(name, value) for value in values])[1] == {signal}


def test_both_signals_can_be_set() -> None:
    assert read_fields([(b"sec-gpc", b"1"), (b"accept", b"1"), (b"dnt", b"1")])[1] == {"gpc", "dnt"}


@pytest.mark.parametrize("name", [b"gpc", b"sec-gpc-x", b"x-sec-gpc", b"sec_gpc", b"dnt2"])
def test_similar_field_name_is_no_signal(name: bytes) -> None:
    assert read_fields([(name, b"1")])[1] == frozenset()


@given(st.lists(st.tuples(st.sampled_from([*FIELDS, b"x"]) | st.binary(), st.sampled_from([b"0", b"1"]) | st.binary())))
def test_signal_is_set_exactly_if_any_field_is_1(headers: list[tuple[bytes, bytes]]) -> None:
    assert read_fields(headers)[1] == {signal for name, signal in FIELDS.items() if (name, b"1") in headers}
