"""Tests of visits: what is read of a request, which answer counts and until when, and what is cached."""

from __future__ import annotations

import gc
import math
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import HTTPConnection
from starlette.types import Scope

from cookie_consent.decision.cookie_log import held_cookies
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import HTTP, HTTPS, SAVED, OwnCookies, Place
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.visit import (
    LawByCountry,
    Visit,
    Visits,
    choose_record,
    expire_refused,
    find_place,
    hide_blocked_cookies,
    read_fields,
)
from cookie_consent.http.options import read_country
from cookie_consent.policy.laws import laws
from cookie_consent.policy.parts import Change
from cookie_consent.policy.policy import Policy
from tests.policy.test_laws import under
from tests.support.asgi import SITE, Clock, policy, scope
from tests.support.policies import (
    KEY,
    NOW,
    consent_record,
    full_policy_data,
    granting_record,
    policy_of,
    purpose,
    refusing_record,
    small_policy,
)

DAY = 86_400
LIFETIME = 184 * DAY
OWN = OwnCookies(KEY)
POLICY = policy()
GRANTED, REFUSED = granting_record(POLICY), refusing_record(POLICY)
NOTHING = {"necessary": True, "analytics": False, "media": False}


def make_visits(
    site_policy: Policy = POLICY, own: OwnCookies = OWN, clock: Callable[[], float] = lambda: NOW, **options: Any
) -> Visits:
    return Visits(site_policy, own, Gate(site_policy, own.find_readers(site_policy)), clock, **options)


def answer(record: ConsentRecord, place: Place = HTTPS, own: OwnCookies = OWN) -> str:
    return own.set_consent(record, place).decode().partition(";")[0]


def visitor_id(issued: int = NOW - DAY) -> str:
    return OWN.set_visitor(issued, HTTPS)[1].decode().partition(";")[0]


def read(
    *cookies: str, signals: Sequence[str] = (), path: str = "/", visits: Visits | None = None, **more: Any
) -> Visit:
    """Return the visit of a request with these cookies and signals."""
    fields = [("cookie", "; ".join(cookies)), *((name, "1") for name in signals)]
    return read_request(scope(headers=fields, **more), path, visits)


def read_request(request: Scope, path: str = "/", visits: Visits | None = None) -> Visit:
    return (visits or make_visits()).read(request, path, dict(request["headers"]))


# The fields of a request


_names = st.sampled_from([b"sec-gpc", b"dnt", b"cookie", b"x", b"sec-gpc-x", b"sec_gpc", b"gpc"])
_values = st.sampled_from([b"", b"0", b"1", b"2", b"11", b" 1", b"1 ", b"1, 1", b"?1", b"true", b"\xb9"])


@pytest.mark.requirement("SG-01", "SG-02")
@given(st.lists(st.tuples(_names, _values)))
def test_signal_is_there_if_a_field_is_1_and_cookies_are_joined(fields: list[tuple[bytes, bytes]]) -> None:
    cookies, signals = read_fields(fields, dict(fields))
    assert signals == {name for field, name in ((b"sec-gpc", "gpc"), (b"dnt", "dnt")) if (field, b"1") in fields}
    assert cookies == b"; ".join(value for name, value in fields if name == b"cookie")


def test_app_gets_only_visible_cookies_in_one_field() -> None:
    request = scope(headers=[("cookie", "_ga=1; session=s"), ("x", "y")])
    hidden = hide_blocked_cookies(request, read_request(request))
    assert hidden["headers"] == [(b"host", b"site.example"), (b"x", b"y"), (b"cookie", b"session=s")]
    nothing = scope(headers=[("cookie", "_ga=1")])
    assert hide_blocked_cookies(nothing, read_request(nothing))["headers"] == [(b"host", b"site.example")]
    everything = scope(headers=[("cookie", "session=s;;  ")])
    assert hide_blocked_cookies(everything, read_request(everything)) is everything


