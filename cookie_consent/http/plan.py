"""Decides what becomes of a response. `plan` takes values and returns one, which can be printed; it sends nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from cookie_consent.base.addresses import outer_path
from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.cookies import Headers
from cookie_consent.base.user_agents import FRAMES, find_page_view_host, is_from_robot
from cookie_consent.decision.decision import BY_SIGNAL
from cookie_consent.decision.gate import Findings
from cookie_consent.decision.own_cookies import SAVED
from cookie_consent.decision.visit import Visit, expire_refused
from cookie_consent.http.csp import ENFORCED, REPORTED, SecurityFields
from cookie_consent.http.insert import find_encoding
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.tracing.access_record import LONGEST, origin_of
from cookie_consent.tracing.counts import ARRIVED_ON_ERROR

if TYPE_CHECKING:
    from cookie_consent.http.site import Site
    from cookie_consent.tracing.tracer import Trace

RESPONSE = "http.response.start"
ACCEPT = "websocket.accept"
STARTS = (RESPONSE, ACCEPT, "websocket.http.response.start")
"""The messages with the header fields of a response."""
FIRST_ERROR = 400
"""From this status on, a page only reports an error (RFC 9110, section 15), so it is no page view."""
NOT_MODIFIED = 304
"""The status of a response whose content the browser has cached (RFC 9110, section 15.4.5)."""
_HTML = b"text/html"
_PART = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^,])+')
_SINGLE = (b"content-type", b"content-length")
_NO_WHOLE_BODY = frozenset((204, 205, 206))
_REPLIES_DEPEND_ON = (b"Cookie", b"Sec-GPC", b"DNT", b"Accept", b"Accept-Language", b"Sec-Fetch-Site", b"Origin")
_OWN = (b"same-origin", b"same-site")
_RELOADS = (b"max-age=0", b"no-cache")


def plain_fields(headers: Iterable[Sequence[Any]]) -> Headers:
    """Return header fields as bytes with names in lowercase, whatever kinds of bytes or texts they are."""
    return [(_plain(name).lower(), _plain(value)) for name, value in headers]


def _plain(part: Any) -> bytes:
    return part.encode("latin-1", "replace") if isinstance(part, str) else bytes(part)


class Head:
    """What the app wants to send, and the request that it answers.

    Args:
        message: the ASGI message with the header fields.
        scope: the ASGI scope of the request.
        request: the header fields of the request by name in lowercase.
        trace: the traced request, if there will be an access record.
        may_ask: whether the page may have the question.
        is_left_out: whether the option `inject` leaves out this page.

    Attributes:
        kind: the type of the message.
        status: the status code; 0 for none.
        is_plain: whether the app sends a list of pairs of bytes, which any server takes as it is.
        fields: the header fields, with names in lowercase.
        found: the header fields by name; of several, the last. Two types or lengths count as none.
        media_type: the media type of the body, in lowercase; b"" for none.
    """

    def __init__(
        self,
        message: Mapping[str, Any],
        scope: Mapping[str, Any],
        request: Mapping[bytes, bytes],
        trace: Trace | None = None,
        *,
        may_ask: bool = False,
        is_left_out: bool = False,
    ) -> None:
        fields: Headers = message.get("headers") or []
        is_plain = type(message.get("headers")) is list
        if type(fields) is not list:
            fields = plain_fields(fields)
        for name, value in fields:
            if type(name) is not bytes or type(value) is not bytes or not name.islower():
                is_plain &= all(type(part) is bytes for field in fields for part in field)
                fields = plain_fields(fields)
                break
        found = dict(fields)
        if len(found) < len(fields):
            names = [name for name, _ in fields]
            # Clients differ in which of two they take.
            found |= {name: b"" for name in _SINGLE if names.count(name) > 1}
        status = message.get("status")
        self.kind: str = message["type"]
        self.status: int = status if isinstance(status, int) else 0
        self.is_plain = is_plain
        self.fields = fields
        self.found = found
        self.media_type = found.get(b"content-type", b"").partition(b";")[0].strip().lower()
        self.scope = scope
        self.request = request
        self.trace = trace
        self.may_ask = may_ask
        self.is_left_out = is_left_out


class Insert(NamedTuple):
    """What a page gets. The rest depends on the page's language, which its first bytes tell.

    Args:
        encoding: the encoding of the page, for our markup.
        asks: whether it gets the question.
        link: whether it gets what is said at its end: the link to the settings, news.
        saved: what it says of an answer; see `OwnCookies.read_saved`.
        first: whether the question is the first of a visit.
        came_from: the origin that the visitor came from, or the campaign of the page before as "?utm_source=…".
        has_ended: whether a consent has ended, so that what it allowed is cleared.
        may_inline: whether our style and script may be in the page, but for its policies.
        policies: the Content-Security-Policies in the header fields, the enforced ones first.
    """

    encoding: str
    asks: bool = False
    link: bool = False
    saved: str = ""
    first: bool = False
    came_from: str = ""
    has_ended: bool = False
    may_inline: bool = True
    policies: tuple[bytes, ...] = ()


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
        host: the Host field of a page view that counts; None for none.
        counts: the names of what is counted, with their details.
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
    host: bytes | None = None
    counts: tuple[tuple[str, str], ...] = ()
    record: str = ""
    advice: str = ""


def plan(visit: Visit, head: Head, consent: RequestConsent, site: Site) -> Plan:
    """Return what becomes of a response of the app. Each reason to change one is a line here."""
    new = Plan()
    # What everybody gets from shared caches has nothing of one visitor.
    is_for_all = site.is_shared and head.kind == RESPONSE and not consent.was_read
    if b"set-cookie" in head.found:
        block_cookies(new, visit, head, site, is_for_all=is_for_all)
    if visit.refused_cookies and not is_for_all:
        new.expire = tuple(expire_refused(site.gate, visit, head.scope))
    if site.security.is_used and head.kind != ACCEPT:
        limit_browser(new, visit, head, consent, site.security)
    if visit.signal_cookie is not None and not site.is_shared and head.kind == RESPONSE:
        new.add += ((b"set-cookie", visit.signal_cookie),)
    if site.access_log is not None and head.kind == RESPONSE:
        record_request(new, visit, head)
    if (head.media_type == _HTML or head.status == NOT_MODIFIED) and head.scope["type"] == "http":
        plan_page(new, visit, head, consent, site)
    if vars(new) or consent.was_read:
        steer_caches(new, visit, head, consent, site)
    return new


def plan_reply(visit: Visit, head: Head, site: Site) -> Plan:
    """Return what becomes of a reply of our endpoints. Only our files say how long caches may keep them."""
    new = Plan()
    if site.security.is_used:
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


def block_cookies(new: Plan, visit: Visit, head: Head, site: Site, *, is_for_all: bool) -> None:
    """Plan which cookies of the app's pass. A shared cache would hand them to everybody (RFC 9111, section 7.3)."""
    passed, findings = site.gate.filter_response(head.fields, visit.decision.purposes, site.clock())
    if findings:
        new.findings = findings
    if is_for_all and is_shared(head.fields):
        passed = []
        new.advice = "public cookie"
    if passed != head.fields:
        new.cookies = tuple([field for field in passed if field[0] == b"set-cookie"])


