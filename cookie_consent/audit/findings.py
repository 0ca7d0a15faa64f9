"""Compares what pages store and load with a policy."""

from __future__ import annotations

import re
import string
import time
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from cookie_consent.audit.crawl import Page
from cookie_consent.audit.script import COOKIE, FILE, REQUEST, STORAGE, Sight
from cookie_consent.base.cookies import is_deletion, read_cookie_name, read_lifetime
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.http.csp import covers, find_sources, read_directives
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import written_duration

UNDECLARED_COOKIE = "undeclared-cookie"
UNDECLARED_STORAGE = "undeclared-storage"
UNDECLARED_HOST = "undeclared-host"
COOKIE_REFUSED = "cookie-without-consent"
STORAGE_REFUSED = "storage-without-consent"
HOST_REFUSED = "request-without-consent"
TOO_LONG = "lifetime-longer-than-declared"
SURVIVES = "survives-withdrawal"
FAILS = "fails-when-refused"
NEVER_SEEN = "never-seen"
RULES = {
    UNDECLARED_COOKIE: "A cookie is set that the policy does not declare.",
    UNDECLARED_STORAGE: "A script keeps something in the browser that the policy does not declare.",
    UNDECLARED_HOST: "A page loads from a host that is no recipient's.",
    COOKIE_REFUSED: "A cookie reaches the browser although its purpose is not allowed.",
    STORAGE_REFUSED: "A script keeps something in the browser although its purpose is not allowed.",
    HOST_REFUSED: "A page loads from a recipient although its purpose is not allowed.",
    TOO_LONG: "A cookie is set for longer than the policy declares.",
    SURVIVES: "A cookie is still there after a withdrawal.",
    FAILS: "A page fails for visitors who refuse.",
    NEVER_SEEN: "The policy declares it, and no page that was visited uses it.",
}
"""Rule -> what it is about. All but the last are findings; that one is a note."""
_MOST_PLACES = 3
_MOST_NAMES = 10_000
_TOLERANCE = 2.0
"""Seconds. A date, as in Expires, is that far away from the lifetime that was meant."""
_WEB = ("http", "https", "ws", "wss")


