"""Tests of the plan of a response: its value, for each reason to change one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from cookie_consent.base.user_agents import FRAMES
from cookie_consent.http.csp import DEFAULT_POLICY
from cookie_consent.http.plan import Head, Insert, Plan, plan, plan_reply
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.http.send import may_ask
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PHONE, ROBOT, SITE, Fields, Visitor, install, raw_headers, reply_app, scope

HTML = ("content-type", "text/html; charset=utf-8")
JSON = ("content-type", "application/json")
XHTML = ("content-type", "Application/XHTML+xml; charset=utf-8")
PUBLIC = ("cache-control", "max-age=60, public")
ETAG = ("etag", '"1"')
GZIP = ("content-encoding", "gzip")
POLICY = ("content-security-policy", "script-src 'nonce-abc'")
BROWSER = [("accept", "text/html"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none"), ("user-agent", PHONE)]
INSIDE = [("sec-fetch-site", "same-origin")]
IS_FROM_ROBOT = [("user-agent", ROBOT)]
FETCHED = [("sec-fetch-dest", "empty")]
FRAMED = [("sec-fetch-dest", "iframe")]
LOG = {"access_log": MemorySink()}
LINK = {"settings_link": True}
SHARED = {"shared_pages": True}
TELLS = {"text": SITE + '[vendors]\nmatomo = "analytics"\n'}
ENFORCE = {"csp": "enforce", "text": SITE.replace("origins = ", 'directives = ["frame"]\norigins = ')}
LIMITS = ((b"content-security-policy", DEFAULT_POLICY.encode()), (b"x-dns-prefetch-control", b"off"))
COOKIE = (b"Cookie", b"Sec-GPC", b"DNT")
PAGE = (*COOKIE, b"Accept-Language", b"Sec-Fetch-Dest")
ASKS = Insert("utf-8", asks=True, first=True)
PRIVATE = {"vary": PAGE, "cache": "private", "is_read": True}
ASKED = {**PRIVATE, "insert": ASKS}
LIMITED = {"limits": LIMITS, "vary": COOKIE, "cache": "private"}
COUNTED = {"host": b"site.example", "counts": (("views", ""),)}
ERROR = {"host": b"site.example", "counts": (("arrived_on_error", "404 (direct) /"),)}
FROM_OTHER_SITE = {"host": b"site.example", "counts": (("arrived_on_error", "400 https://other.example /"),)}
NONCE = (b"script-src 'nonce-abc'",)
PLAIN_POLICY = ASKS._replace(policies=(b"img-src *",))
SESSION = (b"set-cookie", b"session=1")
OTHER_SITE = ("referer", "https://other.example/page?a=b")
CAMPAIGN = ("referer", "https://site.example/page?utm_source=news&id=1#a")
SIGNALS = b"__Host-consent-signal"
FORGET = b"=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"


def plan_for(
    sent: list[tuple[str, str]],
    came: Fields = (),
    options: Mapping[str, Any] = MappingProxyType({}),
    *,
    kind: str = "http.response.start",
    status: int = 200,
    method: str = "GET",
    was_read: bool = False,
    chose_language: bool = False,
) -> Plan:
    """Return the plan of a response with these header fields to a request with those."""
    site = install(**options)._site
    request = scope(method, "/", list(dict([*BROWSER, *came]).items()))
    fields = dict(request["headers"])
    visit = site.visits.read(request, "/", fields)
    consent = RequestConsent(visit.decision, request, site.pages)
    consent.was_read = was_read
    consent.chose_language = chose_language
    message = {"type": kind, "status": status, "headers": raw_headers(sent)}
    is_left_out = site.leaves_out is not None and site.leaves_out(request, "/")
    asks = site.inject and may_ask(site, visit, request)
    return plan(visit, Head(message, request, fields, may_ask=asks, is_left_out=is_left_out), consent, site)


def refusing() -> tuple[str, str]:
    """Return the Cookie field of a visitor who refused, and whose browser still sends a refused cookie."""
    visitor = Visitor(install(reply_app()))
    visitor.refuse()
    return "cookie", "; ".join([*(f"{name}={value}" for name, value in visitor.jar.items()), "_ga=1"])


def answered(choice: str) -> tuple[str, str]:
    """Return the Cookie field of a visitor who gave an answer."""
    visitor = Visitor(install(reply_app()))
    visitor.post({"choice": choice})
    return "cookie", visitor.cookies


@pytest.mark.requirement("CA-01")
@pytest.mark.parametrize(
    ("sent", "came", "how", "expected"),
    [
        # Nothing is changed in what depends on nothing.
        ([JSON], [], {}, {}),
        ([JSON, PUBLIC], [answered("accept_all")], {}, {}),
        ([JSON], [], {"status": 304}, {}),
        ([HTML], [], {"status": 302}, {}),
        ([], [], {"kind": "websocket.accept", "status": 0}, {}),
        # The app's cookies, and what it reads.
        ([JSON, PUBLIC, ("set-cookie", "_ga=1"), ("set-cookie", "session=1")], [], {}, {"cookies": (SESSION,)}),
        ([JSON], [], {"was_read": True}, {"vary": COOKIE, "cache": "private"}),
        (
            [JSON],
            [],
            {"was_read": True, "chose_language": True},
            {"vary": (*COOKIE, b"Accept-Language"), "cache": "private"},
        ),
        (
            [JSON],
            [],
            {"was_read": True, "options": {"text": SITE + '\n[signals]\ngpc = "ignore"\ndnt = "ignore"\n'}},
            {"vary": (b"Cookie",), "cache": "private"},
        ),
        # The question.
        ([HTML], [], {}, ASKED),
        ([("Content-Type", "TEXT/HTML")], [], {}, {**PRIVATE, "insert": ASKS._replace(encoding="ascii")}),
        ([("content-type", f"text/html;{' ' * 246}")], [], {}, {**PRIVATE, "insert": ASKS._replace(encoding="ascii")}),
        ([HTML, ("content-disposition", "inline")], [], {}, ASKED),
        ([HTML, ("content-encoding", "Identity ")], [], {}, ASKED),
        ([HTML], [], {"status": 404}, ASKED),
        ([HTML], [], {"status": 299}, ASKED),
        ([HTML], INSIDE, {}, {**PRIVATE, "insert": ASKS._replace(first=False)}),
        ([HTML], [("sec-fetch-site", "same-site")], {}, {**PRIVATE, "insert": ASKS._replace(first=False)}),
        ([HTML], [("cache-control", "max-age=0")], {}, {**PRIVATE, "insert": ASKS._replace(first=False)}),
        ([HTML], [("cache-control", "no-cache")], {}, {**PRIVATE, "insert": ASKS._replace(first=False)}),
        ([HTML], [OTHER_SITE], {}, {**PRIVATE, "insert": ASKS._replace(came_from="https://other.example")}),
        ([HTML], [CAMPAIGN, *INSIDE], {}, {**PRIVATE, "insert": ASKS._replace(first=False)}),
        (
            [HTML],
            [CAMPAIGN, *INSIDE],
            {"options": LOG},
            {**PRIVATE, **COUNTED, "insert": ASKS._replace(first=False, came_from="?utm_source=news")},
        ),
        ([HTML], [answered("refuse_all")], {}, {"vary": COOKIE, "cache": "private", "is_read": True}),
        ([HTML], IS_FROM_ROBOT, {}, {**PRIVATE, "vary": COOKIE}),
        ([HTML], [], {"method": "HEAD"}, {"vary": COOKIE, "cache": "private"}),
        ([HTML], [], {"method": "POST", "options": LINK}, {"vary": COOKIE, "cache": "private"}),
        # No whole page that can be read.
        *(([HTML], [], {"status": status}, {}) for status in (199, 204, 205, 300, 399)),
        ([HTML], [], {"status": 206}, {}),
        ([HTML, HTML], [], {}, {}),
        ([HTML, ("content-disposition", 'Attachment; filename="a"')], [], {}, {}),
        ([HTML, ("content-range", "bytes 0-1/2")], [], {}, {}),
        ([("content-type", f"text/html;{' ' * 247}")], [], {}, {}),  # longer than what is kept of anybody
        ([("content-type", "text/html; charset=utf-16")], [], {}, {}),
        ([XHTML], [], {}, {}),
        # Compressed pages, and those that caches could keep, are logged.
        ([HTML, GZIP], [], {}, {"advice": "compressed"}),
        ([HTML, GZIP], [], {"options": SHARED}, {"advice": "compressed"}),
        ([HTML, GZIP], [answered("refuse_all")], {"options": LINK}, {"advice": "compressed"}),
        ([HTML, GZIP], [answered("refuse_all")], {}, {}),
        ([HTML, GZIP], [], {"options": {"inject": False}}, {}),
        ([HTML, GZIP], [], {"method": "HEAD", "options": LINK}, {}),
        ([HTML, GZIP], FRAMED, {}, {}),
        ([HTML, GZIP], FETCHED, {}, {}),
        ([HTML, GZIP], [("accept", "*/*")], {}, {}),
        ([JSON, GZIP], [], {}, {}),
        ([HTML, ETAG], [], {}, {**ASKED, "advice": "cacheable"}),
        ([HTML, PUBLIC], [], {}, {**ASKED, "advice": "cacheable"}),
        ([HTML, ("cache-control", "max-age=60")], [], {}, ASKED),
        ([HTML, PUBLIC, ETAG], [], {"options": {"inject": False}}, {"is_read": True}),
        # Pages that are left out.
        ([HTML], [], {"options": {"inject": False}}, {"is_read": True}),
        ([HTML], [], {"options": {"inject": ["/"], **LINK, **TELLS}}, {}),
        ([HTML], [], {"options": {"inject": ["/"], **LOG}}, {**COUNTED}),
        ([HTML], [], {"options": {"inject": ["/a"]}}, ASKED),
        # The link to the settings.
        ([HTML], [answered("refuse_all")], {"options": LINK}, {**PRIVATE, "insert": Insert("utf-8", link=True)}),
        ([HTML], IS_FROM_ROBOT, {"options": LINK}, {**PRIVATE, "insert": Insert("utf-8", link=True)}),
        ([HTML], [], {"options": LINK}, {**PRIVATE, "insert": ASKS._replace(link=True)}),
        ([HTML], FETCHED, {"options": LINK}, {**PRIVATE, "insert": ASKS._replace(link=True)}),
        *(([HTML], [("sec-fetch-dest", kind)], {"options": LINK}, PRIVATE) for kind in FRAMES),
        # What vendors are told.
        ([HTML], [answered("refuse_all")], {"options": TELLS}, {**PRIVATE, "vary": COOKIE, "insert": Insert("utf-8")}),
        ([HTML], FRAMED, {"options": TELLS}, {**PRIVATE, "insert": Insert("utf-8")}),
        (
            [HTML],
            [],
            {"options": TELLS, "method": "POST"},
            {"vary": COOKIE, "cache": "private", "insert": Insert("utf-8")},
        ),
        ([HTML], [], {"options": TELLS, "method": "HEAD"}, {"vary": COOKIE, "cache": "private"}),
        # The app's policies.
        ([HTML, POLICY], [], {}, {**PRIVATE, "insert": ASKS._replace(policies=NONCE)}),
        ([HTML, POLICY], FETCHED, {}, {**PRIVATE, "insert": ASKS._replace(may_inline=False, policies=NONCE)}),
        (
            [HTML, ("content-security-policy-report-only", "img-src *"), POLICY],
            [],
            {},
            {**PRIVATE, "insert": ASKS._replace(policies=(*NONCE, b"img-src *"))},
        ),
        ([HTML, ("content-security-policy", "img-src *")], FETCHED, {}, {**ASKED, "insert": PLAIN_POLICY}),
        # Our policy: that of a visitor who allowed nothing for all but pages.
        ([JSON], [answered("accept_all")], {"options": ENFORCE}, {"limits": LIMITS}),
        ([JSON], [], {"options": ENFORCE, "was_read": True}, LIMITED),
        ([XHTML], [], {"options": ENFORCE}, LIMITED),
        ([], [("accept", "text/html,*/*")], {"options": ENFORCE, "status": 304}, LIMITED),
        ([], [("accept", "image/*")], {"options": ENFORCE, "status": 304}, {"limits": LIMITS}),
        ([], [], {"options": ENFORCE, "kind": "websocket.http.response.start"}, {"limits": LIMITS}),
        ([], [], {"options": ENFORCE, "kind": "websocket.accept"}, {}),
        ([XHTML], [], {"options": {"csp": "enforce"}}, {"limits": LIMITS}),
        # Pages for everybody.
        ([HTML], [], {"options": SHARED}, {"is_read": True, "insert": Insert("utf-8", asks=True)}),
        ([HTML], [refusing()], {"options": SHARED}, {"is_read": True, "insert": Insert("utf-8", asks=True)}),
        ([HTML], IS_FROM_ROBOT, {"options": SHARED}, {"is_read": True, "insert": Insert("utf-8", asks=True)}),
        ([HTML], [], {"options": SHARED, "method": "POST"}, {}),
        (
            [JSON, ("set-cookie", "a=1"), ("cache-control", "s-maxage=9")],
            [],
            {"options": {**SHARED, "undeclared": "allow"}},
            {"cookies": (), "advice": "public cookie"},
        ),
        ([JSON, ("set-cookie", "session=1")], [], {"options": SHARED}, {}),
        (
            [JSON, ("set-cookie", "session=1"), PUBLIC],
            [],
            {"options": SHARED, "was_read": True},
            {"vary": COOKIE, "cache": "private"},
        ),
        # What is counted.
        ([HTML], [], {"options": LOG}, {**ASKED, **COUNTED}),
        ([HTML], IS_FROM_ROBOT, {"options": LOG}, {**PRIVATE, "vary": COOKIE}),
        ([HTML], FRAMED, {"options": LOG}, PRIVATE),
        ([], [], {"options": LOG, "status": 304}, COUNTED),
        ([JSON], [], {"options": LOG, "status": 304}, {}),
        ([HTML], [], {"options": LOG, "status": 300}, {}),
        ([HTML], [], {"options": LOG, "status": 399}, {}),
        ([HTML], [], {"options": LOG, "method": "POST"}, {"vary": COOKIE, "cache": "private"}),
        (
            [HTML],
            [("sec-gpc", "1")],
            {"options": LOG},
            {
                **PRIVATE,
                "insert": ASKS._replace(link=True),
                "host": b"site.example",
                "counts": (("views", ""), ("signal", "")),
            },
        ),
        # Errors with which a visit begins.
        ([JSON], [], {"options": LOG, "status": 404}, ERROR),
        ([JSON], [OTHER_SITE], {"options": LOG, "status": 400}, FROM_OTHER_SITE),
        ([HTML], [], {"options": LOG, "status": 404}, {**ASKED, **ERROR}),
        ([JSON], [], {"options": LOG, "status": 399}, {}),
        ([JSON], INSIDE, {"options": LOG, "status": 404}, {}),
        ([JSON], [], {"options": LOG, "status": 404, "method": "POST"}, {}),
        ([JSON], FETCHED, {"options": LOG, "status": 404}, {}),
        ([JSON], IS_FROM_ROBOT, {"options": LOG, "status": 404}, {}),
    ],
)
def test_plan_says_what_becomes_of_a_response(
    sent: list[tuple[str, str]], came: list[tuple[str, str]], how: dict[str, Any], expected: dict[str, Any]
) -> None:
    made = plan_for(sent, came, **how)
    made.findings = ()
    wanted = Plan()
    vars(wanted).update(expected)
    assert made == wanted


@pytest.mark.parametrize("kind", ["http.response.start", "websocket.accept", "websocket.http.response.start"])
def test_plan_drops_blocked_cookies_and_expires_refused_ones(kind: str) -> None:
    made = plan_for([("Set-Cookie", "_ga=2; Path=/"), ("set-cookie", "session=1")], [refusing()], kind=kind)
    assert made.cookies == ((b"set-cookie", b"session=1"),)
    assert [finding.reason for finding in made.findings] == ["analytics"]
    assert (b"set-cookie", b"_ga" + FORGET + b"; Secure") in made.expire
    assert made.cache == ("private" if kind == "http.response.start" else "")


@pytest.mark.parametrize(
    ("options", "kind", "is_kept"),
    [
        ({}, "http.response.start", True),
        (SHARED, "http.response.start", False),
        ({}, "websocket.accept", False),
    ],
)
def test_signal_that_overrides_an_answer_is_kept_in_a_cookie(options: dict[str, Any], kind: str, is_kept: bool) -> None:
    made = plan_for([JSON], [answered("accept_all"), ("sec-gpc", "1")], options, kind=kind)
    assert [value.partition(b"=")[0] for _, value in made.add] == ([SIGNALS] if is_kept else [])
    assert (made.cache, made.vary) == (("private", COOKIE) if is_kept else ("", ()))


@pytest.mark.parametrize(
    ("came", "how", "says"),
    [([], {}, True), (FRAMED, {}, False), ([], {"method": "POST"}, False), ([], {"options": SHARED}, False)],
)
def test_page_says_once_that_an_answer_is_saved(came: list[tuple[str, str]], how: dict[str, Any], says: bool) -> None:
    visitor = Visitor(install(reply_app()))
    visitor.send_form("choice=refuse_all&surface=banner")
    made = plan_for([HTML], [("cookie", visitor.cookies), *came], **how)
    assert (made.cache == "no-store") is says
    assert (made.insert is not None and bool(made.insert.saved)) is says
    assert [value.partition(b";")[0] for _, value in made.add] == ([b"__Host-consent-saved="] if says else [])
    assert (made.vary == PAGE) is (says or came == FRAMED)


def test_head_reads_fields_of_other_types() -> None:
    head = Head({"type": "http.response.start", "headers": (("X-A", "1"), [b"x-b", memoryview(b"2")])}, {}, {})
    assert head.fields == [(b"x-a", b"1"), (b"x-b", b"2")]
    assert head.found == {b"x-a": b"1", b"x-b": b"2"}
    assert head.status == 0


@pytest.mark.requirement("CA-04")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("sent", [[], [("cache-control", "public, max-age=31536000, immutable")]])
def test_reply_of_an_endpoint_is_kept_only_if_it_is_a_file(method: str, sent: list[tuple[str, str]]) -> None:
    site = install()._site
    request = scope(method, "/privacy-choices", [refusing()])
    message = {"type": "http.response.start", "status": 200, "headers": raw_headers(sent)}
    fields = dict(request["headers"])
    new = plan_reply(site.visits.read(request, "", fields), Head(message, request, fields), site)
    if sent:
        assert vars(new) == {}
        return
    assert (new.cache, set(COOKIE) <= set(new.vary)) == ("no-store", True)
    # An answer sets and deletes cookies itself.
    assert {value[:4] for _, value in new.expire} == (set() if method == "POST" else {b"_ga="})
    request = scope(method, "/privacy-choices", [answered("accept_all"), ("sec-gpc", "1")])
    fields = dict(request["headers"])
    new = plan_reply(site.visits.read(request, "", fields), Head(message, request, fields), site)
    assert [value.partition(b"=")[0] for _, value in new.add] == ([] if method == "POST" else [SIGNALS])
