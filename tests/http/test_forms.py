"""Tests of cleaning the text that visitors write."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.http.forms import clean_text

ANY = st.text(st.characters(), max_size=40)
"""Any text that Python can hold, with lone surrogates too."""


def test_readable_keeps_lines_and_drops_control_characters() -> None:
    assert clean_text("  one\r\ntwo\rthree\tfour\x00\x07\x1b[31m\x85\x7f \n") == "one\ntwo\nthree\tfour[31m"
    assert clean_text("\r\n \t\0") == ""
    assert clean_text("safe\u202eelif") == "safeelif"
    assert clean_text("ni\u200cm 🧑‍🚀 訪問 \ud83d") == "ni\u200cm 🧑‍🚀 訪問"


@given(ANY)
def test_readable_text_is_stable_and_can_be_encoded(text: str) -> None:
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned == cleaned.encode().decode()
    assert {sign for sign in cleaned if unicodedata.category(sign) == "Cc"} <= {"\n", "\t"}
