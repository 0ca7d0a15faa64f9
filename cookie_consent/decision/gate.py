"""The gate: says which cookies pass, from the browser to the app and from the app to the browser. It logs nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain, islice, zip_longest
from typing import NamedTuple

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.cookies import (
    CONTROL,
    Headers,
    expire_cookie,
    is_deletion,
    is_sent_to,
    list_names_read,
    list_settable_domains,
    read_cookie_name,
    read_lifetime,
    shorten_lifetime,
    split_cookies,
)
from cookie_consent.base.messages import check
from cookie_consent.policy.parts import NECESSARY, Cookie
from cookie_consent.policy.policy import Policy

RefusableCookie = tuple[bytes, frozenset[str]]
"""The name of a cookie that can be refused, and its purposes."""

UNDECLARED = "undeclared"
RESERVED = "reserved"
"""The reason to block a cookie of the app's that has one of our names."""
SHORTENED = "shortened"
"""No reason to block a cookie: it passes, with the declared lifetime."""
_MAX_EXPIRED = 100
_MAX_EXPIRED_BYTES = 3072
"""nginx accepts 4096 bytes of header fields by default (proxy_buffer_size); this leaves some for the app's."""


class Finding(NamedTuple):
    """A cookie that the gate blocks, or that passes with something to report.

    Args:
        name: the cookie's name.
        reason: the purpose that is not allowed, `UNDECLARED`, `RESERVED` or `SHORTENED`.
        cookie: its declaration, if there is one.
        seconds: the lifetime that the app sets, if it is undeclared or shortened; None for the browser session.
        is_blocked: whether the gate blocks it.
    """

    name: bytes
    reason: str
    cookie: Cookie | None = None
    seconds: float | None = None
    is_blocked: bool = True


Findings = tuple[Finding, ...]


def count_reasons(findings: Findings) -> Counter[str]:
    """Return how many cookies are blocked, by reason."""
    return Counter(finding.reason for finding in findings if finding.is_blocked)


