"""Our own cookies under their names: over https with the __Host- or __Secure- prefix, over plain http without."""

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
from cookie_consent.decision.decision import CONSENT_LIFETIME, OPTED_OUT_FOR
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.decision.signing import Signer
from cookie_consent.decision.visitor_cookie import VISITOR_LIFETIME, Arrival, KnownVisitor, Withdrawn
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import LONGEST_COOKIE, NECESSARY, Cookie
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import COOKIE_NAME

MOST_WITHDRAWN = 8
"""So many visitor ids are kept for an erasure at most."""
_IN_PATHS = "/~!$&'()*+,:=@%"
_LONGEST_NAME = 64
"""Keeps the cookie far from the 4096 octets over which browsers drop it (RFC 6265bis section 5.6)."""


def new_id() -> str:
    """Return a random id of 128 bits, in 22 cookie octets."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """How our own cookies are made.

    Args:
        secret_keys: oldest first; the last one signs.
        consent_name: the consent cookie's name over plain http; with "-signal" behind it, that of the cookie which says
            that a signal of the browser has ruled over the answer.
        visitor_name: the visitor cookie's name over plain http.
        consent_lifetime: how long an answer holds, refusal and grant alike.
        visitor_lifetime: how long a visitor id is good for; not renewed.
        make_id: returns a random id of at least 128 bits, in cookie octets.

    Raises:
        ValueError: a name that cookies cannot have, a lifetime that browsers do not keep, or what makes no ids.
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
                raise ValueError(f"the {kind} cookie lives for {lifetime}: at most {longest[kind].days} days are right")
        check("make_id", self.make_id, fits=callable(self.make_id), remedy="It returns a random id.")


def consent_lifetime(consent_days: float | None, policy: Policy) -> timedelta:
    """Return how long an answer holds.

    Args:
        consent_days: as the middleware was told; None for what is right.
        policy: the policy.

    Raises:
        ValueError: it is no number of days, or browsers do not keep a cookie for so long; or the policy has a sale or
            sharing, and who refused that would be asked again too soon.
    """
    if consent_days is None:
        return OPTED_OUT_FOR if policy.sells else CONSENT_LIFETIME
    lifetime = _days("consent_days", consent_days, most=LONGEST_COOKIE)
    if policy.sells and lifetime < OPTED_OUT_FOR:
        raise ValueError(
            f"consent_days: {consent_days!r} is not valid. The policy has sells = true, and who refused a sale is not "
            f"asked again for 12 months: leave it out, or write at least {OPTED_OUT_FOR.days}."
        )
    return lifetime


def visitor_lifetime(visitor_days: float) -> timedelta:
    """Return how long a visitor id is good for.

    Raises:
        ValueError: it is no number of days, or too large.
    """
    return _days("visitor_days", visitor_days, most=VISITOR_LIFETIME)


