"""Our own cookies: a row for each, and one way to read, to set and to forget them.

Over https their names have the prefix __Host- or __Secure-, over http none. Cookies that several hosts share carry a
Domain, which rules out the prefix __Host- (RFC 6265bis section 4.1.3.2).
"""

from __future__ import annotations

import logging
import math
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from cookie_consent.base.cookies import expire_cookie, find_values, set_cookie
from cookie_consent.base.messages import check
from cookie_consent.decision import tokens
from cookie_consent.decision.decision import Decision
from cookie_consent.decision.record import CONSENT_LIFETIME, ConsentRecord
from cookie_consent.decision.tokens import KnownVisitor, WithdrawnVisitor
from cookie_consent.policy.declarations import labelled
from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.parts import LONGEST_COOKIE, NECESSARY, VISITOR_LIFETIME, Cookie
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import COOKIE_NAME, host_label

TRACING = "tracing"
"""The purposes that trace, which a policy names."""
NOBODY = ""


class Place(NamedTuple):
    """Where our own cookies live: on one host, or on all hosts of a domain that share an answer.

    Args:
        secure: whether the connection is https.
        host: the host of the request if it shares answers with others; "" if cookies are host-only.
        domain: the Domain of the cookies; None if they are host-only.
    """

    secure: bool
    host: str = ""
    domain: str | None = None


HTTPS = Place(secure=True)
HTTP = Place(secure=False)


@dataclass(frozen=True, slots=True, eq=False)
class CookieSpec:
    """One of our own cookies.

    Args:
        suffix: its name, but for the site's prefix and that of https.
        text: the name of the text that describes it in the list of cookies.
        salt: what its tokens are signed for; "" if it is not signed.
        lifetime: how long it lives at most; None for as long as an answer.
        readers: what allows the app to read it: `NECESSARY`, `TRACING` or `NOBODY`.
        is_for_endpoints: whether only the endpoints get it, so that it cannot have the prefix __Host-.
        is_host_only: whether each host has its own, even where hosts share answers.
        is_http_only: whether no script may read it.
    """

    suffix: str
    text: str
    salt: str = ""
    lifetime: timedelta | None = None
    readers: str = NECESSARY
    is_for_endpoints: bool = False
    is_host_only: bool = False
    is_http_only: bool = True


CONSENT = CookieSpec("consent", "cookie_consent", "cookie_consent.record")
"""The answer."""
SIGNAL = CookieSpec("consent-signal", "cookie_signal", "cookie_consent.signal")
"""The signals that have overridden the answer of the same second.

It is a cookie of its own because a slow response that rewrote the consent cookie could undo a newer answer. It can only
deny.
"""
VISITOR = CookieSpec("visitor", "cookie_visitor", "cookie_consent.visitor", VISITOR_LIFETIME, TRACING)
"""The visitor id, and how the visitor came."""
SAVED = CookieSpec("consent-saved", "cookie_saved", lifetime=timedelta(minutes=1), is_host_only=True)
"""Has the next page, which comes at once, say what an answer has done.

It is "saved", or for a withdrawal that deleted two cookies "withdrawn-2".
"""
STATE = CookieSpec("consent-state", "cookie_state", is_http_only=False)
"""Tells scripts what is allowed. It is the same for all who answered alike."""
ERASURE = CookieSpec(
    "visitor-erasure",
    "cookie_erasure",
    "cookie_consent.erasure",
    LONGEST_COOKIE,
    readers=NOBODY,
    is_for_endpoints=True,
)
"""The visitor ids whose consent was withdrawn, so that the visitor can still see and erase their access records."""
OWN_COOKIES = (CONSENT, SIGNAL, VISITOR, SAVED, STATE, ERASURE)

MAX_WITHDRAWN = 8
"""The erasure cookie holds at most this many visitor ids."""
_SAVED = re.compile(r"saved|withdrawn-[0-9]{1,3}")
_LONGEST_PREFIX = 64
"""Keeps the cookie well below the 4096 octets at which browsers drop it (RFC 6265bis section 5.6)."""
_IN_PATHS = "/~!$&'()*+,:=@%"
_FEWEST_CHARACTERS = 8
"""A random key of 32 hexadecimal digits has this many different ones but once in a million times."""
_log = logging.getLogger("cookie_consent")


def is_saved(value: str) -> bool:
    """Return whether this says what an answer has done; see `SAVED`."""
    return _SAVED.fullmatch(value) is not None


