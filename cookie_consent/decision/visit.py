"""Reads a request's cookies and signals, and decides on it. It writes nothing."""

from __future__ import annotations

import logging
import math
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any, NamedTuple

from cookie_consent.base.addresses import outer_path
from cookie_consent.base.bounds import LONGEST_KEPT, Cache, evict_if_full
from cookie_consent.base.clock import DAY
from cookie_consent.base.cookies import pairs
from cookie_consent.base.frozen import quick_maker
from cookie_consent.base.messages import forget_with_others
from cookie_consent.base.request_fields import DNT_FIELD, GPC_FIELD, Headers, read_signals
from cookie_consent.decision.cookie_log import CookieLog
from cookie_consent.decision.decision import (
    Decision,
    decide,
    decision_key,
    depends_on_signals,
    with_record,
    without_optional,
)
from cookie_consent.decision.gate import Gate, RefusableCookie
from cookie_consent.decision.own_cookies import SAVED, OwnCookies
from cookie_consent.decision.place import HTTP, HTTPS, SECURE_SCHEMES, LawByCountry, Place, is_secure, read_host
from cookie_consent.decision.record import ConsentRecord, State, newest
from cookie_consent.decision.tokens import Arrival
from cookie_consent.policy.laws import Law
from cookie_consent.policy.parts import Service
from cookie_consent.policy.policy import Policy

_MAX_KNOWN = 4096
_LONGEST_KNOWN = 4096
"""The largest Cookie field (bytes) whose visit is cached."""
_LONGEST_READ = 64 * 1024
"""Bytes of a Cookie field that are read and that the app sees, as many as most servers accept for all fields together.
The rest is held back."""
_MAX_KNOWN_BYTES = 4 * 1024 * 1024
"""The largest total size (bytes) of the Cookie fields with a cached visit, and of the names in them."""
_BYTES_OF_A_NAME = 160
"""The size of a refusable cookie's name in the cache, with its purposes."""
_DIGEST_BYTES = 32
_MAX_SEEN_ONCE = 16384
_MAX_SHARED_VISITS = 512
"""They take about 1 MB, with a policy of four purposes and a dozen cookies a request."""
_log = logging.getLogger("cookie_consent")
_SIGNAL_FIELDS = (GPC_FIELD, DNT_FIELD)


