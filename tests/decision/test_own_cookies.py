"""Tests of our cookies: names, attributes, lifetimes and settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cookie_consent.decision.own_cookies import CONSENT, ERASURE, HTTP, HTTPS, VISITOR, OwnCookies, Place
from cookie_consent.decision.record import Answer, ConsentRecord, State, choose_newest
from cookie_consent.decision.tokens import KnownVisitor, WithdrawnVisitor
from cookie_consent.policy.parts import Cookie
from cookie_consent.policy.policy import Policy
from tests.support.policies import KEY, NOW, granting_record, refusing_record, small_policy

POLICY = small_policy("analytics", "media")
GRANTED, REFUSED = granting_record(POLICY), refusing_record(POLICY)
OWN = OwnCookies(KEY)


def cookie_pair(field: bytes) -> bytes:
    return field.partition(b";")[0]


@pytest.mark.parametrize(
    ("secure", "start", "end"), [(True, rb"__Host-consent=", rb"; Secure"), (False, rb"consent=", rb"")]
)
def test_consent_cookie_is_http_only_and_lives_six_months(secure: bool, start: bytes, end: bytes) -> None:
    field = OWN.set_consent(GRANTED, place=Place(secure=secure))
    attributes = rb"; Max-Age=15897600; Path=/; HttpOnly; SameSite=Lax"
    assert re.fullmatch(start + rb"[!#-+\--:<-\[\]-~]+" + attributes + end, field)


@pytest.mark.parametrize(
    ("secure", "start", "end"), [(True, rb"__Host-visitor=", rb"; Secure"), (False, rb"visitor=", rb"")]
)
def test_visitor_cookie_is_http_only_and_lives_13_months(secure: bool, start: bytes, end: bytes) -> None:
    place = Place(secure=secure)
    visitor_id, field = OWN.set_visitor(NOW, place=place)
    cookies = b"; ".join([b"a=1", cookie_pair(OWN.set_consent(GRANTED, place=place)), cookie_pair(field), b"b=2"])
    assert OWN.read_records(cookies, place=place) == [GRANTED]
    assert OWN.read_visitor(cookies, NOW, place=place) == KnownVisitor(visitor_id, int(NOW), int(NOW) + 395 * 86_400)


def test_removing_arrival_does_not_extend_visitor_cookie() -> None:
    end = int(NOW) + 395 * 86_400
    visitor = KnownVisitor("one", int(NOW), end, "https://search.example")
    field = OWN.remove_referrer(visitor, NOW + 50.5, place=HTTPS)
    assert f"Max-Age={395 * 86_400 - 50}".encode() in field
    assert OWN.read_visitor(cookie_pair(field), NOW + 60, place=HTTPS) == KnownVisitor("one", int(NOW), end)
    assert b"Max-Age=1;" in OWN.remove_referrer(visitor, NOW + 400 * 86_400, place=HTTPS)


@pytest.mark.parametrize(("left", "max_age"), [(100, 100), (1.5, 1), (0.5, 1)])
def test_max_age_of_signal_cookie_is_remaining_life_of_answer(left: float, max_age: int) -> None:
    now = GRANTED.expires_at - left
    assert b"; Max-Age=%d;" % max_age in OWN.set_signals(frozenset({"gpc"}), GRANTED, now, place=HTTPS)


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("/shop/_consent", b"/shop/_consent"),
        ("/~a!$&'()*+,:=@%20/_consent", b"/~a!$&'()*+,:=@%20/_consent"),
        ("/a b;é/_consent", b"/a%20b%3B%C3%A9/_consent"),
    ],
)
def test_erasure_cookie_is_set_and_deleted_on_encoded_endpoint_path(base: str, path: bytes) -> None:
    written = OWN.set_withdrawn([WithdrawnVisitor("one", int(NOW) + 9)], NOW, base=base, place=HTTPS)
    deleted = OWN.forget(ERASURE, HTTPS, base)
    assert [field.split(b"; Path=")[1].split(b"; ")[0] for field in (written, deleted)] == [path, path]


@pytest.mark.parametrize("secure", [True, False])
def test_cookie_of_other_scheme_is_ignored(secure: bool) -> None:
    cookies = (
        cookie_pair(OWN.set_consent(GRANTED, place=Place(secure=secure)))
        + b"; "
        + cookie_pair(OWN.set_visitor(NOW, place=Place(secure=secure))[1])
    )
    assert OWN.read_records(cookies, place=Place(secure=not secure)) == []
    assert OWN.read_visitor(cookies, NOW, place=Place(secure=not secure)) is None


@pytest.mark.parametrize(
    "name", [b"__host-consent", b"__HOST-CONSENT", b"__Host-Consent", b"consent", b"__Host-consent "]
)
def test_similar_cookie_name_is_ignored(name: bytes) -> None:
    value = cookie_pair(OWN.set_consent(GRANTED, place=HTTPS)).partition(b"=")[2]
    evil = cookie_pair(OWN.set_consent(REFUSED, place=HTTPS)).partition(b"=")[2]
    assert OWN.read_records(name + b"=" + evil + b"; __Host-consent=" + value, place=HTTPS) == [GRANTED]


@pytest.mark.parametrize("added", [b" ", b"\t", b"=", b'"', b"\x00", b"x"])
def test_token_with_added_byte_is_ignored(added: bytes) -> None:
    name, _, token = cookie_pair(OWN.set_consent(GRANTED, place=HTTPS)).partition(b"=")
    assert OWN.read_records(name + b"=" + token + added + b"; a=1", place=HTTPS) == []
    assert OWN.read_records(name + b"=" + added + token, place=HTTPS) == []


def test_newest_valid_duplicate_counts() -> None:
    records = [
        replace(GRANTED, decided_at=NOW - 5),
        replace(REFUSED, decided_at=NOW),
        replace(GRANTED, decided_at=NOW - 9),
    ]
    tokens = [cookie_pair(OWN.set_consent(record, place=HTTPS)) for record in records]
    field = b"; ".join([tokens[0], b"__Host-consent=garbage", tokens[1], tokens[1][:-1], tokens[2]])
    found = OWN.read_records(field, place=HTTPS)
    assert found == records
    assert choose_newest(found) == records[1]


def listed(policy: Policy, place: Place = HTTPS, *, has_log: bool = True, own: OwnCookies = OWN) -> list[Cookie]:
    return [cookie for _, cookie in own.declare(policy, place, "/base", has_log=has_log)]


def test_our_cookies_are_declared_with_purposes_durations_and_paths() -> None:
    half_a_year = timedelta(days=184)
    assert listed(POLICY) == [
        Cookie(name="__Host-consent", purpose="necessary", duration=half_a_year),
        Cookie(name="__Host-consent-signal", purpose="necessary", duration=half_a_year),
        Cookie(name="__Host-visitor", purpose="analytics", duration=timedelta(days=395)),
        Cookie(name="__Host-consent-saved", purpose="necessary", duration=timedelta(minutes=1)),
        Cookie(
            name="__Secure-visitor-erasure",
            purpose="necessary",
            duration=POLICY.access_records_kept or timedelta(days=400),
            path="/base",
        ),
    ]
    names = ["consent", "consent-signal", "visitor", "consent-saved", "visitor-erasure"]
    assert [cookie.name for cookie in listed(POLICY, HTTP)] == names
    assert [cookie.name for cookie in listed(small_policy("media"), HTTP)] == ["consent", "consent-saved"]
    assert [cookie.name for cookie in listed(POLICY, HTTP, has_log=False)] == [names[0], names[1], names[3]]
    telling = OwnCookies(KEY, tells_state=True)
    assert [cookie.name for cookie in listed(POLICY, HTTP, own=telling)] == [*names[:4], "consent-state", names[4]]


def test_our_cookie_declared_by_site_is_not_listed_twice() -> None:
    declared = tuple(Cookie(name=name, purpose="necessary") for name in ("__Host-consent", "__Host-visitor", "other"))
    ours = listed(small_policy("analytics", "media", cookies=declared))
    assert [cookie.name for cookie in ours[:2]] == ["__Host-consent-signal", "__Host-consent-saved"]


def test_cookie_names_can_be_set() -> None:
    own = OwnCookies(KEY, prefix="shop-")
    assert own.names(CONSENT) == ["__Host-shop-consent", "shop-consent"]
    assert own.name(VISITOR, place=HTTPS) == "__Host-shop-visitor"
    assert own.name(VISITOR, place=HTTP) == "shop-visitor"
    assert own.set_consent(GRANTED, place=HTTP).startswith(b"shop-consent=")


def test_lifetime_of_an_answer_can_be_set() -> None:
    own = OwnCookies(KEY, lifetime=timedelta(days=400))
    assert b"; Max-Age=34560000;" in own.set_consent(GRANTED, place=HTTPS)


@pytest.mark.parametrize("length", [63, 64])
def test_prefix_may_have_64_characters(length: int) -> None:
    assert OwnCookies(KEY, prefix="a" * length).names(CONSENT)[1] == "a" * length + "consent"


@pytest.mark.parametrize(
    "wrong",
    [
        {"prefix": "a b"},
        {"prefix": "a;b"},
        {"prefix": "a=b"},
        {"prefix": 'a"b'},
        {"prefix": "同意"},
        {"prefix": "__Host-"},
        {"prefix": "__Http-x"},
        {"prefix": "a" * 65},
    ],
    ids=str,
)
def test_invalid_prefix_raises(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cookie"):
        OwnCookies(KEY, **wrong)


@pytest.mark.parametrize("keys", ["short", [], ["k" * 31]])
def test_short_secret_key_raises(keys: str | Sequence[str]) -> None:
    with pytest.raises(ValueError, match="secret_keys"):
        OwnCookies(keys)


def test_key_of_few_different_characters_is_told(caplog: pytest.LogCaptureFixture) -> None:
    for keys in (KEY, "0123456789abcdef" * 2, ["changeme" * 4, KEY]):
        OwnCookies(keys)
    assert caplog.messages == ["secret_keys: a key has only 7 different characters, so it can be guessed."]


def test_new_ids_have_128_random_bits() -> None:
    ids = {OWN.set_visitor(NOW, HTTPS)[0] for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[\w-]{22}", id_) for id_ in ids)


WRITTEN_BEFORE = {
    Place(secure=True): (
        b"__Host-consent=1~c808877a40dea551~en~0~g~xxxxxxxxxxxxxxxxxxxxxx"
        b"~analytics+6kPTt*media+s5aOD.aE7hgA.WoAcL7znC5_Z2rBYX_Vb-dbm_I0YKqZQ0mdDK9vMQ5I; "
        b"__Host-consent-signal=d.aE7hgA.-Q76HaAtYqJ4fbdu7_dFPa5qD8G9xPleOsb_-ERutcE; "
        b"__Host-visitor=7KkarNBl3kslZFS_QiLrTg~https://a.example"
        b".aE7hgA.MJylVFQRKCVG31IrrwT3fsons4jEYyaTllYKA3f2IWY; "
        b"__Secure-visitor-erasure=w~1750000099.aE7hgA.cgpdeM7xP1bPgTno_knJkmawfGQyP3W5MU90a4JS4rQ; "
    ),
    Place(secure=True, host="shop.site.example", domain="site.example"): (
        b"__Secure-consent=1~c808877a40dea551~en~0~g~xxxxxxxxxxxxxxxxxxxxxx"
        b"~analytics+6kPTt*media+s5aOD~*shop.aE7hgA.aKtFD5wPKvQFZDndfMHmHBPZ6389XLSe60UqhaIU5eE; "
        b"__Secure-consent-signal=d.aE7hgA.yucLmLNL-Fk6Qd8VEPY7QF1shAwwN8vEMk1GUSA0-6E; "
        b"__Secure-visitor=ct2secQFFwJJ0Auh-DytbA~https://a.example"
        b".aE7hgA.2mhjq3zbmZBQE9zZZnjWR833DeX3gpIRMrk8H4NjIKs; "
        b"__Secure-visitor-erasure=w~1750000099.aE7hgA.cl_q7CkwJc2PbyHGQo1mMJi9x_p5TxI3FCEKlmlosKA; "
    ),
}
"""Cookies of versions before the first one."""


@pytest.mark.parametrize("place", WRITTEN_BEFORE, ids=["one host", "several hosts"])
def test_cookies_that_browsers_have_outlive_an_update(place: Place) -> None:
    own = OwnCookies(KEY, domain="site.example", hosts=("site.example", "shop.site.example"))
    cookies = WRITTEN_BEFORE[place]
    given = ConsentRecord(
        answers={"analytics": Answer(State.GRANTED, "6kPTt"), "media": Answer(State.GRANTED, "s5aOD")},
        policy="c808877a40dea551",
        decided_at=int(NOW),
        source="banner",
        language="en",
        signals=frozenset({"gpc"}),
        consent_id="x" * 22,
        overridden_by=frozenset({"dnt"}),
    )
    assert own.read_records(cookies, place) == [given]
    assert own.set_consent(given, place).partition(b";")[0] in cookies
    assert own.set_signals(frozenset({"dnt"}), given, NOW, place).partition(b";")[0] in cookies
    visitor = own.read_visitor(cookies, NOW, place)
    assert visitor
    assert (visitor.referrer, visitor.issued) == ("https://a.example", int(NOW))
    assert own.read_withdrawn(cookies, NOW, place) == (WithdrawnVisitor("w", int(NOW) + 99),)


def test_signed_text_that_is_no_record_is_ignored() -> None:
    own = OwnCookies(KEY)
    assert own.read_records(own.set(CONSENT, "2~another~version", HTTPS, issued=NOW).partition(b";")[0], HTTPS) == []
