"""Decides what becomes of a response. `plan` takes values and returns one, which can be printed; it sends nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from cookie_consent.base.user_agents import FRAMES, find_page_view_host, is_from_robot
from cookie_consent.decision.decision import BY_SIGNAL
from cookie_consent.decision.gate import Findings
from cookie_consent.decision.own_cookies import SAVED
from cookie_consent.decision.visit import Visit, expire_refused
from cookie_consent.http.csp import ENFORCED, REPORTED, SecurityFields, is_page
from cookie_consent.http.head import FIRST_ERROR, NOT_MODIFIED, Head, is_shared, read_encoding
from cookie_consent.http.head import is_page as is_html
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.tracing.access_record import LONGEST, origin_of

if TYPE_CHECKING:
    from cookie_consent.http.site import Site
    from cookie_consent.tracing.tracer import Trace

RESPONSE = "http.response.start"
ACCEPT = "websocket.accept"
STARTS = (RESPONSE, ACCEPT, "websocket.http.response.start")
"""The messages with the header fields of a response."""
_REPLIES_DEPEND_ON = (b"Cookie", b"Sec-GPC", b"DNT", b"Accept", b"Accept-Language", b"Sec-Fetch-Site", b"Origin")
_OWN = (b"same-origin", b"same-site")
_RELOADS = (b"max-age=0", b"no-cache")


class Insert(NamedTuple):
    """What a page gets. The rest depends on the page's language, which its first bytes tell.

    Args:
        encoding: the encoding of the page, for our markup.
        asks: whether it gets the question.
        link: whether it gets what is said at its end: the link to the settings, news.
        message: the name of a text that is said once; "" for none.
        first: whether the question is the first of a visit.
        referrer: the origin that the visitor came from.
        has_ended: whether a consent has ended, so that what it allowed is cleared.
        may_inline: whether our style and script may be in the page, but for its policies.
        policies: the Content-Security-Policies in the header fields, the enforced ones first.
    """

    encoding: str
    asks: bool = False
    link: bool = False
    message: str = ""
    first: bool = False
    referrer: str = ""
    has_ended: bool = False
    may_inline: bool = True
    policies: tuple[bytes, ...] = ()

    @property
    def is_seen(self) -> bool:
        """Whether visitors see something of it."""
        return self.asks or self.link or bool(self.message)


class Count(NamedTuple):
    """What is counted: the host of the page view, and the names of the counts with their details."""

    host: bytes
    names: tuple[tuple[str, str], ...] = ()


@dataclass(init=False)
class Plan:
    """What becomes of a response. A new plan says: nothing.

    Attributes:
        cookies: the app's Set-Cookie fields that pass, some shortened; None if all pass as they are.
        findings: what the gate found on the app's cookies.
        limits: our own fields that limit the browser: a second Content-Security-Policy.
        add: our other header fields.
        expire: the fields that delete refused cookies.
        vary: the names of request fields that the response depends on.
        cache: what Cache-Control says beside the app's directives: "private", "no-store"; "" for nothing.
        insert: what the page gets; None for nothing.
        is_read: whether the page may be looked through for other hosts.
        count: what is counted; None for nothing.
        record: what the access record says that this is: "request", "view"; "" for no record.
        advice: the name of what the log says once of such a response; "" for nothing.
    """

    cookies: tuple[tuple[bytes, bytes], ...] | None = None
    findings: Findings = ()
    limits: tuple[tuple[bytes, bytes], ...] = ()
    add: tuple[tuple[bytes, bytes], ...] = ()
    expire: tuple[tuple[bytes, bytes], ...] = ()
    vary: tuple[bytes, ...] = ()
    cache: str = ""
    insert: Insert | None = None
    is_read: bool = False
    count: Count | None = None
    record: str = ""
    advice: str = ""


def plan(visit: Visit, head: Head, consent: RequestConsent, site: Site) -> Plan:
    """Return what becomes of a response of the app. Each reason to change one is a line here."""
    new = Plan()
    if b"set-cookie" in head.found:
        block_cookies(new, visit, head, consent, site)
    if visit.refused_cookies:
        expire_cookies(new, visit, head, consent, site)
    if site.security is not None:
        limit_browser(new, visit, head, consent, site.security)
    if visit.signal_cookie is not None:
        store_signal(new, visit.signal_cookie, head, site)
    if head.trace is not None:
        record_request(new, head.trace)
    is_page = head.status == NOT_MODIFIED or head.found.get(b"content-type", b"")[:9].lower() == b"text/html"
    if is_page and head.scope["type"] == "http":
        plan_page(new, visit, head, consent, site)
    if vars(new) or consent.was_read:
        steer_caches(new, visit, head, consent, site)
    return new


def plan_reply(visit: Visit, head: Head, site: Site) -> Plan:
    """Return what becomes of a reply of our endpoints. Only our files say how long caches may keep them."""
    new = Plan()
    if site.security is not None:
        new.add = tuple(site.security.list_missing(head.found))
        new.limits = tuple(site.security.everybody)
    if b"cache-control" in head.found:
        return new
    new.cache = "no-store"
    new.vary = _REPLIES_DEPEND_ON
    # The reply to an answer sets and deletes cookies itself, by what counts after the answer.
    if head.scope["method"] != "POST":
        if visit.signal_cookie is not None:
            new.add += ((b"set-cookie", visit.signal_cookie),)
        if visit.refused_cookies:
            new.expire = tuple(expire_refused(site.gate, visit, head.scope))
    return new


def block_cookies(new: Plan, visit: Visit, head: Head, consent: RequestConsent, site: Site) -> None:
    """Plan which cookies of the app's pass. A shared cache would hand them to everybody (RFC 9111, section 7.3)."""
    passed, findings = site.gate.filter_response(head.fields, visit.decision.purposes, site.clock())
    if findings:
        new.findings = findings
    if site.is_shared and head.kind == RESPONSE and not consent.was_read and is_shared(head.fields):
        passed = []
        new.advice = "public cookie"
    if passed != head.fields:
        new.cookies = tuple([field for field in passed if field[0].lower() == b"set-cookie"])


