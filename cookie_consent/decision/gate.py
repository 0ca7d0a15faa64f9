"""The gate: decides which cookies pass, from the browser to the app and from the app to the browser."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, islice, zip_longest

from cookie_consent.base.bounds import LONGEST_KEPT, keep
from cookie_consent.base.cookies import (
    CONTROL,
    cookie_name,
    expire_cookie,
    is_deletion,
    is_sent_to,
    lifetime,
    limited,
    names_read,
    pairs,
    settable_domains,
)
from cookie_consent.base.messages import LONGEST_SHOWN, FirstSeen, check
from cookie_consent.policy.known_cookies import known_cookie
from cookie_consent.policy.parts import LONGEST_COOKIE, NECESSARY, Cookie
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import written_duration

Key = tuple[str, str]
"""Direction ("request" or "response") and reason; see `Gate.reason_to_hold`."""


class HeldCookies:
    """Adds up held cookies. Threads may share it. There are few reasons, since the policy names them."""

    def __init__(self) -> None:
        self._totals: dict[Key, int] = {}
        self._changes = threading.Lock()

    def add(self, direction: str, reason: str, number: int) -> None:
        """Count cookies that were held back for the same reason."""
        with self._changes:
            self._totals[direction, reason] = self._totals.get((direction, reason), 0) + number

    def totals(self) -> Mapping[Key, int]:
        """Return the counts so far."""
        with self._changes:
            return dict(self._totals)


held_cookies = HeldCookies()
"""The held cookies of all middlewares of this process, for Prometheus."""


Headers = list[tuple[bytes, bytes]]
RefusableCookie = tuple[bytes, frozenset[str]]
"""The name of a cookie that can be refused, and its purposes."""

_MAX_NAMES = 1000
_MAX_WARNINGS = 100
_TOLERANCE = 60
"""Seconds by which a lifetime may exceed the declared one without a warning, since clocks differ."""
_MAX_EXPIRED = 100
_MAX_EXPIRED_BYTES = 3072
"""nginx accepts 4096 bytes of header fields by default (proxy_buffer_size); this leaves some for the app's."""
_log = logging.getLogger("cookie_consent")


class CookieDeclarations:
    """Finds the declaration of a cookie: by its exact name, else by the longest pattern that matches."""

    def __init__(self, declared: Iterable[Cookie]) -> None:
        cookies = [cookie for cookie in declared if not cookie.is_stored]
        by_detail = sorted(cookies, key=lambda cookie: ("*" not in cookie.name, len(cookie.name)), reverse=True)
        self._patterns = [(_pattern(cookie.name), cookie) for cookie in by_detail]
        self._known: dict[bytes, Cookie | None] = {}

    def get(self, name: bytes) -> Cookie | None:
        """Return the declaration for a cookie name, or None. A name of more than 256 bytes has none."""
        try:
            return self._known[name]
        except KeyError:
            if len(name) > LONGEST_KEPT:
                return None
            declared = next((cookie for pattern, cookie in self._patterns if pattern.fullmatch(name)), None)
            return keep(self._known, name, declared, most=_MAX_NAMES, length=len(name))