@pytest.mark.parametrize(("length", "left"), [(64 * 1024, 64 * 1024), (64 * 1024 + 1, len(b"a=1"))])
def test_cookies_are_read_up_to_64_kib(length: int, left: int) -> None:
    visit = read("a=1; b=".ljust(length, "x"))
    assert len(visit.cookies) == left
    assert visit.blocked_counts == {"undeclared": 2 if left == length else 1}


SHARING = OwnCookies(KEY, domain="site.example", hosts=("site.example", "shop.site.example"))


@pytest.mark.parametrize(
    ("own", "scheme", "host", "place"),
    [
        (OWN, "https", "site.example", HTTPS),
        (OWN, "http", "site.example", HTTP),
        (SHARING, "https", "Shop.site.example:443", Place(True, "shop.site.example", "site.example")),
        (SHARING, "http", "shop.site.example", Place(False, "shop.site.example", "site.example")),
        (SHARING, "https", "other.site.example", HTTPS),
        (SHARING, "http", "", HTTP),
    ],
)
def test_place_is_the_host_or_the_domain_that_shares_answers(
    own: OwnCookies, scheme: str, host: str, place: Place
) -> None:
    assert find_place(own, scope(scheme=scheme, host=host)) == place
    assert find_place(own, scope(scheme=scheme, host=host, kind="websocket")) == place
    assert not find_place(own, {"headers": []}).secure


# Which answer counts, and until when


