"""Tests of the tokens of the visitor cookie and of the erasure cookie."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from cookie_consent.decision.own_cookies import CONSENT, ERASURE, HTTPS, VISITOR, OwnCookies
from cookie_consent.decision.tokens import (
    KnownVisitor,
    Signer,
    WithdrawnVisitor,
    parse_visitor,
    parse_withdrawn,
    write_visitor,
    write_withdrawn,
)
from tests.support.policies import KEY, NOW

OWN = OwnCookies(KEY)
SIGNER = Signer(KEY, VISITOR.salt)
LIFETIME = timedelta(days=395)
END = NOW + LIFETIME.total_seconds()


def token(visitor_id: str, now: float = NOW, referrer: str | None = None) -> bytes:
    return SIGNER.sign(write_visitor(visitor_id, referrer).encode(), int(now))


def read(tokens: Iterable[bytes], now: float, own: OwnCookies = OWN) -> KnownVisitor | None:
    return own.read_visitor(b"; ".join(b"__Host-visitor=" + token for token in tokens), now, HTTPS)


def test_visitor_cookie_lives_13_months() -> None:
    assert VISITOR.lifetime == LIFETIME


def test_each_visitor_id_is_new_and_read_back_with_its_expiry() -> None:
    made = [OWN.set_visitor(NOW + 0.75, HTTPS) for _ in range(2)]
    assert made[0][0] != made[1][0]
    for visitor_id, field in made:
        assert OWN.read_visitor(field.partition(b";")[0], NOW + 1, HTTPS) == KnownVisitor(visitor_id, NOW, END)


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (NOW - 0.5, None),
        (NOW, KnownVisitor("one", NOW, END)),
        (END - 0.5, KnownVisitor("one", NOW, END)),
        (END, None),
        (END + 1, None),
    ],
)
def test_visitor_id_is_valid_from_issue_to_expiry(now: float, found: KnownVisitor | None) -> None:
    assert read([token("one")], now) == found


def test_newest_valid_visitor_id_counts() -> None:
    tokens = [
        token("old", NOW - 9),
        b"garbage",
        token("new", NOW - 5),
        token("future", NOW + 5),
        token("older", NOW - 99),
    ]
    assert read(tokens, NOW) == KnownVisitor("new", NOW - 5, END - 5)


@pytest.mark.parametrize(
    "tokens", [[], [b""], [b"garbage", b"\xff" * 9000], [token("one")[:-1]], [token("one") + b" "]]
)
def test_invalid_token_is_ignored(tokens: list[bytes]) -> None:
    assert read(tokens, NOW) is None


@given(st.lists(st.binary()))
def test_arbitrary_bytes_are_ignored(tokens: list[bytes]) -> None:
    assert read(tokens, NOW) is None


@given(st.binary())
def test_reading_signed_value_never_raises(value: bytes) -> None:
    signed = SIGNER.read(SIGNER.sign(value, NOW))
    assert signed
    known = parse_visitor(*signed, LIFETIME.total_seconds())
    assert known.valid_until == END
    assert known.id == value.decode("latin-1").partition("~")[0]


def test_arrival_is_read_back_from_token_until_removed() -> None:
    made = token("one", NOW, "https://search.example:8443")
    visitor = KnownVisitor("one", NOW, END, "https://search.example:8443")
    assert read([made], NOW) == visitor
    assert re.fullmatch(rb"[!#-+\--:<-\[\]-~]+", made), "only cookie octets"
    field = OWN.remove_referrer(visitor, NOW + 5, HTTPS)
    assert OWN.read_visitor(field.partition(b";")[0], NOW + 5, HTTPS) == KnownVisitor("one", NOW, END)


def test_visitor_token_is_invalid_as_consent_token() -> None:
    assert OWN.read_records(b"__Host-consent=" + token("one"), HTTPS) == []
    assert Signer(KEY, CONSENT.salt).read(token("one")) is None


def test_token_of_older_key_is_read_while_key_is_listed() -> None:
    new = "new-" + "n" * 32
    assert read([token("one")], NOW, OwnCookies([KEY, new])) == KnownVisitor("one", NOW, END)
    assert read([token("one")], NOW, OwnCookies([new])) is None


def test_itsdangerous_reads_visitor_token() -> None:
    reader = TimestampSigner(KEY, salt=VISITOR.salt, key_derivation="hmac", digest_method=hashlib.sha256)
    assert reader.unsign(token("one")) == b"one"


def test_withdrawn_ids_are_read_back_until_their_records_expire() -> None:
    written = write_withdrawn([WithdrawnVisitor("one", NOW + 5), WithdrawnVisitor("two", NOW + 9)]).encode()
    assert parse_withdrawn(written, NOW + 4) == (WithdrawnVisitor("one", NOW + 5), WithdrawnVisitor("two", NOW + 9))
    assert parse_withdrawn(written, NOW + 5) == (WithdrawnVisitor("two", NOW + 9),)


@pytest.mark.parametrize(
    "value", [b"", b"one", b"one~", b"one~two", b"one~9999999999~two", b"~9999999999", b"a~" + b"9" * 5000]
)
def test_signed_erasure_value_of_wrong_shape_is_ignored(value: bytes) -> None:
    signed = b"__Secure-visitor-erasure=" + Signer(KEY, ERASURE.salt).sign(value, NOW)
    assert OWN.read_withdrawn(signed, NOW, HTTPS) == ()
