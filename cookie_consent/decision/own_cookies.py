"""Reads and sets our own cookies. Over https their names have the __Host- or __Secure- prefix, over http none.

Cookies that several hosts share carry a Domain, which rules out the prefix __Host- (RFC 6265bis section 4.1.3.2).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import quote

from cookie_consent.base.cookies import expire_cookie, set_cookie, values
from cookie_consent.decision import consent_cookie, visitor_cookie
from cookie_consent.decision.cookie_settings import CookieSettings
from cookie_consent.decision.note_cookies import SavedCookie, StateCookie
from cookie_consent.decision.place import HTTPS, Place, Places
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.decision.signing import Signer
from cookie_consent.decision.visitor_cookie import Arrival, KnownVisitor, WithdrawnVisitor
from cookie_consent.policy.declarations import labelled_cookies
from cookie_consent.policy.errors import PolicyError, raise_all
from cookie_consent.policy.parts import LONGEST_COOKIE, NECESSARY, VISITOR_LIFETIME, Cookie
from cookie_consent.policy.policy import Policy

MAX_WITHDRAWN = 8
"""The erasure cookie holds at most this many visitor ids."""
_IN_PATHS = "/~!$&'()*+,:=@%"
_FEWEST_CHARACTERS = 8
"""A random key of 32 hexadecimal digits has this many different ones but once in a million times."""
_log = logging.getLogger("cookie_consent")


class _Tokens:
    """Reads and writes the tokens of our four cookies.

    Args:
        settings: keys and lifetimes.
        domain: the domain in which hosts share the tokens; "" for those of one host. A token of one is invalid in
            another.
        hosts: those hosts.
    """

    def __init__(self, settings: CookieSettings, domain: str = "", hosts: Sequence[str] = ()) -> None:
        salts = {
            "consent": consent_cookie.SALT,
            "signal": consent_cookie.SIGNAL_SALT,
            "visitor": visitor_cookie.SALT,
            "erasure": visitor_cookie.ERASURE_SALT,
        }
        self._signers = {
            kind: Signer(settings.secret_keys, f"{salt}@{domain}" if domain else salt) for kind, salt in salts.items()
        }
        self.consent = consent_cookie.ConsentCookie(
            self._signers["consent"], domain, hosts, lifetime=settings.consent_lifetime
        )
        self.signal = consent_cookie.SignalCookie(self._signers["signal"])
        self.visitor = visitor_cookie.VisitorCookie(self._signers["visitor"])
        self.erasure = visitor_cookie.ErasureCookie(self._signers["erasure"])

    def has_signed(self, kind: str, tokens: Iterable[bytes]) -> bool:
        """Return whether one of the tokens is validly signed."""
        return any(map(self._signers[kind].read, tokens))


class OwnCookies:
    """Reads and sets our cookies, such as "consent", "signal" and "visitor".

    Args:
        settings: names, lifetimes and keys.

    Attributes:
        lifetime: how long an answer is valid.
        place: returns the place of the cookies for an ASGI scope.
        hosts: the hosts that share an answer; none if each host has its own.
        saved: reads and sets the cookie that has the next page confirm an answer.
        state: sets the cookie that tells scripts what holds; None without it.
    """

    def __init__(self, settings: CookieSettings) -> None:
        self.lifetime = settings.consent_lifetime
        self.hosts = settings.hosts
        consent = f"{settings.prefix}consent"
        visitor = f"{settings.prefix}visitor"
        self.place = Places(settings.hosts, settings.domain).of
        before = _Tokens(settings)
        keys = [settings.secret_keys] if isinstance(settings.secret_keys, str) else settings.secret_keys
        fewest = min(len(set(key)) for key in keys)
        if fewest < _FEWEST_CHARACTERS:
            _log.warning("secret_keys: a key has only %d different characters, so it can be guessed.", fewest)
        shared = _Tokens(settings, settings.domain, settings.hosts) if settings.hosts else before
        self._tokens = (before, shared)
        """For cookies of one host, and for those that hosts share."""
        self._names = {
            (secure, shared): {
                "consent": broad + consent,
                "signal": f"{broad}{consent}-signal",
                "state": f"{broad}{consent}-state",
                "visitor": broad + visitor,
                "erasure": f"{narrow}{visitor}-erasure",
            }
            # The erasure cookie has a path of its own, so it cannot be __Host- (RFC 6265bis section 4.1.3.2).
            for secure, shared, broad, narrow in (
                (True, False, "__Host-", "__Secure-"),
                (False, False, "", ""),
                (True, True, "__Secure-", "__Secure-"),
                (False, True, "", ""),
            )
            if not shared or settings.hosts
        }
        self._answering = {
            where: (names["consent"].encode(), names["signal"].encode()) for where, names in self._names.items()
        }
        self.saved = SavedCookie(f"{consent}-saved")
        state = {where: names["state"] for where, names in self._names.items()}
        self.state = StateCookie(state, self.lifetime) if settings.tells_state else None

    def names(self, kind: str) -> list[str]:
        """Return all names, over https and http, of a kind of our cookies, such as "consent"."""
        return list(dict.fromkeys(names[kind] for names in self._names.values()))

    def readable(self, policy: Policy) -> dict[str, frozenset[str]]:
        """Return the name of each of our own cookies -> the purposes that let the app read it; any one is enough.

        Raises:
            PolicyError: the policy declares one of our names for another purpose.
        """
        raise_all(self.names_taken(policy))
        return self.readers(policy)

    def readers(self, policy: Policy) -> dict[str, frozenset[str]]:
        """Return the name of each of our own cookies -> the purposes that let the app read it; any one is enough."""
        by_kind = _readers_by_kind(policy)
        names = {name: by_kind[kind] for kind in by_kind for name in self.names(kind)}
        return names | dict.fromkeys(self.saved.names, frozenset({NECESSARY}))

    def names_taken(self, policy: Policy) -> Iterator[PolicyError]:
        """Yield an error for each cookie of a policy that has one of our names for something else."""
        problem = "this is the name of one of our own cookies"
        remedy = "Rename ours with cookie_prefix="
        readers, by_kind = self.readers(policy), _readers_by_kind(policy)
        for table, declared in labelled_cookies(policy):
            # A policy may list our own cookies under their default names, to describe them.
            plain_name = declared.name.removeprefix("__Host-").removeprefix("__Secure-")
            if declared.is_stored:
                continue
            if declared.name in readers and not (plain_name in by_kind and declared.purpose in readers[declared.name]):
                yield PolicyError(problem, f"{remedy}, or take it out of the policy.", table=table, key="name")

    def declared(self, policy: Policy, *, has_log: bool, place: Place) -> tuple[Cookie, ...]:
        """Return our own cookies as a policy would declare them, without those that the policy itself declares.

        The signal cookie is among them only if a signal can refuse something, and the visitor cookie once for each
        purpose that traces by consent, where there is an access log.
        """
        names, domain = self._names[place.secure, place.is_shared], place.domain
        consent = Cookie(name=names["consent"], purpose=NECESSARY, duration=self.lifetime, domain=domain)
        lifetime = VISITOR_LIFETIME
        traced = [purpose.id for purpose in policy.purposes if has_log and purpose.id in policy.traced]
        signal = Cookie(name=names["signal"], purpose=NECESSARY, duration=self.lifetime, domain=domain)
        signals = [signal] if policy.gpc_refuses or policy.dnt_refuses else []
        visitors = [Cookie(name=names["visitor"], purpose=id_, duration=lifetime, domain=domain) for id_ in traced]
        by_site = {cookie.name for cookie in policy.cookies if not cookie.is_stored}
        return tuple(cookie for cookie in (consent, *signals, *visitors) if cookie.name not in by_site)

    def plain_name(self, kind: str) -> str:
        """Return the name of a kind of our cookies over http, which has no prefix."""
        return self._names[False, False][kind]

    def name(self, kind: str, *, place: Place) -> str:
        """Return the name of a kind of our cookies, such as "consent", in a place."""
        return self._names[place.secure, place.is_shared][kind]

    def records(self, cookies: bytes, *, place: Place) -> list[ConsentRecord]:
        """Return the validly signed consent records in a Cookie field, with the signals that overrode each."""
        if place.host:
            return self._shared_records(cookies, place)
        consent, signal = self._answering[place.secure, False]
        # `find` is faster than `in`, which for bytes raises and discards an exception inside CPython.
        records = self._tokens[0].consent.read(values(cookies, consent)) if cookies.find(consent) >= 0 else []
        if not records or cookies.find(signal) < 0:
            return records
        tokens = values(cookies, signal)
        return [
            replace(record, overridden_by=self._tokens[0].signal.read(tokens, record.decided_at)) for record in records
        ]

    def _shared_records(self, cookies: bytes, place: Place) -> list[ConsentRecord]:
        """Return the records that count on a host which shares answers.

        An answer from before it did counts on its own host. The prefix __Host- proves that this host has set it;
        without https, nothing does.
        """
        (consent, signal), shared = self._answering[place.secure, True], self._tokens[1]
        records = shared.consent.read(values(cookies, consent), place.host)
        if place.secure:
            records += self.records(cookies, place=HTTPS)
        tokens = values(cookies, signal)
        if not tokens:
            return records
        overriding = [shared.signal.read(tokens, record.decided_at) for record in records]
        return [
            replace(record, overridden_by=record.overridden_by | signals)
            for record, signals in zip(records, overriding, strict=True)
        ]

    def has_answer(self, cookies: bytes, *, place: Place) -> bool:
        """Return whether a Cookie field has a consent cookie, readable or not."""
        names = {self._answering[place.secure, shared][0] for shared in {place.is_shared, False}}
        return any(values(cookies, name) for name in names)

    def visitor(self, cookies: bytes, now: float, *, place: Place) -> KnownVisitor | None:
        """Return the content of the newest visitor cookie in a Cookie field, or None."""
        shared = place.is_shared
        name = self._names[place.secure, shared]["visitor"].encode()
        visitor = self._tokens[shared].visitor.read(values(cookies, name), now) if name in cookies else None
        if shared and place.secure:
            before = self.visitor(cookies, now, place=HTTPS)
            return max(filter(None, (visitor, before)), key=lambda known: known.valid_until, default=None)
        return visitor

    def set_consent(self, record: ConsentRecord, *, place: Place) -> bytes:
        """Return the Set-Cookie field that stores a record in the browser."""
        token, max_age = self._tokens[place.is_shared].consent.write(record), int(self.lifetime.total_seconds())
        return self._set("consent", token, max_age, place=place)

    def set_signals(self, signals: frozenset[str], record: ConsentRecord, now: float, *, place: Place) -> bytes:
        """Return the Set-Cookie field that stores, as long as an answer is valid, which signals have overridden it."""
        left = int(record.expires_at - now)
        token = self._tokens[place.is_shared].signal.write(signals, record.decided_at)
        return self._set("signal", token, max(left, 1), place=place)  # 0 would delete the cookie

    def forget_signals(self, *, place: Place) -> bytes:
        """Return the Set-Cookie field that deletes the signal cookie."""
        name = self.name("signal", place=place).encode()
        return expire_cookie(name, domain=place.domain, secure=place.secure)

    def set_visitor(self, now: float, *, place: Place, referrer: str | None = None) -> tuple[str, bytes]:
        """Return a new visitor id and the Set-Cookie field that stores it in the browser.

        Args:
            now: seconds since 1970.
            place: where the cookie lives.
            referrer: the origin of the referring site ("" for none) if the browser next reloads the page on which
                tracing was allowed, so that its record has it; None if there is nothing more to record of that page.
        """
        visitor_id, token = self._tokens[place.is_shared].visitor.make(now, referrer)
        return visitor_id, self._set("visitor", token, self._tokens[0].visitor.max_age, place=place)

    def without_arrival(self, visitor_id: str, arrival: Arrival, now: float, *, place: Place) -> bytes:
        """Return the Set-Cookie field that removes the arrival and leaves the id and its expiry unchanged."""
        left = max(1, arrival.at + self._tokens[0].visitor.max_age - int(now))  # 0 would delete the cookie
        token = self._tokens[place.is_shared].visitor.token(visitor_id, arrival.at)
        return self._set("visitor", token, left, place=place)

    def withdrawn(self, cookies: bytes, now: float, *, place: Place) -> tuple[WithdrawnVisitor, ...]:
        """Return the withdrawn visitor ids in a Cookie field that may still have access records.

        On a host that shares answers, these include the ids from before it did.
        """
        shared = place.is_shared
        name = self._names[place.secure, shared]["erasure"].encode()
        visitors = self._tokens[shared].erasure.read(values(cookies, name), now) if name in cookies else ()
        if not shared:
            return visitors
        before, current = Place(place.secure), self.visitor(cookies, now, place=place)
        former = [*self.withdrawn(cookies, now, place=before)]
        if (visitor := self.visitor(cookies, now, place=before)) and visitor != current:
            former.append(WithdrawnVisitor(visitor.id, int(visitor.valid_until)))
        known = {visitor.visitor_id for visitor in visitors}
        return (*(visitor for visitor in former if visitor.visitor_id not in known), *visitors)

    def set_withdrawn(self, withdrawn: Iterable[WithdrawnVisitor], now: float, *, base: str, place: Place) -> bytes:
        """Return the Set-Cookie field that stores withdrawn visitor ids, on a path that only the endpoints have.

        Args:
            withdrawn: at least one.
            now: seconds since 1970.
            base: the path of the endpoints.
            place: where the cookie lives.
        """
        visitors = tuple(withdrawn)
        max_age = min(max(visitor.until for visitor in visitors) - int(now), int(LONGEST_COOKIE.total_seconds()))
        token = self._tokens[place.is_shared].erasure.write(visitors, now)
        return self._set("erasure", token, max_age, place=place, path=_path_of("erasure", base))

    def forget_visitor(self, kind: str, *, base: str, place: Place) -> bytes:
        """Return the Set-Cookie field that deletes the "visitor" or the "erasure" cookie.

        Args:
            kind: which of the two.
            base: the path of the endpoints.
            place: where the cookie lives.
        """
        name, path = self.name(kind, place=place).encode(), _path_of(kind, base)
        return expire_cookie(name, path=path, domain=place.domain, secure=place.secure)

    def forget_host_only(self, kinds: Iterable[str], cookies: bytes, *, base: str, place: Place) -> list[bytes]:
        """Return the Set-Cookie fields that delete what a host set for itself before it shared answers.

        Args:
            kinds: which of our cookies.
            cookies: the Cookie field. Only cookies in it are deleted.
            base: the path of the endpoints.
            place: where our cookies live now.
        """
        if not place.host:
            return []
        names = {kind: self._names[place.secure, False][kind].encode() for kind in kinds}
        return [
            expire_cookie(name, path=_path_of(kind, base), secure=place.secure)
            for kind, name in names.items()
            if self._tokens[0].has_signed(kind, values(cookies, name))
        ]

    def _set(self, kind: str, token: str, max_age: int, *, place: Place, path: str = "/") -> bytes:
        name = self.name(kind, place=place)
        return set_cookie(name, token, max_age, path=path, domain=place.domain, secure=place.secure)


def _readers_by_kind(policy: Policy) -> dict[str, frozenset[str]]:
    """Return each kind of our cookies -> the purposes that let the app read it."""
    necessary, nobody = frozenset({NECESSARY}), frozenset[str]()
    return {
        # The state too where none is set: browsers may have it from before a change of the options.
        **dict.fromkeys(("consent", "signal", "state"), necessary),
        "visitor": policy.traced,
        "erasure": nobody,
    }


def _path_of(kind: str, base: str) -> str:
    """Return the path of one of our cookies: that of the endpoints for the erasure cookie, else "/"."""
    return quote(base, safe=_IN_PATHS) if kind == "erasure" else "/"