def limit_browser(new: Plan, visit: Visit, head: Head, consent: RequestConsent, security: SecurityFields) -> None:
    """Plan our Content-Security-Policy. What is no page gets that of a visitor who allowed nothing, for all caches."""
    new.add += security.list_missing(head.found)
    fields = security.everybody
    if security.differs and head.kind == RESPONSE:
        is_page = head.media_type in (_HTML, b"application/xhtml+xml")
        if head.status == NOT_MODIFIED:
            # It replaces the header fields of the stored response, which may be a page (RFC 9111, section 3.2).
            is_page = _HTML in head.request.get(b"accept", b"")
        if is_page or consent.was_read:
            fields = security.fields(visit.decision)
            new.cache = "private"
    new.limits = tuple(fields)


def record_request(new: Plan, visit: Visit, head: Head) -> None:
    """Plan the access record and the cookie of a new visitor, and what an error counts."""
    if head.trace is not None:
        new.record = "request"
        if head.trace.new_visitor is not None:
            new.add += ((b"set-cookie", head.trace.new_visitor),)
    if head.status >= FIRST_ERROR:
        count_error(new, visit, head)


def plan_page(new: Plan, visit: Visit, head: Head, consent: RequestConsent, site: Site) -> None:
    """Plan what a page gets, and what it counts for. Robots are not asked, and not counted until they answer."""
    is_robot = is_unanswered_robot(visit, head)
    if site.access_log is not None and not is_robot and is_page(head):
        count_page(new, visit, head, consent)
    encoding = read_encoding(head)
    if encoding is None or head.is_left_out:
        return
    is_get = head.scope["method"] == "GET"
    if is_get and encoding:
        new.is_read = True
    if not site.inject:
        return
    asks = head.may_ask and not consent.asks_itself and (site.is_shared or not is_robot)
    if encoding:
        plan_insert(new, visit, head, consent, site, encoding, asks=asks)
    elif is_get and (asks or site.settings_link) and is_opened(head.request):
        new.advice = "compressed"


