"""Tests of Cookie and Set-Cookie fields: pairs, values, deletions and dates."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cookie_consent.base.cookies import (
    expire_cookie,
    find_values,
    is_deletion,
    is_sent_to,
    list_names_read,
    list_settable_domains,
    parse_date,
    read_cookie_name,
    read_lifetime,
    set_cookie,
    shorten_lifetime,
    split_cookies,
)
from tests.support.examples import examples

NOW = 1_750_000_000
MONTH = timedelta(days=30)
PAST, FUTURE = b"Thu, 01 Jan 1970 00:00:00 GMT", b"Fri, 31 Dec 2049 23:59:59 GMT"


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (b"a=1", [(b"a", b"a=1")]),
        (b"a=1; b=2", [(b"a", b"a=1"), (b"b", b"b=2")]),
        (b"a=1;b=2", [(b"a", b"a=1"), (b"b", b"b=2")]),
        (b" \ta=1 ;\t b = 2 ", [(b"a", b"a=1"), (b"b", b"b = 2")]),
        (b"a=1; a=2", [(b"a", b"a=1"), (b"a", b"a=2")]),
        (b"a=b=c", [(b"a", b"a=b=c")]),
        (b"a=", [(b"a", b"a=")]),
        (b"nameless", [(b"", b"nameless")]),
        (b"=nameless", [(b"", b"=nameless")]),
        (b'a="1; b=2"', [(b"a", b'a="1'), (b"b", b'b=2"')]),
        (b"\xe3\x81=\xff", [(b"\xe3\x81", b"\xe3\x81=\xff")]),
        (b"", []),
        (b" ;; \t;", []),
    ],
)
def test_cookie_field_splits_into_pairs(field: bytes, found: list[tuple[bytes, bytes]]) -> None:
    assert list(split_cookies(field)) == found


@pytest.mark.requirement("CK-07")
@pytest.mark.parametrize(
    ("field", "found"),
    [
        (b"c=1", [b"1"]),
        (b"b=0; c=1; C=2; c=3", [b"1", b"3"]),
        (b"c=a=b", [b"a=b"]),
        (b"c=", [b""]),
        (b"c; =c; cc=1; xc=1", []),
        (b"__Host-c=evil; c=good", [b"good"]),
        (b"", []),
    ],
)
def test_values_match_name_exactly(field: bytes, found: list[bytes]) -> None:
    assert find_values(field, b"c") == found


@pytest.mark.parametrize(
    ("field", "found"), [(b"c= 1", b" 1"), (b"c=1 ", b"1 "), (b"c=\t1\t; a=2", b"\t1\t"), (b'c="1"', b'"1"')]
)
def test_cookie_value_keeps_every_byte(field: bytes, found: bytes) -> None:
    assert find_values(field, b"c") == [found]


@given(st.binary(), st.binary())
def test_any_bytes_can_be_parsed_as_cookies(field: bytes, name: bytes) -> None:
    assert all(b";" not in value for value in find_values(field, name))
    assert all(pair.strip(b" \t") == pair and b";" not in pair for _, pair in split_cookies(field))
    assert b";" not in read_cookie_name(field)


@pytest.mark.requirement("CK-04", "CK-16")
@pytest.mark.parametrize(("secure", "end"), [(True, b"; Secure"), (False, b"")])
def test_our_cookie_is_host_only_and_http_only(secure: bool, end: bytes) -> None:
    field = set_cookie("consent", "token", 15_552_000, secure=secure)
    assert field == b"consent=token; Max-Age=15552000; Path=/; HttpOnly; SameSite=Lax" + end
    shared = set_cookie("state", "s", 5, path="/p", domain="site.example", secure=secure, http_only=False)
    assert shared == b"state=s; Max-Age=5; Path=/p; SameSite=Lax; Domain=site.example" + end


@pytest.mark.requirement("CK-12")
@pytest.mark.parametrize(
    ("field", "place"),
    [
        (expire_cookie(b"a", secure=False), b"Path=/"),
        (expire_cookie(b"a", secure=True), b"Path=/; Secure"),
        (expire_cookie(b"a", path="/shop", secure=False), b"Path=/shop"),
        (expire_cookie(b"a", domain="example.jp", secure=True), b"Path=/; Domain=example.jp; Secure"),
        (expire_cookie(b"a", domain="", secure=False), b"Path=/"),
    ],
)
def test_cookie_is_expired_at_its_path_and_domain(field: bytes, place: bytes) -> None:
    assert field == b"a=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; " + place


@pytest.mark.parametrize("name", [b"__Host-a", b"__HOST-a", b"__Secure-a", b"__secure-a", b"__Host-Http-a"])
def test_deletion_of_prefixed_name_is_secure(name: bytes) -> None:
    assert expire_cookie(name, secure=False).endswith(b"; Secure")


@given(st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", fullmatch=True), st.booleans())
def test_expire_cookie_writes_deletion_of_its_name(name: bytes, secure: bool) -> None:
    field = expire_cookie(name, path="/p", domain="example.jp", secure=secure)
    assert read_cookie_name(field) == name
    assert is_deletion(field, NOW)
    assert not stores(field, NOW)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (b"a=1", b"a"),
        (b" \ta\t =1; Path=/", b"a"),
        (b"a=b=c", b"a"),
        (b"nameless; Path=/", b""),
        (b"=x", b""),
        (b"; a=1", b""),
        (b"", b""),
        (b"a; b=1", b""),
        (b"A=1", b"A"),
    ],
)
def test_cookie_name_is_read_from_set_cookie_field(field: bytes, name: bytes) -> None:
    assert read_cookie_name(field) == name


@pytest.mark.parametrize(
    "field",
    [
        b"a=; Max-Age=0",
        b"a=x; max-age=0; Path=/",
        b"a=;MAX-AGE = 0",
        b"a=; Max-Age=-1",
        b"a=; Max-Age=-0",
        b"a=; Max-Age=00",
        b"a=; Max-Age=1; Max-Age=0",
        b"a=; Max-Age=0; Expires=" + FUTURE,
        b"a=; Expires=" + FUTURE + b"; Max-Age=0",
        b"a=; Expires=" + PAST,
        b"a=; expires=Thu, 1-Jan-70 0:0:0",
        b"a=; Expires=" + FUTURE + b"; Expires=" + PAST,
        b"a=; Expires=garbage; Expires=" + PAST,
        b"a=; Max-Age=0; Expires=garbage",
        b'a=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/; SameSite=lax',
        b"a=deleted; expires=Thu, 01-Jan-1970 00:00:01 GMT; Max-Age=0; path=/",
        b"nameless; Max-Age=0",
        b"a=; max-age = 0 ",
        b"a=; Max-Age=000",
        b"a=; Path=/; Domain=site.example; HttpOnly; Max-Age=0; Secure",
        b"a=; expires=thu, 01-jan-70 00:00:00",
        b"a=; Expires=Thursday, 01-Jan-70 00:00:00 GMT",
        b"a=; Expires=Sun Nov  6 08:49:37 1994",
        b"a=; Expires=1 jan 1970 0:0:0",
    ],
)
def test_field_that_every_browser_deletes_is_deletion(field: bytes) -> None:
    assert is_deletion(field, NOW)


@pytest.mark.parametrize(
    "field",
    [
        b"a=1",
        b"a=",
        b"a=; Path=/",
        b"Max-Age=0",
        b"Max-Age=0; Path=/",
        b"a=; Max-Age=1",
        b"a=; Max-Age=0; Max-Age=1",
        b"a=; Max-Age=3600; Expires=" + PAST,
        b"a=; Expires=" + PAST + b"; Max-Age=3600",
        b"a=; Expires=" + FUTURE,
        b"a=; Expires=" + PAST + b"; Expires=" + FUTURE,
        b"a=; Expires=" + PAST + b"; Expires=garbage",
        b"a=; Expires",
        b"a=; Expires=",
        b"a=; Expires=0",
        b"a=; Expires=-1",
        b"a=; Max-Age",
        b"a=; Max-Age=",
        b"a=; Max-Age=-",
        b"a=; Max-Age=+0",
        b"a=; Max-Age=0.0",
        b"a=; Max-Age=0x0",
        b'a=; Max-Age="0"',
        b"a=; Max-Age=0, b=1",
        b"a=; Max-Age=0 0",
        b"a=; Max-Age=0; Max-Age=x",
        b"a=; Max-Age=x; Max-Age=0",
        b"a=; Max-Age=x; Expires=" + PAST,
        b"a=; Max-Age=" + b"0" * 1025,
        b"a=; Max-Age=-" + b"1" * 1024,
        b"a=; Expires=" + PAST + b" " + b"x" * 1024,
        b"a=; Max\xc2\xadAge=0",
        b"a=; Max-Age=\xef\xbc\x90",
        b"a=\x00; Max-Age=0",
        b"a=; Max-Age=0\r",
        b"a=; Max-Age=0; \x7f",
        b"a=\nb=1; Max-Age=0",
        b"a=; Path=\0; Max-Age=0",
        b"a=; Max-Age=\xb2",
        b"a=; X-Max-Age=0",
        b"a=; Max-Age\x0b=0",
        b"a=; \xa0Max-Age=0",
        b"a=; Expires=never",
        b"a=; Expires=Thu, 01 Jan 1970",
        b"a=; Expires=Thu, 01 Jan 1970 24:00:00 GMT",
        b"a=; Expires=Thu, 32 Jan 1970 00:00:00 GMT",
        b"a=; Expires=Mon, 30 Feb 1970 00:00:00 GMT",
        b"a=; Expires=Mon, 01 Jan 1600 00:00:00 GMT",
        b"a=; Expires=Fri, 01-Jan-69 00:00:00 GMT",
        b"a=; Expires=" + PAST + b" x" * 600,
        b"",
    ],
)
def test_field_that_some_browser_may_store_is_not_deletion(field: bytes) -> None:
    assert not is_deletion(field, NOW)


@pytest.mark.parametrize(("length", "expected"), [(1023, True), (1024, True), (1025, False)])
@pytest.mark.parametrize(
    ("attribute", "filler"), [(b"Max-Age=0", b"0"), (b"Expires=Thu, 01 Jan 1970 00:00:00 GMT", b"!")]
)
def test_attribute_value_over_1024_bytes_is_not_deletion(
    attribute: bytes, filler: bytes, length: int, expected: bool
) -> None:
    name, _, value = attribute.partition(b"=")
    assert is_deletion(b"a=; " + name + b"=" + value.ljust(length, filler), NOW) == expected


def test_expires_in_future_is_not_deletion_yet() -> None:
    field = b"a=; Expires=Sun, 15 Jun 2025 15:06:40 GMT"
    assert is_deletion(field, NOW)
    assert not is_deletion(field, NOW - 1)


# A model of what a browser does with a Set-Cookie field, step by step as in sections 5.6 and 5.7 of RFC 6265bis. Where
# browsers differ, or once did, a Reading says how this one behaves.


@dataclass(frozen=True)
class Reading:
    """How a browser reads what browsers read differently.

    Args:
        limits: it ignores attributes with long values.
        last_age: its last Max-Age counts even if that is no number. The cookie is then stored.
        last_expires: its last Expires counts even if that is no date. The cookie is then stored.
        cuts: it cuts a field off at a control character. Otherwise it ignores the field.
    """

    limits: bool = True
    last_age: bool = False
    last_expires: bool = False
    cuts: bool = False


READINGS = [Reading(*way) for way in product((True, False), repeat=4)]


def stores(field: bytes, now: float, reading: Reading = Reading()) -> bool:
    """Return whether a browser stores a cookie for this field."""
    before, control, _ = _cut(field)
    if control and not reading.cuts:
        return False
    short = [(name, value) for name, value in _attributes(before) if not (reading.limits and len(value) > 1024)]
    ages = [_number(value) for name, value in short if name == b"max-age"]
    ages = [age for age in ages if age is not None or reading.last_age]
    dates = [_date(value) for name, value in short if name == b"expires"]
    dates = [date for date in dates if date is not None or reading.last_expires]
    if ages:
        return ages[-1] is None or ages[-1] > 0
    return not dates or dates[-1] is None or dates[-1] > now


def _cut(field: bytes) -> tuple[bytes, bytes, bytes]:
    """Return what is before the first control character, the character, and the rest."""
    at = next((at for at, octet in enumerate(field) if octet == 127 or (octet < 32 and octet != 9)), len(field))
    return field[:at], field[at : at + 1], field[at + 1 :]


def _attributes(field: bytes) -> list[tuple[bytes, bytes]]:
    split = [attribute.partition(b"=") for attribute in field.split(b";")[1:]]
    return [(name.strip(b" \t").lower(), value.strip(b" \t")) for name, _, value in split]


def _number(value: bytes) -> int | None:
    digits = value[1:] if value[:1] == b"-" else value
    return int(value) if digits and all(48 <= octet <= 57 for octet in digits) else None


def _date(value: bytes) -> float | None:
    """Read a date by the steps of section 5.1.1."""
    found: dict[str, tuple[int, ...]] = {}
    for token in _date_tokens(value):
        for part, read in DATE_PARTS.items():
            if part not in found and (numbers := read(token)) is not None:
                found[part] = numbers
                break
    if found.keys() != DATE_PARTS.keys():
        return None
    (hour, minute, second), (day,), (month,), (year,) = (found[part] for part in DATE_PARTS)
    year += 1900 if 70 <= year <= 99 else 2000 if 0 <= year <= 69 else 0
    if not (1 <= day <= 31 and year >= 1601 and hour <= 23 and minute <= 59 and second <= 59):
        return None
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _date_tokens(value: bytes) -> list[bytes]:
    delimiters = {0x09, *range(0x20, 0x30), *range(0x3B, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x7F)}
    return bytes(0x20 if octet in delimiters else octet for octet in value).split(b" ")


def _numbers(token: bytes, shortest: int, longest: int, count: int = 1) -> tuple[int, ...] | None:
    """Return numbers with colons between them. What follows them must not begin with a digit."""
    number = rb"([0-9]{%d,%d})" % (shortest, longest)
    match = re.match(b":".join([number] * count) + rb"(?:[^0-9].*)?\Z", token, re.DOTALL)
    return tuple(map(int, match.groups())) if match else None


def _month(token: bytes) -> tuple[int, ...] | None:
    names = b"jan feb mar apr may jun jul aug sep oct nov dec".split()
    return next(((at,) for at, name in enumerate(names, 1) if token.lower().startswith(name)), None)


DATE_PARTS: dict[str, Callable[[bytes], tuple[int, ...] | None]] = {
    "time": lambda token: _numbers(token, 1, 2, 3),
    "day": lambda token: _numbers(token, 1, 2),
    "month": _month,
    "year": lambda token: _numbers(token, 2, 4),
}

SPACE = st.sampled_from([b"", b"", b" ", b"\t"])
DATE_TOKENS = st.sampled_from(
    [b"Thu", b"01", b"1", b"31", b"29", b"Feb", b"Jan", b"december", b"1970", b"70", b"69", b"2049", b"1600", b"9999",
     b"0:0:0", b"00:00:00", b"23:59:59", b"24:00:00", b"12:34", b"1:2:345", b"1:2:3x", b"GMT", b"+0100", b"\xe9", b"x"]
)  # fmt: skip
DATES = st.lists(DATE_TOKENS | st.binary(max_size=4), max_size=8).flatmap(
    lambda tokens: st.sampled_from([b" ", b"-", b", ", b"/"]).map(lambda delimiter: delimiter.join(tokens))
)
VALUES = st.one_of(
    st.sampled_from([b"", b"0", b"-1", b"1", b"-", b"00", b"3600", b'"0"', b"0, b=1", b"0" * 1024, b"0" * 1025, b"x"]),
    st.sampled_from([PAST, FUTURE, PAST + b" " * 1024 + b"x"]),
    DATES,
    st.binary(max_size=6),
)
NAMES = st.sampled_from([b"Max-Age", b"max-age", b"MAX-AGE", b"Expires", b"expires", b"Path", b"Max-Agee", b"", b"a"])
ATTRIBUTES = st.tuples(SPACE, NAMES, SPACE, st.sampled_from([b"=", b"=", b"=", b""]), SPACE, VALUES, SPACE)
FIELDS = st.tuples(st.just(b"a=1") | st.binary(max_size=6), st.lists(ATTRIBUTES.map(b"".join), max_size=5)).map(
    lambda parts: b";".join([parts[0], *parts[1]])
)


@examples(400)
@given(FIELDS | st.binary())
@example(b"a=1; Max-Age=0; Max-Age=5")
@example(b"a=1; Expires=" + PAST + b"; Expires=x")
@example(b"a=1\x00; Max-Age=0")
@pytest.mark.slow
def test_deletion_stores_nothing_in_any_browser(field: bytes) -> None:
    if is_deletion(field, NOW):
        assert not any(stores(field, NOW, reading) for reading in READINGS)


@given(
    st.lists(
        st.sampled_from(
            [b"Max-Age=0", b"Max-Age=-5", b"Max-Age=60", b"Expires=" + PAST, b"Expires=" + FUTURE, b"Path=/"]
        ),
        max_size=6,
    )
)
def test_unambiguous_field_is_deletion_exactly_if_nothing_is_stored(attributes: list[bytes]) -> None:
    field = b"; ".join([b"a=1", *attributes])
    assert is_deletion(field, NOW) is not stores(field, NOW)


@given(st.datetimes(min_value=datetime(1601, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 (Hypothesis adds the zone)
def test_http_dates_are_read(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    assert parse_date(format_datetime(moment, usegmt=True)) == moment


@examples(200)
@given(DATES | st.binary())
@pytest.mark.slow
def test_dates_are_read_as_rfc_6265_specifies(value: bytes) -> None:
    date = parse_date(value.decode("latin-1"))
    assert (date.timestamp() if date else None) == _date(value)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Wed, 09 Jun 2021 10:18:14 GMT", datetime(2021, 6, 9, 10, 18, 14, tzinfo=UTC)),
        ("Wednesday, 09-Jun-21 10:18:14 GMT", datetime(2021, 6, 9, 10, 18, 14, tzinfo=UTC)),
        ("Wed Jun  9 10:18:14 2021", datetime(2021, 6, 9, 10, 18, 14, tzinfo=UTC)),
        ("10:18:14 9 june 2021", datetime(2021, 6, 9, 10, 18, 14, tzinfo=UTC)),
        ("9 Jun 69 1:2:3", datetime(2069, 6, 9, 1, 2, 3, tzinfo=UTC)),
        ("9 Jun 70 1:2:3", datetime(1970, 6, 9, 1, 2, 3, tzinfo=UTC)),
        ("9 Jun 1601 1:2:3", datetime(1601, 6, 9, 1, 2, 3, tzinfo=UTC)),
        ("9 Jun 1600 1:2:3", None),
        ("31 Jun 2021 1:2:3", None),
        ("9 Jun 2021 24:00:00", None),
        ("9 Jun 2021 10:18", None),
        ("9 Jun 10:18:14", None),
        ("Jun 2021 10:18:14", None),
        ("09 2021 10:18:14", None),
        ("", None),
        ("9 Jun ２０２１ 10:18:14", None),
    ],
)
def test_parse_date_is_read_as_in_browsers_or_rejected(text: str, date: datetime | None) -> None:
    assert parse_date(text) == date


@given(st.text())
def test_any_text_is_utc_date_or_none(text: str) -> None:
    date = parse_date(text)
    assert date is None or date.tzinfo is UTC


# Lifetimes


@pytest.mark.parametrize(
    ("field", "longest", "shortened"),
    [
        (b"a=s; Path=/; Max-Age=34560000; HttpOnly", None, b"a=s; Path=/; HttpOnly"),
        (b"a=s;expires=Fri, 13 Jun 2036 15:06:40 GMT ;Secure", None, b"a=s;Secure"),
        (b"a=s; Max-Age=60; Expires=" + PAST, None, b"a=s"),
        (b"a=s; Max-Age=0; Expires=" + FUTURE, None, b"a=s; Max-Age=0"),
        (b"a=s; Max-Age=x; Expires=" + PAST, None, b"a=s; Expires=" + PAST),
        (b"a=1; max-age = 34560000 ; Path=/videos", MONTH, b"a=1; max-age =2592000; Path=/videos"),
        (b"a=1; Expires=Fri, 13 Jun 2036 15:06:40 GMT", MONTH, b"a=1; Expires=Tue, 15 Jul 2025 15:06:40 GMT"),
        (b"a=1; Expires=Monday, 14-Jul-25 15:06:40 GMT", MONTH, b"a=1; Expires=Mon, 14 Jul 2025 15:06:40 GMT"),
        (b"a=1; Expires=Mon, 14 Jul 2025 15:06:40 GMT", MONTH, b"a=1; Expires=Mon, 14 Jul 2025 15:06:40 GMT"),
        (b"a=1; Max-Age=60; Max-Age=99999999", MONTH, b"a=1; Max-Age=60; Max-Age=2592000"),
        (b"a=1; Max-Age=1e9; Expires=soon", MONTH, b"a=1"),
        (b"a=1; Max-Age=" + b"6" * 1025, MONTH, b"a=1"),
        (b"a=1; Max-Age=" + b"6" * 1024, MONTH, b"a=1; Max-Age=2592000"),
        (b"a=1; Max-Age=2592000", MONTH, b"a=1; Max-Age=2592000"),
        (b"a=1; Max-Age=2592001", MONTH, b"a=1; Max-Age=2592000"),
        (b"a=1; Max-Age=-; Max-Age=-7", MONTH, b"a=1; Max-Age=-; Max-Age=-7"),
        (b"a=Max-Age=99999999; X-Max-Age=99999999", MONTH, b"a=Max-Age=99999999; X-Max-Age=99999999"),
        (b"a=; Max-Age=0; Path=/", None, b"a=; Max-Age=0; Path=/"),
        (b"a=; Expires=Thu, 01-Jan-1970 00:00:00 GMT", MONTH, b"a=; Expires=Thu, 01-Jan-1970 00:00:00 GMT"),
        (b"a=1; Path=/", MONTH, b"a=1; Path=/"),
    ],
)
def test_longer_lifetime_than_allowed_is_shortened(field: bytes, longest: timedelta | None, shortened: bytes) -> None:
    assert shorten_lifetime(field, longest, NOW) == shortened
    assert shorten_lifetime(shortened, longest, NOW) == shortened


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        (b"", None),
        (b"; Path=/", None),
        (b"; Max-Age=60", 60),
        (b"; Max-Age=0060; Max-Age=x", 60),
        (b"; Max-Age=60; Max-Age=5", 5),
        (b"; Max-Age=-60", -1),
        (b"; Max-Age=-", -math.inf),
        (b"; Max-Age=" + b"9" * 30, 999_999_999_999),
        (b"; Expires=Sun, 15 Jun 2025 15:07:40 GMT", 60),
        (b"; Expires=Sun, 15 Jun 2025 15:07:40 GMT; Max-Age=5", 5),
        (b"; Expires=Sun, 15 Jun 2025 15:07:40 GMT; Max-Age=soon", 60),
        (b"; Expires=soon", None),
        (b"; X-Max-Age=60; Max-Age2=60", None),
    ],
)
def test_lifetime_is_that_of_the_last_attribute_that_can_be_read(attributes: bytes, seconds: float | None) -> None:
    assert read_lifetime(b"a=1" + attributes, NOW) == seconds


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (b"a", {b"a"}),
        (b"\xa0a\x85", {b"a", b"\xa0a\x85"}),
        (b"\x1ca\x1f", {b"a"}),
        ("\u3000a".encode(), {"\u3000a".encode(), b"a"}),
    ],
)
def test_frameworks_read_a_name_without_what_they_take_for_white_space(name: bytes, read: set[bytes]) -> None:
    assert list_names_read(name) == read


# Domains and paths


@pytest.mark.parametrize(
    ("host", "domains"),
    [
        ("site.example", ["site.example"]),
        ("www.site.example", ["site.example", "www.site.example"]),
        ("xn--1-7fa.xn--p1ai", ["xn--1-7fa.xn--p1ai"]),
        ("g.f.e.d.c.b.a", ["b.a", "c.b.a", "d.c.b.a", "e.d.c.b.a", "f.e.d.c.b.a"]),
        ("localhost", []),
        ("", []),
        ("203.0.113.7", []),
        ("[2001:db8::1]", []),
        ("a..b", []),
        ("a.b;domain=c", []),
        ("a.b\n", []),
        ("(other)", []),
        ("a" * 64 + ".example", []),
    ],
)
def test_host_can_set_cookies_for_itself_and_parent_domains(host: str, domains: list[str]) -> None:
    assert list_settable_domains(host) == domains


@pytest.mark.parametrize(
    ("path", "cookie_path", "sent"),
    [
        ("/privacy-choices", "/", True),
        ("/privacy-choices", "/privacy-choices", True),
        ("/privacy-choices/events", "/privacy-choices", True),
        ("/privacy-choices/events", "/privacy-choices/", True),
        ("/privacy-choices", "/privacy-choices/", False),
        ("/privacy-choices", "/privacy", False),
        ("/privacy-choices", "/shop", False),
    ],
)
def test_cookie_is_sent_to_paths_below_its_path(path: str, cookie_path: str, sent: bool) -> None:
    assert is_sent_to(path, cookie_path) is sent
