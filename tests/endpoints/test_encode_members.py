"""Tests of encoding long JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import JSONResponse

from cookie_consent.endpoints.own_data import encode_members

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(TEXTS, inside, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, PLAIN, max_size=5))
def test_members_are_encoded_as_in_other_responses(members: dict[str, Any]) -> None:
    assert encode_members(members) == JSONResponse(members).body


def test_nan_raises_value_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_members({"items": [float("nan")]})