@pytest.mark.requirement("CK-10")
@pytest.mark.parametrize(
    ("records", "counts", "until"),
    [
        ([], None, math.inf),
        ([GRANTED], GRANTED, NOW + LIFETIME),
        ([REFUSED], REFUSED, NOW + LIFETIME),
        ([replace(GRANTED, decided_at=NOW + 5)], None, NOW + 5),
        ([replace(REFUSED, decided_at=NOW - LIFETIME)], None, math.inf),
        ([replace(REFUSED, decided_at=NOW - LIFETIME + 1)], replace(REFUSED, decided_at=NOW - LIFETIME + 1), NOW + 1),
        ([replace(GRANTED, decided_at=NOW - 9), REFUSED], REFUSED, NOW - 9 + LIFETIME),
        ([GRANTED, replace(REFUSED, decided_at=NOW - 9)], GRANTED, NOW - 9 + LIFETIME),
        ([replace(GRANTED, decided_at=NOW - LIFETIME), replace(REFUSED, decided_at=NOW + 7)], None, NOW + 7),
        ([GRANTED, replace(REFUSED, decided_at=NOW + 7)], GRANTED, NOW + 7),
    ],
)
def test_newest_answer_that_is_valid_counts_until_one_begins_or_ends(
    records: list[ConsentRecord], counts: ConsentRecord | None, until: float
) -> None:
    assert choose_record(records, POLICY, NOW) == (counts, until)
    changing = replace(
        POLICY, changes=(Change(date=datetime(2025, 1, 1, tzinfo=UTC).date(), text={"en": "New.", "ja": "新"}),)
    )
    midnight = (NOW // DAY + 1) * DAY
    assert choose_record(records, changing, NOW) == (counts, min(until, midnight) if counts else until)


@pytest.mark.parametrize("record", [GRANTED, REFUSED], ids=["granted", "refused"])
@pytest.mark.parametrize(
    ("now", "counts"), [(NOW - 1, False), (NOW, True), (NOW + LIFETIME - 1, True), (NOW + LIFETIME, False)]
)
def test_grant_and_refusal_hold_equally_long_also_if_they_are_cached(
    record: ConsentRecord, now: float, counts: bool
) -> None:
    clock = Clock(NOW)
    visits = make_visits(clock=clock)
    read(answer(record), visits=visits)
    clock.now = now
    visit = read(answer(record), visits=visits)
    assert (visit.decision.record == record, visit.decision.should_ask) == (counts, not counts)


def test_visit_of_a_visitor_is_read_again_when_the_id_ends() -> None:
    issued = NOW - 394 * DAY
    visit = read(answer(GRANTED), visitor_id(issued))
    assert visit.visitor is not None
    assert (visit.traced, visit.valid_from, visit.valid_until) == (True, NOW, issued + 395 * DAY)
    assert read(answer(GRANTED), visitor_id()).valid_until == NOW + LIFETIME
    assert read(answer(REFUSED), visitor_id()).visitor is None


def test_unreadable_answer_is_taken_as_a_refusal_under_a_law_of_opting_out() -> None:
    opt_out = policy_of(under("us-optout")).under_law(laws()["us-optout"])
    for cookies, is_allowed in (("", True), ("__Host-consent=forged", False)):
        visit = read(cookies, visits=make_visits(opt_out))
        assert visit.decision.purposes == {"necessary": True, "analytics": is_allowed, "media": is_allowed}
    assert read("__Host-consent=forged").decision.should_ask


@pytest.mark.parametrize(
    ("site_policy", "path", "host", "service"),
    [
        (POLICY, "/whois", "", "whois"),
        (POLICY, "/whois/x", "", "whois"),
        (POLICY, "/whoisx", "", ""),
        (POLICY, "/x/whois", "", ""),
        (policy(SITE + '\n[services.deep]\npath = "/whois/deep/"\n'), "/whois/deep/x", "", "deep"),
        (policy(SITE + '\n[services.deep]\npath = "/whois/deep/"\n'), "/whois/x", "", "whois"),
        (policy_of(full_policy_data()), "/whois", "shop.example.jp", "shop"),
        (policy_of(full_policy_data()), "/whois", "example.jp", "whois"),
        (policy_of(full_policy_data()), "/", "other.example.jp", ""),
    ],
)
def test_policy_is_that_of_the_most_specific_service(site_policy: Policy, path: str, host: str, service: str) -> None:
    here = read(path=path, host=host, visits=make_visits(site_policy)).decision.policy
    assert (here.service.id if here.service else "") == service


# What a refusal or the end of a consent deletes


def refused(*cookies: str, site_policy: Policy = POLICY, clock: float = NOW) -> tuple[bytes, ...]:
    return read(*cookies, visits=make_visits(site_policy, clock=lambda: clock)).refused_cookies


SOME = consent_record(POLICY, {"analytics": State.GRANTED, "media": State.REFUSED})
OLD = replace(GRANTED, decided_at=NOW - LIFETIME)


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ([], ()),
        ([answer(GRANTED)], ()),
        ([answer(REFUSED)], (b"_ga", b"player")),
        ([answer(SOME)], (b"player",)),
        ([answer(consent_record(POLICY, {"analytics": State.UNANSWERED}))], (b"player",)),
        ([answer(OLD)], (b"_ga", b"player")),
        ([answer(replace(REFUSED, decided_at=NOW - LIFETIME))], ()),
        ([answer(OLD), answer(replace(GRANTED, decided_at=NOW + 1))], ()),
        ([visitor_id()], (b"_ga", b"player", b"__Host-visitor")),
        ([visitor_id(NOW - 395 * DAY)], ()),
        ([visitor_id(), "__Host-consent=forged"], ()),
    ],
)
def test_refusal_and_the_end_of_a_consent_delete_cookies(own: list[str], names: tuple[bytes, ...]) -> None:
    assert refused("session=s", "_ga=1", "player=1", "mystery=1", *own) == names


def test_cookie_of_two_purposes_is_refused_with_both() -> None:
    two = small_policy(purposes=(purpose("ads", traces=True), purpose("analytics", traces=True)))
    for states, names in (({"ads": State.GRANTED}, ()), ({"ads": State.UNANSWERED}, ()), ({}, (b"__Host-visitor",))):
        assert refused(visitor_id(), answer(consent_record(two, states)), site_policy=two) == names


