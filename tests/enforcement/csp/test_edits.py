"""Tests that remembered edits are those that `edited_field` makes, whatever comes before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.enforcement.csp.edits import Edits
from cookie_consent.enforcement.csp.recipients import edited_field, recipient_sources
from tests.enforcement.csp.test_recipients import GRANTED, MAPS, REFUSED, allowing, make_recipient, policy_with

POLICY = policy_with(make_recipient("maps", "media", ["img", "script"], MAPS))
SOURCES = [recipient_sources(POLICY, purposes) for purposes in (GRANTED, REFUSED)]
_words = [b"img-src", b"script-src", b"default-src", b"'self'", MAPS, b";", b",", b"\0", b"a"]
_nonces = [b"'nonce-a'", b"'nonce-b'", b"'NONCE-aa'", b"'nonce-img-src'"]
_fields = st.lists(st.sampled_from([*_words, *_nonces]), max_size=9).map(b" ".join)


@given(st.lists(st.tuples(_fields, st.sampled_from(SOURCES)), max_size=6))
def test_remembered_edit_is_the_same_as_a_new_one(turns: list[tuple[bytes, object]]) -> None:
    edits = Edits()
    for field, sources in turns * 2:
        assert edits(field, sources) == edited_field(field, sources)  # type: ignore[arg-type]


def test_policy_with_a_new_nonce_each_time_is_remembered_once() -> None:
    edits = Edits()
    for number in range(100):
        nonce = b"%022d" % number
        edited, _ = edits(b"script-src 'self' 'nonce-%b'; img-src 'self'" % nonce, allowing(MAPS))
        assert edited == b"script-src 'self' 'nonce-%b'; img-src 'self' %b" % (nonce, MAPS)
    assert len(edits._kept) <= 100
    same = allowing(MAPS)
    again = Edits()
    for number in range(100):
        again(b"script-src 'nonce-%022d'" % number, same)
    assert len(again._kept) == 1


def test_short_nonce_is_no_part_of_an_origin() -> None:
    edits, same = Edits(), allowing(MAPS)
    for nonce in (b"a", b"b"):
        assert edits(b"img-src 'nonce-%b'" % nonce, same)[0] == b"img-src 'nonce-%b' %b" % (nonce, MAPS)


def test_memory_is_bounded() -> None:
    edits, same = Edits(), allowing(MAPS)
    for number in range(2000):
        edits(b"img-src https://host%d.example" % number, same)
    edits(b"img-src " + b"x" * 5000, same)
    edits(b"script-src 'nonce-a' 'nonce-b'", same)
    assert len(edits._kept) <= 512
    assert all(len(shape) < 4096 and b"nonce" not in shape for _, shape in edits._kept)
