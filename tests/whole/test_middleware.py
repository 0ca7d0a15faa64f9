"""Tests of the middleware as a server and an app see it: scopes, responses, services, and arbitrary requests."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import (
    PAGE,
    PHONE,
    PREFIX,
    SITE,
    Clock,
    Reply,
    Visitor,
    bodies,
    call,
    check_response,
    drive,
    install,
    page_app,
    reply_app,
    response_to,
    scope,
)
from tests.support.examples import examples

HTML = [("accept", "text/html"), ("user-agent", PHONE)]


# What the browser says, and what only the browser may say.


@pytest.mark.requirement("SG-11")
@pytest.mark.parametrize("signals", [[], [("sec-gpc", "1")], [("sec-gpc", "0"), ("sec-gpc", "1"), ("dnt", "yes")]])
def test_app_gets_the_signals_as_they_came(signals: list[tuple[str, str]]) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await page_app()(scope, receive, send)

    visitor = Visitor(install(app), HTML)
    for answer in (lambda: None, visitor.accept, visitor.refuse):
        answer()
        visitor.get("/", signals)
        came = [(name, value) for name, value in seen.pop()["headers"] if name in (b"sec-gpc", b"dnt")]
        assert came == [(name.encode(), value.encode()) for name, value in signals]


@pytest.mark.requirement("SG-20", "CSP-10")
def test_no_response_speaks_for_the_browser() -> None:
    """Neither of tracking that it honours, nor to take part in what browsers measure."""
    visitor = Visitor(install(page_app(), csp="enforce", access_log=MemorySink()), [*HTML, ("dnt", "1")])
    names = set()
    for path in ("/", PREFIX, f"{PREFIX}/state", f"{PREFIX}/policy"):
        for answer in (visitor.accept, visitor.refuse):
            names |= {name.lower() for reply in (answer(), visitor.get(path)) for name, _ in reply.headers}
    assert b"content-security-policy" in names
    assert names & {b"tk", b"sec-gpc"} == set()
    assert [name for name in names if b"topics" in name or b"attribution" in name] == []


# Scopes that are neither http nor websocket.


@pytest.mark.requirement("TR-05")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("webtransport", {}),
        ("lifespan", {}),
        ("lifespan", {"access_log": MemorySink()}),
        ("lifespan", {"ledger": MemoryLedger()}),
    ],
)
def test_other_scopes_and_their_messages_pass_unchanged(kind: str, options: dict[str, Any]) -> None:
    seen: list[object] = []
    events: list[Message] = [{"type": f"{kind}.startup"}, {"type": f"{kind}.shutdown"}]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        for _ in events:
            message = await receive()
            seen.append(message)
            await send({"type": f"{message['type']}.complete"})

    given = {"type": kind, "asgi": {"version": "3.0"}, "headers": object()}
    sent = asyncio.run(drive(install(app, **options), given, events))
    assert seen == [given, *events]
    assert seen[0] is given
    assert sent == [{"type": f"{event['type']}.complete"} for event in events]


@pytest.mark.logs_an_exception
def test_sink_that_fails_to_close_does_not_stop_shutdown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def ending(scope: Scope, receive: Receive, send: Send) -> None:
        await send(await receive())

    sink = MemorySink()
    monkeypatch.setattr(sink, "close", lambda: 1 / 0)
    ended = {"type": "lifespan.shutdown.complete"}
    assert asyncio.run(drive(install(ending, access_log=sink), {"type": "lifespan"}, [ended])) == [ended]
    assert "could not be brought" in caplog.text


# Websockets.


@pytest.mark.requirement("TR-05")
def test_websocket_app_has_the_decision_and_messages_pass() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        status = scope["state"]["consent"].status
        await send({"type": "websocket.send", "text": f"{status} {(await receive())['text']}"})
        await send({"type": "websocket.close", "code": 1000})

    visitor = Visitor(install(app, access_log=MemorySink()))
    visitor.accept()
    connection = scope(kind="websocket", headers=[("cookie", f"__Host-consent={visitor.jar['__Host-consent']}")])
    events: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    sent = asyncio.run(drive(visitor.app, connection, events))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[1]["text"] == "granted hello"


@pytest.mark.parametrize("path", ["/", f"{PREFIX}/state"])
@pytest.mark.parametrize("inject", [True, lambda _: 1 / 0])
def test_websocket_is_no_page_and_no_endpoint(inject: Any, path: str) -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "websocket.accept"})

    fields = [("accept", "text/html"), ("accept-encoding", "gzip"), ("if-none-match", '"a"')]
    connection = scope(path=path, kind="websocket", headers=fields)
    asyncio.run(drive(install(app, settings_link=True, inject=inject), connection, [{"type": "websocket.connect"}]))
    assert [each["headers"] for each in seen] == [connection["headers"]]


# The scope.


def test_requests_share_lifespan_state_but_not_consent() -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["state"])
        await reply_app()(scope, receive, send)

    shared = {"database": object()}
    site = install(app)
    for _ in range(2):
        asyncio.run(response_to(site, scope(state=shared)))
    assert shared.keys() == {"database"}
    assert [state["database"] for state in seen] == [shared["database"]] * 2
    assert seen[0]["consent"] is not seen[1]["consent"]


@pytest.mark.parametrize("missing", ["state", "scheme", "root_path", "client", "server", "extensions", "raw_path"])
def test_optional_scope_keys_may_be_missing(missing: str) -> None:
    """ASGI makes these keys optional. A missing scheme is http."""
    for path, app in (("/", page_app(reads=["media"])), (PREFIX, reply_app()), ("/whois", page_app())):
        request = scope(path=path, headers=HTML, scheme="http")
        del request[missing]
        assert asyncio.run(response_to(install(app, access_log=MemorySink()), request)).status == 200
    request = scope(
        "POST", PREFIX, [("content-type", "application/json"), ("origin", "http://site.example")], scheme="http"
    )
    del request[missing]
    reply = asyncio.run(response_to(install(), request, bodies(b'{"choice": "accept_all"}')))
    assert list(reply.set_cookies) == ["consent"]


@pytest.mark.parametrize("path", ["/", PREFIX, f"{PREFIX}/state"])
@pytest.mark.parametrize("given", [{"state": None}, {"headers": []}])
def test_request_without_state_or_header_fields_is_served(path: str, given: dict[str, Any]) -> None:
    site = install(page_app(reads=["media"]))
    assert asyncio.run(response_to(site, {**scope(path=path), **given})).status == 200


# Responses.


def starting(**message: Any) -> ASGIApp:
    """Return an app whose response starts with these keys."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, **message})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