def test_end_of_a_consent_deletes_unsent_cookies_too_and_nothing_that_is_allowed() -> None:
    gate = Gate(POLICY, OWN.find_readers(POLICY))
    past = b"Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    ended = read("_ga=1", answer(OLD))
    deleted = [value for _, value in expire_refused(gate, ended, scope())]
    assert b"player=; %s; Path=/videos; Secure" % past in deleted
    assert b"_ga=; %s; Path=/; Domain=site.example; Secure" % past in deleted
    refusing = [value for _, value in expire_refused(gate, read("_ga=1", answer(REFUSED)), scope())]
    assert refusing == [value for value in deleted if value.startswith(b"_ga")]
    plain = read("_ga=1", answer(REFUSED, HTTP), scheme="http")
    assert not any(value.endswith(b"Secure") for _, value in expire_refused(gate, plain, scope(scheme="http")))
    assert expire_refused(gate, read("_ga=1"), scope()) == []
    opt_out = policy_of(under("us-optout")).under_law(laws()["us-optout"])
    held = read("_ga=1", "player=1", visitor_id(), signals=["sec-gpc", "dnt"], visits=make_visits(opt_out))
    assert (held.blocked_counts["media"], held.refused_cookies) == (1, ())  # a signal only withholds


# Signals that override an answer


@pytest.mark.parametrize(
    ("record", "signals", "stored"),
    [
        (GRANTED, ["sec-gpc"], "g"),
        (GRANTED, ["dnt", "sec-gpc"], "gd"),
        (GRANTED, [], None),
        (consent_record(POLICY, {"analytics": State.GRANTED}), ["sec-gpc"], None),
        (replace(GRANTED, signals=frozenset({"gpc"})), ["sec-gpc"], None),
        (replace(GRANTED, signals=frozenset({"gpc"})), ["sec-gpc", "dnt"], "d"),
        (None, ["sec-gpc"], None),
    ],
)
def test_signal_that_overrides_a_grant_is_stored_once(
    record: ConsentRecord | None, signals: list[str], stored: str | None
) -> None:
    cookies = [answer(record)] if record else []
    field = read(*cookies, signals=signals).signal_cookie
    assert (field is None) is (stored is None)
    if field is not None:
        kept = field.decode().partition(";")[0]
        assert kept.startswith(f"__Host-consent-signal={stored}.")
        assert f"; Max-Age={LIFETIME};" in field.decode()
        again = read(*cookies, kept, signals=signals)
        assert again.signal_cookie is None
        assert read(*cookies, kept).decision.purposes == again.decision.purposes


def test_second_signal_is_stored_beside_the_first() -> None:
    kept = OWN.set_signals(frozenset({"gpc"}), GRANTED, NOW, HTTPS).decode().partition(";")[0]
    field = read(answer(GRANTED), kept, signals=["dnt"]).signal_cookie
    assert field
    assert field.startswith(b"__Host-consent-signal=gd.")


def test_visit_tells_whether_signals_matter_and_whether_an_answer_was_saved() -> None:
    only_necessary = small_policy("social")
    assert read(answer(GRANTED)).depends_on_signals
    assert not read(answer(REFUSED)).depends_on_signals
    assert not read(answer(granting_record(only_necessary)), visits=make_visits(only_necessary)).depends_on_signals
    assert not read().saved
    assert read(OWN.set(SAVED, "saved", HTTPS).decode().partition(";")[0]).saved


# What is cached


def test_equal_requests_share_a_visit_and_each_counts_what_is_blocked() -> None:
    visits = make_visits()
    before = held_cookies["request", "undeclared"]
    shared = [read(f"session={number}; undeclared=1", visits=visits) for number in (1, 2, 3) * 2]
    assert all(visit is again for visit, again in zip(shared[:3], shared[3:], strict=True))
    assert len(set(map(id, shared))) == 3
    assert held_cookies["request", "undeclared"] - before == 6
    visits.forget()
    assert read("session=1; undeclared=1", visits=visits) is not shared[0]