class Gate:
    """Lets cookies pass or blocks them, on the raw header fields of ASGI messages.

    Args:
        policy: declares the cookies.
        own_cookies: name of each of our own cookies -> the purposes that let the app read it; any one is enough. The
            app may set none of them.
        undeclared: "hold" blocks undeclared cookies, "allow" only reports them.

    Raises:
        ValueError: `undeclared` is neither "hold" nor "allow".
    """

    def __init__(self, policy: Policy, own_cookies: Mapping[str, frozenset[str]], *, undeclared: str = "hold") -> None:
        check("undeclared", undeclared, is_valid=undeclared in ("hold", "allow"), remedy='Write "hold" or "allow".')
        self._policy = policy
        self._own_cookies = {name.encode("ascii"): purposes for name, purposes in own_cookies.items()}
        self._blocks_undeclared = undeclared == "hold"

    def block_reason(self, name: bytes, purposes: Mapping[str, bool]) -> str | None:
        """Return why a cookie is blocked, or None if it passes.

        Args:
            name: the cookie's name.
            purposes: purpose id -> whether it is allowed.
        """
        readers = self._own_cookies.get(name)
        if readers is not None:
            for purpose in readers:
                if purposes[purpose]:
                    return None
            return RESERVED
        cookie = self._policy.find_cookie(name)
        if cookie is None:
            return UNDECLARED
        return None if purposes[cookie.purpose] else cookie.purpose

    def filter_request(
        self, field: bytes, purposes: Mapping[str, bool]
    ) -> tuple[bytes, Findings, tuple[RefusableCookie, ...]]:
        """Return the Cookie field that the app may see, what was found on its cookies, and those that can be refused.

        A cookie counts as refused once all of its purposes are.
        """
        sent = split_cookies(field)
        passed: list[bytes] = []
        findings: list[Finding] = []
        refusable: dict[bytes, frozenset[str]] = {}
        for name, pair in sent:
            cookie = self._policy.find_cookie(name)
            reason, is_blocked = self._judge(name, purposes)
            if reason is not None:
                findings.append(Finding(name, reason, cookie, is_blocked=is_blocked))
            if not is_blocked:
                passed.append(pair)
            own_purposes = frozenset(() if cookie is None else (cookie.purpose,))
            refusing = self._own_cookies.get(name, own_purposes) - {NECESSARY}
            if refusing and not CONTROL.search(name):
                refusable[name] = refusing
        visible = field if len(passed) == len(sent) else b"; ".join(passed)
        return visible, tuple(findings), tuple(refusable.items())

    def filter_response(self, fields: Headers, purposes: Mapping[str, bool], now: float) -> tuple[Headers, Findings]:
        """Return the header fields of a response without the blocked cookies, and what was found on its cookies.

        A deletion always passes. A lifetime that is longer than declared is shortened.
        """
        passed: Headers = []
        findings: list[Finding] = []
        for name, value in fields:
            if name.lower() != b"set-cookie":
                passed.append((name, value))
                continue
            cookie, finding = self._check_cookie(value, purposes, now)
            if cookie is not None:
                passed.append((name, cookie))
            if finding is not None:
                findings.append(finding)
        return passed, tuple(findings)

    def find_unsent(self, refused: Collection[str], path: str) -> list[Cookie]:
        """Return the declared cookies of refused purposes that browsers do not send to a path.

        Cookies declared by a pattern are left out: without an exact name they cannot be expired.
        """
        return [
            cookie
            for cookie in self._policy.cookies
            if cookie.purpose in refused and "*" not in cookie.name and not is_sent_to(path, cookie.path)
        ]

    def expire_cookies(
        self, names: Iterable[bytes], host: str, *, secure: bool, unsent: Iterable[Cookie] = ()
    ) -> Headers:
        """Return Set-Cookie fields that delete cookies wherever the browser may have stored them.

        A cookie is deleted on its declared path, host-only and for each domain that the host can set. A response has
        limited room, so the likeliest place of each cookie comes first; later responses delete the rest.

        Args:
            names: names of cookies that the request carried.
            host: the host of the request, in lowercase and without a port.
            secure: whether the connection is https.
            unsent: declared cookies that the browser did not send because of their path.
        """
        domains = list_settable_domains(host)
        site = self._policy.site
        shared = site.domain if host in site.hosts else ""
        places = [_expire_everywhere(cookie.name.encode("ascii"), cookie, domains, secure=secure) for cookie in unsent]
        for name in islice(names, _MAX_EXPIRED):
            cookie = self._policy.find_cookie(name)
            if cookie is None or name in self._own_cookies:
                places.append(_expire_own(name, shared, secure=secure))
            else:
                places.append(_expire_everywhere(name, cookie, domains, secure=secure))
        fields: Headers = []
        room = _MAX_EXPIRED_BYTES
        # Take the first place of every cookie, then every second place, and so on.
        for deletion in dict.fromkeys(filter(None, chain.from_iterable(zip_longest(*places)))):
            room -= len(deletion) + len(b"set-cookie: \r\n")
            if room >= 0:
                fields.append((b"set-cookie", deletion))
        return fields

    def _judge(self, name: bytes, purposes: Mapping[str, bool]) -> tuple[str | None, bool]:
        """Return what to report of a cookie, by each name that frameworks read, and whether to block it."""
        reason = self.block_reason(name, purposes)
        if reason != UNDECLARED:
            return reason, reason is not None
        # A long name is always blocked, since no policy can declare it.
        if self._blocks_undeclared or len(name) > LONGEST_KEPT:
            return UNDECLARED, True
        for read in list_names_read(name):
            other = self.block_reason(read, purposes)
            if other not in (None, UNDECLARED):
                return other, True
        return UNDECLARED, False

    def _check_cookie(
        self, field: bytes, purposes: Mapping[str, bool], now: float
    ) -> tuple[bytes | None, Finding | None]:
        """Return a Set-Cookie field as it passes, None if it is blocked, and what was found on it."""
        name = read_cookie_name(field)
        cookie = self._policy.find_cookie(name)
        reason, is_blocked = (RESERVED, True) if name in self._own_cookies else self._judge(name, purposes)
        if reason is None:
            duration = None if cookie is None else cookie.duration
            passed = shorten_lifetime(field, duration, now)
            if passed == field:
                return field, None
            return passed, Finding(name, SHORTENED, cookie, read_lifetime(field, now), is_blocked=False)
        if is_deletion(field, now):
            return field, None
        seconds = read_lifetime(field, now) if reason == UNDECLARED else None
        finding = Finding(name, reason, cookie, seconds, is_blocked)
        return None if is_blocked else field, finding


def _expire_own(name: bytes, domain: str, *, secure: bool) -> Iterator[bytes]:
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


def _expire_everywhere(name: bytes, cookie: Cookie, domains: list[str], *, secure: bool) -> Iterator[bytes]:
    """Yield the fields that delete a declared cookie, the declared domain first, then host-only."""
    # Browsers accept __Host- cookies only host-only and with path / (RFC 6265bis section 4.1.3.2).
    if name.lower().startswith(b"__host-"):
        yield expire_cookie(name, secure=secure)
        return
    declared = cookie.domain and cookie.domain.removeprefix(".")
    for domain in dict.fromkeys([declared, None, *domains]):
        yield expire_cookie(name, path=cookie.path, domain=domain, secure=secure)