class Gate:
    """Lets cookies pass or holds them back, on the raw header fields of ASGI messages.

    Args:
        policy: declares the cookies.
        own_cookies: name of each of our own cookies -> the purposes that let the app read it; any one is enough. The
            app may set none of them.
        undeclared: "hold" holds undeclared cookies back, "allow" only reports them.
        clock: returns seconds since 1970.
        held: counts the cookies that are held back.

    Raises:
        ValueError: `undeclared` is neither "hold" nor "allow".
    """

    def __init__(
        self,
        policy: Policy,
        own_cookies: Mapping[str, frozenset[str]],
        *,
        undeclared: str = "hold",
        clock: Callable[[], float],
        held: HeldCookies = held_cookies,
    ) -> None:
        is_valid = undeclared in ("hold", "allow")
        check("undeclared", undeclared, is_valid=is_valid, remedy='Write "hold" or "allow".')
        self._cookies, self._declared = policy.cookies, CookieDeclarations(policy.cookies)
        self._domain, self._hosts = policy.site.domain, frozenset(policy.site.hosts)
        self._own_cookies = {name.encode("ascii"): purposes for name, purposes in own_cookies.items()}
        self._refusable_alone = {cookie.purpose: frozenset([cookie.purpose]) - {NECESSARY} for cookie in self._cookies}
        self._hold_undeclared, self._clock = undeclared == "hold", clock
        self._warned = {direction: FirstSeen(_MAX_WARNINGS) for direction in ("request", "response")}
        self._limited_names, self._sent = FirstSeen(_MAX_NAMES), FirstSeen(_MAX_NAMES)
        self._held = held

    def reason_to_hold(self, name: bytes, purposes: Mapping[str, bool]) -> str | None:
        """Return why a cookie is held back, or None if it passes.

        The reason is the purpose that is not allowed, "undeclared", or "reserved" for one of our own cookies.

        Args:
            name: the cookie's name.
            purposes: purpose id -> whether it is allowed.
        """
        readable_with = self._own_cookies.get(name)
        if readable_with is not None:
            for purpose in readable_with:
                if purposes[purpose]:
                    return None
            return "reserved"
        cookie = self._declared.get(name)
        if cookie is None:
            return "undeclared"
        return None if purposes[cookie.purpose] else cookie.purpose

    def incoming(self, field: bytes, purposes: Mapping[str, bool]) -> tuple[bytes, dict[str, int]]:
        """Return the Cookie field that the app may see, and how many cookies were held back: reason -> number.

        Args:
            field: the Cookie field.
            purposes: purpose id -> whether it is allowed.
        """
        passed: list[bytes] = []
        held: dict[str, int] = {}
        for name, pair in pairs(field):
            reason = self._reason_to_hold_read(name, purposes)
            if reason and self._holds("request", name, reason):
                held[reason] = held.get(reason, 0) + 1
            else:
                passed.append(pair)
        return (b"; ".join(passed) if held else field), held

    def warn_of_sent(self, field: bytes, allowed: Collection[str]) -> None:
        """Warn once of each declared cookie that a browser sends, though no answer allows it.

        Args:
            field: the Cookie field.
            allowed: ids of the purposes that are or were allowed.
        """
        for name, _ in pairs(field):
            cookie = None if name in self._own_cookies else self._declared.get(name)
            if cookie is not None and cookie.purpose not in allowed and self._sent.is_new(cookie.name):
                _log.warning("%s", _sent_unasked(name, cookie.purpose))

    def outgoing(self, headers: Headers, purposes: Mapping[str, bool]) -> Headers:
        """Return the header fields of a response without the Set-Cookie fields that may not pass.

        A deletion always passes. A lifetime that is longer than declared is shortened. If the response sets no cookie,
        the same list is returned.
        """
        for name, _ in headers:
            # Comparing the length first is cheaper than lowercasing every name.
            if len(name) == len(b"set-cookie") and name.lower() == b"set-cookie":
                return self._gated(headers, purposes)
        return headers

    def refusable_cookies(self, field: bytes) -> tuple[RefusableCookie, ...]:
        """Return the names in a Cookie field that can be refused, each with its purposes.

        A cookie counts as refused once all of its purposes are.
        """
        names = dict.fromkeys(name for name, _ in pairs(field))
        with_purposes = ((name, self._refusable(name)) for name in names)
        return tuple((name, purposes) for name, purposes in with_purposes if purposes and not CONTROL.search(name))

    def cookies_not_sent_to(self, refused: Collection[str], path: str) -> list[Cookie]:
        """Return the declared cookies of refused purposes that browsers do not send to a path.

        Cookies declared by a pattern are left out: without an exact name they cannot be expired.
        """
        return [
            cookie
            for cookie in self._cookies
            if cookie.purpose in refused and "*" not in cookie.name and not is_sent_to(path, cookie.path)
        ]

    def deletions(self, names: Iterable[bytes], host: str, *, secure: bool, unsent: Iterable[Cookie] = ()) -> Headers:
        """Return Set-Cookie fields that delete cookies wherever the browser may have stored them.

        A cookie is deleted on its declared path, host-only and for each domain that the host can set. A response has
        limited room, so the likeliest place of each cookie comes first; later responses delete the rest.

        Args:
            names: names of cookies that the request carried.
            host: the host of the request, in lowercase and without a port.
            secure: whether the connection is https.
            unsent: declared cookies that the browser did not send because of their path.
        """
        domains = settable_domains(host)
        cookies: list[tuple[bytes, Cookie | None]] = [(cookie.name.encode("ascii"), cookie) for cookie in unsent]
        cookies += [
            (name, None if name in self._own_cookies else self._declared.get(name))
            for name in islice(names, _MAX_EXPIRED)
        ]
        shared = self._domain if host in self._hosts else ""
        places = [
            list(
                _own_deletions(name, shared, secure=secure)
                if cookie is None
                else _deletions(name, cookie, domains, secure=secure)
            )
            for name, cookie in cookies
        ]
        fields, room = Headers(), _MAX_EXPIRED_BYTES
        # Take the first place of every cookie, then every second place, and so on.
        for deletion in dict.fromkeys(chain.from_iterable(zip_longest(*places))):
            room -= len(deletion or b"") + len(b"set-cookie: \r\n")
            if deletion is not None and room >= 0:
                fields.append((b"set-cookie", deletion))
        return fields

    def count(self, direction: str, held: Mapping[str, int]) -> None:
        """Add held cookies (reason -> number) to the counters."""
        for reason, times in held.items():
            self._held.add(direction, reason, times)

    def _reason_to_hold_read(self, name: bytes, purposes: Mapping[str, bool]) -> str | None:
        """Return why a cookie is held back, judged by each name under which a framework may read it."""
        reason = self.reason_to_hold(name, purposes)
        if reason == "undeclared" and not self._holds_undeclared(name):
            reasons = (self.reason_to_hold(read, purposes) for read in names_read(name))
            return next((other for other in reasons if other not in (None, "undeclared")), reason)
        return reason

    def _holds_undeclared(self, name: bytes) -> bool:
        """Return whether an undeclared cookie is held back. A long name always is, since no policy can declare it."""
        return self._hold_undeclared or len(name) > LONGEST_KEPT

    def _refusable(self, name: bytes) -> frozenset[str]:
        if name in self._own_cookies:
            return self._own_cookies[name] - {NECESSARY}
        cookie = self._declared.get(name)
        return frozenset() if cookie is None else self._refusable_alone[cookie.purpose]

    def _gated(self, headers: Headers, purposes: Mapping[str, bool]) -> Headers:
        passed = Headers()
        for name, value in headers:
            if name.lower() != b"set-cookie":
                passed.append((name, value))
            elif (cookie := self._gated_field(value, purposes)) is not None:
                passed.append((name, cookie))
        return passed

    def _gated_field(self, field: bytes, purposes: Mapping[str, bool]) -> bytes | None:
        """Return a Set-Cookie field with at most the declared lifetime, or None if it is held back."""
        name = cookie_name(field)
        reason = "reserved" if name in self._own_cookies else self._reason_to_hold_read(name, purposes)
        if reason is None:
            return self._limited(field, self._declared.get(name))
        now = self._clock()
        lasts = lifetime(field, now) if reason == "undeclared" else None
        if is_deletion(field, now) or not self._holds("response", name, reason, lasts):
            return field
        self.count("response", {reason: 1})
        return None

    def _limited(self, field: bytes, cookie: Cookie | None) -> bytes:
        """Shorten a cookie's lifetime to the declared one, and warn once for each declaration."""
        assert cookie is not None  # noqa: S101 (an undeclared cookie has a reason and does not get here)
        now, longest = self._clock(), None if cookie.duration is None else int(cookie.duration.total_seconds())
        passed = limited(field, longest, now)
        if passed != field:
            seen = min(lifetime(field, now) or 0, LONGEST_COOKIE.total_seconds())
            if seen > (longest or 0) + _TOLERANCE and self._limited_names.is_new(cookie.name):
                _log.warning("%s", _lasts_longer(cookie, seen))
        return passed

    def _holds(self, direction: str, name: bytes, reason: str, lasts: float | None = None) -> bool:
        """Return whether a cookie is held back. Warn of what the site has to change, once for each name.

        That a declared cookie waits for consent is no warning: it is what the policy says.

        A response that sets a lifetime warns again about a name known from requests: only now can the warning propose
        a duration.
        """
        if reason not in ("undeclared", "reserved"):
            if _log.isEnabledFor(logging.DEBUG):
                _log.debug(
                    'The cookie "%s" is held back from a %s: "%s" is not allowed.', _shown(name), direction, reason
                )
            return True
        if direction == "request" and reason == "reserved":
            return True  # browsers always send our own cookies back, so that is nothing to warn about
        holds = reason != "undeclared" or self._holds_undeclared(name)
        warned, begin = self._warned[direction], name[:LONGEST_KEPT].decode("latin-1")
        is_known = not lasts and any(begin in names for names in self._warned.values())
        if not is_known and warned.is_new(begin):
            _log.warning("%s", _warning(direction, name, reason, lasts, holds=holds))
            if len(warned) == _MAX_WARNINGS:
                _log.warning("Further cookies that are held back from a %s are only counted.", direction)
        return holds


