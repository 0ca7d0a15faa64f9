"""Tests of the consent cookie's token: content, size and signature."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from cookie_consent.decision.own_cookies import CONSENT, VISITOR
from cookie_consent.decision.record import CONSENT_LIFETIME, SOURCES, Answer, ConsentRecord, State
from cookie_consent.decision.tokens import Signer, parse_record, write_record
from cookie_consent.policy.parts import LONGEST_PURPOSE_ID
from tests.support.examples import examples
from tests.support.policies import KEY, NOW

SIGNER = Signer(KEY, CONSENT.salt)


def write(record: ConsentRecord) -> bytes:
    return SIGNER.sign(write_record(record).encode(), record.decided_at)


def read(tokens: Iterable[bytes], signer: Signer = SIGNER) -> list[ConsentRecord]:
    signed = filter(None, map(signer.read, tokens))
    found = [parse_record(value, issued, CONSENT_LIFETIME.total_seconds()) for value, issued in signed]
    return [record for record in found if record is not None]


RECORD = ConsentRecord(
    answers={"analytics": Answer(State.GRANTED, "AbC_-"), "media": Answer(State.REFUSED, "01234")},
    policy="0123456789abcdef",
    decided_at=NOW,
    source="banner",
    language="ja",
    signals=frozenset({"gpc"}),
    consent_id="kJ3kd9sWq0aZ_-1x2y3z4A",
)
TOKEN = write(RECORD)
COOKIE_OCTETS = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")

IDS = st.from_regex(r"[a-z][a-z0-9_-]{0,26}", fullmatch=True)
FACTS = st.text("ABCabc019_-", min_size=5, max_size=5)
RECORDS = st.builds(
    ConsentRecord,
    answers=st.dictionaries(IDS, st.builds(Answer, st.sampled_from(State), FACTS), max_size=8),
    policy=st.text("0123456789abcdef", min_size=16, max_size=16),
    decided_at=st.integers(0, 2**32),
    source=st.sampled_from(SOURCES),
    language=st.from_regex(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8}){0,2}", fullmatch=True),
    signals=st.frozensets(st.sampled_from(["gpc", "dnt"])),
    consent_id=st.just("") | st.text("ABCxyz019_-", min_size=22, max_size=22),
)


@given(RECORDS)
def test_record_survives_writing_and_reading(record: ConsentRecord) -> None:
    token = write(record)
    [found] = read([token])
    assert found == record
    assert list(found.answers) == list(record.answers)
    assert write(found) == token


@given(RECORDS)
def test_token_has_only_cookie_octets(record: ConsentRecord) -> None:
    assert COOKIE_OCTETS.fullmatch(write(record).decode())


@pytest.mark.parametrize("language", ["ja", "fil", "en-GB"])
def test_cookie_with_eight_longest_purposes_is_under_400_bytes(language: str) -> None:
    answers = {f"p{number}".ljust(LONGEST_PURPOSE_ID, "x"): Answer(State.GRANTED, "AbC_-") for number in range(8)}
    record = ConsentRecord(
        answers=answers,
        policy="0123456789abcdef",
        decided_at=NOW,
        source="banner",
        language=language,
        signals=frozenset({"gpc", "dnt"}),
        consent_id="x" * 22,
    )
    token = write(record)
    assert len(b"__Host-consent=" + token) < 400
    assert read([token]) == [record]


def test_unknown_signals_are_left_out() -> None:
    record = replace(RECORD, signals=frozenset({"gpc", "new"}))
    assert read([write(record)])[0].signals == {"gpc"}


def _mutations(token: bytes) -> st.SearchStrategy[bytes]:
    at, octet = st.integers(0, len(token) - 1), st.integers(0, 255)
    other = st.integers(1, 255)
    return st.one_of(
        st.builds(lambda at, by: token[:at] + bytes([token[at] ^ by]) + token[at + 1 :], at, other),
        st.builds(lambda at, octet: token[:at] + bytes([octet]) + token[at:], at, octet),
        st.builds(lambda octet: token + bytes([octet]), octet),
        st.builds(lambda at: token[:at] + token[at + 1 :], at),
        st.builds(lambda at: token[:at], at),
        st.builds(lambda at: token[at + 1 :], at),
        st.builds(lambda at: token[:at] + token[at : at + 1] + token[at:], at),
        st.builds(lambda first, second: _swapped(token, first, second), at, at),
        st.sampled_from([b" " + token, token + b" ", b'"' + token + b'"', token + b"=", token + b"==", token + token]),
    )


def _swapped(token: bytes, first: int, second: int) -> bytes:
    octets = bytearray(token)
    octets[first], octets[second] = octets[second], octets[first]
    return bytes(octets)


@examples(1000)
@given(_mutations(TOKEN).filter(lambda mutant: mutant != TOKEN))
@pytest.mark.slow
def test_altered_token_is_ignored(mutant: bytes) -> None:
    assert read([mutant]) == []


@given(st.lists(st.binary()))
def test_arbitrary_bytes_are_ignored(tokens: list[bytes]) -> None:
    assert read(tokens) == []


def test_valid_tokens_are_read_among_invalid_ones() -> None:
    other = replace(RECORD, decided_at=NOW + 1)
    tokens = [b"", b"garbage", TOKEN[:-1], TOKEN, b"\xff" * 5000, write(other), TOKEN + b"\x00"]
    assert read(tokens) == [RECORD, other]


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
        b"1~v~en~9~~~a+AbC_-",
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
        b"1~v~en~0~~~" + b"a" * 29 + b"+AbC_-",
        b'{"analytics": true}',
    ],
)
def test_signed_value_of_wrong_shape_is_ignored(value: bytes) -> None:
    assert read([SIGNER.sign(value, NOW)]) == []


@given(st.binary() | st.binary().map(lambda octets: b"1~v~en~0~" + octets), st.integers(0, 2**32))
def test_reading_signed_value_never_raises(value: bytes, now: int) -> None:
    assert all(record.decided_at == now for record in read([SIGNER.sign(value, now)]))


def test_record_without_answers_is_valid() -> None:
    [record] = read([SIGNER.sign(b"1~v~en~4~gdx~~", NOW)])
    assert record.answers == {}
    assert record.source == "signal"
    assert record.signals == {"gpc", "dnt"}


@given(RECORDS)
def test_consent_token_is_invalid_as_visitor_token(record: ConsentRecord) -> None:
    token = write(record)
    assert Signer(KEY, VISITOR.salt).read(token) is None
    assert read([token], Signer(KEY, VISITOR.salt)) == []


def test_token_of_older_key_is_read_while_key_is_listed() -> None:
    new = "new-" + "n" * 32
    assert read([TOKEN], Signer([KEY, new], CONSENT.salt)) == [RECORD]
    assert read([TOKEN], Signer([new], CONSENT.salt)) == []


def test_itsdangerous_reads_consent_token() -> None:
    reader = TimestampSigner(KEY, salt=CONSENT.salt, key_derivation="hmac", digest_method=hashlib.sha256)
    value, issued = reader.unsign(TOKEN, return_timestamp=True)
    assert value == b"1~0123456789abcdef~ja~0~g~kJ3kd9sWq0aZ_-1x2y3z4A~analytics+AbC_-*media-01234"
    assert issued.timestamp() == NOW