def _days(name: str, value: Any, *, most: timedelta) -> timedelta:
    """Return a number of days as a duration; raises ValueError if it is none, or browsers keep no cookie so long."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    fits = is_number and timedelta(seconds=1) <= timedelta(days=min(value, most.days + 1)) <= most
    check(name, value, fits=fits, remedy=f"Write a number of days, at most {most.days} days.")
    return timedelta(days=value)


class OwnCookies:
    """Reads and writes the cookies of answers, of signals, of visitors, and of visitors who have withdrawn."""

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
            # What has a path of its own cannot be __Host- (RFC 6265bis section 4.1.3.2).
            for secure, host, narrow in ((True, "__Host-", "__Secure-"), (False, "", ""))
        }
        self._answering = {
            secure: (names["consent"].encode(), names["signal"].encode()) for secure, names in self._names.items()
        }

    def names(self, kind: str) -> list[str]:
        """Return both names of "consent", "signal", "visitor" or "erasure"."""
        return [names[kind] for names in self._names.values()]

    def readable(self, policy: Policy) -> dict[str, frozenset[str]]:
        """Return the names of our own cookies, each with the purposes of which any lets the app read it.

        Raises:
            PolicyError: the policy declares one of them as the site's, with another purpose.
        """
        necessary, nobody = frozenset({NECESSARY}), frozenset[str]()
        purposes = {"consent": necessary, "signal": necessary, "visitor": policy.traced, "erasure": nobody}
        names = {name: purposes[kind] for kind in purposes for name in self.names(kind)}
        for declared in policy.cookies:
            name, purpose = declared.name, declared.purpose
            is_plainly_ours = name.removeprefix("__Host-") in purposes and purpose in names.get(name, ())
            if name in names and not is_plainly_ours:
                raise PolicyError(
                    "this is the name of one of our own cookies",
                    "Rename ours with consent_cookie= or visitor_cookie=, or take it out of the policy.",
                    table=f'[[cookies]] "{name}"',
                )
        return names

    def declared(self, policy: Policy, *, secure: bool) -> tuple[Cookie, ...]:
        """Return our own cookies as a policy would declare them.

        That of signals is there where a signal can refuse something, the visitor's for purposes that trace by consent.
        """
        names = self._names[secure]
        consent = Cookie(name=names["consent"], purpose=NECESSARY, duration=self.lifetime)
        lifetime = timedelta(seconds=self._visitor.max_age)
        traced = [purpose.id for purpose in policy.purposes if purpose.id in policy.traced]
        signal = Cookie(name=names["signal"], purpose=NECESSARY, duration=self.lifetime)
        signals = [signal] if policy.gpc_refuses or policy.dnt_refuses else []
        own = [consent, *signals, *(Cookie(name=names["visitor"], purpose=id_, duration=lifetime) for id_ in traced)]
        by_site = {cookie.name for cookie in policy.cookies}
        return tuple(cookie for cookie in own if cookie.name not in by_site)

    def name(self, kind: str, *, secure: bool) -> str:
        """Return the name of "consent", "signal", "visitor" or "erasure" on one kind of connection."""
        return self._names[secure][kind]

    def records(self, cookies: bytes, *, secure: bool) -> list[ConsentRecord]:
        """Return the consent records in a Cookie field whose signatures are right."""
        consent, signal = self._answering[secure]
        # Python raises and forgets an error for each `in` of bytes.
        records = self._consent.read(values(cookies, consent)) if cookies.find(consent) >= 0 else []
        if not records or cookies.find(signal) < 0:
            return records
        tokens = values(cookies, signal)
        return [replace(record, overruled=self._signal.read(tokens, record.decided_at)) for record in records]

    def visitor(self, cookies: bytes, now: float, *, secure: bool) -> KnownVisitor | None:
        """Return what the visitor cookie in a Cookie field says, or None."""
        name = self._names[secure]["visitor"].encode()
        return self._visitor.read(values(cookies, name), now) if name in cookies else None

    def set_consent(self, record: ConsentRecord, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that keeps a record in the browser."""
        name, max_age = self._names[secure]["consent"], int(self.lifetime.total_seconds())
        return set_cookie(name, self._consent.write(record), max_age, secure=secure)

    def set_signals(self, signals: frozenset[str], decided_at: int, now: float, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that remembers, as long as an answer holds, which signals have ruled over it.

        Args:
            signals: their names.
            decided_at: when the answer was given, in seconds since 1970.
            now: seconds since 1970.
            secure: whether the connection is encrypted.
        """
        left = int(decided_at + self.lifetime.total_seconds() - now)
        token = self._signal.write(signals, decided_at)
        return set_cookie(self._names[secure]["signal"], token, max(left, 1), secure=secure)

    def forget_signals(self, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that deletes what was remembered of signals."""
        return expire_cookie(self._names[secure]["signal"].encode(), secure=secure)

    def set_visitor(self, now: float, *, secure: bool, referrer: str | None = None) -> tuple[str, bytes]:
        """Return a new visitor id and the Set-Cookie field that keeps it in the browser.

        Args:
            now: seconds since 1970.
            secure: whether the connection is encrypted.
            referrer: the origin of the site before, "" for none, where the page that the browser loads next is the one
                on which tracing was allowed; None where nothing more is to be recorded of that page.
        """
        visitor_id, token = self._visitor.make(now, referrer)
        return visitor_id, set_cookie(self._names[secure]["visitor"], token, self._visitor.max_age, secure=secure)

    def without_arrival(self, visitor_id: str, arrival: Arrival, now: float, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that keeps an id as long as before, and no longer says how the visitor came."""
        left = max(1, arrival.at + self._visitor.max_age - int(now))
        token = self._visitor.token(visitor_id, arrival.at)
        return set_cookie(self._names[secure]["visitor"], token, left, secure=secure)

    def withdrawn(self, cookies: bytes, now: float, *, secure: bool) -> tuple[Withdrawn, ...]:
        """Return the visitor ids of before a withdrawal in a Cookie field, as far as records of them may be kept."""
        name = self._names[secure]["erasure"].encode()
        return self._erasure.read(values(cookies, name), now) if name in cookies else ()

    def set_withdrawn(self, withdrawn: Iterable[Withdrawn], now: float, *, base: str, secure: bool) -> bytes:
        """Return the Set-Cookie field that keeps them, where only the endpoints see it.

        Args:
            withdrawn: at least one.
            now: seconds since 1970.
            base: the address of the endpoints.
            secure: whether the connection is https.
        """
        kept = tuple(withdrawn)
        max_age = min(max(one.until for one in kept) - int(now), int(LONGEST_COOKIE.total_seconds()))
        name, token = self._names[secure]["erasure"], self._erasure.write(kept, now)
        return set_cookie(name, token, max_age, path=quote(base, safe=_IN_PATHS), secure=secure)

    def forget_visitor(self, kind: str, *, base: str, secure: bool) -> bytes:
        """Return the Set-Cookie field that deletes the cookie of kind "visitor" or "erasure"."""
        path = "/" if kind == "visitor" else quote(base, safe=_IN_PATHS)
        return expire_cookie(self._names[secure][kind].encode(), path=path, secure=secure)
