"""Tests of ordinary pages: the quick way sends and records the same as the careful way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from cookie_consent.http.ordinary_pages import ordinary_encoding
from cookie_consent.http.tags import NO_RULES
from cookie_consent.sinks import MemorySink
from tests.support.asgi import PAGE, PHONE, SITE, Clock, Fields, Visitor, drive, install, page_app, run, scope
from tests.support.examples import examples

BEGINS = [
    '<!doctype html><html lang="{0}"><head><title>t</title></head><body class="x">',
    '<!doctype html><html lang="{0}"><head><title>another title</title></head><body>',
    "<!DOCTYPE html>\n<html lang='{0}'>\n<meta charset=utf-8>\n<script>'<body>'</script>\n<body>",
    '<!doctype html><html data-lang="{0}"><head></head><body>',
    "<!doctype html><title>{0}</title><p>",
    "<p>no document {0}",
    "\ufeff<!doctype html><html lang={0}><body>",
    "<!doctype html><!-- <html lang=ja> --><html lang={0}><head><noscript><body></noscript></head><body>",
]
ENDS = [
    "</body></html>",
    "</body>\n</html>\n",
    "",
    "</BODY >",
    "<!-- </body> -->",
    "<!-- never closed </body></html>",
    "</body></html>late",
    "</body><!-- x -->",
    '<template data-purpose="media"><i>a</i></template></body></html>',
]
FIELDS = [
    [],
    [(b"x-request-id", b"1"), (b"server", b"s")],
    [(b"content-length", b"LENGTH")],
    [(b"content-length", b"LENGTH"), (b"content-length", b"LENGTH")],
    [(b"content-length", b" LENGTH")],
    [(b"content-length", b"x")],
    [(b"Content-Length", b"LENGTH")],
    [(b"etag", b'"1"'), (b"last-modified", b"Thu, 01 Jan 1970 00:00:00 GMT")],
    [(b"vary", b"Origin")],
    [(b"Vary", b"Cookie")],
    [(b"cache-control", b"public, max-age=9")],
    [(b"vercel-cdn-cache-control", b"max-age=9")],
    [(b"x-accel-expires", b"60")],
    [(b"set-cookie", b"_ga=1"), (b"set-cookie", b"session=1")],
    [(b"content-security-policy", b"script-src 'nonce-abc'")],
    [(b"content-security-policy", b"img-src 'self' https://maps.example.com")],
    [(b"content-security-policy", b"default-src 'self' 'unsafe-inline'"), (b"referrer-policy", b"no-referrer")],
    [(b"Content-Security-Policy", b"img-src 'self'")],
    [(b"content-security-policy", b"img-src a"), (b"content-security-policy", b"img-src b")],
    [(b"content-security-policy", b"default-src 'self'")],
    [(b"content-security-policy", b"")],
    [(b"Content-Security-Policy-Report-Only", b"img-src https://maps.example.com")],
    [(b"permissions-policy", b"camera=()"), (b"referrer-policy", b"no-referrer")],
    [(b"content-encoding", b"br")],
    [(b"content-type", b"text/plain")],
    [(b"x-other", memoryview(b"1"))],
]
KINDS = [
    b"text/html; charset=utf-8",
    b"text/html",
    b"text/html; charset=shift_jis",
    b"TEXT/HTML; charset=UTF-16",
    b"text/plain",
    b"application/json",
    b"text/javascript",
    b"application/xhtml+xml",
    b"image/svg+xml",
]
ASKED_BY = [
    [("user-agent", PHONE), ("sec-fetch-dest", "document"), ("accept", "text/html"), ("accept-encoding", "br")],
    [("user-agent", PHONE), ("accept", "text/html"), ("referer", "https://search.example/?q=1")],
    [("user-agent", PHONE), ("sec-fetch-dest", "iframe"), ("accept", "text/html")],
    [("user-agent", "Googlebot/2.1 (+http://www.google.com/bot.html)"), ("accept", "text/html")],
    [("user-agent", PHONE), ("sec-fetch-dest", "document"), ("sec-purpose", "prefetch"), ("accept", "text/html")],
    [("accept-language", "ja"), ("sec-gpc", "1"), ("accept", "text/html")],
]
PATHS = ["/", "/a%20b/ü", "/whois/x", f"/{'long' * 70}"]

CHANGED = SITE.replace("We count visits.", "We count each visit.") + (
    '\n[[changes]]\ndate = 2025-06-20\ntext = { en = "Clearer words.", ja = "表現の見直し" }\n'
)

WITH_VENDORS = SITE + '[vendors]\nmatomo = "analytics"\nmicrosoft_clarity = { analytics_Storage = "analytics" }\n'

WITH_DIRECTIVES = SITE.replace("[features.map]", '[security]\nreferrer_policy = "origin"\n\n[features.map]').replace(
    'origins = ["https://maps.example.com"]', 'origins = ["https://maps.example.com"]\ndirectives = ["img", "frame"]'
)
STRICT = WITH_DIRECTIVES.replace("[security]", '[security]\ncontent_security_policy = "default-src CSP"')
CSP_OF = {
    f"{WITH_DIRECTIVES}# enforced": "enforce",
    f"{WITH_DIRECTIVES}# enforced\n{WITH_VENDORS.removeprefix(SITE)}": "enforce",
    STRICT.replace("CSP", "'none'"): "enforce",
    STRICT.replace("CSP", "'self'; script-src 'self'; style-src 'unsafe-inline'"): "enforce",
    WITH_DIRECTIVES: None,
}
"""A policy file -> the option `csp`."""
TEXTS = [SITE, WITH_VENDORS, *CSP_OF]

HTML_START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}


class Site:
    """A site with one page.

    Args:
        quick: whether ordinary pages take the quick way.
        text: the policy file.
    """

    def __init__(self, text: str = SITE, *, quick: bool) -> None:
        self.sink = MemorySink()
        csp = CSP_OF.get(text)
        app = install(self.app, text, access_log=self.sink, settings_link=True, clock=Clock(), csp=csp)
        app._site.is_quick = quick
        self.site, self.visitor = app, Visitor(app)
        self.start = HTML_START
        self.bodies: Sequence[bytes] = ()
        self.reads = False

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.reads:
            _ = scope["state"]["consent"].feature("map")
        await send({**self.start, "headers": list(self.start["headers"])})
        for number, body in enumerate(self.bodies, 1):
            await send({"type": "http.response.body", "body": body, "more_body": number < len(self.bodies)})

    def answer(self, choice: str) -> None:
        """Give an answer: "none", "refuse", "accept", or "in part", which leaves a purpose to ask for."""
        if choice == "in part":
            assert self.visitor.post({"choice": "grant", "purposes": {"media": True}}).status == 200
        elif choice != "none":
            getattr(self.visitor, choice)()

    def response_to(self, path: str, headers: Any, method: str, query: bytes) -> Any:
        """Return the status, header fields and body of the response, without random values and times."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        cookies = self.visitor.cookies
        fields = [*headers, *([("cookie", cookies)] if cookies else [])]
        run(self.site(scope(method, path, fields, query=query), never, send))
        body = b"".join(message.get("body", b"") for message in sent)
        given = [(bytes(name), bytes(value)) for name, value in sent[0]["headers"]]
        shown = sorted((name, b"?" if b"visitor=" in value else value) for name, value in given)
        return sent[0]["status"], shown, re.sub(rb'(name="(?:once|answered)" value=")[^"]*', rb"\1", body)

    def logged(self) -> list[dict[str, Any]]:
        """Return the access records and counts, without random values and times."""
        log = self.site._site.access_log
        assert log is not None
        log.counts.flush()
        changing = {"time", "log.record.uid", "duration_ms", "visitor.id"}
        found = [*self.sink.records, *self.sink.counts]
        return [{key: value for key, value in record.items() if key not in changing} for record in found]


