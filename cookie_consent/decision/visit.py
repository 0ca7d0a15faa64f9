"""Reads a request: its cookies and signals, and what follows from them. Writes nothing."""

from __future__ import annotations

import logging
import math
from array import array
from collections.abc import Callable, Hashable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from cookie_consent.base.addresses import host_name
from cookie_consent.base.caching import Headers
from cookie_consent.base.clock import DAY
from cookie_consent.base.cookies.fields import pairs, values
from cookie_consent.base.limits import LONGEST_KEPT, evict_if_full
from cookie_consent.base.signals import DNT_FIELD, GPC_FIELD, read_signals
from cookie_consent.decision.decision import (
    Decision,
    decide,
    grounds,
    heeds_signals,
    ruling_signals,
    with_record,
    without_optional,
)
from cookie_consent.decision.gate import Gate
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.record import ConsentRecord, State, newest
from cookie_consent.decision.visitor_cookie import Arrival
from cookie_consent.policy.policy import Policy

_MOST_KNOWN = 4096
_LONGEST_KNOWN = 4096
"""Bytes of a Cookie field of which is kept what was read of it."""
_LONGEST_READ = 64 * 1024
"""Bytes of a Cookie field that are read, and that the app sees: as much as most servers take of all fields together.
What is cut off is held back."""
_MOST_KNOWN_BYTES = 4 * 1024 * 1024
"""Bytes of all Cookie fields of which is kept what was read of them, and of the names in them."""
_BYTES_OF_A_NAME = 160
"""So many does the name of a cookie that can be refused take in what is kept, with what belongs to it."""
_DIGEST_BYTES = 32
_MOST_SEEN_ONCE = 16384
_MOST_ALIKE = 512
"""With a policy of four purposes and a dozen cookies a request they take about 1 MB."""
_SECURE = ("https", "wss")
_log = logging.getLogger("cookie_consent")
_SIGNAL_FIELDS = (GPC_FIELD, DNT_FIELD)


@dataclass(slots=True)
class Visit:
    """What is known of a request, by its cookies and signals. Requests that are alike share it: it is never changed.

    Args:
        decision: what holds.
        passed: what the app may see of the Cookie field; None where that is all.
        carried: the names of cookies that can be refused, each with the purposes of which all have to be.
        left_over: those of them that the visitor has refused, and which came all the same.
        held: how many cookies are held back from the app, by reason.
        visitor_id: the visitor's pseudonym, if one was made and tracing is allowed.
        traced: whether tracing is allowed, by consent.
        heeds_signals: whether something was granted that a signal can refuse.
        good_until: until when all of this holds (seconds since 1970).
        arrival: how the visitor came, where the page on which tracing was allowed is still to be recorded.
        exempt: the id of the purpose by which the visit is recorded without consent; "" where it is not.
        good_from: from when; a clock that is set back is asked anew what holds.
        remembers: the Set-Cookie field that remembers that a signal rules over the answer; None where that is known, or
            none does.
    """

    decision: Decision
    passed: bytes | None
    carried: tuple[tuple[bytes, frozenset[str]], ...]
    left_over: tuple[bytes, ...]
    held: Mapping[str, int]
    visitor_id: str | None
    traced: bool
    heeds_signals: bool
    good_until: float
    arrival: Arrival | None = None
    exempt: str = ""
    good_from: float = 0.0
    remembers: bytes | None = None
    asks: bool = field(init=False)
    """Whether something is left to be asked."""
    is_quick: bool = field(init=False)
    """Whether the visit adds nothing of its own to the response; see `enforcement.response`."""
    does_more: bool = field(init=False)
    """Whether more is to be done on the request than to hold cookies back."""

    def __post_init__(self) -> None:
        self.asks = self.decision.should_ask
        adds = self.exempt or self.left_over or self.arrival is not None or self.remembers is not None
        self.is_quick = not adds
        self.does_more = self.traced or self.heeds_signals or bool(adds)


class _Alike(NamedTuple):
    """What follows from the words of an answer and from the names of the cookies that came, whoever sent them.

    Args:
        visit: what is known of all such requests; without a record.
        passing: the names of the cookies that the app may see.
    """

    visit: Visit
    passing: frozenset[bytes]


_Key = tuple[Hashable, bool, int, bytes]
"""On what was decided, whether an answer came that cannot be read, how many cookies came, and their names."""
_NO_RECORD = (None, 0.0, math.inf)