def _pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(b".*".join(re.escape(part.encode("ascii")) for part in name.split("*")), re.DOTALL)


def _own_deletions(name: bytes, domain: str, *, secure: bool) -> Iterator[bytes]:
    """Yield the fields that delete one of our own cookies.

    Args:
        name: the cookie's name. Over https, its prefix tells whether it is host-only.
        domain: the domain in which the host shares its answers; "" on other hosts, which never delete what is shared.
        secure: whether the connection is https.
    """
    prefix = name[:7].lower()
    if domain and prefix != b"__host-":
        yield expire_cookie(name, domain=domain, secure=secure)
    if prefix != b"__secur":
        yield expire_cookie(name, secure=secure)


def _deletions(name: bytes, cookie: Cookie, domains: list[str], *, secure: bool) -> Iterator[bytes]:
    """Yield the fields that delete a declared cookie, the declared domain first.

    Args:
        name: the cookie's name.
        cookie: its declaration.
        domains: the domains that the host can set.
        secure: whether the connection is https.
    """
    # Browsers accept __Host- cookies only host-only and with path / (RFC 6265bis section 4.1.3.2).
    if name.lower().startswith(b"__host-"):
        yield expire_cookie(name, secure=secure)
        return
    declared = cookie.domain and cookie.domain.removeprefix(".")
    for domain in dict.fromkeys([declared, None, *domains]):
        yield expire_cookie(name, path=cookie.path, domain=domain, secure=secure)


