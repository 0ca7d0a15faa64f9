"""Tests of the cache of visits: a visit depends on its request alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

import pytest

from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import CONSENT, ERASURE, HTTPS, SIGNAL, VISITOR, OwnCookies
from cookie_consent.decision.record import State
from cookie_consent.decision.visit import Visit, Visits
from cookie_consent.policy.parts import NECESSARY, Change
from cookie_consent.policy.policy import Policy
from tests.support.policies import KEY, NOW, consent_record, full_policy_in

DAY = 86_400
OWN = OwnCookies(KEY)
OURS = {
    name: purposes
    for kind, purposes in ((CONSENT, frozenset([NECESSARY])), (VISITOR, frozenset(["analytics"])))
    for name in OWN.names(kind)
}
ANNOUNCED = datetime.fromtimestamp(NOW - 20 * DAY, UTC).date()
CHANGES = tuple(Change(date=ANNOUNCED + timedelta(days), text={"en": "New."}) for days in (0, 19))
SITE = replace(full_policy_in("en"), changes=CHANGES)
NARROWER = replace(SITE, recipients=(), history=(SITE,))
POLICIES = (SITE, NARROWER)
REWORDED = replace(SITE, changes=())
"""Has the same facts as SITE, and is in no policy's history."""
FORGED = b"__Host-consent=1~a~en~0~~~.aGXR-A.c2lnbmF0dXJl"


def pair(set_cookie: bytes) -> bytes:
    return set_cookie.partition(b";")[0]


Request = tuple[bytes, Sequence[tuple[bytes, bytes]], str, str, float]


def answers() -> Iterator[bytes]:
    """Yield Cookie fields with every answer, for each policy and time, with and without an overriding signal."""
    states = (dict.fromkeys(("analytics", "media"), state) for state in State)
    times = (NOW - 184 * DAY, NOW - 21 * DAY, NOW, NOW + 5)
    for given, policy, at, signals in product(states, (SITE, REWORDED), times, ((), ("gpc",))):
        record = consent_record(policy, given, decided_at=at, signals=frozenset(signals), consent_id=f"id-{at}")
        yield pair(OWN.set_consent(record, place=HTTPS))
        yield (
            pair(OWN.set_signals(frozenset(["gpc"]), record, NOW, place=HTTPS))
            + b"; "
            + pair(OWN.set_consent(record, place=HTTPS))
        )


def requests() -> Iterator[Request]:
    """Yield requests of all kinds. Each differs little from the one before."""
    visitor = pair(OWN.set_visitor(NOW - DAY, place=HTTPS)[1])
    ours = [b"", *answers(), FORGED, b"__Host-consent =x", *map(b"; ".join, pairwise(list(answers())[::7]))]
    others = (b"", b"x", b"=", b"session=1; _ga=1", b"player = 1;_ga=1; odd; " + visitor, b"long=" + b"1" * 70_000)
    signals = ((), ((b"sec-gpc", b"1"),), ((b"dnt", b"1"),))
    times = (NOW, NOW + 11 * DAY, NOW + DAY * 40)
    for own, path, signal, other, now in product(ours, ("/", "/whois"), signals, others, times):
        yield b"; ".join([own, other]), signal, path, "https", now


class Reader:
    """Reads each request at the time that it states."""

    def __init__(self, policy: Policy) -> None:
        self.now = 0.0
        ours = {**OURS, **{name: frozenset[str]() for kind in (SIGNAL, ERASURE) for name in OWN.names(kind)}}
        gate = Gate(policy, ours)
        self.visits = Visits(policy, OWN, gate, lambda: self.now)

    def read(self, request: Request) -> Visit:
        field, signals, path, scheme, self.now = request
        return self.visits.read({"scheme": scheme, "headers": [(b"cookie", field), *signals]}, path)


@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.slow
@pytest.mark.no_cover
def test_cache_of_visits_changes_no_result(policy: Policy) -> None:
    warm, fresh, found = Reader(policy), Reader(policy), 0
    for request in requests():
        fresh.visits.forget()
        known = len(warm.visits._known)
        read = [reader.read(request)._replace(valid_from=0) for reader in (warm, fresh)]
        assert read[0] == read[1], request
        found += known == len(warm.visits._known)
    assert found > 1000


@pytest.mark.slow
def test_cached_visits_are_bounded() -> None:
    reader = Reader(SITE)
    for number in range(5000):
        reader.read((b"name-%d=1" % number, [], "/", "https", NOW))
    assert 0 < len(reader.visits._known) <= 2048