class Visits:
    """Reads requests, and keeps what it read of cookies that come again.

    Args:
        policy: the site's policy.
        own: our own cookies.
        gate: holds cookies back.
        clock: returns seconds since 1970.

    Attributes:
        paths: how the paths of services begin.
    """

    def __init__(self, policy: Policy, own: OwnCookies, gate: Gate, clock: Callable[[], float]) -> None:
        self._policy, self._own, self._gate, self._clock = policy, own, gate, clock
        by_detail = sorted(policy.services, key=lambda part: (part.host, len(part.path)), reverse=True)
        self._services = [(part.host, part.path.rstrip("/"), policy.under(part)) for part in by_detail]
        self._hosts = any(part.host for part in policy.services)
        self.paths = tuple(path for _, path, _ in self._services)
        self._known: dict[tuple[object, ...], Visit] = {}
        self._known_bytes = 0
        self._seen_once = array("q", bytes(8 * _MOST_SEEN_ONCE))
        self._alike: dict[_Key, _Alike] = {}
        self._lifetime = own.lifetime.total_seconds()

    def read(self, scope: Mapping[str, Any], path: str) -> Visit:
        """Return what is known of a request to a path inside the app."""
        cookies, crumbs, signals = b"", 0, b""
        headers: Headers = scope["headers"]
        for name, value in headers:
            if name == b"cookie":
                cookies, crumbs = value, crumbs + 1
            elif value == b"1" and name in _SIGNAL_FIELDS and name not in signals:
                signals += name
        if crumbs > 1 or type(cookies) is not bytes:  # HTTP/2 sends several; a middleware may send other bytes
            cookies = b"; ".join([value for name, value in headers if name == b"cookie"])
        secure, length = scope.get("scheme") in _SECURE, len(cookies)
        policy = self._policy_at(scope, path) if path.startswith(self.paths) else self._policy
        # A digest stands for a long field, in a tuple: no field can be given the form of another one's digest.
        key = (cookies if length <= LONGEST_KEPT else (_digest(cookies).digest(),), signals, secure, policy)
        visit, now = self._known.get(key), self._clock()
        if visit is None or not visit.good_from <= now < visit.good_until:
            found = read_signals(scope["headers"]) if signals else frozenset()
            visit = self._look_safely(policy, cookies, found, now, secure=secure)
            if length <= _LONGEST_KNOWN:
                self._keep(key, visit, length + _BYTES_OF_A_NAME * len(visit.carried))
        if visit.held:
            self._gate.count("request", visit.held)
        return visit

    def policy_in(self, service: str) -> Policy | None:
        """Return the policy as it holds in a service; None if there is none of that id."""
        return next(
            (policy for _, _, policy in self._services if policy.service and policy.service.id == service), None
        )

    def _policy_at(self, scope: Mapping[str, Any], path: str) -> Policy:
        """Return the policy as it holds there: that of the most special service, host before path."""
        host = host_of(scope) if self._hosts else ""
        for own_host, own_path, policy in self._services:
            if own_host in ("", host) and (path == own_path or path.startswith(f"{own_path}/")):
                return policy
        return self._policy

    def _look_safely(
        self, policy: Policy, cookies: bytes, signals: frozenset[str], now: float, *, secure: bool
    ) -> Visit:
        """Look; whatever goes wrong, nothing optional is allowed, no cookie reaches the app, and the page is served."""
        try:
            return self._look(policy, cookies, signals, now, secure=secure)
        except Exception:  # noqa: BLE001 (an error while deciding denies)
            _log.exception("A request could not be decided on; nothing optional is allowed on it.")
            denied = without_optional(decide(policy, None, frozenset(), now))
            return Visit(denied, b"", (), (), {}, visitor_id=None, traced=False, heeds_signals=False, good_until=now)

    def _look(self, policy: Policy, came: bytes, signals: frozenset[str], now: float, *, secure: bool) -> Visit:
        cookies = _begin(came)
        crumbs, records = pairs(cookies), self._own.records(cookies, secure=secure)
        record, good_from, good_until = self._in_force(policy, records, now) if records else _NO_RECORD
        # An answer that cannot be read may have been an objection.
        denies = record is None and policy.exempt != "" and self._has_answer(cookies, secure=secure)
        key = (grounds(policy, record, signals, now), denies, len(crumbs), b";".join([name for name, _ in crumbs]))
        alike = self._alike.get(key)
        if alike is None:
            decision = decide(policy, record, signals, now, lifetime=self._own.lifetime)
            alike = self._look_at_names(key, without_optional(decision) if denies else decision, cookies)
        visit, passed = alike.visit, cookies
        if visit.held:
            passed = b"; ".join([pair for name, pair in crumbs if name in alike.passing])
        if not records and passed == came:
            return visit  # nothing about this request is its own
        decision = with_record(visit.decision, record)
        visitor = self._own.visitor(cookies, now, secure=secure) if visit.traced else None
        return Visit(
            decision=decision,
            passed=None if passed == came else passed,
            carried=visit.carried,
            left_over=visit.left_over,
            held=visit.held,
            visitor_id=visitor.id if visitor else None,
            traced=visit.traced,
            heeds_signals=visit.heeds_signals,
            good_until=min(good_until, visitor.good_until) if visitor else good_until,
            arrival=visitor.arrival if visitor else None,
            exempt=visit.exempt,
            good_from=good_from,
            remembers=self._remembering(decision, now, secure=secure) if signals else None,
        )

    def _look_at_names(self, key: _Key, decision: Decision, cookies: bytes) -> _Alike:
        """Find, and keep if it is short, what is the same for all whose answer and cookies' names are alike."""
        passed, held = self._gate.incoming(cookies, decision.purposes)
        carried = self._gate.carried(cookies)
        visit = Visit(
            decision=with_record(decision, None),
            passed=None,
            carried=carried,
            left_over=refused_names(carried, decision.record),
            held=held,
            visitor_id=None,
            traced=decision.traces,
            heeds_signals=heeds_signals(decision),
            good_until=math.inf,
            exempt=decision.exempt,
        )
        alike = _Alike(visit, frozenset([name for name, _ in pairs(passed)]))
        if key[0] is not None and len(key[-1]) <= LONGEST_KEPT:
            evict_if_full(self._alike, _MOST_ALIKE)
            self._alike[key] = alike
        return alike

    def _in_force(
        self, policy: Policy, records: list[ConsentRecord], now: float
    ) -> tuple[ConsentRecord | None, float, float]:
        """Return the record that counts, if one does; and from when until when that holds (seconds since 1970)."""
        good, good_until = [], math.inf
        for record in records:
            turn = record.decided_at + self._lifetime
            if now < record.decided_at:
                turn = float(record.decided_at)
            elif now < turn:
                good.append(record)
            if now < turn < good_until:
                good_until = turn
        if good and policy.changes:
            good_until = min(good_until, (now // DAY + 1) * DAY)  # what is new today may not be tomorrow
        return newest(good), now, good_until

    def _remembering(self, decision: Decision, now: float, *, secure: bool) -> bytes | None:
        """Return the Set-Cookie field for what is not remembered yet of the signals that rule over an answer."""
        record, signals = decision.record, ruling_signals(decision)
        if record is None or signals == record.overruled:
            return None
        return self._own.set_signals(signals, record.decided_at, now, secure=secure)

    def _has_answer(self, cookies: bytes, *, secure: bool) -> bool:
        """Return whether a consent cookie came, one that can be read or not."""
        return bool(values(cookies, self._own.name("consent", secure=secure).encode()))

    def _keep(self, key: tuple[object, ...], visit: Visit, length: int) -> None:
        """Keep what came a second time; cookies that never come again, a flood of forged ones say, leave no trace."""
        mark = hash(key)
        place = mark % _MOST_SEEN_ONCE
        if self._seen_once[place] != mark:
            self._seen_once[place] = mark
        else:
            evict_if_full(self._known, _MOST_KNOWN if self._known_bytes + length <= _MOST_KNOWN_BYTES else 0)
            self._known_bytes = (self._known_bytes if self._known else 0) + length
            self._known[key] = visit


_digest = partial(blake2b, digest_size=_DIGEST_BYTES)
"""Tells long Cookie fields apart."""


def _begin(cookies: bytes) -> bytes:
    return cookies if len(cookies) <= _LONGEST_READ else cookies[:_LONGEST_READ].rpartition(b";")[0]


def refused_names(carried: Iterable[tuple[bytes, frozenset[str]]], record: ConsentRecord | None) -> tuple[bytes, ...]:
    """Return the names of the cookies whose purposes were all refused by an answer. A signal refuses none of them."""
    refused = frozenset(record.in_state(State.REFUSED)) if record else frozenset()
    return tuple(name for name, purposes in carried if purposes <= refused)


def cookies_of(scope: Mapping[str, Any]) -> bytes:
    """Return the Cookie field of a request, as far as it is read; several are joined (HTTP/2 sends several)."""
    return _begin(b"; ".join([value for name, value in scope["headers"] if name == b"cookie"]))


def without_held(scope: MutableMapping[str, Any], visit: Visit) -> MutableMapping[str, Any]:
    """Return a request's scope without the cookies that are held back from the app."""
    if visit.passed is None:
        return scope
    headers = [field for field in scope["headers"] if field[0] != b"cookie"]
    return {**scope, "headers": [*headers, (b"cookie", visit.passed)] if visit.passed else headers}


def is_secure(scope: Mapping[str, Any]) -> bool:
    """Return whether a request came over an encrypted connection. ASGI servers may leave the scheme out."""
    return scope.get("scheme") in _SECURE


def host_of(scope: Mapping[str, Any]) -> str:
    """Return the host that a request names, without its port, in small letters; "" where it names none."""
    return host_name(next((value for name, value in scope["headers"] if name == b"host"), b""))