def expire_cookies(new: Plan, visit: Visit, head: Head, consent: RequestConsent, site: Site) -> None:
    """Plan the deletion of cookies that the visitor has refused and the browser still sends."""
    if not site.is_shared or consent.was_read or head.kind != RESPONSE:
        new.expire = tuple(expire_refused(site.gate, visit, head.scope))


def store_signal(new: Plan, cookie: bytes, head: Head, site: Site) -> None:
    """Plan the cookie that says that a signal overrides the answer."""
    if not site.is_shared and head.kind == RESPONSE:
        new.add += ((b"set-cookie", cookie),)


def limit_browser(new: Plan, visit: Visit, head: Head, consent: RequestConsent, security: SecurityFields) -> None:
    """Plan our Content-Security-Policy. What is no page gets that of a visitor who allowed nothing, for all caches."""
    if head.kind == ACCEPT:
        return
    new.add += security.list_missing(head.found)
    fields = security.everybody
    if security.differs and head.kind == RESPONSE:
        accepts_pages = b"text/html" in head.request.get(b"accept", b"")
        if consent.was_read or is_page(head.status, head.fields, accepts_pages=accepts_pages):
            fields = security.fields(visit.decision)
            new.cache = "private"
    new.limits = tuple(fields)


def record_request(new: Plan, trace: Trace) -> None:
    """Plan the access record, and the cookie of a new visitor."""
    new.record = "request"
    if trace.new_visitor is not None:
        new.add += ((b"set-cookie", trace.new_visitor),)


def plan_page(new: Plan, visit: Visit, head: Head, consent: RequestConsent, site: Site) -> None:
    """Plan what a page gets, and what it counts for. Robots are not asked, and not counted until they answer."""
    is_robot = visit.decision.record is None and head.trace is None and is_from_robot(head.request)
    if site.access_log is not None and not is_robot and is_html(head.scope["method"], head.status, head.fields):
        count_page(new, visit, head, consent)
    encoding = read_encoding(head)
    if encoding is None:
        return
    is_get = head.scope["method"] == "GET"
    if encoding == "":
        if site.inject and is_get and (head.asks or site.settings_link) and is_opened(head.request):
            new.advice = "compressed"
        return
    if is_get and not site.is_left_out:
        new.is_read = True
    if site.is_shared:
        plan_shared_page(new, head, consent, site, encoding)
    elif site.inject:
        plan_insert(new, visit, head, consent, site, encoding, asks=head.asks and not is_robot)


def is_opened(request: Mapping[bytes, bytes]) -> bool:
    """Return whether a browser opens a page, by the header fields of its request."""
    return request.get(b"sec-fetch-dest", b"document") == b"document" and b"text/html" in request.get(b"accept", b"")


def plan_shared_page(new: Plan, head: Head, consent: RequestConsent, site: Site, encoding: str) -> None:
    """Plan what is inserted into a page for everybody. A script asks what is allowed, and shows the question."""
    if site.inject and head.scope["method"] == "GET" and not consent.asks_itself:
        new.insert = Insert(encoding, site.may_ask(head.scope), site.settings_link)
        heed_policies(new, head)