def _shown(name: bytes) -> str:
    """Return the beginning of a cookie's name, safe for a log and for TOML."""
    return ascii(name[:LONGEST_SHOWN].decode("latin-1"))[1:-1].replace('"', r"\"")[:LONGEST_SHOWN]


def _lasts_longer(cookie: Cookie, seconds: float) -> str:
    declared = "the browser session" if cookie.duration is None else written_duration(cookie.duration.total_seconds())
    return (
        f'The cookie "{cookie.name}" is kept for {declared}, as the policy declares it; the app sets it for '
        f"{written_duration(seconds)}. If it has to last so long, declare that:\n\n"
        f'[[cookies]]\nname = "{cookie.name}"\npurpose = "{cookie.purpose}"\nduration = "{written_duration(seconds)}"\n'
    )


def _sent_unasked(name: bytes, purpose: str) -> str:
    return (
        f'A browser sends the cookie "{_shown(name)}", and no answer allows "{purpose}": a script in a page has set '
        "it, or it is from an earlier time. The app does not see it. Let what sets it wait (docs/gated.md):\n\n"
        f'<script type="text/plain" data-purpose="{purpose}" data-src="..."></script>\n'
    )


def _warning(direction: str, name: bytes, reason: str, lasts: float | None, *, holds: bool) -> str:
    shown = _shown(name)
    outcome = "held back" if holds else "let through"
    if direction == "request":
        outcome += " from the app" if holds else " to the app"
    if reason == "reserved":
        return (
            f"The cookie \"{shown}\" was {outcome}: it is the consent layer's own. Give the app's cookie another name."
        )
    if len(name) > LONGEST_KEPT:
        return f'The cookie "{shown}" was {outcome}: its name has more than {LONGEST_KEPT} bytes.'
    duration = "session" if lasts is None or lasts < 1 else written_duration(min(lasts, LONGEST_COOKIE.total_seconds()))
    return (
        f'The cookie "{shown}" was {outcome}: no policy declares it. If it is the site\'s, declare it:\n\n'
        f'[[cookies]]\nname = "{shown}"\npurpose = {_proposed_purpose(shown)}\nduration = "{duration}"\n'
    )


def _proposed_purpose(name: str) -> str:
    """Return the value to paste for an undeclared cookie's purpose, with a comment."""
    if known := known_cookie(name):
        unless = " unless you run it yourself" if known.self_hosted else ""
        return f'"{known.purpose}"  # as usual for {known.vendor}, which has to be in [[recipients]], too{unless}'
    # It does not load as it is: only the site knows, and "necessary" would be the easy guess.
    return '"?"  # what it is for: one of your purposes, or "necessary" if the site cannot work without it'