class OwnCookies:
    """Reads, sets and forgets the cookies of `OWN_COOKIES`.

    Args:
        secret_keys: oldest first; the last one signs.
        prefix: what the names of all our cookies begin with, after "__Host-" or "__Secure-".
        lifetime: how long an answer is valid, for refusals and grants alike.
        domain: the Domain of cookies that several hosts share; "" if each host has its own.
        hosts: the hosts that share an answer, in `domain`.
        tells_state: whether a cookie tells scripts what is allowed.

    Raises:
        ValueError: names that begin with the prefix are no cookie names, or a key is too short.
    """

    def __init__(
        self,
        secret_keys: str | Sequence[str],
        *,
        prefix: str = "",
        lifetime: timedelta = CONSENT_LIFETIME,
        domain: str = "",
        hosts: Sequence[str] = (),
        tells_state: bool = False,
    ) -> None:
        check("cookie_prefix", prefix, is_valid=_is_prefix(prefix), remedy='Write one like "shop-".')
        self.lifetime = lifetime
        self.hosts = {host: host_label(host, domain) for host in hosts}
        """Host -> its label in consent cookies."""
        self.tells_state = tells_state
        self._prefix = prefix
        self.domain = domain
        # A token of one domain is invalid in another one, and on one host.
        self._signers = {}
        for spec in OWN_COOKIES:
            if spec.salt:
                self._signers[spec, False] = tokens.Signer(secret_keys, spec.salt)
                self._signers[spec, True] = tokens.Signer(secret_keys, f"{spec.salt}@{domain}")
        keys = [secret_keys] if isinstance(secret_keys, str) else secret_keys
        fewest = min(len(set(key)) for key in keys)
        if fewest < _FEWEST_CHARACTERS:
            _log.warning("secret_keys: a key has only %d different characters, so it can be guessed.", fewest)

    # The rows

    def name(self, spec: CookieSpec, place: Place) -> str:
        """Return the name of a cookie in a place."""
        name = f"{self._prefix}{spec.suffix}"
        if not place.secure:
            return name
        is_host_only = spec.is_host_only or place.domain is None
        return f"__Host-{name}" if is_host_only and not spec.is_for_endpoints else f"__Secure-{name}"

    def names(self, spec: CookieSpec) -> list[str]:
        """Return all names of a cookie, over https and http."""
        places = [HTTPS, HTTP]
        if self.hosts:
            places.append(Place(secure=True, domain=self.domain))
        return list(dict.fromkeys(self.name(spec, place) for place in places))

    def read(self, spec: CookieSpec, cookies: bytes, place: Place) -> list[tuple[bytes, int]]:
        """Return the values of a cookie in a Cookie field, and when each was signed; 0 if it is not signed."""
        # `find` is faster than `in`, which for bytes raises and discards an exception inside CPython.
        if cookies.find(spec.suffix.encode()) < 0:
            return []
        found = find_values(cookies, self.name(spec, place).encode())
        if not spec.salt:
            return [(value, 0) for value in found]
        signer = self._signers[spec, place.domain is not None]
        return [read for token in found if (read := signer.read(token)) is not None]

    def set(
        self, spec: CookieSpec, value: str, place: Place, *, issued: float = 0, max_age: float = 0, base: str = ""
    ) -> bytes:
        """Return the Set-Cookie field for a cookie.

        Args:
            spec: the cookie.
            value: what it says, in cookie octets.
            place: where it lives.
            issued: when it is signed (seconds since 1970).
            max_age: how long it lives (seconds); 0 for as long as its row says.
            base: the path of the endpoints.
        """
        if spec.salt:
            value = (
                self._signers[spec, place.domain is not None].sign(value.encode("ascii"), int(issued)).decode("ascii")
            )
        return set_cookie(
            self.name(spec, place),
            value,
            int(max_age or (spec.lifetime or self.lifetime).total_seconds()),
            **_attributes(spec, place, base),
            http_only=spec.is_http_only,
        )

    def forget(self, spec: CookieSpec, place: Place, base: str = "") -> bytes:
        """Return the Set-Cookie field that deletes a cookie. The path of the endpoints is `base`."""
        name = self.name(spec, place).encode()
        return expire_cookie(name, **_attributes(spec, place, base))

    def forget_former(self, specs: Iterable[CookieSpec], cookies: bytes, place: Place, base: str) -> list[bytes]:
        """Return the Set-Cookie fields that delete those cookies which a host set for itself before it shared answers.

        Only cookies in the Cookie field are deleted.
        """
        if not place.host:
            return []
        former = Place(place.secure)
        return [self.forget(spec, former, base) for spec in specs if self.read(spec, cookies, former)]

    # What they say

    def read_saved(self, cookies: bytes, place: Place) -> str:
        """Return what the next page is to say of an answer; "" for nothing. See `SAVED`."""
        found = (value.decode("latin-1") for value, _ in self.read(SAVED, cookies, place))
        return next(filter(is_saved, found), "")

    def read_records(self, cookies: bytes, place: Place) -> list[ConsentRecord]:
        """Return the consent records in a Cookie field, with the signals that overrode each.

        An answer from before a host shared answers counts on its own host. The prefix __Host- proves that this host has
        set it; without https, nothing does.
        """
        lifetime = self.lifetime.total_seconds()
        found = []
        for value, issued in self.read(CONSENT, cookies, place):
            own = value
            if place.host:
                own, _, labels = value.rpartition(b"~")
                if self.hosts[place.host].encode() not in labels.split(b"*"):
                    continue
            record = tokens.parse_record(own, issued, lifetime)
            if record is not None:
                found.append(record)
        signals = self.read(SIGNAL, cookies, place)
        if place.domain is not None and place.secure:
            found += self.read_records(cookies, HTTPS)
        if not signals:
            return found
        return [_add_signals(record, signals) for record in found]

    def has_answer(self, cookies: bytes, place: Place) -> bool:
        """Return whether a Cookie field has a consent cookie, readable or not."""
        places = (place, HTTPS if place.secure else HTTP)
        return any(find_values(cookies, self.name(CONSENT, where).encode()) for where in places)

    def read_visitor(self, cookies: bytes, now: float, place: Place) -> KnownVisitor | None:
        """Return the content of the newest visitor cookie in a Cookie field, or None."""
        lifetime = VISITOR_LIFETIME.total_seconds()
        found = self.read(VISITOR, cookies, place)
        if place.domain is not None and place.secure:
            found += self.read(VISITOR, cookies, HTTPS)
        # A token from the future is invalid: a clock was ahead when it was issued.
        current = [(issued, value) for value, issued in found if issued <= now < issued + lifetime]
        if not current:
            return None
        issued, value = max(current)
        return tokens.parse_visitor(value, issued, lifetime)

    def read_withdrawn(self, cookies: bytes, now: float, place: Place) -> tuple[WithdrawnVisitor, ...]:
        """Return the withdrawn visitor ids in a Cookie field that may still have access records.

        On a host that shares answers, these include the ids from before it did.
        """
        current = self._read_erasure(cookies, now, place)
        if place.domain is None:
            return current
        before = Place(place.secure)
        former = list(self._read_erasure(cookies, now, before))
        visitor = self.read_visitor(cookies, now, before)
        if visitor is not None and visitor != self.read_visitor(cookies, now, place):
            former.append(WithdrawnVisitor(visitor.id, int(visitor.valid_until)))
        known = {visitor.visitor_id for visitor in current}
        return (*(visitor for visitor in former if visitor.visitor_id not in known), *current)

    def _read_erasure(self, cookies: bytes, now: float, place: Place) -> tuple[WithdrawnVisitor, ...]:
        found = [(issued, value) for value, issued in self.read(ERASURE, cookies, place) if issued <= now]
        return tokens.parse_withdrawn(max(found)[1], now) if found else ()

    def set_consent(self, record: ConsentRecord, place: Place) -> bytes:
        """Return the Set-Cookie field that stores a record in the browser."""
        value = tokens.write_record(record)
        if place.domain is not None:
            value += "~" + "*".join(sorted(self.hosts.values()))
        return self.set(CONSENT, value, place, issued=record.decided_at)

    def set_signals(self, signals: frozenset[str], record: ConsentRecord, now: float, place: Place) -> bytes:
        """Return the Set-Cookie field that stores, as long as an answer is valid, which signals have overridden it."""
        left = max(record.expires_at - now, 1)  # 0 would delete the cookie
        return self.set(SIGNAL, tokens.write_signals(signals), place, issued=record.decided_at, max_age=left)

    def set_visitor(self, now: float, place: Place, referrer: str | None = None) -> tuple[str, bytes]:
        """Return a new visitor id and the Set-Cookie field that stores it in the browser.

        Args:
            now: seconds since 1970.
            place: where the cookie lives.
            referrer: the origin of the referring site ("" for none) if the browser next reloads the page on which
                tracing was allowed, so that its record has it; None if there is nothing more to record of that page.
        """
        visitor_id = secrets.token_urlsafe(16)
        return visitor_id, self.set(VISITOR, tokens.write_visitor(visitor_id, referrer), place, issued=now)

    def remove_referrer(self, visitor: KnownVisitor, now: float, place: Place) -> bytes:
        """Return the Set-Cookie field that removes the referrer and leaves the id and its expiry unchanged."""
        left = max(visitor.valid_until - int(now), 1)  # 0 would delete the cookie
        return self.set(VISITOR, tokens.write_visitor(visitor.id), place, issued=visitor.issued, max_age=left)

    def set_withdrawn(self, withdrawn: Sequence[WithdrawnVisitor], now: float, place: Place, base: str) -> bytes:
        """Return the Set-Cookie field that stores withdrawn visitor ids, at least one."""
        left = max(visitor.until for visitor in withdrawn) - int(now)
        max_age = min(left, LONGEST_COOKIE.total_seconds())
        return self.set(ERASURE, tokens.write_withdrawn(withdrawn), place, issued=now, max_age=max_age, base=base)

    def set_state(self, decision: Decision, cookies: bytes, now: float, place: Place) -> list[bytes]:
        """Return the Set-Cookie field that makes the state cookie true; nothing if it is true, or not used."""
        value = tokens.write_state(decision)
        there = [found.decode("latin-1") for found, _ in self.read(STATE, cookies, place)]
        if not self.tells_state or there == ([value] if value else []):
            return []
        if decision.record is None:
            return [self.forget(STATE, place)]
        left = math.ceil(decision.record.expires_at - now)
        return [self.set(STATE, value, place, max_age=left)]

    # What a policy and visitors are told of them

    def find_readers(self, policy: Policy) -> dict[str, frozenset[str]]:
        """Return the name of each of our own cookies -> the purposes that let the app read it; any one is enough."""
        readers = {NECESSARY: frozenset((NECESSARY,)), TRACING: policy.traced, NOBODY: frozenset[str]()}
        return {name: readers[spec.readers] for spec in OWN_COOKIES for name in self.names(spec)}

    def find_taken_names(self, policy: Policy) -> Iterator[PolicyError]:
        """Yield an error for each cookie of a policy that has one of our names for something else."""
        readers = self.find_readers(policy)
        default_names = {spec.suffix for spec in OWN_COOKIES}
        for table, cookie in labelled("cookies", policy.cookies):
            if cookie.is_stored or cookie.name not in readers:
                continue
            # A policy may list our own cookies under their default names, to describe them.
            plain_name = cookie.name.removeprefix("__Host-").removeprefix("__Secure-")
            if plain_name not in default_names or cookie.purpose not in readers[cookie.name]:
                yield PolicyError(
                    "this is the name of one of our own cookies",
                    "Rename ours with cookie_prefix=, or take it out of the policy.",
                    table=table,
                    key="name",
                )

    def declare(self, policy: Policy, place: Place, base: str, *, has_log: bool) -> list[tuple[CookieSpec, Cookie]]:
        """Return our own cookies as a policy would declare them, without those that the policy itself declares.

        The visitor cookie is among them once for each purpose that traces by consent.

        Args:
            policy: the policy that applies.
            place: where the cookies live.
            base: the path of the endpoints.
            has_log: whether there is an access log.
        """
        is_used = {
            SIGNAL: bool(policy.gpc_refuses or policy.dnt_refuses),
            VISITOR: has_log,
            STATE: self.tells_state,
            ERASURE: has_log and not all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced),
        }
        by_site = {cookie.name for cookie in policy.cookies if not cookie.is_stored}
        declared = []
        for spec in OWN_COOKIES:
            name = self.name(spec, place)
            if name in by_site or not is_used.get(spec, True):
                continue
            purposes = [NECESSARY]
            if spec.readers == TRACING:
                purposes = [id_ for id_ in policy.optional if id_ in policy.traced]
            duration = spec.lifetime or self.lifetime
            if spec is ERASURE:
                duration = min(policy.access_records_kept or duration, duration)
            path = base if spec.is_for_endpoints else "/"
            domain = _attributes(spec, place, base)["domain"]
            for purpose in purposes:
                cookie = Cookie(name=name, purpose=purpose, duration=duration, path=path, domain=domain)
                declared.append((spec, cookie))
        return declared


def _attributes(spec: CookieSpec, place: Place, base: str) -> dict[str, Any]:
    """Return the attributes that a cookie and its deletion share."""
    return {
        "path": quote(base, safe=_IN_PATHS) if spec.is_for_endpoints else "/",
        "domain": None if spec.is_host_only else place.domain,
        "secure": place.secure,
    }


def _add_signals(record: ConsentRecord, signals: Iterable[tuple[bytes, int]]) -> ConsentRecord:
    """Return a record with the signals that have overridden it, of those in signal cookies."""
    letters = b"".join(value for value, issued in signals if issued == record.decided_at)
    overriding = tokens.parse_signals(letters.decode("latin-1"))
    return replace(record, overridden_by=record.overridden_by | overriding) if overriding else record


def _is_prefix(prefix: object) -> bool:
    """Return whether names of our cookies can begin with a prefix."""
    return (
        isinstance(prefix, str)
        and COOKIE_NAME.fullmatch(f"{prefix}consent") is not None
        # These prefixes are added over https alone. Over http, browsers refuse a cookie that has one.
        and not prefix.startswith("__")
        and len(prefix) <= _LONGEST_PREFIX
    )