def is_unanswered_robot(visit: Visit, head: Head) -> bool:
    """Return whether a robot asks. The user agent of who has answered is not read: the answer may have been a no."""
    return visit.decision.record is None and head.trace is None and is_from_robot(head.request)


def is_page(head: Head) -> bool:
    """Return whether a response is a page: HTML for a GET, not a redirect; or a "not modified" without Content-Type.

    An error page is a page too, but no page view; see `FIRST_ERROR`.
    """
    if head.scope["method"] != "GET":
        return False
    if head.status == NOT_MODIFIED:
        return head.media_type in (_HTML, b"")
    return head.media_type == _HTML and not 300 <= head.status < FIRST_ERROR


def read_encoding(head: Head) -> str | None:
    """Return the encoding for markup of ours; "" if the page is compressed, None if it is no whole page."""
    found = head.found
    kind = found.get(b"content-type", b"")
    if len(kind) > LONGEST_KEPT or head.status < 200 or 300 <= head.status < 400 or head.status in _NO_WHOLE_BODY:
        return None
    disposition = found.get(b"content-disposition", b"").partition(b";")[0].strip().lower()
    if b"content-range" in found or disposition == b"attachment":
        return None
    encoding = find_encoding(kind)
    if encoding is not None and found.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        return ""
    return encoding


def is_opened(request: Mapping[bytes, bytes]) -> bool:
    """Return whether a browser opens a page, by the header fields of its request."""
    return request.get(b"sec-fetch-dest", b"document") == b"document" and _HTML in request.get(b"accept", b"")


def plan_insert(  # noqa: PLR0913 (what a page depends on)
    new: Plan, visit: Visit, head: Head, consent: RequestConsent, site: Site, encoding: str, *, asks: bool
) -> None:
    """Plan what is inserted into a page."""
    method = head.scope["method"]
    is_silent = method != "GET" or consent.asks_itself
    policies, may_inline = find_policies(new, head)
    if site.is_shared:
        # A page for everybody: a script asks what is allowed, and shows the question.
        if not is_silent:
            new.insert = Insert(encoding, asks, site.settings_link, may_inline=may_inline, policies=policies)
        return
    decision = visit.decision
    new.vary = site.depends_on
    if b"etag" in head.found or (b"cache-control" in head.found and is_shared(head.fields)):
        new.advice = "cacheable"
    link = not is_silent and (site.settings_link or decision.news is not None or decision.honours_gpc)
    saved = "" if is_silent or decision.record is None else visit.saved
    if asks or link or saved:
        new.vary = site.page_depends_on
        # For a page in a frame, the page around it asks.
        if head.request.get(b"sec-fetch-dest") in FRAMES:
            asks, link, saved = False, False, ""
    if saved:
        # The page is not kept, and the next page does not say it again.
        new.cache = "no-store"
        new.add += ((b"set-cookie", site.own_cookies.forget(SAVED, visit.place)),)
    if asks or link or saved or (site.tells_vendors and method != "HEAD"):
        first = asks and is_arrival(head.request)
        came_from = read_arrival(head.request, site) if asks else ""
        ended = decision.record is None and bool(visit.refused_cookies)
        new.insert = Insert(encoding, asks, link, saved, first, came_from, ended, may_inline, policies)


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