def test_requests_that_differ_in_one_thing_share_no_visit() -> None:
    visits = make_visits()
    visit = read(answer(GRANTED), visits=visits)
    differences: list[dict[str, Any]] = [{"signals": ["sec-gpc"]}, {"path": "/whois"}, {"scheme": "http"}]
    for difference in differences:
        assert read(answer(GRANTED), visits=visits, **difference) is not visit, difference


def requests() -> list[tuple[list[str], list[str], str, str, float]]:
    """Return requests of all kinds, each of which differs little from the one before."""
    own = [[], *([answer(record)] for record in (GRANTED, REFUSED, SOME, OLD, replace(GRANTED, decided_at=NOW + 5)))]
    own += [[answer(GRANTED), OWN.set_signals(frozenset({"gpc"}), GRANTED, NOW, HTTPS).decode().partition(";")[0]]]
    own += [["__Host-consent=1~a~en~0~~~.aGXR-A.c2lnbmF0dXJl"], [answer(GRANTED), answer(REFUSED)]]
    others: tuple[list[str], ...] = (
        [],
        ["session=1", "_ga=1"],
        ["player = 1", "odd", visitor_id()],
        ["long=" + "1" * 5000],
    )
    times = (NOW, NOW + 11 * DAY, NOW + DAY * 40)
    cookies = [[*ours, *more] for ours, more in product(own, others)]
    return list(product(cookies, ([], ["sec-gpc"], ["dnt"]), ("/", "/whois"), ("https", "http"), times))


@pytest.mark.slow
def test_cached_visit_says_what_a_fresh_one_says() -> None:
    changes = (Change(date=datetime.fromtimestamp(NOW + 10 * DAY, UTC).date(), text={"en": "New.", "ja": "新"}),)
    changing = replace(POLICY, changes=changes)
    clock = Clock()
    warm, fresh = make_visits(changing, clock=clock), make_visits(changing, clock=clock)
    for cookies, signals, path, scheme, clock.now in requests() * 2:
        fresh.forget()
        visits = [read(*cookies, signals=signals, path=path, scheme=scheme, visits=it) for it in (warm, fresh)]
        assert visits[0]._replace(valid_from=0) == visits[1]._replace(valid_from=0)


def allocated(work: Callable[[int], object], times: int) -> int:
    """Call `work` with each of many numbers, and return how many bytes it has allocated and not freed."""
    gc.collect()
    tracemalloc.start()
    for number in range(times):
        work(number)
    gc.collect()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size


