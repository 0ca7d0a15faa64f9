"""Tests of the consent cookie's token: content, size and signature."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import TimestampSigner

from cookie_consent.decision import consent_cookie, visitor_cookie
from cookie_consent.decision.record import SOURCES, Answer, ConsentRecord, State
from cookie_consent.decision.signing import Signer
from cookie_consent.policy.parts import LONGEST_PURPOSE_ID
from tests.support.examples import examples
from tests.support.policies import KEY, NOW

SIGNER = Signer(KEY, consent_cookie.SALT)
COOKIE = consent_cookie.ConsentCookie(SIGNER)
RECORD = ConsentRecord(
    answers={"analytics": Answer(State.GRANTED, "AbC_-"), "media": Answer(State.REFUSED, "01234")},
    policy="0123456789abcdef",
    decided_at=NOW,
    source="banner",
    language="ja",
    signals=frozenset({"gpc"}),
    consent_id="kJ3kd9sWq0aZ_-1x2y3z4A",
)
TOKEN = COOKIE.write(RECORD).encode()
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
    token = COOKIE.write(record)
    [found] = COOKIE.read([token.encode()])
    assert found == record
    assert list(found.answers) == list(record.answers)
    assert COOKIE.write(found) == token


@given(RECORDS)
def test_token_has_only_cookie_octets(record: ConsentRecord) -> None:
    assert COOKIE_OCTETS.fullmatch(COOKIE.write(record))


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
    token = COOKIE.write(record)
    assert len("__Host-consent=" + token) < 400
    assert COOKIE.read([token.encode()]) == [record]


@pytest.mark.parametrize(("purposes", "is_shared"), [(1, True), (40, False)])
def test_equal_answers_are_shared_unless_long(purposes: int, is_shared: bool) -> None:
    answers = {f"p{number}": Answer(State.GRANTED, "AbC_-") for number in range(purposes)}
    tokens = [COOKIE.write(replace(RECORD, answers=answers, consent_id=name * 22)).encode() for name in "ab"]
    one, other = COOKIE.read(tokens)
    assert one.answers == other.answers == answers
    assert (one.answers is other.answers) == is_shared


def test_unknown_signals_are_left_out() -> None:
    record = replace(RECORD, signals=frozenset({"gpc", "new"}))
    assert COOKIE.read([COOKIE.write(record).encode()])[0].signals == {"gpc"}


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
    assert COOKIE.read([mutant]) == []


@given(st.lists(st.binary()))
def test_arbitrary_bytes_are_ignored(tokens: list[bytes]) -> None:
    assert COOKIE.read(tokens) == []


def test_valid_tokens_are_read_among_invalid_ones() -> None:
    other = replace(RECORD, decided_at=NOW + 1)
    tokens = [b"", b"garbage", TOKEN[:-1], TOKEN, b"\xff" * 5000, COOKIE.write(other).encode(), TOKEN + b"\x00"]
    assert COOKIE.read(tokens) == [RECORD, other]


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
    assert COOKIE.read([SIGNER.sign(value, NOW)]) == []


@given(st.binary() | st.binary().map(lambda octets: b"1~v~en~0~" + octets), st.integers(0, 2**32))
def test_reading_signed_value_never_raises(value: bytes, now: int) -> None:
    assert all(record.decided_at == now for record in COOKIE.read([SIGNER.sign(value, now)]))


def test_record_without_answers_is_valid() -> None:
    [record] = COOKIE.read([SIGNER.sign(b"1~v~en~4~gdx~~", NOW)])
    assert record.answers == {}
    assert record.source == "signal"
    assert record.signals == {"gpc", "dnt"}


@given(RECORDS)
def test_consent_token_is_invalid_as_visitor_token(record: ConsentRecord) -> None:
    token = COOKIE.write(record).encode()
    assert Signer(KEY, visitor_cookie.SALT).read(token) is None
    assert consent_cookie.ConsentCookie(Signer(KEY, visitor_cookie.SALT)).read([token]) == []


def test_token_of_older_key_is_read_while_key_is_listed() -> None:
    new = "new-" + "n" * 32
    assert consent_cookie.ConsentCookie(Signer([KEY, new], consent_cookie.SALT)).read([TOKEN]) == [RECORD]
    assert consent_cookie.ConsentCookie(Signer([new], consent_cookie.SALT)).read([TOKEN]) == []


def test_itsdangerous_reads_consent_token() -> None:
    reader = TimestampSigner(KEY, salt=consent_cookie.SALT, key_derivation="hmac", digest_method=hashlib.sha256)
    value, issued = reader.unsign(TOKEN, return_timestamp=True)
    assert value == b"1~0123456789abcdef~ja~0~g~kJ3kd9sWq0aZ_-1x2y3z4A~analytics+AbC_-*media-01234"
    assert issued.timestamp() == NOW
