"""Tests of the tokens of the visitor cookie and of the erasure cookie."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from cookie_consent.decision import consent_cookie
from cookie_consent.decision.signing import Signer
from cookie_consent.decision.visitor_cookie import (
    ERASURE_SALT,
    SALT,
    Arrival,
    ErasureCookie,
    KnownVisitor,
    VisitorCookie,
    WithdrawnVisitor,
)
from cookie_consent.policy.parts import VISITOR_LIFETIME
from tests.support.policies import KEY, NOW

SIGNER = Signer(KEY, SALT)
LIFETIME = timedelta(days=395)
END = NOW + LIFETIME.total_seconds()


def visitors(*ids: str, signer: Signer = SIGNER) -> VisitorCookie:
    return VisitorCookie(signer, iter(ids).__next__)


def token(visitor_id: str, now: float = NOW) -> bytes:
    return visitors(visitor_id).make(now)[1].encode()


def test_visitor_cookie_lives_13_months() -> None:
    assert timedelta(days=395) == VISITOR_LIFETIME
    assert visitors().max_age == 395 * 86_400


def test_visitor_id_is_read_back_with_its_expiry() -> None:
    visitor_id, made = visitors("one").make(NOW + 0.75)
    assert visitor_id == "one"
    assert visitors().read([made.encode()], NOW + 1) == KnownVisitor("one", END)


def test_each_visitor_id_is_new() -> None:
    maker = visitors("one", "two")
    assert [maker.make(NOW)[0], maker.make(NOW)[0]] == ["one", "two"]


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (NOW - 0.5, None),
        (NOW, KnownVisitor("one", END)),
        (END - 0.5, KnownVisitor("one", END)),
        (END, None),
        (END + 1, None),
    ],
)
def test_visitor_id_is_valid_from_issue_to_expiry(now: float, found: KnownVisitor | None) -> None:
    assert visitors().read([token("one")], now) == found


def test_newest_valid_visitor_id_counts() -> None:
    tokens = [
        token("old", NOW - 9),
        b"garbage",
        token("new", NOW - 5),
        token("future", NOW + 5),
        token("older", NOW - 99),
    ]
    assert visitors().read(tokens, NOW) == KnownVisitor("new", END - 5)


@pytest.mark.parametrize(
    "tokens", [[], [b""], [b"garbage", b"\xff" * 9000], [token("one")[:-1]], [token("one") + b" "]]
)
def test_invalid_token_is_ignored(tokens: list[bytes]) -> None:
    assert visitors().read(tokens, NOW) is None


@given(st.lists(st.binary()))
def test_arbitrary_bytes_are_ignored(tokens: list[bytes]) -> None:
    assert visitors().read(tokens, NOW) is None


@given(st.binary())
def test_reading_signed_value_never_raises(value: bytes) -> None:
    known = visitors().read([SIGNER.sign(value, NOW)], NOW)
    assert known
    assert known.id == value.decode("latin-1").partition("~")[0]


def test_arrival_is_read_back_from_token_until_removed() -> None:
    visitor_id, made = visitors("one").make(NOW, "https://search.example:8443")
    arrival = Arrival("https://search.example:8443", NOW)
    assert visitors().read([made.encode()], NOW) == KnownVisitor(visitor_id, END, arrival)
    assert re.fullmatch(r"[!#-+\--:<-\[\]-~]+", made), "only cookie octets"
    assert visitors().read([visitors().token(visitor_id, NOW).encode()], NOW + 5) == KnownVisitor("one", END)


def test_visitor_token_is_invalid_as_consent_token() -> None:
    assert consent_cookie.ConsentCookie(Signer(KEY, consent_cookie.SALT)).read([token("one")]) == []
    assert Signer(KEY, consent_cookie.SALT).read(token("one")) is None


def test_token_of_older_key_is_read_while_key_is_listed() -> None:
    new = "new-" + "n" * 32
    assert visitors(signer=Signer([KEY, new], SALT)).read([token("one")], NOW) == KnownVisitor("one", END)
    assert visitors(signer=Signer([new], SALT)).read([token("one")], NOW) is None


def test_itsdangerous_reads_visitor_token() -> None:
    reader = TimestampSigner(KEY, salt=SALT, key_derivation="hmac", digest_method=hashlib.sha256)
    assert reader.unsign(token("one")) == b"one"


def test_withdrawn_ids_are_read_back_until_their_records_expire() -> None:
    kept = ErasureCookie(Signer(KEY, ERASURE_SALT))
    written = kept.write([WithdrawnVisitor("one", NOW + 5), WithdrawnVisitor("two", NOW + 9)], NOW).encode()
    assert kept.read([written], NOW + 4) == (WithdrawnVisitor("one", NOW + 5), WithdrawnVisitor("two", NOW + 9))
    assert kept.read([written], NOW + 5) == (WithdrawnVisitor("two", NOW + 9),)


@pytest.mark.parametrize(
    "value", [b"", b"one", b"one~", b"one~two", b"one~9999999999~two", b"~9999999999", b"a~" + b"9" * 5000]
)
def test_signed_erasure_value_of_wrong_shape_is_ignored(value: bytes) -> None:
    signer = Signer(KEY, ERASURE_SALT)
    assert ErasureCookie(signer).read([signer.sign(value, NOW)], NOW) == ()
