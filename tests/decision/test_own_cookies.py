"""Tests of our own cookies: what each says to a browser, which of them count, and what the list of cookies says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cookie_consent.decision.decision import decide
from cookie_consent.decision.own_cookies import (
    CONSENT,
    ERASURE,
    HTTP,
    HTTPS,
    OWN_COOKIES,
    SAVED,
    SIGNAL,
    STATE,
    VISITOR,
    CookieSpec,
    OwnCookies,
    Place,
)
from cookie_consent.decision.record import Answer, ConsentRecord, State
from cookie_consent.decision.tokens import KnownVisitor, Signer, WithdrawnVisitor, write_record, write_visitor
from cookie_consent.policy.parts import Cookie, SignalRules
from cookie_consent.policy.policy import Policy
from tests.support.policies import KEY, NOW, consent_record, granting_record, purpose, refusing_record, small_policy

DAY = 86_400
YEAR_AND_MONTH = 395 * DAY
POLICY = small_policy("analytics", "media")
GRANTED, REFUSED = granting_record(POLICY), refusing_record(POLICY)
OWN = OwnCookies(KEY, tells_state=True)
HOSTS = ("site.example", "shop.site.example")
SHARING = OwnCookies(KEY, domain="site.example", hosts=HOSTS, tells_state=True)
SHARED = Place(secure=True, host="shop.site.example", domain="site.example")
PLAINLY_SHARED = SHARED._replace(secure=False)
PAST = "Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
BY_ENDPOINTS = "/base/%C3%A9"
HELD = {
    CONSENT: ("consent", "/", 184 * DAY),
    SIGNAL: ("consent-signal", "/", 184 * DAY),
    VISITOR: ("visitor", "/", YEAR_AND_MONTH),
    SAVED: ("consent-saved", "/", 60),
    STATE: ("consent-state", "/", 184 * DAY),
    ERASURE: ("visitor-erasure", BY_ENDPOINTS, 400 * DAY),
}
"""Cookie -> its name without a prefix, its path, and how long it lives."""


def pair(field: bytes) -> bytes:
    return field.partition(b";")[0]


def prefix_of(spec: CookieSpec, place: Place) -> str:
    if not place.secure:
        return ""
    return "__Secure-" if spec is ERASURE or (place.domain and spec is not SAVED) else "__Host-"


@pytest.mark.parametrize("place", [HTTPS, HTTP, SHARED, PLAINLY_SHARED], ids=str)
@pytest.mark.parametrize("spec", OWN_COOKIES, ids=lambda spec: spec.suffix)
def test_cookie_is_deleted_where_it_was_set(spec: CookieSpec, place: Place) -> None:
    suffix, path, lifetime = HELD[spec]
    name = prefix_of(spec, place) + suffix
    domain = "; Domain=site.example" if place.domain and spec is not SAVED else ""
    end = domain + ("; Secure" if place.secure else "")
    script = "" if spec is STATE else "HttpOnly; "
    field = SHARING.set(spec, "v", place, issued=NOW, base="/base/é").decode()
    value = re.escape("v") + (r"\.[\w-]{6}\.[\w-]{43}" if spec.salt else "")
    rest = re.escape(f"; Max-Age={lifetime}; Path={path}; {script}SameSite=Lax{end}")
    assert re.fullmatch(f"{name}={value}{rest}", field)
    assert SHARING.forget(spec, place, "/base/é").decode() == f"{name}=; {PAST}; Path={path}{end}"
    assert name in SHARING.names(spec)
    assert SHARING.read(spec, b"a=1; " + pair(field.encode()), place) == [(b"v", NOW if spec.salt else 0)]


@pytest.mark.parametrize("base", ["/shop/_consent", "/~a!$&'()*+,:=@%20/_consent"])
def test_path_of_endpoints_is_kept_as_it_is_where_it_can_be(base: str) -> None:
    assert OWN.forget(ERASURE, HTTPS, base).decode() == f"__Secure-visitor-erasure=; {PAST}; Path={base}; Secure"


@pytest.mark.requirement("CK-05")
def test_names_have_the_prefix_of_the_site() -> None:
    own = OwnCookies(KEY, prefix="shop-")
    assert own.names(SIGNAL) == ["__Host-shop-consent-signal", "shop-consent-signal"]
    assert own.names(ERASURE) == ["__Secure-shop-visitor-erasure", "shop-visitor-erasure"]
    shared = OwnCookies(KEY, domain="site.example", hosts=HOSTS)
    assert shared.names(CONSENT) == ["__Host-consent", "consent", "__Secure-consent"]


# Answers


@pytest.mark.requirement("ST-10")
@pytest.mark.parametrize("record", [GRANTED, REFUSED], ids=["granted", "refused"])
@pytest.mark.parametrize(("own", "place"), [(OWN, HTTPS), (OWN, HTTP), (SHARING, SHARED)], ids=["https", "http", "all"])
def test_grant_and_refusal_live_equally_long(own: OwnCookies, place: Place, record: ConsentRecord) -> None:
    field = own.set_consent(record, place)
    assert b"; Max-Age=%d; " % (184 * DAY) in field
    (found,) = own.read_records(pair(field), place)
    assert (found, found.expires_at) == (record, NOW + 184 * DAY)


def test_lifetime_of_an_answer_can_be_set() -> None:
    own = OwnCookies(KEY, lifetime=timedelta(days=400))
    field = own.set_consent(REFUSED, HTTPS)
    assert b"; Max-Age=34560000;" in field
    assert own.read_records(pair(field), HTTPS)[0].expires_at == NOW + 400 * DAY


@pytest.mark.requirement("CK-07")
@pytest.mark.parametrize(
    "name", [b"__host-consent", b"__HOST-CONSENT", b"__Host-Consent", b"consent", b"__Host-consent "]
)
def test_similar_cookie_name_is_ignored(name: bytes) -> None:
    own, evil = (pair(OWN.set_consent(record, HTTPS)) for record in (GRANTED, REFUSED))
    assert OWN.read_records(name + b"=" + evil.partition(b"=")[2] + b"; " + own, HTTPS) == [GRANTED]
    assert OWN.has_answer(b"__Host-consent=x", HTTPS)
    assert not OWN.has_answer(name + b"=x", HTTPS)


@pytest.mark.parametrize("added", [b" ", b"\t", b"=", b'"', b"\x00", b"x"])
def test_token_with_added_byte_is_ignored(added: bytes) -> None:
    name, _, token = pair(OWN.set_consent(GRANTED, HTTPS)).partition(b"=")
    assert OWN.read_records(name + b"=" + token + added + b"; a=1", HTTPS) == []
    assert OWN.read_records(name + b"=" + added + token, HTTPS) == []


@pytest.mark.requirement("CK-08")
def test_all_valid_answers_are_read_in_their_order() -> None:
    records = [replace(GRANTED, decided_at=NOW - 5), replace(REFUSED, decided_at=NOW + 9), GRANTED]
    tokens = [pair(OWN.set_consent(record, HTTPS)) for record in records]
    tokens[1:1] = [b"__Host-consent=garbage", tokens[0][:-1], pair(OWN.set(CONSENT, "2~other", HTTPS, issued=NOW))]
    assert OWN.read_records(b"; ".join(tokens), HTTPS) == records


def test_answer_counts_on_the_hosts_that_it_names() -> None:
    cookies = pair(SHARING.set_consent(GRANTED, SHARED))
    assert SHARING.read_records(cookies, SHARED) == [GRANTED]
    assert SHARING.read_records(cookies, SHARED._replace(host="site.example")) == [GRANTED]
    more = OwnCookies(KEY, domain="site.example", hosts=(*HOSTS, "hop.site.example"))
    assert more.read_records(cookies, SHARED._replace(host="hop.site.example")) == []
    others = OwnCookies(KEY, domain="other.example", hosts=("shop.other.example",))
    assert others.read_records(cookies, Place(secure=True, host="shop.other.example", domain="other.example")) == []
    assert OWN.read_records(cookies.replace(b"__Secure-", b"__Host-"), HTTPS) == []


@pytest.mark.parametrize(("place", "counts"), [(SHARED, True), (PLAINLY_SHARED, False)], ids=["https", "http"])
def test_answer_from_before_hosts_shared_answers_counts_over_https(place: Place, counts: bool) -> None:
    former = Place(place.secure)
    cookies = b"; ".join(
        [
            pair(OWN.set_consent(REFUSED, former)),
            pair(OWN.set_signals(frozenset({"gpc"}), REFUSED, NOW, former)),
            pair(OWN.set_visitor(NOW, former)[1]),
            pair(OWN.set_withdrawn([WithdrawnVisitor("w", NOW + 9)], NOW, former, "/base")),
        ]
    )
    found = [replace(REFUSED, overridden_by=frozenset({"gpc"}))] if counts else []
    assert SHARING.read_records(cookies, place) == found
    assert (SHARING.read_visitor(cookies, NOW, place) is not None) is counts
    assert SHARING.has_answer(cookies, place)
    assert SHARING.read_records(pair(OWN.set_consent(REFUSED, HTTPS)), PLAINLY_SHARED) == []
    deleted = [OWN.forget(spec, former, "/base") for spec in (CONSENT, VISITOR, ERASURE)]
    assert SHARING.forget_former([CONSENT, VISITOR, STATE, ERASURE], cookies, place, "/base") == deleted
    assert OWN.forget_former([CONSENT], cookies, former, "/base") == []


# Signals


def signal_token(value: bytes, issued: int = NOW, *, key: str = KEY, salt: str = SIGNAL.salt) -> bytes:
    return Signer([key], salt).sign(value, issued)


@pytest.mark.parametrize(
    ("token", "signals"),
    [
        (signal_token(b"g"), {"gpc"}),
        (signal_token(b"gd"), {"gpc", "dnt"}),
        (signal_token(b"gx\xff"), {"gpc"}),
        (signal_token(b"g", NOW - 1), set()),
        (signal_token(b"g", NOW + 1), set()),
        (signal_token(b"g", key="another-key-" * 4), set()),
        (signal_token(b"g", salt=VISITOR.salt), set()),
        (signal_token(b"g")[:-1], set()),
        (b"g", set()),
        (b"", set()),
    ],
)
def test_signal_cookie_counts_only_for_its_own_answer(token: bytes, signals: set[str]) -> None:
    answer = replace(GRANTED, overridden_by=frozenset())
    cookies = pair(OWN.set_consent(answer, HTTPS)) + b"; __Host-consent-signal=" + token
    assert OWN.read_records(cookies, HTTPS) == [replace(answer, overridden_by=frozenset(signals))]


@pytest.mark.parametrize(("left", "max_age"), [(100, 100), (1.5, 1), (0.5, 1), (-5, 1)])
def test_signal_cookie_ends_with_the_answer(left: float, max_age: int) -> None:
    now = GRANTED.expires_at - left
    assert b"; Max-Age=%d;" % max_age in OWN.set_signals(frozenset({"gpc"}), GRANTED, now, HTTPS)


# Visitor ids


@pytest.mark.requirement("LP-05")
def test_each_visitor_id_is_new_and_has_128_random_bits() -> None:
    made = [OWN.set_visitor(NOW + 0.75, HTTPS) for _ in range(100)]
    assert len({visitor_id for visitor_id, _ in made}) == 100
    for visitor_id, field in made:
        assert re.fullmatch(r"[\w-]{22}", visitor_id)
        assert OWN.read_visitor(pair(field), NOW + 1, HTTPS) == KnownVisitor(visitor_id, NOW, NOW + YEAR_AND_MONTH)


def visitor_cookie(visitor_id: str, issued: int = NOW, referrer: str | None = None) -> bytes:
    return pair(OWN.set(VISITOR, write_visitor(visitor_id, referrer), HTTPS, issued=issued))


@pytest.mark.parametrize(
    ("after", "is_valid"), [(-0.5, False), (0, True), (YEAR_AND_MONTH - 0.5, True), (YEAR_AND_MONTH, False)]
)
def test_visitor_id_is_valid_from_issue_to_expiry(after: float, is_valid: bool) -> None:
    found = KnownVisitor("one", NOW, NOW + YEAR_AND_MONTH)
    assert OWN.read_visitor(visitor_cookie("one"), NOW + after, HTTPS) == (found if is_valid else None)


def test_newest_valid_visitor_id_counts() -> None:
    made = [("old", NOW - 9), ("new", NOW - 5), ("future", NOW + 5), ("older", NOW - 99)]
    tokens = [b"__Host-visitor=garbage", *(visitor_cookie(*one) for one in made)]
    found = OWN.read_visitor(b"; ".join(tokens), NOW, HTTPS)
    assert found == KnownVisitor("new", NOW - 5, NOW - 5 + YEAR_AND_MONTH)


def test_referrer_is_kept_until_it_is_removed_without_a_longer_life() -> None:
    cookies = visitor_cookie("one", referrer="https://search.example:8443")
    visitor = KnownVisitor("one", NOW, NOW + YEAR_AND_MONTH, "https://search.example:8443")
    assert OWN.read_visitor(cookies, NOW, HTTPS) == visitor
    field = OWN.remove_referrer(visitor, NOW + 50.5, HTTPS)
    assert b"; Max-Age=%d;" % (YEAR_AND_MONTH - 50) in field
    assert OWN.read_visitor(pair(field), NOW + 60, HTTPS) == visitor._replace(referrer=None)
    assert b"; Max-Age=1;" in OWN.remove_referrer(visitor, NOW + 400 * DAY, HTTPS)


# Withdrawn visitor ids


def test_withdrawn_ids_are_kept_as_long_as_their_records() -> None:
    withdrawn = (WithdrawnVisitor("one", NOW + 5), WithdrawnVisitor("two", NOW + 9))
    field = OWN.set_withdrawn(withdrawn, NOW, HTTPS, "/base")
    assert b"; Max-Age=9; Path=/base;" in field
    assert OWN.read_withdrawn(pair(field), NOW + 4, HTTPS) == withdrawn
    assert OWN.read_withdrawn(pair(field), NOW + 5, HTTPS) == withdrawn[1:]
    assert OWN.read_withdrawn(pair(field), NOW - 1, HTTPS) == ()  # it is from the future
    later = pair(OWN.set_withdrawn(withdrawn[1:], NOW + 1, HTTPS, "/base"))
    assert OWN.read_withdrawn(later + b"; " + pair(field), NOW + 2, HTTPS) == withdrawn[1:]
    longest = OWN.set_withdrawn([WithdrawnVisitor("one", NOW + 999 * DAY)], NOW, HTTPS, "/base")
    assert b"; Max-Age=%d;" % (400 * DAY) in longest


@pytest.mark.parametrize(
    "value", [b"", b"one", b"one~", b"one~two", b"one~9999999999~two", b"~9999999999", b"a~" + b"9" * 5000]
)
def test_signed_erasure_value_of_wrong_shape_is_ignored(value: bytes) -> None:
    signed = b"__Secure-visitor-erasure=" + Signer(KEY, ERASURE.salt).sign(value, NOW)
    assert OWN.read_withdrawn(signed, NOW, HTTPS) == ()


def test_host_that_shares_answers_still_erases_the_ids_from_before() -> None:
    current, former = WithdrawnVisitor("current", NOW + 9), WithdrawnVisitor("former", NOW + 8)
    sent = [pair(OWN.set_withdrawn([former, current], NOW, HTTPS, "/base")), visitor_cookie("visitor", NOW - 5)]
    shared = Signer(KEY, f"{ERASURE.salt}@site.example").sign(b"current~%d" % (NOW + 9), NOW)
    sent.append(b"__Secure-visitor-erasure=" + shared)
    assert SHARING.read_withdrawn(b"; ".join(sent), NOW, SHARED) == (former, current)
    sent.append(pair(SHARING.set_visitor(NOW, SHARED)[1]))
    before = WithdrawnVisitor("visitor", NOW - 5 + YEAR_AND_MONTH)
    assert SHARING.read_withdrawn(b"; ".join(sent), NOW, SHARED) == (former, before, current)


# The state for scripts


@pytest.mark.parametrize(("own", "place"), [(OWN, HTTPS), (SHARING, SHARED)], ids=["one host", "several"])
def test_state_cookie_is_made_true(own: OwnCookies, place: Place) -> None:
    prefix = prefix_of(STATE, place).encode()
    decision = decide(POLICY, consent_record(POLICY, {"media": State.GRANTED}), frozenset({"gpc"}), NOW)
    value = b"%sconsent-state=%s.b.g" % (prefix, POLICY.version[:8].encode())
    (field,) = own.set_state(decision, b"", NOW + 0.5, place)
    assert (pair(field), b"; Max-Age=%d;" % (184 * DAY) in field) == (value, True)
    assert own.set_state(decision, value, NOW, place) == []
    assert own.set_state(decision, value + b"; " + value, NOW, place) != []
    unanswered = decide(POLICY, None, frozenset(), NOW)
    assert own.set_state(unanswered, b"a=1", NOW, place) == []
    assert own.set_state(unanswered, value, NOW, place) == [own.forget(STATE, place)]
    some = decide(POLICY, consent_record(POLICY, {"media": State.UNANSWERED}), frozenset(), NOW)
    assert pair(own.set_state(some, value, NOW, place)[0]) == prefix + b"consent-state=open"
    assert OwnCookies(KEY).set_state(decision, b"", NOW, place) == []


# The list of cookies, and the names that are ours


def listed(policy: Policy, place: Place = HTTPS, *, has_log: bool = True, own: OwnCookies = OWN) -> list[Cookie]:
    return [cookie for _, cookie in own.declare(policy, place, "/base", has_log=has_log)]


@pytest.mark.requirement("EU-08")
def test_our_cookies_are_declared_with_purposes_durations_and_paths() -> None:
    half_a_year = timedelta(days=184)
    kept = replace(purpose("analytics", traces=True, days=30), erase_on_withdrawal=False)
    policy = replace(POLICY, purposes=(kept, purpose("media"), purpose("ads", traces=True, days=20)))
    declared = [
        Cookie(name="__Host-consent", purpose="necessary", duration=half_a_year),
        Cookie(name="__Host-consent-signal", purpose="necessary", duration=half_a_year),
        Cookie(name="__Host-visitor", purpose="analytics", duration=timedelta(days=395)),
        Cookie(name="__Host-visitor", purpose="ads", duration=timedelta(days=395)),
        Cookie(name="__Host-consent-saved", purpose="necessary", duration=timedelta(minutes=1)),
        Cookie(name="__Host-consent-state", purpose="necessary", duration=half_a_year),
        Cookie(name="__Secure-visitor-erasure", purpose="necessary", duration=policy.access_records_kept, path="/base"),
    ]
    assert listed(policy) == declared
    shared = listed(policy, SHARED, own=SHARING)
    assert [cookie.domain for cookie in shared] == [*["site.example"] * 4, None, *["site.example"] * 2]
    by_site = (Cookie(name="__Host-consent", purpose="necessary"), Cookie(name="other", purpose="media"))
    assert listed(replace(policy, cookies=by_site)) == declared[1:]


@pytest.mark.parametrize(
    ("policy", "has_log", "own", "names"),
    [
        (POLICY, True, OwnCookies(KEY), ["consent", "consent-signal", "visitor", "consent-saved", "visitor-erasure"]),
        (POLICY, False, OWN, ["consent", "consent-signal", "consent-saved", "consent-state"]),
        (small_policy("media"), True, OwnCookies(KEY), ["consent", "consent-saved"]),
        (replace(POLICY, signals=SignalRules(gpc=("media",), dnt=())), False, OwnCookies(KEY), 3),
        (replace(POLICY, signals=SignalRules(gpc=(), dnt=())), False, OwnCookies(KEY), 2),
    ],
)
def test_only_cookies_that_are_used_are_declared(
    policy: Policy, has_log: bool, own: OwnCookies, names: list[str] | int
) -> None:
    found = [cookie.name for cookie in listed(policy, HTTP, has_log=has_log, own=own)]
    assert found == names if isinstance(names, list) else len(found) == names


def test_app_reads_our_cookies_as_their_rows_say() -> None:
    readers = OwnCookies(KEY).find_readers(POLICY)
    assert readers["__Host-consent"] == readers["consent"] == {"necessary"}
    assert readers["__Host-visitor"] == {"analytics"}
    assert readers["__Secure-visitor-erasure"] == frozenset()
    assert len(readers) == 12


@pytest.mark.parametrize(
    ("name", "purpose", "prefix", "is_taken"),
    [
        ("consent", "necessary", "", False),
        ("__Host-visitor", "analytics", "", False),
        ("__Host-visitor", "media", "", True),
        ("consent-state", "media", "", True),
        ("shop-consent", "necessary", "shop-", True),
        ("consent", "media", "shop-", False),
        ("other", "media", "", False),
    ],
)
def test_cookie_of_the_site_with_one_of_our_names_is_an_error(
    name: str, purpose: str, prefix: str, is_taken: bool
) -> None:
    policy = replace(POLICY, cookies=(Cookie(name=name, purpose=purpose),))
    errors = [str(error) for error in OwnCookies(KEY, prefix=prefix).find_taken_names(policy)]
    assert [(f'[[cookies]] "{name}"' in error, "cookie_prefix=" in error) for error in errors] == [
        (True, True)
    ] * is_taken
    stored = replace(policy, cookies=(Cookie(name=name, purpose=purpose, kind="storage"),))
    assert list(OwnCookies(KEY, prefix=prefix).find_taken_names(stored)) == []


# Settings


@pytest.mark.requirement("CK-05")
@pytest.mark.parametrize("prefix", ["a b", "a;b", "a=b", 'a"b', "同意", "__Host-", "__Http-x", "a" * 65, 7])
def test_invalid_prefix_raises(prefix: str) -> None:
    with pytest.raises(ValueError, match="cookie_prefix"):
        OwnCookies(KEY, prefix=prefix)
    assert OwnCookies(KEY, prefix="a" * 64).names(CONSENT)[1] == "a" * 64 + "consent"


@pytest.mark.parametrize("keys", ["short", [], ["k" * 31]])
def test_short_secret_key_raises(keys: str | Sequence[str]) -> None:
    with pytest.raises(ValueError, match="secret_keys"):
        OwnCookies(keys)


def test_key_of_few_different_characters_is_told(caplog: pytest.LogCaptureFixture) -> None:
    for keys in (KEY, "01234567" * 4, ["changeme" * 4, KEY]):
        OwnCookies(keys)
    assert caplog.messages == ["secret_keys: a key has only 7 different characters, so it can be guessed."]


# What browsers have, and what they may send


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
    cookies = WRITTEN_BEFORE[place]
    given = ConsentRecord(
        answers={"analytics": Answer(State.GRANTED, "6kPTt"), "media": Answer(State.GRANTED, "s5aOD")},
        policy="c808877a40dea551",
        decided_at=NOW,
        source="banner",
        language="en",
        signals=frozenset({"gpc"}),
        consent_id="x" * 22,
        overridden_by=frozenset({"dnt"}),
    )
    assert SHARING.read_records(cookies, place) == [given]
    assert pair(SHARING.set_consent(given, place)) in cookies
    assert pair(SHARING.set_signals(frozenset({"dnt"}), given, NOW, place)) in cookies
    visitor = SHARING.read_visitor(cookies, NOW, place)
    assert visitor
    assert (visitor.referrer, visitor.issued) == ("https://a.example", NOW)
    assert SHARING.read_withdrawn(cookies, NOW, place) == (WithdrawnVisitor("w", NOW + 99),)


@pytest.mark.requirement("ST-01")
@given(st.lists(st.sampled_from(OWN_COOKIES).flatmap(lambda spec: st.tuples(st.just(spec), st.binary()))))
def test_arbitrary_cookies_count_for_nothing(sent: list[tuple[CookieSpec, bytes]]) -> None:
    cookies = b"; ".join(SHARING.name(spec, SHARED).encode() + b"=" + value for spec, value in sent)
    assert SHARING.read_records(cookies, SHARED) == []
    assert SHARING.read_visitor(cookies, NOW, SHARED) is None
    assert SHARING.read_withdrawn(cookies, NOW, SHARED) == ()


@pytest.mark.requirement("CK-19")
def test_token_of_one_cookie_counts_for_no_other() -> None:
    record = write_record(GRANTED)
    for spec in (SIGNAL, VISITOR, ERASURE):
        token = Signer(KEY, spec.salt).sign(record.encode(), NOW)
        assert OWN.read_records(b"__Host-consent=" + token, HTTPS) == []
