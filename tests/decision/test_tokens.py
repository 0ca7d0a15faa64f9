"""Tests of signing: token format, keys, salts and altered tokens."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import BadSignature, Signer, TimestampSigner
from itsdangerous.encoding import base64_decode

from cookie_consent.decision import tokens
from tests.support.policies import KEY, NOW

OLD, NEW = "old-" + "o" * 32, "new-" + "n" * 32
SIGNER = tokens.Signer(KEY, "salt")
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class At(TimestampSigner):
    """The signer of itsdangerous with our settings and a fixed clock."""

    def __init__(self, *keys: str, salt: str = "salt", now: int = NOW) -> None:
        super().__init__([*keys], salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        return self._now


def signed(value: bytes) -> bytes:
    """Return a value with a valid signature, whatever it contains."""
    return Signer(KEY, salt="salt", key_derivation="hmac", digest_method=hashlib.sha256).sign(value)


@given(st.binary(), st.integers(0, 253_402_300_799))
def test_value_and_time_survive_signing_and_reading(value: bytes, now: int) -> None:
    assert SIGNER.read(SIGNER.sign(value, now)) == (value, now)


@given(st.binary(), st.integers(0, 2**32))
def test_signer_writes_same_token_as_itsdangerous(value: bytes, now: int) -> None:
    assert SIGNER.sign(value, now) == At(KEY, now=now).sign(value)


def test_signer_and_itsdangerous_read_each_others_tokens() -> None:
    value, moment = At(KEY).unsign(SIGNER.sign(b"value", NOW), return_timestamp=True)
    assert (value, moment.timestamp()) == (b"value", NOW)
    assert SIGNER.read(At(KEY).sign(b"value")) == (b"value", NOW)


def test_last_key_signs_and_every_key_verifies() -> None:
    rotated = tokens.Signer([OLD, NEW], "salt")
    assert rotated.sign(b"value", NOW) == tokens.Signer(NEW, "salt").sign(b"value", NOW)
    assert rotated.read(tokens.Signer(OLD, "salt").sign(b"value", NOW)) == (b"value", NOW)
    assert tokens.Signer([NEW], "salt").read(tokens.Signer([OLD], "salt").sign(b"value", NOW)) is None


def test_token_of_other_salt_is_rejected() -> None:
    assert tokens.Signer(KEY, "other").read(SIGNER.sign(b"value", NOW)) is None


@pytest.mark.parametrize(
    "keys",
    [
        None,
        "",
        "short",
        "k" * 31,
        [],
        [""],
        [None],
        [b"k" * 32],
        b"k" * 32,
        ["k" * 32, "short"],
        ("short",),
        " " * 40,
        "\t\n" * 20,
    ],
)
def test_missing_or_short_key_raises(keys: str) -> None:
    with pytest.raises(ValueError, match="each key is a text of at least 32 characters"):
        tokens.Signer(keys, "salt")


@given(st.binary())
def test_arbitrary_bytes_are_rejected(token: bytes) -> None:
    assert SIGNER.read(token) is None


@given(st.binary(), st.binary())
def test_reading_signed_bytes_never_raises(value: bytes, time: bytes) -> None:
    for token in (signed(value), signed(value + b"." + time)):
        found = SIGNER.read(token)
        assert found is None or 0 <= found[1] <= 253_402_300_799


@pytest.mark.parametrize(
    "value",
    [
        b"no-time",
        b"value.x",
        b"value.xxxxx",
        b"value.\xff",
        b"value.AA",
        b"value.aE7hgB",
        b"value.aE7hgA=",
        b"value." + b"_" * 40,
    ],
)
def test_signed_value_with_invalid_time_is_rejected(value: bytes) -> None:
    assert SIGNER.read(signed(value)) is None


def test_token_over_4096_bytes_is_rejected() -> None:
    at_most = b"v" * (4096 - len(SIGNER.sign(b"", NOW)))
    for value in (at_most[1:], at_most):
        assert SIGNER.read(SIGNER.sign(value, NOW)) == (value, NOW)
    assert SIGNER.read(SIGNER.sign(at_most + b"v", NOW)) is None


@pytest.mark.parametrize("part", [1, 2], ids=["time", "signature"])
def test_changed_unused_base64_bits_are_rejected(part: int) -> None:
    token = SIGNER.sign(b"value", NOW)
    parts = token.split(b".")
    twins = [
        last
        for last in ALPHABET
        if base64_decode(parts[part][:-1] + bytes([last])) == base64_decode(parts[part]) and last != parts[part][-1]
    ]
    assert twins
    for last in twins:
        forged = b".".join([*parts[:part], parts[part][:-1] + bytes([last]), *parts[part + 1 :]])
        assert SIGNER.read(forged) is None


def test_signer_rejects_altered_tokens_that_itsdangerous_accepts() -> None:
    token = SIGNER.sign(b"value", NOW)
    lenient = [token[:-1] + bytes([last]) for last in ALPHABET if bytes([last]) != token[-1:]]
    accepted = [forged for forged in lenient if _accepts(At(KEY), forged)]
    assert accepted
    assert not any(SIGNER.read(forged) for forged in accepted)


@pytest.mark.parametrize("added", [b"=", b"==", b" ", b"\n", b"\t", b"\x00", b"!", b".", b"A", b"\xff", b'"'])
def test_token_with_added_byte_is_rejected(added: bytes) -> None:
    token = SIGNER.sign(b"value", NOW)
    assert not any(SIGNER.read(token[:at] + added + token[at:]) for at in range(len(token) + 1))


def test_token_with_changed_bit_is_rejected() -> None:
    token = SIGNER.sign(b"value", NOW)
    for at, bit in ((at, 1 << bit) for at in range(len(token)) for bit in range(8)):
        assert SIGNER.read(token[:at] + bytes([token[at] ^ bit]) + token[at + 1 :]) is None


def test_token_with_dropped_byte_is_rejected() -> None:
    token = SIGNER.sign(b"value", NOW)
    assert not any(SIGNER.read(token[:at] + token[at + 1 :]) for at in range(len(token)))


def _accepts(signer: Signer, token: bytes) -> bool:
    try:
        signer.unsign(token)
    except BadSignature:
        return False
    return True