@pytest.mark.parametrize(
    ("cookies", "times", "most"),
    [("session=%d", 5000, 2_500_000), ("session=%01900d; undeclared=1", 2500, 9_000_000), ("a=%05000d", 200, 50_000)],
    ids=["many", "large", "too large to cache"],
)
@pytest.mark.slow
@pytest.mark.no_cover
def test_cached_visits_are_bounded_in_number_and_size(cookies: str, times: int, most: int) -> None:
    """Without eviction, or with long fields, the cache would take several times as much."""
    visits = make_visits()
    fields = (cookies % (number // 2) for number in range(times))
    assert allocated(lambda _: read(next(fields), visits=visits), times) < most


# A decision that fails


@pytest.mark.logs_an_exception
def test_failed_decision_denies_everything_and_is_not_cached() -> None:
    class Failing(Gate):
        def filter_request(self, field: bytes, purposes: Mapping[str, bool]) -> Any:
            raise ValueError("broken")

    visits = Visits(POLICY, OWN, Failing(POLICY, {}), lambda: NOW + 1)
    visit = read(answer(GRANTED), "session=1", visits=visits)
    assert visit.decision.purposes == NOTHING
    assert visit.visible_cookies == b""
    assert (visit.refusable_cookies, visit.refused_cookies, visit.visitor) == ((), (), None)
    assert (visit.traced, visit.depends_on_signals, visit.saved) == (False, False, "")
    assert read(answer(GRANTED), "session=1", visits=visits) is not visit


# The law of the visitor's country


FIELD = "CF-IPCountry"
LAWS = policy_of(under("eu", "fr", "us-optout", "ca-qc", "jp", "jp-optout"))


def law_of(*values: str, among: Policy = LAWS) -> str:
    """Return the law for a request with these values of the field."""
    law = LawByCountry(FIELD, among).find_law(scope(headers=[(FIELD, value) for value in values]))
    return law.code if law else ""


@pytest.mark.parametrize(
    ("country", "code"),
    [
        *((country, "us-optout") for country in ("US", "us", " US ", "US-CA")),
        *((country, "eu") for country in ("DE", "DE-BY", "BR", "CA", "CA-ON")),
        ("FR", "fr"),
        ("CA-QC", "ca-qc"),
        ("JP", "jp"),
    ],
)
def test_field_names_the_place(country: str, code: str) -> None:
    assert law_of(country) == code
    request = scope(headers=[(FIELD, country)])
    visits = make_visits(LAWS, by_country=LawByCountry(FIELD, LAWS))
    here = read_request(request, visits=visits).decision.policy
    assert (here.law and here.law.code, visits.country_field) == (code, FIELD)
    whois = read_request(request, "/whois", visits).decision.policy
    assert (whois.service and whois.service.id, whois.law) == ("whois", here.law)
    assert visits.find_service_policy("whois", here) == whois
    assert visits.find_service_policy("other", here) is None
    assert LawByCountry(FIELD, LAWS).read_country(request) == country.strip().upper()[:2]


@pytest.mark.parametrize(
    "country", ["", "XX", "T1", "ZZ", "EU", "USA", "U", "US,", "\xff\xff", "US" * 40, f"US{' ' * 14}DE", "US-", "-QC"]
)
def test_unknown_place_gets_the_first_law_of_opting_in_or_none(country: str) -> None:
    assert law_of(country, among=policy_of(under("us-optout", "de", "eu"))) == "de"
    assert law_of(country, among=policy_of(under("us-optout"))) == ""
    assert law_of("US", "US") == law_of() == "eu"  # a visitor may have sent one of them


@pytest.mark.parametrize(("named", "code"), [("US", "us-optout"), ("CA-QC", "ca-qc"), (None, "eu"), ("nowhere", "eu")])
def test_function_names_the_place(named: str | None, code: str) -> None:
    chosen = read_country(lambda request: named if request.url.path == "/page" else "FR", LAWS)
    assert chosen is not None
    law = chosen.find_law(scope(path="/page"))
    assert (law and law.code, chosen.field) == (code, "")


@pytest.mark.logs_an_exception
@pytest.mark.parametrize("result", [7, ZeroDivisionError()])
def test_failing_function_is_an_unknown_place(result: Any) -> None:
    def country(_: HTTPConnection) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    chosen = read_country(country, policy_of(under("us-optout", "de")))
    assert chosen is not None
    assert chosen.find_law(scope()) is laws()["de"]


async def asynchronous(_: HTTPConnection) -> str:
    return "US"


@pytest.mark.parametrize(
    ("country", "among", "message"),
    [
        *((wrong, ("eu", "us-optout"), "country: .* is not valid") for wrong in (7, "", "Two Words", "a" * 65, "A:")),
        (asynchronous, ("eu", "us-optout"), "country: .* is not valid"),
        (None, ("us-optout", "eu"), "country: it is missing, and the policy names a law of opting out"),
        (FIELD, ("eu",), "country: nothing depends on it"),
    ],
)
def test_option_is_checked(country: Any, among: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_country(country, policy_of(under(*among)))
    assert read_country(None, policy_of(full_policy_data())) is None
