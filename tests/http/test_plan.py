"""Tests of the plan of a response: its value, for each reason to change one."""

from __future__ import annotations

from typing import Any

import pytest

from cookie_consent.http.plan import Head, Insert, Plan, plan, plan_reply
from cookie_consent.http.request_consent import RequestConsent
from cookie_consent.http.send import may_ask
from cookie_consent.sinks import MemorySink
from tests.support.asgi import ROBOT, Visitor, install, raw_headers, reply_app, scope

HTML = ("content-type", "text/html; charset=utf-8")
JSON = ("content-type", "application/json")
BROWSER = [("accept", "text/html"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none")]
COOKIE = (b"Cookie", b"Sec-GPC", b"DNT")
PAGE = (*COOKIE, b"Accept-Language", b"Sec-Fetch-Dest")
ASKS = Insert("utf-8", asks=True, first=True)
PRIVATE = {"vary": PAGE, "cache": "private", "is_read": True}
FORGET = b"=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"


def plan_for(
    sent: list[tuple[str, str]],
    came: list[tuple[str, str]] = [],  # noqa: B006 (it is only read)
    options: dict[str, Any] = {},  # noqa: B006 (it is only read)
    *,
    kind: str = "http.response.start",
    status: int = 200,
    method: str = "GET",
    was_read: bool = False,
) -> Plan:
    """Return the plan of a response with these header fields to a request with those."""
    site = install(**options)._site
    request = scope(method, "/", [*BROWSER, *came])
    visit = site.visits.read(request, "/")
    consent = RequestConsent(visit.decision, request, site.pages)
    consent.was_read = was_read
    message = {"type": kind, "status": status, "headers": raw_headers(sent)}
    asks = site.inject and may_ask(site, visit, request)
    return plan(visit, Head(message, request, may_ask=asks), consent, site)


def refusing() -> tuple[str, str]:
    """Return the Cookie field of a visitor who refused, and whose browser still sends a refused cookie."""
    visitor = Visitor(install(reply_app()))
    visitor.refuse()
    return "cookie", "; ".join([*(f"{name}={value}" for name, value in visitor.jar.items()), "_ga=1"])


@pytest.mark.parametrize(
    ("sent", "came", "how", "expected"),
    [
        ([JSON], [], {}, {}),
        ([JSON], [], {"was_read": True}, {"vary": COOKIE, "cache": "private"}),
        ([JSON], [], {"status": 304}, {}),
        ([HTML], [], {}, {**PRIVATE, "insert": ASKS}),
        ([("Content-Type", "TEXT/HTML")], [], {}, {**PRIVATE, "insert": Insert("ascii", asks=True, first=True)}),
        ([("content-type", f"text/html;{' ' * 246}")], [], {}, {**PRIVATE, "insert": ASKS._replace(encoding="ascii")}),
        ([("content-type", f"text/html;{' ' * 247}")], [], {}, {}),  # longer than what is kept of anybody
        ([HTML, ("content-disposition", "inline")], [], {}, {**PRIVATE, "insert": ASKS}),
        ([HTML, ("content-encoding", "identity")], [], {}, {**PRIVATE, "insert": ASKS}),
        ([HTML], [("sec-fetch-site", "same-origin")], {}, {**PRIVATE, "insert": Insert("utf-8", asks=True)}),
        ([HTML], [("sec-fetch-dest", "iframe")], {}, PRIVATE),
        ([HTML], [("user-agent", ROBOT)], {}, {**PRIVATE, "vary": COOKIE}),
        ([HTML], [], {"method": "HEAD"}, {"vary": COOKIE, "cache": "private"}),
        ([HTML], [], {"status": 302}, {}),
        ([HTML, ("content-disposition", "attachment")], [], {}, {}),
        ([HTML, ("content-encoding", "gzip")], [], {}, {"advice": "compressed"}),
        ([HTML, ("etag", '"1"')], [], {}, {**PRIVATE, "insert": ASKS, "advice": "cacheable"}),
        ([HTML], [], {"options": {"inject": False}}, {"is_read": True}),
        ([HTML], [], {"options": {"inject": ["/"]}}, {**PRIVATE, "insert": ASKS}),
        (
            [HTML, ("content-security-policy", "script-src 'nonce-abc'")],
            [("sec-fetch-dest", "empty")],
            {},
            {**PRIVATE, "insert": ASKS._replace(may_inline=False, policies=(b"script-src 'nonce-abc'",))},
        ),
        ([HTML], [], {"options": {"shared_pages": True}}, {"is_read": True, "insert": Insert("utf-8", asks=True)}),
        (
            [JSON, ("set-cookie", "a=1"), ("cache-control", "public")],
            [],
            {"options": {"shared_pages": True, "undeclared": "allow"}},
            {"cookies": (), "advice": "public cookie"},
        ),
        (
            [HTML],
            [],
            {"options": {"access_log": MemorySink()}},
            {**PRIVATE, "insert": ASKS, "host": b"site.example", "counts": (("views", ""),)},
        ),
        ([], [], {"kind": "websocket.accept", "status": 0}, {}),
    ],
)
def test_plan_says_what_becomes_of_a_response(
    sent: list[tuple[str, str]], came: list[tuple[str, str]], how: dict[str, Any], expected: dict[str, Any]
) -> None:
    made = vars(plan_for(sent, came, **how))
    findings = made.pop("findings", ())
    assert all(finding.name == b"a" for finding in findings)
    assert made == expected


@pytest.mark.parametrize("kind", ["http.response.start", "websocket.accept", "websocket.http.response.start"])
def test_plan_drops_blocked_cookies_and_expires_refused_ones(kind: str) -> None:
    made = plan_for([("Set-Cookie", "_ga=2; Path=/"), ("set-cookie", "session=1")], [refusing()], kind=kind)
    assert made.cookies == ((b"set-cookie", b"session=1"),)
    assert [finding.reason for finding in made.findings] == ["analytics"]
    assert (b"set-cookie", b"_ga" + FORGET + b"; Secure") in made.expire
    assert made.cache == ("private" if kind == "http.response.start" else "")


def test_plan_can_be_printed_and_compared() -> None:
    assert plan_for([HTML]) == plan_for([HTML])
    assert plan_for([HTML]) != plan_for([JSON])
    assert repr(plan_for([JSON])).startswith("Plan(cookies=None, findings=(), ")


def test_head_reads_fields_of_other_types() -> None:
    head = Head({"type": "http.response.start", "headers": (("X-A", "1"), [b"x-b", memoryview(b"2")])}, {})
    assert head.fields == [(b"x-a", b"1"), (b"x-b", b"2")]
    assert head.found == {b"x-a": b"1", b"x-b": b"2"}
    assert head.status == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("sent", [[], [("cache-control", "public, max-age=31536000, immutable")]])
def test_reply_of_an_endpoint_is_kept_only_if_it_is_a_file(method: str, sent: list[tuple[str, str]]) -> None:
    site = install()._site
    request = scope(method, "/privacy-choices", [refusing()])
    message = {"type": "http.response.start", "status": 200, "headers": raw_headers(sent)}
    new = plan_reply(site.visits.read(request, ""), Head(message, request), site)
    if sent:
        assert vars(new) == {}
        return
    assert (new.cache, set(COOKIE) <= set(new.vary)) == ("no-store", True)
    # An answer deletes cookies itself.
    assert {value[:4] for _, value in new.expire} == (set() if method == "POST" else {b"_ga="})


def test_page_with_two_types_gets_nothing() -> None:
    assert plan_for([HTML, HTML]).insert is None