def read_arrival(request: Mapping[bytes, bytes], site: Site) -> str:
    """Return the origin of the other site that the visitor came from, or the campaign of the page before, "?utm_…"."""
    if site.access_log is None or not is_own(request):
        return read_referrer(request)
    query = request[b"referer"][:LONGEST].decode("latin-1").partition("#")[0].partition("?")[2]
    campaign = query and site.access_log.tracing.keep_query(query)
    return f"?{campaign}" if campaign else ""


def is_own(request: Mapping[bytes, bytes]) -> bool:
    """Return whether the referrer is a page of this host."""
    return request.get(b"referer", b"").split(b"/", 3)[2:3] == [request.get(b"host", b"")]


def find_policies(new: Plan, head: Head) -> tuple[tuple[bytes, ...], bool]:
    """Return the Content-Security-Policies of a page, and whether something of ours may be inline, but for them."""
    if not new.limits and ENFORCED not in head.found and REPORTED not in head.found:
        return (), True
    enforced = [value for name, value in (*head.fields, *new.limits) if name == ENFORCED]
    # These count too: nothing of ours should be reported.
    reported = [value for name, value in head.fields if name == REPORTED]
    policies = (*enforced, *reported)
    # A page that a script puts into another one is under the policy of that one, which has another nonce.
    is_swapped = head.request.get(b"sec-fetch-dest", b"document") != b"document"
    return policies, not (is_swapped and b"'nonce-" in b",".join(policies).lower())


def count_error(new: Plan, visit: Visit, head: Head) -> None:
    """Plan that an error is counted with which a visit begins: somewhere there is a dead link."""
    request = head.request
    host = find_page_view_host(request)
    if host is None or head.scope["method"] != "GET" or not is_opened(request) or not is_arrival(request):
        return
    if is_unanswered_robot(visit, head):
        return
    new.host = host
    came_from = read_referrer(request) or "(direct)"
    new.counts = ((ARRIVED_ON_ERROR, f"{head.status} {came_from} {outer_path(head.scope)}"),)


def count_page(new: Plan, visit: Visit, head: Head, consent: RequestConsent) -> None:
    """Plan what a page that a person sees counts for. An error page is no page view."""
    host = find_page_view_host(head.request, not_modified=head.status == NOT_MODIFIED)
    if host is None:
        return
    new.host = host
    if head.status >= FIRST_ERROR:
        return
    counts = []
    for feature in consent.degraded:
        counts.append(("degraded", feature))
    if head.trace is None or not head.trace.is_landing:  # a reload after the answer was counted before it
        counts.append(("views", ""))
    if head.trace is not None:
        counts.append(("views_recorded", ""))
        new.record = "view"
    decision = visit.decision
    if decision.refused_by_signal and not BY_SIGNAL.isdisjoint(decision.reasons.values()):
        counts.append(("signal", ""))
    new.counts = tuple(counts)


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


def is_shared(headers: Headers) -> bool:
    """Return whether a response says that shared caches may keep it: by "public" or "s-maxage" in Cache-Control."""
    values = [value for name, value in headers if name.endswith(b"cache-control")]
    return any(is_for_shared(word) for word in split_list(b",".join(values)))


def split_list(value: bytes) -> list[bytes]:
    """Return the parts of a field that are separated by commas outside quotes."""
    return [word for part in _PART.findall(value) if (word := part.strip())]


def is_for_shared(directive: bytes) -> bool:
    """Return whether a directive of Cache-Control lets shared caches keep a response."""
    return directive.partition(b"=")[0].strip().lower() in (b"public", b"s-maxage")
