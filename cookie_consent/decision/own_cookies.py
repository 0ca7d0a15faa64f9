"""Reads and sets our own cookies. Over https their names have the __Host- or __Secure- prefix, over http none."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from cookie_consent.base.checks import check
from cookie_consent.base.cookies.fields import expire_cookie, set_cookie, values
from cookie_consent.decision import consent_cookie, visitor_cookie
from cookie_consent.decision.decision import CONSENT_LIFETIME, OPT_OUT_LIFETIME
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.decision.signing import Signer
from cookie_consent.decision.visitor_cookie import VISITOR_LIFETIME, Arrival, KnownVisitor, WithdrawnVisitor
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import LONGEST_COOKIE, NECESSARY, Cookie
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import COOKIE_NAME

MAX_WITHDRAWN = 8
"""The erasure cookie holds at most this many visitor ids."""
_IN_PATHS = "/~!$&'()*+,:=@%"
_LONGEST_NAME = 64
"""Keeps the cookie well below the 4096 octets at which browsers drop it (RFC 6265bis section 5.6)."""


def new_id() -> str:
    """Return a random id of 128 bits, in 22 cookie octets."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """Names, lifetimes and keys of our own cookies.

    Args:
        secret_keys: oldest first; the last one signs.
        consent_name: the consent cookie's name over plain http. The signal cookie adds "-signal" to it.
        visitor_name: the visitor cookie's name over plain http. The erasure cookie adds "-erasure" to it.
        consent_lifetime: how long an answer is valid, for refusals and grants alike; at most 400 days.
        visitor_lifetime: how long a visitor id is valid; at most 395 days. It is not renewed.
        make_id: returns a random id of at least 128 bits, in cookie octets.

    Raises:
        ValueError: a name is no cookie name or is used twice, a lifetime is too long or under a second, or `make_id`
            cannot be called.
    """

    secret_keys: str | Sequence[str]
    _: KW_ONLY
    consent_name: str = "consent"
    visitor_name: str = "visitor"
    consent_lifetime: timedelta = CONSENT_LIFETIME
    visitor_lifetime: timedelta = VISITOR_LIFETIME
    make_id: Callable[[], str] = new_id

    def __post_init__(self) -> None:
        for name in (self.consent_name, self.visitor_name):
            if (
                not isinstance(name, str)
                or not COOKIE_NAME.fullmatch(name)
                # Prefixes are added over https alone. Over http, browsers refuse a cookie that has one.
                or name.startswith("__")
                or len(name) > _LONGEST_NAME
            ):
                raise ValueError(f'{name!r} is no name for a cookie of ours: write a plain word, like "consent"')
        consent, visitor = self.consent_name, self.visitor_name
        if {consent, f"{consent}-signal"} & {visitor, f"{visitor}-erasure"}:
            raise ValueError(
                f"two cookies of {consent!r} and {visitor!r} would share a name: give them different names"
            )
        longest = {"consent": LONGEST_COOKIE, "visitor": VISITOR_LIFETIME}
        for kind, lifetime in (("consent", self.consent_lifetime), ("visitor", self.visitor_lifetime)):
            if not timedelta(seconds=1) <= lifetime <= longest[kind]:
                raise ValueError(
                    f"the {kind} cookie lives for {lifetime}; it can live for at most {longest[kind].days} days"
                )
        check("make_id", self.make_id, is_valid=callable(self.make_id), remedy="It returns a random id.")


def consent_lifetime(consent_days: float | None, policy: Policy) -> timedelta:
    """Return how long an answer is valid.

    Args:
        consent_days: the middleware's option; None for six months, or 12 where the policy has a sale or sharing.
        policy: the policy.

    Raises:
        ValueError: it is no number of days, or more than 400; or the policy has a sale or sharing and it is less than
            12 months.
    """
    if consent_days is None:
        return OPT_OUT_LIFETIME if policy.sells else CONSENT_LIFETIME
    lifetime = _days("consent_days", consent_days, most=LONGEST_COOKIE)
    if policy.sells and lifetime < OPT_OUT_LIFETIME:
        raise ValueError(
            f"consent_days: {consent_days!r} is not valid. The policy has sells = true, and a visitor who refused a "
            f"sale is not asked again for 12 months: leave it out, or write at least {OPT_OUT_LIFETIME.days}."
        )
    return lifetime


def visitor_lifetime(visitor_days: float) -> timedelta:
    """Return how long a visitor id is valid.

    Raises:
        ValueError: it is no number of days, or more than 395.
    """
    return _days("visitor_days", visitor_days, most=VISITOR_LIFETIME)


def _days(name: str, value: Any, *, most: timedelta) -> timedelta:
    """Return a number of days as a duration; raise ValueError if it is none, or under a second or over `most`."""
    # True is an int in Python, and would mean one day.
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    is_valid = is_number and timedelta(seconds=1) <= timedelta(days=min(value, most.days + 1)) <= most
    check(name, value, is_valid=is_valid, remedy=f"Write a number of days, at most {most.days} days.")
    return timedelta(days=value)


class OwnCookies:
    """Reads and sets our four cookies: "consent", "signal", "visitor" and "erasure"."""

    def __init__(self, settings: CookieSettings) -> None:
        self.lifetime, self.new_id = settings.consent_lifetime, settings.make_id
        self._consent = consent_cookie.ConsentCookie(Signer(settings.secret_keys, consent_cookie.SALT))
        self._signal = consent_cookie.SignalCookie(Signer(settings.secret_keys, consent_cookie.SIGNAL_SALT))
        self._visitor = visitor_cookie.VisitorCookie(
            Signer(settings.secret_keys, visitor_cookie.SALT), settings.visitor_lifetime, settings.make_id
        )
        self._erasure = visitor_cookie.ErasureCookie(Signer(settings.secret_keys, visitor_cookie.ERASURE_SALT))
        self._names = {
            secure: {
                "consent": host + settings.consent_name,
                "signal": f"{host}{settings.consent_name}-signal",
                "visitor": host + settings.visitor_name,
                "erasure": f"{narrow}{settings.visitor_name}-erasure",
            }
            # The erasure cookie has a path of its own, so it cannot be __Host- (RFC 6265bis section 4.1.3.2).
            for secure, host, narrow in ((True, "__Host-", "__Secure-"), (False, "", ""))
        }
        self._answering = {
            secure: (names["consent"].encode(), names["signal"].encode()) for secure, names in self._names.items()
        }

    def names(self, kind: str) -> list[str]:
        """Return both names, over https and http, of "consent", "signal", "visitor" or "erasure"."""
        return [names[kind] for names in self._names.values()]

    def readable(self, policy: Policy) -> dict[str, frozenset[str]]:
        """Return the name of each of our own cookies -> the purposes that let the app read it; any one is enough.

        Raises:
            PolicyError: the policy declares one of these names for another purpose.
        """
        necessary, nobody = frozenset({NECESSARY}), frozenset[str]()
        purposes = {"consent": necessary, "signal": necessary, "visitor": policy.traced, "erasure": nobody}
        names = {name: purposes[kind] for kind in purposes for name in self.names(kind)}
        for declared in policy.cookies:
            name, purpose = declared.name, declared.purpose
            # A policy may list our own cookies under their default names, to describe them.
            is_plainly_ours = name.removeprefix("__Host-") in purposes and purpose in names.get(name, ())
            if name in names and not is_plainly_ours:
                raise PolicyError(
                    "this is the name of one of our own cookies",
                    "Rename ours with consent_cookie= or visitor_cookie=, or take it out of the policy.",
                    table=f'[[cookies]] "{name}"',
                )
        return names

    def declared(self, policy: Policy, *, secure: bool) -> tuple[Cookie, ...]:
        """Return our own cookies as a policy would declare them, without those that the policy itself declares.

        The signal cookie is among them only if a signal can refuse something, and the visitor cookie once for each
        purpose that traces by consent.
        """
        names = self._names[secure]
        consent = Cookie(name=names["consent"], purpose=NECESSARY, duration=self.lifetime)
        lifetime = timedelta(seconds=self._visitor.max_age)
        traced = [purpose.id for purpose in policy.purposes if purpose.id in policy.traced]
        signal = Cookie(name=names["signal"], purpose=NECESSARY, duration=self.lifetime)
        signals = [signal] if policy.gpc_refuses or policy.dnt_refuses else []
        ours = [consent, *signals, *(Cookie(name=names["visitor"], purpose=id_, duration=lifetime) for id_ in traced)]
        by_site = {cookie.name for cookie in policy.cookies}
        return tuple(cookie for cookie in ours if cookie.name not in by_site)

    def name(self, kind: str, *, secure: bool) -> str:
        """Return the name of "consent", "signal", "visitor" or "erasure", over https or not."""
        return self._names[secure][kind]

    def records(self, cookies: bytes, *, secure: bool) -> list[ConsentRecord]:
        """Return the validly signed consent records in a Cookie field, with the signals that overrode each."""
        consent, signal = self._answering[secure]
        # `find` is faster than `in`, which for bytes raises and discards an exception inside CPython.
        records = self._consent.read(values(cookies, consent)) if cookies.find(consent) >= 0 else []
        if not records or cookies.find(signal) < 0:
            return records
        tokens = values(cookies, signal)
        return [replace(record, overridden_by=self._signal.read(tokens, record.decided_at)) for record in records]

    def visitor(self, cookies: bytes, now: float, *, secure: bool) -> KnownVisitor | None:
        """Return the content of the visitor cookie in a Cookie field, or None."""
        name = self._names[secure]["visitor"].encode()
        return self._visitor.read(values(cookies, name), now) if name in cookies else None

    def set_consent(self, record: ConsentRecord, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that stores a record in the browser."""
        name, max_age = self._names[secure]["consent"], int(self.lifetime.total_seconds())
        return set_cookie(name, self._consent.write(record), max_age, secure=secure)

    def set_signals(self, signals: frozenset[str], decided_at: int, now: float, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that stores, as long as an answer is valid, which signals have overridden it.

        Args:
            signals: their names.
            decided_at: when the answer was given, in seconds since 1970.
            now: seconds since 1970.
            secure: whether the connection is https.
        """
        left = int(decided_at + self.lifetime.total_seconds() - now)
        token = self._signal.write(signals, decided_at)
        max_age = max(left, 1)  # 0 would delete the cookie
        return set_cookie(self._names[secure]["signal"], token, max_age, secure=secure)

    def forget_signals(self, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that deletes the signal cookie."""
        return expire_cookie(self._names[secure]["signal"].encode(), secure=secure)

    def set_visitor(self, now: float, *, secure: bool, referrer: str | None = None) -> tuple[str, bytes]:
        """Return a new visitor id and the Set-Cookie field that stores it in the browser.

        Args:
            now: seconds since 1970.
            secure: whether the connection is https.
            referrer: the origin of the referring site ("" for none) if the browser next reloads the page on which
                tracing was allowed, so that its record has it; None if there is nothing more to record of that page.
        """
        visitor_id, token = self._visitor.make(now, referrer)
        return visitor_id, set_cookie(self._names[secure]["visitor"], token, self._visitor.max_age, secure=secure)

    def without_arrival(self, visitor_id: str, arrival: Arrival, now: float, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that removes the arrival and leaves the id and its expiry unchanged."""
        left = max(1, arrival.at + self._visitor.max_age - int(now))  # 0 would delete the cookie
        token = self._visitor.token(visitor_id, arrival.at)
        return set_cookie(self._names[secure]["visitor"], token, left, secure=secure)

    def withdrawn(self, cookies: bytes, now: float, *, secure: bool) -> tuple[WithdrawnVisitor, ...]:
        """Return the withdrawn visitor ids in a Cookie field that may still have access records."""
        name = self._names[secure]["erasure"].encode()
        return self._erasure.read(values(cookies, name), now) if name in cookies else ()

    def set_withdrawn(self, withdrawn: Iterable[WithdrawnVisitor], now: float, *, base: str, secure: bool) -> bytes:
        """Return the Set-Cookie field that stores withdrawn visitor ids, on a path that only the endpoints have.

        Args:
            withdrawn: at least one.
            now: seconds since 1970.
            base: the path of the endpoints.
            secure: whether the connection is https.
        """
        visitors = tuple(withdrawn)
        max_age = min(max(visitor.until for visitor in visitors) - int(now), int(LONGEST_COOKIE.total_seconds()))
        name, token = self._names[secure]["erasure"], self._erasure.write(visitors, now)
        return set_cookie(name, token, max_age, path=quote(base, safe=_IN_PATHS), secure=secure)

    def forget_visitor(self, kind: str, *, base: str, secure: bool) -> bytes:
        """Return the Set-Cookie field that deletes the "visitor" or the "erasure" cookie.

        Args:
            kind: which of the two.
            base: the path of the endpoints.
            secure: whether the connection is https.
        """
        path = "/" if kind == "visitor" else quote(base, safe=_IN_PATHS)
        return expire_cookie(self._names[secure][kind].encode(), path=path, secure=secure)