async def never() -> Message:
    raise AssertionError


pages = st.tuples(
    *(st.sampled_from(choices) for choices in (BEGINS, ENDS, ["en", "ja", "xx", ""], FIELDS, KINDS, ASKED_BY, PATHS)),
    st.sampled_from(["none", "refuse", "accept", "in part"]),
    st.sampled_from([200, 200, 200, 404, 304]),
    st.sampled_from(["GET", "GET", "GET", "HEAD"]),
    st.sampled_from([b"", b"a=1&b=%22"]),
    st.sampled_from([1, 1, 2]),
    st.booleans(),
    st.sampled_from(TEXTS),
)


@examples(400)
@given(page=pages)
@pytest.mark.slow
def test_quick_way_sends_and_records_same_as_careful_way(page: Any) -> None:
    begin, end, language, fields, kind, headers, path, answer, status, method, query, parts, reads, text = page
    body = (begin.format(language) + "<p>Grüße</p>" * 3 + end).encode("utf-8")
    given_fields = [
        (name, bytes(value).replace(b"LENGTH", b"%d" % len(body)) if type(value) is bytes else value)
        for name, value in fields
    ]
    results = []
    for site in (Site(text, quick=True), Site(text, quick=False)):
        site.answer(answer)
        site.start = {"type": "http.response.start", "status": status}
        site.start["headers"] = [(b"content-type", kind), *given_fields]
        site.bodies, site.reads = ([body] if parts == 1 else [body[:40], body[40:]]), reads
        replies = [site.response_to(path, headers, method, query) for _ in range(3)]
        results.append((replies, site.logged()))
    assert results[0] == results[1]