@pytest.mark.parametrize("inject", [True, False])
@pytest.mark.parametrize("kind", [tuple, iter, list])
@pytest.mark.parametrize("kept", [[], [(b"x-kept", b"1")], [(b"x-kept", b"1"), (b"set-cookie", b"session=1")]])
def test_response_headers_may_be_any_iterable(
    kind: Callable[[object], Any], kept: list[tuple[bytes, bytes]], inject: bool
) -> None:
    for held in ([], [(b"set-cookie", b"_ga=1")]):
        reply = call(install(starting(headers=kind([*kept, *held])), inject=inject), headers=HTML)
        assert (reply.status, reply.headers, reply.body) == (200, kept, b"ok")
    assert call(install(starting(), inject=inject), headers=HTML).headers == []


@pytest.mark.requirement("TR-05")
@pytest.mark.parametrize("content_type", ["text/event-stream", "text/html", "application/octet-stream"])
@pytest.mark.parametrize("answered", [False, True])
def test_stream_passes_piece_by_piece(content_type: str, answered: bool) -> None:
    """Each piece reaches the server before the app continues, once the place of the banner is found."""
    arrived: list[bytes] = []
    pieces = [PAGE[:-14], *(b"%d" % number + b"x" * 65_536 for number in range(20)), PAGE[-14:]]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(b"content-type", content_type.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        for number, piece in enumerate(pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            # Of a page, what may be the beginning of its end waits for the next piece.
            has_arrived = piece[:-10] in b"".join(arrived)
            assert has_arrived or number == 0
        await send({"type": "http.response.body", "body": b""})

    visitor = Visitor(install(app, access_log=MemorySink()), HTML)
    if answered:
        visitor.accept()
    request = scope(headers=[*HTML, ("cookie", visitor.cookies)])
    sent = asyncio.run(drive(visitor.app, request, bodies(), lambda each: arrived.append(each.get("body", b""))))
    asks = content_type == "text/html" and not answered
    assert (b"refuse_all" in b"".join(arrived)) is asks
    assert asks or b"".join(arrived) == b"".join(pieces)
    assert sent[-1].get("more_body", False) is False


def test_request_body_passes_unchanged() -> None:
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.extend([await receive(), await receive(), await receive()])
        await reply_app()(scope, receive, send)

    incoming = [*bodies(b"a", b"b"), {"type": "http.disconnect"}]
    asyncio.run(drive(install(app), scope("POST"), list(incoming)))
    assert got == incoming


@pytest.mark.parametrize("has_begun", [False, True])
def test_exception_of_the_app_reaches_the_server_and_nothing_of_its_page(has_begun: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if has_begun:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
            await send({"type": "http.response.body", "body": b"  ", "more_body": True})
        raise KeyError("a bug of the app")

    reached: list[Message] = []
    with pytest.raises(KeyError, match="a bug of the app"):
        asyncio.run(drive(install(app), scope(headers=HTML), bodies(), reached.append))
    assert reached == []


def test_concurrent_requests_are_not_mixed_up() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        consent = scope["state"]["consent"]
        await asyncio.sleep(0)
        await reply_app(f"{scope['path']} {consent.allows('media')} {consent.language}".encode())(scope, receive, send)

    site = install(app)
    cookies = []
    for media in (True, False, True, False):
        visitor = Visitor(site)
        visitor.save(media=media)
        cookies.append(("cookie", visitor.cookies))
    languages = [("accept-language", language) for language in ("en", "ja", "ja")]
    requests = [scope(path=f"/{number}", headers=[cookies[number % 4], languages[number % 3]]) for number in range(40)]

    async def respond_to_all() -> list[Reply]:
        return list(await asyncio.gather(*(response_to(site, request) for request in requests)))

    said = [reply.text for reply in asyncio.run(respond_to_all())]
    assert said == [f"/{number} {number % 2 == 0} {languages[number % 3][1]}" for number in range(40)]


# Services.


SERVICES = (
    SITE
    + """
[services.registry]
path = "/whois/registry/"
[services.registry.purposes.media]
refused = true

[services.shop]
host = "shop.example"
[services.shop.purposes.media]
refused = true

[services.cellar]
host = "shop.example"
path = "/cellar"
"""
)


@pytest.mark.requirement("PO-01")
@pytest.mark.parametrize(
    ("host", "path", "analytics", "media"),
    [
        ("site.example", "/", True, True),
        ("site.example", "/whois", False, True),
        ("site.example", "/whois/", False, True),
        ("site.example", "/whoisx", True, True),
        ("site.example", "/whois/registry", True, False),
        ("site.example", "/whois/registry/x", True, False),
        ("shop.example", "/", True, False),
        ("SHOP.example:8443", "/x", True, False),
        ("shop.example", "/cellar", True, True),
        ("shop.example", "/whois", True, False),
        ("[::1]:80", "/", True, True),
        ("[::1]", "/", True, True),
        ("", "/", True, True),
    ],
)
def test_most_specific_service_applies(host: str, path: str, analytics: bool, media: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        consent = scope["state"]["consent"]
        body = json.dumps([consent.allows("analytics"), consent.allows("media")]).encode()
        await reply_app(body, sets=["_ga=1", "player=1"])(scope, receive, send)

    visitor = Visitor(install(app, SERVICES))
    visitor.accept()
    reply = visitor.get(path, host=host)
    assert reply.json == [analytics, media]
    assert list(reply.set_cookies) == ["_ga"] * analytics + ["player"] * media
    mounted = visitor.get(f"/sub{path}", host=host, root_path="/sub")
    assert mounted.json == [analytics, media]


# Deny by default.


@pytest.mark.requirement("ST-01")
@pytest.mark.parametrize("way", ["http", "websocket"])
@pytest.mark.parametrize(
    ("law", "options"), [("", {}), ('laws = ["us-optout"]', {"country": lambda _: "US"})], ids=["opt-in", "opt-out"]
)
@pytest.mark.logs_an_exception
def test_error_while_deciding_denies_and_serves_the_page(
    law: str, options: dict[str, Any], way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where purposes run until the visitor refuses them."""
    clock = Clock()
    seen: list[list[str]] = []
    text = SITE.replace("\nlanguages", f"\n{law}\nlanguages")
    visitor = Visitor(install(reply_app(sets=["_ga=1"], seen=seen), text, clock=clock, **options))
    visitor.accept()
    clock.now = "no time"  # type: ignore[assignment]
    request = scope(kind=way, headers=[("cookie", f"{visitor.cookies}; _ga=1")])
    sent = asyncio.run(drive(visitor.app, request, [{"type": "websocket.connect"}]))
    assert not any(name == b"set-cookie" for name, _ in sent[0]["headers"])
    assert seen == [[]]
    assert [record.levelno for record in caplog.records if record.exc_info] == [logging.ERROR]
    clock.now = 1_750_000_001.0
    assert "_ga" in visitor.get().set_cookies


# Arbitrary requests.


def _full_site(**options: Any) -> ConsentMiddleware:
    """Return a small site that uses every part of the middleware."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        consent = scope["state"]["consent"]
        html = PAGE.replace(b"Hello", f"{consent.status} {consent.feature('map').fallback}".encode())
        sets = ["session=1; Path=/", "_ga=1", "player=1", "mystery=1", "_ga_2=; Max-Age=0"]
        csp = "default-src 'self' 'nonce-abc'; img-src 'self'"
        await reply_app(html, "text/html; charset=utf-8", sets=sets, headers=[("content-security-policy", csp)])(
            scope, receive, send
        )

    text = SERVICES.replace('origins = ["https://maps', 'directives = ["img"]\norigins = ["https://maps')
    return install(app, text, **options)


TOKENS: dict[str, str] = {}


@pytest.fixture(scope="module")
def everything() -> ConsentMiddleware:
    clock = Clock()
    app = _full_site(
        access_log=MemorySink(), ledger=MemoryLedger(), clock=clock, settings_link=True, csp="enforce", language="path"
    )
    for name in ("accept", "refuse"):
        visitor = Visitor(app)
        getattr(visitor, name)()
        TOKENS[name] = visitor.jar["__Host-consent"]
        TOKENS["visitor"] = visitor.jar.get("__Host-visitor", TOKENS.get("visitor", ""))
    return app


ANSWERS = [
    b"choice=accept_all",
    b"choice=refuse_all&next=/there&language=ja",
    b'{"choice": "accept_all"}',
    b'{"choice": "save", "purposes": {"media": true}}',
    b'{"choice": "grant", "purposes": {"media": true}, "service": "whois"}',
]
_bytes = st.binary(max_size=30)
_latin = _bytes.map(lambda value: value.decode("latin-1"))
_cookie_names = st.sampled_from(
    [
        "__Host-consent",
        "__Host-visitor",
        "consent",
        "session",
        "_ga",
        "_ga_1",
        "player",
        "mystery",
        "",
        "__host-consent",
    ]
)
_cookie_values = st.one_of(
    st.sampled_from(["{accept}", "{refuse}", "{visitor}", "{accept}A", "1", "", '"{accept}"', " {accept}"]), _latin
)
_cookies = st.one_of(
    st.lists(st.builds("{}={}".format, _cookie_names, _cookie_values), max_size=5).map("; ".join), _latin
)
_names = st.sampled_from(
    [
        *("accept", "accept-language", "accept-encoding", "user-agent", "referer", "host", "origin", "sec-fetch-site"),
        *("sec-gpc", "dnt", "sec-purpose", "purpose", "content-type", "content-length", "if-none-match", "range"),
        *("forwarded", "x-forwarded-for", "authorization", "upgrade", "expect", "te", ""),
    ]
)
_values = st.one_of(
    st.sampled_from(
        [
            *("1", "0", "text/html", "text/html,*/*", "application/json", "ja,en;q=0.5", "en-GB", "gzip", PHONE),
            *("Googlebot/2.1", "same-origin", "cross-site", "https://site.example", "null", "site.example", "[::1"),
            *(
                "application/x-www-form-urlencoded",
                "multipart/form-data",
                "prefetch",
                "99999999999",
                "-1",
                "shop.example",
            ),
        ]
    ),
    _latin,
)
_headers = st.lists(
    st.one_of(st.tuples(_names, _values), st.tuples(st.just("cookie"), _cookies), st.tuples(_latin, _latin)), max_size=8
)
_posting = st.tuples(
    st.sampled_from(["same-origin", "same-origin", "none", "cross-site"]),
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain"]),
)
_paths = st.one_of(
    st.sampled_from(["/", PREFIX, f"{PREFIX}/", "/whois/x", "/ja/x", "/.well-known/gpc.json"]),
    st.sampled_from(
        [
            *("state", "receipt", "export", "erase", "policy", "policy/0", "assets/x", "x", "policy/\0"),
            *("question", "choices.js", "landing.js", "question.js", "track.js", "vendors.js", "events"),
        ]
    ).map(f"{PREFIX}/".__add__),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map("/".__add__),
    st.just(""),
)
_bodies = st.one_of(
    st.sampled_from(ANSWERS),
    st.sampled_from(
        [
            *(b"", b"choice=maybe", b"choice=accept_all&choice=accept_all", b'{"choice": 1}', b"[]", b"{", b"\xff"),
            *(b"choice=accept_all&policy=0", b'{"choice": "save"}', b"choice=save&purpose=x", b"x" * 70_000),
        ]
    ),
    _bytes,
    st.dictionaries(
        st.sampled_from(["choice", "purposes", "policy", "next", "source", "language", "service"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.none(), max_size=2)),
    ).map(lambda data: json.dumps(data).encode()),
)
_chunks = st.lists(_bodies, min_size=1, max_size=3)


@examples(400)
@given(
    method=st.one_of(st.sampled_from(["GET", "HEAD", "POST", "POST", "POST", "PUT"]), st.text(max_size=5)),
    path=_paths,
    query=st.one_of(
        _bytes,
        st.sampled_from([b"", b"language=ja&next=/x", b"page=/whois", b"erased", b"next=//x", b"again&next=/whois/x"]),
    ),
    headers=_headers,
    posting=st.one_of(st.none(), _posting),
    chunks=_chunks,
    scheme=st.sampled_from(["https", "http"]),
    root_path=st.sampled_from(["", "/sub", "/", PREFIX, "//"]),
    client=st.one_of(st.none(), st.tuples(_latin, st.integers(0, 65535))),
    leaves=st.booleans(),
)
@pytest.mark.slow
def test_any_request_gets_a_valid_response_and_no_false_consent(
    everything: ConsentMiddleware,
    method: str,
    path: str,
    query: bytes,
    headers: list[tuple[str, str]],
    posting: tuple[str, str] | None,
    chunks: list[bytes],
    scheme: str,
    root_path: str,
    client: Any,
    leaves: bool,
) -> None:
    if posting:
        headers = [("sec-fetch-site", posting[0]), ("content-type", posting[1]), *headers]
    fields = [(name.lower().encode("latin-1"), _filled(value).encode("latin-1", "replace")) for name, value in headers]
    request = scope(method, path, fields, query=query, scheme=scheme, root_path=root_path, client=client, raw_path=b"")
    incoming = bodies(*chunks)
    if leaves:
        incoming[-1]["more_body"] = True
        incoming.append({"type": "http.disconnect"})
    reply = Reply(asyncio.run(drive(everything, request, incoming)))
    if not reply.started:
        assert leaves
        return
    check_response(reply, method)
    assert reply.status < 500
    for name, line in reply.set_cookies.items():
        if name in ("consent", "__Host-consent") and "Max-Age=0" not in line:
            assert (method, b"".join(chunks) in ANSWERS, leaves) == ("POST", True, False)
            assert reply.status in (200, 303)
    lines = reply.all("set-cookie")
    kept = [line.partition("=")[0] for line in lines if "Max-Age=0" not in line]
    assert len(kept) == len(set(kept))
    assert len(lines) == len(set(lines))  # a cookie is deleted once for each path and domain that it may have


def _filled(value: str) -> str:
    for name, token in TOKENS.items():
        value = value.replace(f"{{{name}}}", token)
    return value


@given(headers=_headers, path=_paths, query=_bytes, scheme=st.sampled_from(["https", "http"]))
def test_any_websocket_request_reaches_the_app(
    headers: list[tuple[str, str]], path: str, query: bytes, scheme: str
) -> None:
    fields = [(name.lower().encode("latin-1"), _filled(value).encode("latin-1", "replace")) for name, value in headers]
    app = install(reply_app(sets=["mystery=1", "session=1"]))
    connection = scope(path=path, headers=fields, kind="websocket", query=query, scheme=scheme)
    sent = asyncio.run(drive(app, connection, [{"type": "websocket.connect"}]))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    lines = [value for name, value in sent[0]["headers"] if name == b"set-cookie"]
    # The end of a consent deletes what was allowed under it.
    assert [line for line in lines if b"Max-Age=0" not in line] == [b"session=1"]