def plan_insert(  # noqa: PLR0913 (what a page depends on)
    new: Plan, visit: Visit, head: Head, consent: RequestConsent, site: Site, encoding: str, *, asks: bool
) -> None:
    """Plan what is inserted into a page."""
    decision = visit.decision
    new.vary = site.depends_on
    if b"etag" in head.found or (b"cache-control" in head.found and is_shared(head.fields)):
        new.advice = "cacheable"
    link = site.settings_link or decision.news is not None or decision.honours_gpc
    says_kept = visit.saved and decision.record is not None
    if head.scope["method"] != "GET" or consent.asks_itself:
        asks = link = says_kept = False
    if asks or link or says_kept:
        new.vary = site.page_depends_on
        # For a page in a frame, the page around it asks.
        if head.request.get(b"sec-fetch-dest") in FRAMES:
            asks = link = says_kept = False
    has_ended = decision.record is None and bool(visit.refused_cookies)
    if asks:
        first = is_arrival(head.request)
        new.insert = Insert(encoding, asks, link, "", first, read_referrer(head.request), has_ended)
    elif link or says_kept or (site.tells_vendors and head.scope["method"] != "HEAD"):
        new.insert = Insert(encoding, asks, link, has_ended=has_ended)
    if says_kept and new.insert is not None:
        new.insert = new.insert._replace(message="kept")
        say_once(new, visit, site)
    heed_policies(new, head)


def is_arrival(request: Mapping[bytes, bytes]) -> bool:
    """Return whether a visitor comes to the site with this page, by the header fields of its request.

    Browsers say whether a page of the site led here (Fetch Metadata, "Sec-Fetch-Site"), older ones by the referrer. Who
    loads a page again does not come (Fetch, cache mode "no-cache").
    """
    came_from = request.get(b"sec-fetch-site")
    is_inside = is_own(request) if came_from is None else came_from in _OWN
    return not is_inside and request.get(b"cache-control") not in _RELOADS


def read_referrer(request: Mapping[bytes, bytes]) -> str:
    """Return the origin of the other site that the visitor came from; "" for none."""
    referrer = request.get(b"referer", b"")[:LONGEST]
    return "" if not referrer or is_own(request) else origin_of(referrer.decode("latin-1"))


def is_own(request: Mapping[bytes, bytes]) -> bool:
    """Return whether the referrer is a page of this host."""
    return request.get(b"referer", b"").split(b"/", 3)[2:3] == [request.get(b"host", b"")]


def say_once(new: Plan, visit: Visit, site: Site) -> None:
    """Plan that a page with a message is not kept, and that the next page does not say it again."""
    new.cache = "no-store"
    new.add += ((b"set-cookie", site.own_cookies.forget(SAVED, visit.place)),)


def heed_policies(new: Plan, head: Head) -> None:
    """Plan our tags after the Content-Security-Policies of the page."""
    if new.insert is None or not (new.limits or ENFORCED in head.found or REPORTED in head.found):
        return
    enforced: list[bytes] = []
    reported: list[bytes] = []
    for name, value in (*head.fields, *new.limits):
        lowered = name.lower()
        if lowered == ENFORCED:
            enforced.append(value)
        elif lowered == REPORTED:  # these count too: nothing of ours should be reported
            reported.append(value)
    policies = (*enforced, *reported)
    # A page that a script puts into another one is under the policy of that one, which has another nonce.
    is_swapped = head.request.get(b"sec-fetch-dest", b"document") != b"document"
    may_inline = not (is_swapped and b"'nonce-" in b",".join(policies).lower())
    new.insert = new.insert._replace(policies=policies, may_inline=may_inline)


def count_page(new: Plan, visit: Visit, head: Head, consent: RequestConsent) -> None:
    """Plan what a page that a person sees counts for. An error page is no page view."""
    host = find_page_view_host(head.request, not_modified=head.status == NOT_MODIFIED)
    if host is None:
        return
    names: list[tuple[str, str]] = []
    if head.status < FIRST_ERROR:
        if head.trace is None or not head.trace.is_landing:  # a reload after the answer was counted before it
            names.append(("views", ""))
        if head.trace is not None:
            names.append(("views_recorded", ""))
            new.record = "view"
        if not BY_SIGNAL.isdisjoint(visit.decision.reasons.values()):
            names.append(("signal", ""))
        for feature in consent.degraded:
            names.append(("degraded", feature))
    new.count = Count(host, tuple(names))


def steer_caches(new: Plan, visit: Visit, head: Head, consent: RequestConsent, site: Site) -> None:
    """Plan what caches hear: a response that depends on the visitor says on what, and is private."""
    depends = new.vary or new.record or new.expire or new.cache or visit.signal_cookie is not None
    if head.kind != RESPONSE or not (consent.was_read or (depends and not site.is_shared)):
        return
    if not new.vary:
        new.vary = site.depends_on
    if consent.chose_language and b"Accept-Language" not in new.vary:
        new.vary += (b"Accept-Language",)
    if not new.cache:
        new.cache = "private"