documents = st.builds(
    lambda begin, end, language, title: f"{begin.format(language)}<h1>{title}</h1>{end}".encode(),
    *(st.sampled_from(choices) for choices in (BEGINS, ENDS, ["en", "ja", "xx", ""])),
    st.sampled_from(["a", "<body>", "!", "</body>"]),
)


@examples(200)
@given(
    turns=st.lists(st.tuples(documents, st.sampled_from(ASKED_BY)), min_size=2, max_size=4),
    answer=st.sampled_from(["none", "refuse", "accept", "in part"]),
    query=st.sampled_from([b"", b"a=1"]),
    text=st.sampled_from(TEXTS),
)
@pytest.mark.slow
def test_quick_way_agrees_on_alternating_documents_at_one_address(
    turns: list[tuple[bytes, Any]], answer: str, query: bytes, text: str
) -> None:
    results = []
    for site in (Site(text, quick=True), Site(text, quick=False)):
        site.answer(answer)
        replies = []
        for body, headers in turns * 3:
            site.bodies = [body]
            replies.append(site.response_to("/", headers, "GET", query))
        results.append((replies, site.logged()))
    assert results[0] == results[1]


def test_page_plans_are_bounded_in_number_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(quick=True)
    site.bodies = [b'<!doctype html><html lang="en"><head></head><body></body></html>']
    plans = site.site._site.ordinary
    headers = [("user-agent", PHONE), ("accept", "text/html")]
    sizes = set()
    for most_plans, most_bytes in ((5, 10_000_000), (1_000_000, 40_000)):
        monkeypatch.setattr("cookie_consent.http.ordinary_pages._MAX_PLANS", most_plans)
        monkeypatch.setattr("cookie_consent.http.ordinary_pages._MAX_BYTES", most_bytes)
        for number in range(40):
            site.response_to(f"/{number}", headers, "GET", b"")
            sizes.add(len(plans.plans))
            assert len(plans.plans) <= most_plans
        assert 0 < max(sizes) < 20
    site.response_to(f"/{'x' * 300}", headers, "GET", b"")
    assert all(len(path) < 300 for _, path, _, _ in plans.plans)


