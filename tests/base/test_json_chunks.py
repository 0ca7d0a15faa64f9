"""Tests of writing long JSON in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse

from cookie_consent.endpoints.own_data import json_chunks

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, PLAIN, max_size=5), st.integers(1, 40))
def test_chunks_join_to_json_of_response(members: dict[str, Any], largest: int) -> None:
    items = {name: iter(value) if isinstance(value, list) else value for name, value in members.items()}
    chunks = list(json_chunks(items, largest))
    assert b"".join(chunks) == JSONResponse(members).body
    assert {len(chunk) for chunk in chunks[:-1]} <= {largest}
    assert 0 < len(chunks[-1]) <= largest


def test_last_chunk_may_have_the_full_size() -> None:
    assert list(json_chunks({"a": 12}, 4)) == [b'{"a"', b":12}"]


def test_items_are_read_only_when_needed() -> None:
    taken = list[int]()

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    chunks = json_chunks({"items": items()}, 10)
    assert next(chunks) == b'{"items":['
    assert len(taken) < 5
    next(chunks)
    assert len(taken) < 10


def test_nan_raises_value_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        list(json_chunks({"items": iter([float("nan")])}))