@dataclass(frozen=True, slots=True)
class Visit:
    """What a request's cookies and signals tell. Requests share it.

    Args:
        decision: the decision on the request.
        visible_cookies: the Cookie field that the app may see; None if it may see all of it.
        refusable_cookies: the cookies that can be refused; see `Gate.find_refusable`.
        refused_cookies: those of them that the visitor has refused, or whose consent has ended, but the browser still
            sends.
        blocked_counts: reason -> how many cookies are held back from the app.
        visitor_id: the visitor's pseudonym, if there is one and tracing is allowed.
        traced: whether tracing is allowed by consent.
        depends_on_signals: whether a signal could refuse a granted purpose.
        valid_until: when this stops being valid (seconds since 1970).
        arrival: how the visitor came, if the page on which tracing was allowed is still to be recorded.
        valid_from: when this starts being valid. If the clock is set back further, the request is read again.
        signal_cookie: the Set-Cookie field to store that a signal overrides the answer; None if it is stored already,
            or no signal does.
        saved: whether the next page is to say that an answer is saved.
    """

    decision: Decision
    visible_cookies: bytes | None
    refusable_cookies: tuple[RefusableCookie, ...]
    refused_cookies: tuple[bytes, ...]
    blocked_counts: Mapping[str, int]
    visitor_id: str | None
    traced: bool
    depends_on_signals: bool
    valid_until: float
    arrival: Arrival | None = None
    valid_from: float = 0.0
    signal_cookie: bytes | None = None
    saved: bool = False
    should_ask: bool = field(init=False)
    """Whether a purpose is still to be asked for."""
    is_quick: bool = field(init=False)
    """Whether the visit itself adds nothing to the response; see `enforcement.visit_response`."""
    needs_preparation: bool = field(init=False)
    """Whether the request needs more than holding cookies back."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "__class__", _new_visit)
        _complete(self)


def _complete(visit: Any) -> None:
    """Set the fields that follow from the others, and freeze the visit."""
    visit.should_ask = visit.decision.should_ask
    adds = visit.refused_cookies or visit.arrival is not None or visit.signal_cookie is not None
    visit.is_quick = not (adds or visit.saved)
    visit.needs_preparation = visit.traced or visit.depends_on_signals or bool(adds) or visit.saved
    visit.__class__ = Visit


_new_visit = quick_maker(Visit, _complete)


class _SharedVisit(NamedTuple):
    """What all requests with the same answers and the same names of cookies have in common.

    Args:
        visit: the visit of such a request, without a record.
        visible_names: the names of the cookies that the app may see.
    """

    visit: Visit
    visible_names: frozenset[bytes]


_Key = tuple[Hashable, bool, bool, int, bytes]
"""The key of the decision, whether there is an unreadable answer, whether a consent has ended, the number of cookies,
and their names."""
_NO_RECORD = (None, 0.0, math.inf)
_Services = list[tuple[str, str, Policy]]
"""The host and the path of each service, and the policy with its conditions; the most specific one first."""


class Visits:
    """Reads requests, with a cache for cookies that are sent again.

    Args:
        policy: the site's policy.
        own_cookies: our own cookies.
        gate: the gate for cookies.
        cookie_log: counts blocked cookies, and warns of them.
        clock: returns seconds since 1970.
        by_country: chooses the law for a request; None if the same one applies everywhere.

    Attributes:
        paths: the beginnings of paths at which another policy than the site's may apply.
        country_field: the name of the header field that the law depends on; "" for none.
    """

    def __init__(
        self,
        policy: Policy,
        own_cookies: OwnCookies,
        gate: Gate,
        cookie_log: CookieLog,
        clock: Callable[[], float],
        by_country: LawByCountry | None = None,
    ) -> None:
        self._policy, self._own_cookies, self._gate, self._clock = policy, own_cookies, gate, clock
        self._cookie_log = cookie_log
        self._by_country = by_country
        self._services = _under_services(policy)
        self._under_laws: dict[str, tuple[Policy, _Services]] = {}
        if by_country is not None:
            for law in policy.laws:
                there = policy.under_law(law)
                self._under_laws[law.code] = there, _under_services(there)
        self._hosts = any(part.host for part in policy.services)
        # With laws by country, no path says which policy applies.
        self.paths = ("",) if by_country is not None else tuple(path for _, path, _ in self._services)
        self.country_field = by_country.field if by_country is not None else ""
        self._known: dict[tuple[object, ...], Visit] = {}
        self._known_bytes = 0
        forget_with_others(self)
        self._seen_once = array("q", bytes(8 * _MAX_SEEN_ONCE))
        self._shared_visits = Cache[_Key, _SharedVisit](_MAX_SHARED_VISITS)
        # Without shared answers the host makes no difference, and is not looked up.
        self._place = own_cookies.place if own_cookies.hosts else None

    def read(self, scope: Mapping[str, Any], path: str) -> Visit:
        """Read a request, and count the cookies that are held back from the app.

        Args:
            scope: the request's ASGI scope.
            path: its path inside the app.
        """
        cookies, crumbs, signals = b"", 0, b""
        headers: Headers = scope["headers"]
        for name, value in headers:
            if name == b"cookie":
                cookies, crumbs = value, crumbs + 1
            elif value == b"1" and name in _SIGNAL_FIELDS and name not in signals:
                signals += name
        if crumbs > 1 or type(cookies) is not bytes:  # HTTP/2 sends several; a middleware may send other bytes
            cookies = b"; ".join([value for name, value in headers if name == b"cookie"])
        length = len(cookies)
        is_secure_scheme = scope.get("scheme") in SECURE_SCHEMES
        place = self._place(scope) if self._place is not None else HTTPS if is_secure_scheme else HTTP
        policy = self._policy_at(scope, path) if path.startswith(self.paths) else self._policy
        # A long field is represented by its digest, in a tuple so that no short field can equal a digest.
        key = (cookies if length <= LONGEST_KEPT else (_digest(cookies).digest(),), signals, place, policy)
        visit, now = self._known.get(key), self._clock()
        if visit is None or not visit.valid_from <= now < visit.valid_until:
            signal_names = read_signals(headers) if signals else frozenset()
            visit = self._visit_safely(policy, cookies, signal_names, now, place)
            if length <= _LONGEST_KNOWN:
                self._keep(key, visit, length + _BYTES_OF_A_NAME * len(visit.refusable_cookies))
        if visit.blocked_counts:
            self._cookie_log.count_request(visit.blocked_counts)
        return visit

    def forget(self) -> None:
        """Read again what is known, and warn of it again."""
        self._known.clear()
        self._shared_visits.clear()

    def policy_in(self, service: str, like: Policy) -> Policy | None:
        """Return the policy with the conditions of a service, by the service's id, or None if there is no such one.

        Args:
            service: the id of the service.
            like: a policy under the same law.
        """
        _, services = self._under(like.law)
        return next((policy for _, _, policy in services if policy.service and policy.service.id == service), None)

    def _policy_at(self, scope: Mapping[str, Any], path: str) -> Policy:
        """Return the policy of the most specific service for a request, host before path, or the site's.

        It is under the law of the visitor's country, if the policy has laws by country.
        """
        of_site, services = self._under(None if self._by_country is None else self._by_country.find_law(scope))
        host = read_host(scope) if self._hosts else ""
        for own_host, own_path, policy in services:
            if own_host in ("", host) and (path == own_path or path.startswith(f"{own_path}/")):
                return policy
        return of_site

    def _under(self, law: Law | None) -> tuple[Policy, _Services]:
        """Return the site's policy and those of its services under a law."""
        own = self._policy, self._services
        return own if law is None else self._under_laws.get(law.code, own)

    def _visit_safely(self, policy: Policy, cookies: bytes, signals: frozenset[str], now: float, place: Place) -> Visit:
        """Call `_visit`. After an error nothing optional is allowed and no cookie reaches the app, but it is served."""
        try:
            return self._visit(policy, cookies, signals, now, place)
        except Exception:  # noqa: BLE001 (an error while deciding denies)
            _log.exception("A request could not be decided on; nothing optional is allowed on it.")
            denied = without_optional(decide(policy, None, frozenset(), now))
            return Visit(
                denied, b"", (), (), {}, visitor_id=None, traced=False, depends_on_signals=False, valid_until=now
            )

    def _visit(self, policy: Policy, came: bytes, signals: frozenset[str], now: float, place: Place) -> Visit:
        cookies = _cut_to_limit(came)
        crumbs, records = pairs(cookies), self._own_cookies.read_records(cookies, place=place)
        record, valid_from, valid_until = self._in_force(policy, records, now) if records else _NO_RECORD
        # An unreadable answer may have been a refusal.
        denies = record is None and policy.is_opt_out and self._own_cookies.has_answer(cookies, place=place)
        has_ended = record is None and self._has_ended(policy, records, cookies, now, place)
        decided_by = decision_key(policy, record, signals, now)
        key = (decided_by, denies, has_ended, len(crumbs), b";".join([name for name, _ in crumbs]))
        shared = self._shared_visits.get(key)
        if shared is None:
            decision = decide(policy, record, signals, now)
            decision = without_optional(decision) if denies else decision
            shared = self._new_shared_visit(key, decision, cookies, place, has_ended=has_ended)
        visit, passed = shared.visit, cookies
        if visit.blocked_counts:
            passed = b"; ".join([pair for name, pair in crumbs if name in shared.visible_names])
        if not records and not visit.traced and passed == came:
            return visit  # the request has nothing of its own
        decision = with_record(visit.decision, record)
        visitor = self._own_cookies.read_visitor(cookies, now, place=place) if visit.traced else None
        return _new_visit(
            decision=decision,
            visible_cookies=None if passed == came else passed,
            refusable_cookies=visit.refusable_cookies,
            refused_cookies=visit.refused_cookies,
            blocked_counts=visit.blocked_counts,
            visitor_id=visitor.id if visitor else None,
            traced=visit.traced,
            depends_on_signals=visit.depends_on_signals,
            valid_until=min(valid_until, visitor.valid_until) if visitor else valid_until,
            arrival=visitor.arrival if visitor else None,
            saved=visit.saved,
            valid_from=valid_from,
            signal_cookie=self._signal_cookie(decision, now, place) if signals else None,
        )

    def _has_ended(
        self, policy: Policy, records: list[ConsentRecord], cookies: bytes, now: float, place: Place
    ) -> bool:
        """Tell whether a visitor without a valid answer gave a consent that has ended since.

        Browsers drop the consent cookie at its end. A visitor id, which outlives it, was made only after consent.
        """
        if records:
            has_consented = any(record.in_state(State.GRANTED) for record in records)
            return has_consented and all(record.decided_at <= now for record in records)
        if policy.is_opt_out or self._own_cookies.has_answer(cookies, place=place):
            return False
        return self._own_cookies.read_visitor(cookies, now, place=place) is not None

    def _new_shared_visit(
        self, key: _Key, decision: Decision, cookies: bytes, place: Place, *, has_ended: bool
    ) -> _SharedVisit:
        """Return what requests with the same key have in common, and cache it if the key is short."""
        passed, findings = self._gate.filter_request(cookies, decision.purposes)
        self._cookie_log.warn_of_request(findings)
        allowed = {purpose for purpose, is_allowed in decision.purposes.items() if is_allowed}
        if findings and not has_ended:
            was_granted = () if decision.record is None else decision.record.in_state(State.GRANTED)
            self._cookie_log.warn_of_sent(findings, allowed.union(was_granted))
        refusable_cookies = self._gate.find_refusable(cookies)
        refused_cookies = refused_cookie_names(refusable_cookies, decision.record)
        if has_ended:
            refused_cookies = tuple(name for name, purposes in refusable_cookies if purposes.isdisjoint(allowed))
        visit = Visit(
            decision=with_record(decision, None),
            visible_cookies=None,
            refusable_cookies=refusable_cookies,
            refused_cookies=refused_cookies,
            blocked_counts=Counter(finding.reason for finding in findings if finding.is_blocked),
            visitor_id=None,
            traced=decision.traces,
            depends_on_signals=depends_on_signals(decision),
            valid_until=math.inf,
            saved=bool(self._own_cookies.read(SAVED, cookies, place)),
        )
        shared = _SharedVisit(visit, frozenset([name for name, _ in pairs(passed)]))
        if key[0] is not None:
            self._shared_visits.keep(key, shared, len(key[-1]))
        return shared

    def _in_force(
        self, policy: Policy, records: list[ConsentRecord], now: float
    ) -> tuple[ConsentRecord | None, float, float]:
        """Return the valid record, if any, and from when until when it stays the one (seconds since 1970)."""
        good, valid_until = [], math.inf
        for record in records:
            turn = record.expires_at
            if now < record.decided_at:
                turn = record.decided_at
            elif now < turn:
                good.append(record)
            if now < turn < valid_until:
                valid_until = turn
        if good and policy.changes:
            valid_until = min(valid_until, (now // DAY + 1) * DAY)  # announcements of changes depend on the date
        return newest(good), now, valid_until

    def _signal_cookie(self, decision: Decision, now: float, place: Place) -> bytes | None:
        """Return the Set-Cookie field for the signals that override the answer; None if they are stored already."""
        record = decision.record
        if record is None or not decision.overruled:
            return None
        signals = record.overridden_by.union(decision.signals) - record.signals
        if signals == record.overridden_by:
            return None
        return self._own_cookies.set_signals(signals, record, now, place=place)

    def _keep(self, key: tuple[object, ...], visit: Visit, length: int) -> None:
        """Cache a visit at its second occurrence, so that a flood of forged cookies does not fill the cache."""
        # Only the hash is kept: what came once may be forged, and none of its bytes stay.
        mark = hash(key)
        place = mark % _MAX_SEEN_ONCE
        if self._seen_once[place] != mark:
            self._seen_once[place] = mark
        else:
            evict_if_full(self._known, _MAX_KNOWN if self._known_bytes + length <= _MAX_KNOWN_BYTES else 0)
            self._known_bytes = (self._known_bytes if self._known else 0) + length
            self._known[key] = visit


def _under_services(policy: Policy) -> _Services:
    by_detail: list[Service] = sorted(policy.services, key=lambda part: (part.host, len(part.path)), reverse=True)
    return [(part.host, part.path.rstrip("/"), policy.under(part)) for part in by_detail]


_digest = partial(blake2b, digest_size=_DIGEST_BYTES)
"""Represents a long Cookie field in a key."""


def _cut_to_limit(cookies: bytes) -> bytes:
    return cookies if len(cookies) <= _LONGEST_READ else cookies[:_LONGEST_READ].rpartition(b";")[0]


def refused_cookie_names(
    refusable_cookies: Iterable[RefusableCookie], record: ConsentRecord | None
) -> tuple[bytes, ...]:
    """Return the names of the cookies whose purposes an answer has refused. Signals do not count.

    Args:
        refusable_cookies: the result of `Gate.find_refusable`.
        record: the visitor's answer, if any.
    """
    if record is None:
        return ()
    refused = frozenset(record.in_state(State.REFUSED))
    return tuple(name for name, purposes in refusable_cookies if purposes <= refused)


def deletions(gate: Gate, visit: Visit, scope: Mapping[str, Any]) -> Headers:
    """Return the Set-Cookie fields that delete what a visitor has refused, or what an ended consent allowed.

    Args:
        gate: knows where each cookie may be.
        visit: the visit.
        scope: the request's ASGI scope.
    """
    unsent = []
    if visit.refused_cookies and visit.decision.record is None:  # a consent has ended, and no answer has deleted them
        off = [id_ for id_, is_allowed in visit.decision.purposes.items() if not is_allowed]
        unsent = gate.find_unsent(off, outer_path(scope))
    return gate.expire_cookies(visit.refused_cookies, read_host(scope), secure=is_secure(scope), unsent=unsent)


def cookies_of(scope: Mapping[str, Any]) -> bytes:
    """Return the Cookie field of a request, cut to 64 KiB; several fields, as HTTP/2 sends them, are joined."""
    return _cut_to_limit(b"; ".join([value for name, value in scope["headers"] if name == b"cookie"]))


def without_held(scope: MutableMapping[str, Any], visit: Visit) -> MutableMapping[str, Any]:
    """Return a request's scope without the held cookies."""
    if visit.visible_cookies is None:
        return scope
    headers = [field for field in scope["headers"] if field[0] != b"cookie"]
    return {**scope, "headers": [*headers, (b"cookie", visit.visible_cookies)] if visit.visible_cookies else headers}