@pytest.mark.parametrize("text", TEXTS[:4], ids=["alone", "with vendors", "with a policy", "with both"])
@pytest.mark.parametrize("answer", ["none", "refuse", "accept"])
def test_repeated_page_takes_quick_way(answer: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(text, quick=True)
    site.answer(answer)
    site.bodies = [b'<!doctype html><html lang="en"><head><title>t</title></head><body><p></body></html>']
    headers = [("user-agent", PHONE), ("sec-fetch-dest", "document"), ("accept", "text/html")]
    first = [site.response_to("/", headers, "GET", b"") for _ in range(2)][-1]
    monkeypatch.setattr("cookie_consent.http.response.injectable", None)  # the careful way
    assert site.response_to("/", headers, "GET", b"") == first


@pytest.mark.parametrize("option", ["enforce", None])
@pytest.mark.parametrize("answer", ["none", "refuse", "accept"])
@pytest.mark.parametrize(
    "fields",
    [
        [(b"content-security-policy", b"default-src 'self' 'unsafe-inline' https://maps.example.com")],
        [(b"referrer-policy", b"no-referrer"), (b"content-security-policy", b"base-uri 'none'")],
        [(b"content-security-policy", b"img-src 'self'" + b" https://a.example" * 300)],
        [(b"referrer-policy", b"no-referrer")],
    ],
)
def test_page_with_plain_policy_of_the_app_takes_quick_way(
    answer: str, option: str | None, fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = next(text for text in CSP_OF if CSP_OF[text] == option)
    sites = [Site(text, quick=True), Site(text, quick=False)]
    replies = []
    for site in sites:
        site.answer(answer)
        site.start = {**HTML_START, "headers": [*HTML_START["headers"], *fields]}
        site.bodies = [b'<!doctype html><html lang="en"><head><title>t</title></head><body><p></body></html>']
        headers = [("user-agent", PHONE), ("sec-fetch-dest", "document"), ("accept", "text/html")]
        replies += [site.response_to("/", headers, "GET", b"") for _ in range(2)]
    assert replies[1:] == replies[:-1]
    monkeypatch.setattr("cookie_consent.http.response.injectable", None)  # the careful way
    assert sites[0].response_to("/", headers, "GET", b"") == replies[0]


@pytest.mark.parametrize(
    ("kind", "fields", "is_quick"),
    [
        (b"application/json", [], True),
        (b"application/json", [(b"content-security-policy", b"base-uri 'none'")], True),
        (b"application/json", [(b"content-type", b"text/html")], False),
        (b"image/png", [(b"set-cookie", b"session=1")], False),
        (b"image/svg+xml", [], True),
        (b"text/css", [(b"etag-etag-12", memoryview(b"1"))], False),
        (b"text/css", [(b"x", memoryview(b"1"))], True),
        (b"text/css", [(b"x-12345678", b"1")], True),
        (b"text/css; x=" + b"y" * 300, [], True),
    ],
)
def test_response_that_is_no_page_takes_quick_way_where_a_policy_is_sent(
    kind: bytes, fields: Fields, *, is_quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(next(text for text in CSP_OF if CSP_OF[text] == "enforce"), quick=True)
    site.start = {**HTML_START, "headers": [(b"content-type", kind), *fields]}
    site.bodies = [b"{}"]
    took_care: list[int] = []

    def noted(status: int, headers: object) -> None:
        took_care.append(status)

    monkeypatch.setattr("cookie_consent.http.response.injectable", noted)  # only the careful way calls it
    site.answer("accept")
    site.response_to("/", [("user-agent", PHONE)], "GET", b"")
    assert bool(took_care) is not is_quick


@pytest.mark.parametrize("answer", ["none", "refuse", "accept"])
def test_quick_way_corrects_content_length(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Visitor(install(page_app(), settings_link=True), [("user-agent", PHONE), ("accept", "text/html")])
    if answer != "none":
        getattr(visitor, answer)()
    visitor.get(), visitor.get()
    monkeypatch.setattr("cookie_consent.http.response.injectable", None)  # the careful way
    reply = visitor.get()
    assert int(reply.get("content-length")) == len(reply.body) > len(PAGE)


@pytest.mark.parametrize(
    ("text", "headers", "part"),
    [
        (SITE, [("sec-gpc", "1")], "Global Privacy Control honoured"),
        (CHANGED, [], "pchoice-news"),
    ],
    ids=["signal", "news"],
)
def test_page_that_says_more_says_it_each_time_and_to_nobody_else(text: str, headers: Fields, part: str) -> None:
    clock = Clock()
    before = Visitor(install(clock=clock))
    before.save(analytics=True)
    clock.forward(days=6)
    site, browser = (
        install(page_app(), text, settings_link=True, clock=clock),
        [("user-agent", PHONE), ("accept", "text/html")],
    )
    visitor, other = Visitor(site, [*browser, *headers]), Visitor(site, browser)
    visitor.jar = before.jar
    other.save(analytics=True)
    assert [part in one.get().text for one in [visitor, other] * 4] == [True, False] * 4


@pytest.mark.parametrize("destination", ["document", "iframe"])
def test_held_start_is_sent_if_app_sends_no_body(destination: str) -> None:
    site = Site(quick=True)
    status, fields, body = site.response_to("/", [("sec-fetch-dest", destination)], "GET", b"")
    assert (status, body) == (200, b"")
    assert (b"cache-control", b"private") in fields


def test_fields_of_other_meaning_leave_a_page_ordinary() -> None:
    fields = [(b"content-type", b"text/html; charset=utf-8"), (b"x-own", b"1"), (b"content-length", b"12")]
    assert ordinary_encoding(fields) == ("utf-8", 2, NO_RULES)


def test_trailers_pass_after_response_that_is_no_page() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"ok"})
        await send({"type": "http.response.trailers", "headers": [(b"x", b"y")]})

    assert run(drive(install(app), scope()))[-1]["headers"] == [(b"x", b"y")]


START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/html"), (b"content-length", b"4")],
}
BODY: Message = {"type": "http.response.body", "body": b"<p>x"}


@pytest.mark.parametrize("answer", ["none", "refuse", "accept"])
@pytest.mark.parametrize(
    "messages",
    [
        [START, {"type": "http.response.pathsend", "path": "/page.html"}],
        [START, {"type": "http.response.zerocopysend", "file": 1}],
        [START, {"type": "http.response.early_hint", "links": []}, BODY],
        [START, {"type": "http.response.trailers", "headers": [(b"set-cookie", b"_ga=1")]}],
        [START, START, BODY],
        [START, {**START, "headers": [(b"content-type", b"text/plain"), (b"set-cookie", b"undeclared=1")]}, BODY],
    ],
)
def test_held_start_is_sent_before_other_messages(messages: list[Message], answer: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send({**message})

    site = install(app, access_log=MemorySink(), settings_link=True)
    visitor = Visitor(site, [("user-agent", PHONE)])
    if answer != "none":
        getattr(visitor, answer)()
    cookies = [("cookie", visitor.cookies)] if visitor.cookies else []
    sent = run(drive(site, scope(headers=[*visitor.headers, *cookies])))
    kinds = [message["type"] for message in sent]
    assert kinds[0] == "http.response.start"
    assert list(dict.fromkeys(kind for kind in kinds if kind != BODY["type"])) == list(
        dict.fromkeys(message["type"] for message in messages if message is not BODY)
    )
    set_here = [value for message in sent for name, value in message.get("headers", ()) if name == b"set-cookie"]
    assert not [
        value for value in set_here if value.startswith((b"undeclared", b"_ga" if answer != "accept" else b"-"))
    ]
