"""Tests of tokens: what is signed, which tokens count, and what the consent cookie and the state cookie say."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer as PlainSigner
from itsdangerous import TimestampSigner
from itsdangerous.encoding import base64_decode

from cookie_consent.decision.decision import decide
from cookie_consent.decision.record import CONSENT_LIFETIME, SOURCES, Answer, ConsentRecord, State
from cookie_consent.decision.tokens import Signer, parse_record, parse_visitor, write_record, write_state
from cookie_consent.policy.parts import LONGEST_PURPOSE_ID
from tests.support.policies import KEY, NOW, consent_record, granting_record, small_policy

OLD, NEW = "old-" + "o" * 32, "new-" + "n" * 32
SIGNER = Signer(KEY, "salt")
TOKEN = SIGNER.sign(b"value", NOW)
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LIFETIME = CONSENT_LIFETIME.total_seconds()


def signed(value: bytes) -> bytes:
    """Return a value with a valid signature, whatever it contains."""
    return PlainSigner(KEY, salt="salt", key_derivation="hmac", digest_method=hashlib.sha256).sign(value)


# Signatures


@given(st.binary(), st.integers(0, 253_402_300_799))
def test_value_and_time_are_read_back_here_and_by_itsdangerous(value: bytes, now: int) -> None:
    token = SIGNER.sign(value, now)
    assert SIGNER.read(token) == (value, now)
    theirs = TimestampSigner(KEY, salt="salt", key_derivation="hmac", digest_method=hashlib.sha256)
    assert theirs.unsign(token) == value
    assert token == signed(token.rpartition(b".")[0])


@pytest.mark.requirement("CK-19")
def test_last_key_signs_and_every_key_verifies() -> None:
    rotated = Signer([OLD, NEW], "salt")
    assert rotated.sign(b"value", NOW) == Signer(NEW, "salt").sign(b"value", NOW)
    assert rotated.read(Signer(OLD, "salt").sign(b"value", NOW)) == (b"value", NOW)
    assert Signer([NEW], "salt").read(Signer((OLD,), "salt").sign(b"value", NOW)) is None


def test_token_of_other_salt_is_rejected() -> None:
    assert Signer(KEY, "other").read(TOKEN) is None


@pytest.mark.requirement("CK-19")
@pytest.mark.parametrize(
    "keys", [None, "", "k" * 31, [], [""], [None], [b"k" * 32], b"k" * 32, {"k" * 32}, ["k" * 32, "short"], " " * 40]
)
def test_missing_or_short_key_raises(keys: str) -> None:
    with pytest.raises(ValueError, match="each key is a text of at least 32 characters"):
        Signer(keys, "salt")
    assert Signer("k" * 32, "salt")


@given(st.binary(), st.binary())
def test_bytes_never_raise_and_count_only_with_a_signature(value: bytes, time: bytes) -> None:
    assert SIGNER.read(value) is None
    for token in (signed(value), signed(value + b"." + time)):
        found = SIGNER.read(token)
        assert found is None or 0 <= found[1] <= 253_402_300_799


@pytest.mark.parametrize(
    "time", [b"x", b"xxxxx", b"\xff", b"AA", b"aE7hgB", b"aE7hgA=", b"_" * 40, b"Ov____8", b"-" * 6]
)
def test_signed_value_with_invalid_time_is_rejected(time: bytes) -> None:
    assert SIGNER.read(signed(b"value." + time)) is None


def test_token_over_4096_bytes_is_rejected() -> None:
    at_most = b"v" * (4096 - len(SIGNER.sign(b"", NOW)))
    assert SIGNER.read(SIGNER.sign(at_most, NOW)) == (at_most, NOW)
    assert SIGNER.read(SIGNER.sign(at_most + b"v", NOW)) is None


@pytest.mark.requirement("CK-19")
def test_token_counts_only_byte_for_byte_as_issued() -> None:
    altered = {TOKEN[:at] + TOKEN[at + 1 :] for at in range(len(TOKEN))}
    for at in range(len(TOKEN) + 1):
        added = [b"=", b"==", b" ", b"\n", b"\t", b"\x00", b"!", b".", b"A", b"\xff", b'"']
        altered.update(TOKEN[:at] + octets + TOKEN[at:] for octets in added)
    for at, bit in ((at, 1 << bit) for at in range(len(TOKEN)) for bit in range(8)):
        altered.add(TOKEN[:at] + bytes([TOKEN[at] ^ bit]) + TOKEN[at + 1 :])
    assert not any(map(SIGNER.read, altered - {TOKEN}))


@pytest.mark.parametrize("part", [1, 2], ids=["time", "signature"])
def test_other_spelling_of_the_same_base64_is_rejected(part: int) -> None:
    parts = TOKEN.split(b".")
    spellings = [parts[part][:-1] + bytes([last]) for last in ALPHABET]
    twins = [spelling for spelling in spellings if base64_decode(spelling) == base64_decode(parts[part])]
    assert len(twins) > 1
    read = [SIGNER.read(b".".join([*parts[:part], twin, *parts[part + 1 :]])) for twin in twins]
    assert sum(found is not None for found in read) == 1


# The consent cookie


RECORD = ConsentRecord(
    answers={"analytics": Answer(State.GRANTED, "AbC_-"), "media": Answer(State.REFUSED, "01234")},
    policy="0123456789abcdef",
    decided_at=NOW,
    source="banner",
    language="ja",
    signals=frozenset({"gpc"}),
    consent_id="kJ3kd9sWq0aZ_-1x2y3z4A",
)
RECORDS = st.builds(
    ConsentRecord,
    answers=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_-]{0,26}", fullmatch=True),
        st.builds(Answer, st.sampled_from(State), st.text("ABCabc019_-", min_size=5, max_size=5)),
        max_size=8,
    ),
    policy=st.text("0123456789abcdef", min_size=16, max_size=16),
    decided_at=st.integers(0, 2**32),
    source=st.sampled_from(SOURCES),
    language=st.from_regex(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8}){0,2}", fullmatch=True),
    signals=st.frozensets(st.sampled_from(["gpc", "dnt"])),
    consent_id=st.just("") | st.text("ABCxyz019_-", min_size=22, max_size=22),
)


@pytest.mark.requirement("CK-01")
@given(RECORDS)
def test_record_survives_writing_and_reading_in_cookie_octets(record: ConsentRecord) -> None:
    value = write_record(record)
    assert re.fullmatch(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+", value)
    found = parse_record(value.encode(), record.decided_at, LIFETIME)
    assert found == record
    assert [*found.answers] == [*record.answers]


def test_record_is_written_as_browsers_have_it() -> None:
    value = "1~0123456789abcdef~ja~0~g~kJ3kd9sWq0aZ_-1x2y3z4A~analytics+AbC_-*media-01234"
    assert write_record(RECORD) == value
    assert write_record(replace(RECORD, signals=frozenset({"gpc", "new"}))) == value
    assert parse_record(value.encode(), NOW, 7.5) == replace(RECORD, lifetime=7.5)


@pytest.mark.requirement("CK-02")
@pytest.mark.parametrize("language", ["fil", "en-GB"])
def test_cookie_with_eight_longest_purposes_is_under_400_bytes(language: str) -> None:
    answers = {f"p{number}".ljust(LONGEST_PURPOSE_ID, "x"): Answer(State.GRANTED, "AbC_-") for number in range(8)}
    both = frozenset({"gpc", "dnt"})
    value = write_record(replace(RECORD, answers=answers, language=language, signals=both)).encode()
    assert len(b"__Host-consent=" + SIGNER.sign(value, NOW)) < 400
    assert parse_record(value, NOW, LIFETIME)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"1~v~en~0~~",
        b"1~v~en~0~~~~",
        b"2~v~en~0~~~a+AbC_-",
        b"~v~en~0~~~a+AbC_-",
        b"1~v~en~~~~a+AbC_-",
        b"1~v~en~5~~~a+AbC_-",
        b"1~v~en~-1~~~a+AbC_-",
        b"1~v~en~00~~~a+AbC_-",
        b"1~v~en~\xb2~~~a+AbC_-",
        b"1~v~en~0~~~a?AbC_-",
        b"1~v~en~0~~~a+AbC",
        b"1~v~en~0~~~a+AbC_-x",
        b"1~v~en~0~~~A+AbC_-",
        b"1~v~en~0~~~+AbC_-",
        b"1~v~en~0~~~a+AbC_-*",
        b"1~v~en~0~~~*a+AbC_-",
        b"1~v~en~0~~~a+AbC_-\n",
        b"1~v~en~0~~~" + b"a" * 28 + b"+AbC_-",
        b'{"analytics": true}',
    ],
)
def test_text_of_another_shape_is_no_record(value: bytes) -> None:
    assert parse_record(value, NOW, LIFETIME) is None


@given(st.binary() | st.binary().map(lambda octets: b"1~v~en~0~" + octets))
def test_reading_what_was_signed_never_raises(value: bytes) -> None:
    found = parse_record(value, NOW, LIFETIME)
    assert found is None or found.decided_at == NOW
    visitor = parse_visitor(value, NOW, LIFETIME)
    assert (visitor.id, visitor.valid_until) == (value.decode("latin-1").partition("~")[0], NOW + LIFETIME)


def test_record_without_answers_is_valid() -> None:
    found = parse_record(b"1~v~en~4~gdx~~", NOW, LIFETIME)
    assert found
    assert (found.answers, found.source, sorted(found.signals)) == ({}, "signal", ["dnt", "gpc"])


# The state cookie


STATE_POLICY = small_policy("ads", "analytics", "media")


@pytest.mark.parametrize(
    ("record", "signals", "state"),
    [
        (None, (), ""),
        (consent_record(STATE_POLICY, {"ads": State.UNANSWERED}), (), "open"),
        (consent_record(STATE_POLICY, {"ads": State.GRANTED, "media": State.GRANTED}), ("gpc",), ".ac.g"),
        (granting_record(STATE_POLICY), ("gpc", "dnt"), ".ac.dg"),
        (consent_record(STATE_POLICY, {}), (), ".."),
    ],
    ids=["nobody", "open", "some", "all", "none"],
)
def test_state_says_what_is_allowed_and_under_which_policy(
    record: ConsentRecord | None, signals: tuple[str, ...], state: str
) -> None:
    written = write_state(decide(STATE_POLICY, record, frozenset(signals), NOW))
    assert written == (STATE_POLICY.version[:8] + state if state.startswith(".") else state)
