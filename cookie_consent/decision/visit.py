"""Reads a request's cookies and signals, and decides on it. It writes nothing."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from hashlib import blake2b
from typing import Any, NamedTuple

from cookie_consent.base.addresses import SECURE_SCHEMES, is_secure, outer_path, read_host
from cookie_consent.base.bounds import LONGEST_KEPT, Cache
from cookie_consent.base.clock import DAY
from cookie_consent.base.cookies import Headers
from cookie_consent.base.messages import forget_with_others
from cookie_consent.decision.cookie_log import count_blocked, log_request
from cookie_consent.decision.decision import Decision, decide, deny_optional, depends_on_signals
from cookie_consent.decision.gate import Gate, RefusableCookie, count_reasons
from cookie_consent.decision.own_cookies import HTTP, HTTPS, OwnCookies, Place
from cookie_consent.decision.record import ConsentRecord, choose_newest
from cookie_consent.decision.tokens import KnownVisitor
from cookie_consent.policy.laws import Law, is_place
from cookie_consent.policy.policy import Policy

_MAX_KNOWN = 2048
_LONGEST_KNOWN = 2048
"""The longest Cookie field (bytes) whose visit is cached. With `_MAX_KNOWN`, the cache takes a few MB."""
_LONGEST_READ = 64 * 1024
"""Bytes of a Cookie field that are read and that the app sees, as many as most servers accept for all fields together.
The rest is held back."""
_SIGNALS = {b"sec-gpc": "gpc", b"dnt": "dnt"}
_NO_SIGNALS = frozenset[str]()
_LONGEST_CODE = 16
"""Bytes of a code with white space around it. What is longer is no code."""
_log = logging.getLogger("cookie_consent")


class Visit(NamedTuple):
    """What a request's cookies and signals tell. Requests share it.

    Args:
        decision: the decision on the request.
        place: where our own cookies live.
        cookies: the Cookie field, cut to 64 KiB.
        visible_cookies: the Cookie field that the app may see; None if it may see all of it.
        blocked_counts: reason -> how many cookies are held back from the app.
        refusable_cookies: the cookies that can be refused; see `Gate.filter_request`.
        refused_cookies: those of them that the visitor has refused, or whose consent has ended, but the browser still
            sends.
        visitor: the visitor's pseudonym, if there is one and tracing is allowed.
        traced: whether tracing is allowed by consent.
        depends_on_signals: whether a signal could refuse a granted purpose.
        signal_cookie: the Set-Cookie field to store that a signal overrides the answer; None if it is stored already,
            or no signal does.
        saved: what the next page is to say of an answer; see `OwnCookies.read_saved`.
        valid_from: when this starts being valid (seconds since 1970). If the clock is set back further, the request is
            read again.
        valid_until: when this stops being valid.
    """

    decision: Decision
    place: Place
    cookies: bytes
    visible_cookies: bytes | None
    blocked_counts: Mapping[str, int]
    refusable_cookies: tuple[RefusableCookie, ...] = ()
    refused_cookies: tuple[bytes, ...] = ()
    visitor: KnownVisitor | None = None
    traced: bool = False
    depends_on_signals: bool = False
    signal_cookie: bytes | None = None
    saved: str = ""
    valid_from: float = 0.0
    valid_until: float = math.inf


class LawByCountry:
    """Chooses the law for a request: that of a part of a country, else that of the country, else the policy's default.

    Args:
        country: the name of a header field, or a function from an ASGI scope to a code of ISO 3166, or to "".
        policy: a policy with laws by country.

    Attributes:
        field: the name of the header field; "" for a function.
    """

    def __init__(self, country: str | Callable[[Mapping[str, Any]], str], policy: Policy) -> None:
        self.field = country if isinstance(country, str) else ""
        self._read_code = self._read_field if isinstance(country, str) else country
        self._default = policy.law
        # Of two laws for one place that of fewer places counts, as France's before that of the European Union, and
        # that of opting in.
        ordered = sorted(policy.laws, key=lambda law: (-len(law.places), not law.is_opt_out))
        self._by_place = {place: law for law in ordered for place in law.places}

    def find_law(self, scope: Mapping[str, Any]) -> Law | None:
        """Return the law for a request; None if the policy names none for it."""
        place = self._read_place(scope)
        return self._by_place.get(place) or self._by_place.get(place[:2], self._default)

    def read_country(self, scope: Mapping[str, Any]) -> str:
        """Return the code of the country of a request; "" if it is not known."""
        return self._read_place(scope)[:2]

    def _read_place(self, scope: Mapping[str, Any]) -> str:
        """Return the code of the place of a request; "" if it is not known."""
        place = self._read_code(scope).strip().upper()
        # "XX", "T1" and the like are no countries: the CDN does not know either.
        return place if is_place(place) else ""

    def _read_field(self, scope: Mapping[str, Any]) -> str:
        """Return the value of the field; "" without one or with several, since a visitor may have sent one of them."""
        name = self.field.lower().encode()
        found = [value for key, value in scope["headers"] if key.lower() == name]
        if len(found) != 1 or len(found[0]) > _LONGEST_CODE:
            return ""
        return bytes(found[0]).decode("latin-1")


class Visits:
    """Reads requests, with a cache for cookies that are sent again.

    Args:
        policy: the site's policy.
        own_cookies: our own cookies.
        gate: the gate for cookies.
        clock: returns seconds since 1970.
        by_country: chooses the law for a request; None if the same one applies everywhere.

    Attributes:
        country_field: the name of the header field that the law depends on; "" for none.
    """

    def __init__(
        self,
        policy: Policy,
        own_cookies: OwnCookies,
        gate: Gate,
        clock: Callable[[], float],
        by_country: LawByCountry | None = None,
    ) -> None:
        self._own_cookies = own_cookies
        self._gate = gate
        self._clock = clock
        self._by_country = by_country
        self.country_field = "" if by_country is None else by_country.field
        self._policy = policy
        self._by_law = {law.code: policy.under_law(law) for law in policy.laws if by_country is not None}
        self._known = Cache[tuple[object, ...], Visit](_MAX_KNOWN, _LONGEST_KNOWN)
        forget_with_others(self)

    def read(self, scope: Mapping[str, Any], path: str, request: Mapping[bytes, bytes]) -> Visit:
        """Read a request, and count the cookies that are held back from the app.

        Args:
            scope: the request's ASGI scope.
            path: its path inside the app.
            request: its header fields by name.
        """
        cookies, signals = read_fields(scope["headers"], request)
        place = find_place(self._own_cookies, scope)
        policy = self._find_policy(scope, path)
        now = self._clock()
        # A long field is represented by its digest, in a tuple so that no short field can equal a digest.
        field = cookies if len(cookies) <= LONGEST_KEPT else (blake2b(cookies, digest_size=32).digest(),)
        key = (field, signals, place, policy)
        visit = self._known.get(key)
        if visit is None or not visit.valid_from <= now < visit.valid_until:
            try:
                visit = self._decide(policy, cookies, signals, now, place)
            except Exception:  # noqa: BLE001 (an error while deciding denies, and the page is served)
                _log.exception("A request could not be decided on; nothing optional is allowed on it.")
                denied = deny_optional(decide(policy, None, frozenset(), now))
                return Visit(denied, place, _cut_to_limit(cookies), b"", blocked_counts={}, valid_until=now)
            self._known.keep(key, visit, len(cookies))
        if visit.blocked_counts:
            count_blocked("request", visit.blocked_counts)
        return visit

    def forget(self) -> None:
        """Read again what is known, and warn of it again."""
        self._known.clear()

    def find_service_policy(self, service: str, like: Policy) -> Policy | None:
        """Return the policy with the conditions of a service, by the service's id, or None if there is no such one.

        Args:
            service: the id of the service.
            like: a policy under the same law.
        """
        policies = [policy for _, _, policy in self._under_law(like.law).places]
        return next((policy for policy in policies if policy.service and policy.service.id == service), None)

    def _find_policy(self, scope: Mapping[str, Any], path: str) -> Policy:
        """Return the policy for a request: of a service, or the site's.

        It is under the law of the visitor's country, if the policy has laws by country.
        """
        site_policy = self._policy
        if self._by_country is not None:
            site_policy = self._under_law(self._by_country.find_law(scope))
        return site_policy.at(path, lambda: read_host(scope))

    def _under_law(self, law: Law | None) -> Policy:
        return self._by_law.get("" if law is None else law.code, self._policy)

    def _decide(self, policy: Policy, sent: bytes, signals: frozenset[str], now: float, place: Place) -> Visit:
        """Return the visit of a request that is not known yet."""
        own_cookies = self._own_cookies
        cookies = _cut_to_limit(sent)
        records = own_cookies.read_records(cookies, place)
        record, valid_until = choose_record(records, policy, now)
        decision = decide(policy, record, signals, now)
        if record is None and policy.is_opt_out and own_cookies.has_answer(cookies, place):
            decision = deny_optional(decision)  # an unreadable answer may have been a refusal
        visible, findings, refusable = self._gate.filter_request(cookies, decision.purposes)
        refused = find_refused(refusable, record)
        once_allowed = {id_ for id_, is_allowed in decision.purposes.items() if is_allowed}
        if record is not None:
            once_allowed.update(record.granted)
        elif self._has_ended(policy, records, cookies, now, place):
            refused = tuple(name for name, purposes in refusable if purposes.isdisjoint(once_allowed))
            once_allowed.update(policy.in_force)
        log_request(findings, once_allowed)
        is_traced = decision.traces
        visitor = own_cookies.read_visitor(cookies, now, place) if is_traced else None
        return Visit(
            decision=decision,
            place=place,
            cookies=cookies,
            visible_cookies=None if visible == sent else visible,
            refusable_cookies=refusable,
            refused_cookies=refused,
            blocked_counts=count_reasons(findings),
            visitor=visitor,
            traced=is_traced,
            depends_on_signals=depends_on_signals(decision),
            signal_cookie=self._make_signal_cookie(decision, now, place),
            saved=own_cookies.read_saved(cookies, place),
            valid_from=now if records else 0.0,
            valid_until=min(valid_until, visitor.valid_until) if visitor else valid_until,
        )

    def _has_ended(
        self, policy: Policy, records: list[ConsentRecord], cookies: bytes, now: float, place: Place
    ) -> bool:
        """Return whether a visitor without a valid answer gave a consent that has ended since.

        Browsers drop the consent cookie at its end. A visitor id, which outlives it, was made only after consent.
        """
        if records:
            has_consented = any(record.granted for record in records)
            return has_consented and all(record.decided_at <= now for record in records)
        if policy.is_opt_out or self._own_cookies.has_answer(cookies, place):
            return False
        return self._own_cookies.read_visitor(cookies, now, place) is not None

    def _make_signal_cookie(self, decision: Decision, now: float, place: Place) -> bytes | None:
        """Return the Set-Cookie field for the signals that override the answer; None if they are stored already."""
        record = decision.record
        if record is None or not decision.overruled:
            return None
        signals = record.overridden_by.union(decision.signals) - record.signals
        if signals == record.overridden_by:
            return None
        return self._own_cookies.set_signals(signals, record, now, place)


def find_place(own_cookies: OwnCookies, scope: Mapping[str, Any]) -> Place:
    """Return where the cookies of a request live. A host that shares no answers has cookies of its own."""
    if own_cookies.hosts:
        host = read_host(scope)
        if host in own_cookies.hosts:
            return Place(is_secure(scope), host, own_cookies.domain)
    return HTTPS if scope.get("scheme") in SECURE_SCHEMES else HTTP


def _cut_to_limit(cookies: bytes) -> bytes:
    return cookies if len(cookies) <= _LONGEST_READ else cookies[:_LONGEST_READ].rpartition(b";")[0]


def choose_record(records: Iterable[ConsentRecord], policy: Policy, now: float) -> tuple[ConsentRecord | None, float]:
    """Return the record that counts now, if any, and until when that stays so (seconds since 1970)."""
    valid = []
    valid_until = math.inf
    for record in records:
        if now < record.decided_at:
            valid_until = min(valid_until, record.decided_at)
        elif now < record.expires_at:
            valid_until = min(valid_until, record.expires_at)
            valid.append(record)
    if valid and policy.changes:
        valid_until = min(valid_until, (now // DAY + 1) * DAY)  # announcements of changes depend on the date
    return choose_newest(valid), valid_until


def find_refused(refusable_cookies: Iterable[RefusableCookie], record: ConsentRecord | None) -> tuple[bytes, ...]:
    """Return the names of the cookies whose purposes an answer has refused. Signals do not count.

    Args:
        refusable_cookies: those that `Gate.filter_request` found.
        record: the visitor's answer, if any.
    """
    if record is None:
        return ()
    refused = {*record.refused}
    return tuple(name for name, purposes in refusable_cookies if purposes <= refused)


def expire_refused(gate: Gate, visit: Visit, scope: Mapping[str, Any]) -> Headers:
    """Return the Set-Cookie fields that delete what a visitor has refused, or what an ended consent allowed."""
    unsent = []
    if visit.refused_cookies and visit.decision.record is None:  # a consent has ended, and no answer has deleted them
        off = [id_ for id_, is_allowed in visit.decision.purposes.items() if not is_allowed]
        unsent = gate.find_unsent(off, outer_path(scope))
    return gate.expire_cookies(visit.refused_cookies, read_host(scope), secure=visit.place.secure, unsent=unsent)


def read_fields(fields: Headers, by_name: Mapping[bytes, bytes]) -> tuple[bytes, frozenset[str]]:
    """Return the Cookie field of a request, of which HTTP/2 sends several, and the names of its signals.

    A signal is there if its field is exactly "1" (Global Privacy Control, section "The Sec-GPC Header Field"). That
    there is none is never consent.
    """
    cookies = by_name.get(b"cookie", b"")
    if len(by_name) < len(fields):
        cookies = b"; ".join([value for name, value in fields if name == b"cookie"])
    signals = _NO_SIGNALS
    for name in _SIGNALS:
        if name in by_name and (name, b"1") in map(tuple, fields):
            signals |= {_SIGNALS[name]}
    return cookies, signals


def hide_blocked_cookies(scope: MutableMapping[str, Any], visit: Visit) -> MutableMapping[str, Any]:
    """Return a request's scope without the cookies that the app may not see."""
    if visit.visible_cookies is None:
        return scope
    headers = [field for field in scope["headers"] if field[0] != b"cookie"]
    if visit.visible_cookies:
        headers.append((b"cookie", visit.visible_cookies))
    return {**scope, "headers": headers}