class Visitor(NamedTuple):
    """A visitor of the audit.

    Args:
        name: how findings call them.
        allowed: the purposes that they allow.
    """

    name: str
    allowed: frozenset[str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was seen.

    Args:
        page: the address of the page.
        source: the file, and where it is known the line: of a page, a script, or the code of the app.
        by: the tag, statement or field.
    """

    page: str
    source: str
    by: str

    def is_like(self, other: Place) -> bool:
        """Return whether another place is the same, perhaps on another line of a page that differs by visitor."""
        is_page = bool(self.page) and self.source.startswith(self.page) and other.source.startswith(other.page)
        return self.by == other.by and (is_page or self.source == other.source)


@dataclass
class Finding:
    """What was found under one rule about one name.

    Args:
        rule: one of `RULES`.
        name: the cookie, key, host or page.
        detail: what is true of it beside the rule, or "".
        places: where it was seen first.
        pages: on how many pages, counted once for each visitor.
        visitors: for whom.
        seconds: how long the longest cookie is kept; 0 for the browser session.
        picture: the page where it was seen first, as JPEG; empty without a browser.
    """

    rule: str
    name: str
    detail: str = ""
    places: list[Place] = field(default_factory=list)
    pages: int = 0
    visitors: list[str] = field(default_factory=list)
    seconds: float = 0
    picture: bytes = field(default=b"", repr=False)

    def document(self) -> dict[str, Any]:
        """Return all but the picture as plain data."""
        plain = asdict(self)
        del plain["picture"]
        return plain


class Findings:
    """Collects findings.

    Args:
        policy: the policy of the site.
        netloc: the host of the site, with its port.
        own_prefix: what the names of the middleware's own cookies begin with.

    Attributes:
        found: rule and name -> the finding.
    """

    def __init__(self, policy: Policy, netloc: str, own_prefix: str = "") -> None:
        self.policy = policy
        self.found: dict[tuple[str, str], Finding] = {}
        site = policy.site
        self._netloc = netloc
        self._hosts = {netloc.partition(":")[0], site.domain, *site.hosts} - {""}
        # The names do not depend on the key.
        own = OwnCookies(string.ascii_letters, prefix=own_prefix, domain=site.domain, hosts=site.hosts)
        self._own = frozenset(own.find_readers(policy))
        self._seen: set[str] = set()

    def add(self, rule: str, name: str, visitor: str, place: Place, detail: str = "") -> None:
        """Add what was seen to the finding about it."""
        if (rule, name) not in self.found and len(self.found) >= _MOST_NAMES:
            return
        finding = self.found.setdefault((rule, name), Finding(rule, name, detail))
        finding.pages += 1
        if visitor not in finding.visitors:
            finding.visitors.append(visitor)
        if len(finding.places) < _MOST_PLACES and not any(map(place.is_like, finding.places)):
            finding.places.append(place)

    def look(self, visitor: Visitor, page: Page) -> None:
        """Compare a page that a visitor saw with the policy."""
        before = len(self.found)
        visitor = visitor._replace(allowed=visitor.allowed - self._refused_at(page.address))
        for set_cookie in page.cookies:
            self.look_at_field(visitor, set_cookie, page.address, page.address)
        for source, sight in page.sights:
            place = Place(page.address, f"{source}:{sight.line}" if sight.line else source, sight.by)
            if sight.kind == COOKIE:
                value = f"={sight.field}".encode("latin-1", "replace")
                self._look_at_cookie(visitor, sight.name, value, place, reaches=_runs(sight, visitor))
            elif sight.kind == STORAGE:
                self._look_at_storage(visitor, sight, place)
            elif sight.kind in (REQUEST, FILE):
                self._look_at_request(visitor, sight, place, page.csp)
        for finding in islice(self.found.values(), before, None):
            finding.picture = page.picture

    def look_at_field(
        self, visitor: Visitor, set_cookie: str, page: str, source: str, *, is_held: bool = False
    ) -> None:
        """Compare a Set-Cookie field with the policy.

        Args:
            visitor: whose response has it.
            set_cookie: its value.
            page: the address of the response.
            source: the file and line that it is from, or the page.
            is_held: whether the middleware still decides if it is sent.
        """
        # The value may be a secret.
        place = Place(page, source, re.sub("=[^;]*", "=...", f"Set-Cookie: {set_cookie}", count=1))
        value = set_cookie.encode("latin-1", "replace")
        if not is_deletion(value, time.time()):
            name = read_cookie_name(value).decode("latin-1")
            self._look_at_cookie(visitor, name, value, place, reaches=not is_held)

    def survives(self, visitor: Visitor, name: str, place: Place) -> None:
        """Note a cookie that a visitor has after a withdrawal, if the withdrawal should have deleted it."""
        cookie = self.policy.find_cookie(name.encode())
        if name not in self._own and cookie is not None and cookie.purpose not in visitor.allowed:
            declared = f"declared with path {cookie.path}" + (f" and domain {cookie.domain}" if cookie.domain else "")
            self.add(SURVIVES, name, visitor.name, place, f"purpose {cookie.purpose}, {declared}")

    def note_unseen(self) -> None:
        """Note what is declared and was never seen."""
        names = [
            (cookie.name, f"[[cookies]] {cookie.name}")
            for cookie in self.policy.cookies
            if cookie.name not in self._own
        ]
        names += [
            (recipient.id, f"[[recipients]] {recipient.id}")
            for recipient in self.policy.recipients
            if recipient.origins
        ]
        for name, declared in names:
            if name not in self._seen:
                self.add(NEVER_SEEN, name, "all", Place("", "policy", declared))

    def list(self) -> list[Finding]:
        """Return all findings in the order of the rules, and then of names."""
        order = list(RULES)
        return sorted(self.found.values(), key=lambda it: (order.index(it.rule), it.name))

    def _look_at_cookie(self, visitor: Visitor, name: str, value: bytes, place: Place, *, reaches: bool) -> None:
        """Compare a cookie with the policy.

        Args:
            visitor: who gets it.
            name: its name.
            value: a Set-Cookie field with its attributes.
            place: where it is from.
            reaches: whether browsers store it for this visitor.
        """
        if name in self._own:
            return
        seconds = read_lifetime(value, time.time()) or 0.0
        cookie = self.policy.find_cookie(name.encode("latin-1", "replace"))
        if cookie is None:
            self.add(UNDECLARED_COOKIE, name, visitor.name, place)
            finding = self.found.get((UNDECLARED_COOKIE, name))
            if finding is not None:
                finding.seconds = max(seconds, finding.seconds)
            return
        self._seen.add(cookie.name)
        if reaches and cookie.purpose not in visitor.allowed:
            self.add(COOKIE_REFUSED, cookie.name, visitor.name, place, f"purpose {cookie.purpose}")
        declared = cookie.duration.total_seconds() if cookie.duration else 0.0
        if seconds > declared + _TOLERANCE:
            lasts, allowed = (written_duration(it) if it else "the browser session" for it in (seconds, declared))
            self.add(TOO_LONG, cookie.name, visitor.name, place, f"{lasts}; declared: {allowed}")

    def _look_at_storage(self, visitor: Visitor, sight: Sight, place: Place) -> None:
        declared = [it for it in self.policy.cookies if it.is_stored and fnmatchcase(sight.name, it.name)]
        self._seen.update(it.name for it in declared)
        if not declared:
            self.add(UNDECLARED_STORAGE, sight.name, visitor.name, place)
        elif _runs(sight, visitor) and not visitor.allowed.intersection(it.purpose for it in declared):
            self.add(STORAGE_REFUSED, sight.name, visitor.name, place, f"purpose {declared[0].purpose}")

    def _look_at_request(self, visitor: Visitor, sight: Sight, place: Place, csp: Collection[str]) -> None:
        parts = urlsplit(sight.name)
        host = parts.hostname or ""
        if parts.scheme not in _WEB or not host or parts.netloc == self._netloc:
            return
        is_own = self._is_own_host(host)
        # On a host of the site, a recipient has a port of its own.
        named = parts.netloc if is_own else host
        recipients = [it for it in self.policy.recipients if any(_is_at(origin, named) for origin in it.origins)]
        if is_own and not recipients:
            return
        self._seen.update(it.id for it in recipients)
        if not recipients:
            self.add(UNDECLARED_HOST, host, visitor.name, place)
        elif not _runs(sight, visitor) or visitor.allowed.intersection(it.purpose for it in recipients):
            return
        elif not _is_stopped(host, sight.directive, csp):
            self.add(HOST_REFUSED, host, visitor.name, place, f"purpose {recipients[0].purpose}")

    def _refused_at(self, address: str) -> frozenset[str]:
        """Return the purposes that the service of a page refuses."""
        parts = urlsplit(address)
        policy = self.policy.at(unquote(parts.path), lambda: parts.hostname or "")
        return frozenset(id_ for id_, purpose in policy.in_force.items() if purpose.refused)

    def _is_own_host(self, host: str) -> bool:
        return host in self._hosts or bool(self.policy.site.domain and host.endswith(f".{self.policy.site.domain}"))


def _is_at(origin: str, host: str) -> bool:
    return urlsplit(origin).netloc == host if ":" in host else covers(origin, host)


def _runs(sight: Sight, visitor: Visitor) -> bool:
    """Return whether a browser does it by itself for a visitor."""
    return not sight.asks and visitor.allowed.issuperset(sight.purposes)


def _is_stopped(host: str, directive: str, csp: Iterable[str]) -> bool:
    """Return whether a Content-Security-Policy stops a request."""
    for text in csp:
        sources = find_sources(f"{directive or 'connect'}-src", read_directives(text))
        if sources is not None and not any(covers(source, host) for source in sources):
            return True
    return False


def faults(found: Iterable[Finding]) -> list[Finding]:
    """Return all findings but notes."""
    return [finding for finding in found if finding.rule != NEVER_SEEN]
