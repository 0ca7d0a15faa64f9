"""Reads a request: its cookies and signals, and what follows from them. Writes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cookie_consent.decision import Decision, decide
from cookie_consent.gate import Gate
from cookie_consent.own_cookies import OwnCookies
from cookie_consent.policy import Policy
from cookie_consent.record import newest
from cookie_consent.signals import DNT_FIELD, GPC_FIELD, read_signals

_MOST_KNOWN = 4096
_LONGEST_KNOWN = 4096
SECURE = ("https", "wss")
_SIGNAL_FIELDS = (GPC_FIELD, DNT_FIELD)


@dataclass(frozen=True, slots=True)
class Visit:
    """What is known of a request.

    Args:
        decision: what holds.
        cookies: the Cookie field as it came; several are joined (HTTP/2 sends several).
        passed: what the app may see of it; None where that is all.
        held: how many cookies are held back from the app, by reason.
        visitor_id: the visitor's pseudonym, if one was made and tracing is allowed.
        traced: whether tracing is allowed.
        good_until: until when all of this holds (seconds since 1970).
    """

    decision: Decision
    cookies: bytes
    passed: bytes | None
    held: Mapping[str, int]
    visitor_id: str | None
    traced: bool
    good_until: float


class Visits:
    """Reads requests, and keeps what it read of cookies that come again.

    Args:
        policy: the site's policy.
        own: our own cookies.
        gate: holds cookies back.
        clock: returns seconds since 1970.
    """

    def __init__(self, policy: Policy, own: OwnCookies, gate: Gate, clock: Callable[[], float]) -> None:
        self._policy, self._own, self._gate, self._clock = policy, own, gate, clock
        by_detail = sorted(policy.services, key=lambda service: (service.host, len(service.path)), reverse=True)
        self._services = [(service.host, service.path.rstrip("/"), policy.under(service)) for service in by_detail]
        self._known: dict[tuple[object, ...], Visit] = {}

    def read(self, scope: Mapping[str, Any], path: str) -> Visit:
        """Return what is known of a request to a path inside the app."""
        cookies, signals = b"", b""
        for name, value in scope["headers"]:
            if name == b"cookie":
                cookies = cookies + b"; " + value if cookies else value
            elif name in _SIGNAL_FIELDS and value == b"1":
                signals += name
        policy = self._policy_at(scope, path) if self._services else self._policy
        secure = scope["scheme"] in SECURE
        key = (cookies, signals, secure, policy)
        now = self._clock()
        visit = self._known.get(key)
        if visit is None or now >= visit.good_until:
            visit = self._look(policy, cookies, read_signals(scope["headers"]), now, secure=secure)
            self._keep(key, visit)
        if visit.held:
            self._gate.count("request", visit.held)
        return visit

    def _policy_at(self, scope: Mapping[str, Any], path: str) -> Policy:
        """Return the policy as it holds there: that of the most special service, host before path."""
        host = host_of(scope)
        for own_host, own_path, policy in self._services:
            if own_host in ("", host) and (path == own_path or path.startswith(f"{own_path}/")):
                return policy
        return self._policy

    def _look(self, policy: Policy, cookies: bytes, signals: frozenset[str], now: float, *, secure: bool) -> Visit:
        lifetime = self._own.lifetime.total_seconds()
        records = self._own.records(cookies, secure=secure)
        good = [record for record in records if record.decided_at <= now < record.decided_at + lifetime]
        decision = decide(policy, newest(good), signals, now, lifetime=self._own.lifetime)
        passed, held = self._gate.incoming(cookies, decision.purposes)
        traced = any(decision.purposes[purpose] for purpose in policy.traced)
        visitor = self._own.visitor(cookies, now, secure=secure) if traced else None
        turns = [time for record in records for time in (record.decided_at, record.decided_at + lifetime)]
        turns += [visitor[1]] if visitor else []
        return Visit(
            decision=decision,
            cookies=cookies,
            passed=passed if held else None,
            held=held,
            visitor_id=visitor[0] if visitor else None,
            traced=traced,
            good_until=min((time for time in turns if time > now), default=math.inf),
        )

    def _keep(self, key: tuple[object, ...], visit: Visit) -> None:
        if len(visit.cookies) <= _LONGEST_KNOWN:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = visit


def host_of(scope: Mapping[str, Any]) -> str:
    """Return the host that a request names, without its port, in small letters; "" where it names none."""
    field = next((value for name, value in scope["headers"] if name == b"host"), b"")
    host = field.decode("latin-1").lower()
    return host if host.endswith("]") else host.rpartition(":")[0] or host
