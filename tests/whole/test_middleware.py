"""Tests of the whole middleware: startup, scopes, responses, services, cached decisions, and arbitrary requests."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import math
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, Policy, PolicyError
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
    policy,
    reply_app,
    response_to,
    scope,
)
from tests.support.examples import examples
from tests.support.policies import KEY

HTML = [("accept", "text/html"), ("user-agent", PHONE)]


# Startup.


def policy_file(folder: Path, text: str = SITE) -> Path:
    file = folder / "consent.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_one_line_installs_the_middleware(tmp_path: Path) -> None:
    file = policy_file(tmp_path)

    async def home(request: Request) -> Response:
        consent = request.state.consent
        return JSONResponse([consent.status, consent.allows("analytics"), consent.should_ask, dict(consent.purposes)])

    app = Starlette(routes=[Route("/", home)])
    app.add_middleware(ConsentMiddleware, policy=str(file), secret_keys=[KEY])
    visitor = Visitor(app)
    assert visitor.get().json == ["unknown", False, True, {"necessary": True, "analytics": False, "media": False}]
    visitor.accept()
    assert visitor.get().json == ["granted", True, False, {"necessary": True, "analytics": True, "media": True}]


@pytest.mark.parametrize("kind", [str, Path])
def test_policy_may_be_a_file_path(kind: Callable[[object], Any], tmp_path: Path) -> None:
    file = policy_file(tmp_path)
    app = ConsentMiddleware(reply_app(), kind(file), KEY)
    assert call(app, path=f"{PREFIX}/policy").json["version"] == policy().version


def test_invalid_policy_file_stops_startup(tmp_path: Path) -> None:
    file = tmp_path / "consent.toml"
    with pytest.raises(FileNotFoundError):
        ConsentMiddleware(reply_app(), file, KEY)
    policy_file(tmp_path, SITE.replace("traces = true", "traced = true"))
    with pytest.raises(PolicyError, match=r'consent\.toml.*\[purposes\.analytics\].*traced.*Did you mean "traces"'):
        ConsentMiddleware(reply_app(), file, KEY)


def test_tracing_purpose_without_retention_stops_startup(tmp_path: Path) -> None:
    file = policy_file(tmp_path, SITE.replace('retention = "30 days"\n', ""))
    wanted = r'\[purposes\.analytics\] key "retention": .* how long its records are kept. Write "395 days" or less'
    with pytest.raises(PolicyError, match=r"consent\.toml: " + wanted):
        ConsentMiddleware(reply_app(), file, KEY)
    with pytest.raises(PolicyError, match="^" + wanted):
        ConsentMiddleware(reply_app(), Policy.load(file), KEY)
    visitor = Visitor(install(history=[file]))  # an earlier version may lack the retention
    visitor.accept()
    assert visitor.state()["status"] == "granted"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"prefix": "privacy"}, "without a slash at its end"),
    ({"prefix": "/privacy/"}, "without a slash at its end"),
    ({"prefix": ""}, "without a slash at its end"),
    ({"prefix": "/"}, "without a slash at its end"),
    ({"prefix": "//privacy"}, "without a slash at its end"),
    ({"prefix": "/a?b"}, "without a slash at its end"),
    ({"prefix": "/a#b"}, "without a slash at its end"),
    ({"prefix": "/a b"}, "without a slash at its end"),
    ({"undeclared": "drop"}, 'Write "hold" or "allow"'),
    ({"undeclared": None}, 'Write "hold" or "allow"'),
    ({"layout": "popup"}, "Write one of: corner, bar, modal"),
    ({"layout": ["corner", "top"]}, "Write one of: corner, bar, modal"),
    ({"layout": None}, "Write one of: corner, bar, modal"),
    ({"inject": "yes"}, "inject: .* Write True, False, a list"),
    ({"settings_link": 1}, "settings_link: .* Write True or False"),
    ({"csp": "on"}, 'csp: .* Write None or "enforce"'),
    ({"csp": True}, 'csp: .* Write None or "enforce"'),
    ({"language": "en"}, 'language: .* Write "path", or a function that takes a request'),
    ({"language": True}, 'language: .* Write "path", or a function that takes a request'),
    ({"language": ["en", "ja"]}, 'language: .* Write "path", or a function that takes a request'),
    ({"ledger": "consent.db"}, "sqlite:///consent"),
    ({"access_log": "http://x/"}, "JSON Lines"),
    ({"secret_keys": "short"}, "at least 32 characters"),
    ({"secret_keys": []}, "at least 32 characters"),
    ({"secret_keys": ["short", KEY]}, "at least 32 characters"),
    ({"cookie_prefix": "a b"}, "cookie_prefix: 'a b' is not valid. Write one like"),
    ({"consent_days": 401}, "at most 400 days"),
    ({"consent_days": 0}, "at most 400 days"),
    ({"inject": ["docs*"]}, "inject: .* Write a path"),
    ({"server_logs": True}, 'server_logs: .* Write "mask", "drop" or "keep"'),
    ({"app": "app"}, "app: 'app' is not valid. It is the ASGI app"),
    ({"policy": 5}, "policy: 5 is not valid. Write a Policy, or the path of a TOML file"),
    ({"clock": 0}, "clock: 0 is not valid. It returns seconds since 1970"),
    ({"desk": 7}, "desk: <class 'int'> is not valid. Write a function"),
    ({"desk": print, "ledger": None}, "ledger: None is not valid. Write one that keeps the requests for desk="),
    ({"country": "CF IPCountry"}, "country: .* Write the name of a header field"),
    ({"country": "CF-IPCountry"}, "country: nothing depends on it"),
    ({"shared_pages": "yes"}, "shared_pages: .* Write True or False"),
    ({"shared_pages": True, "inject": False}, "shared_pages: the question has to be in the pages"),
    ({"consent_days": "180"}, "consent_days: .* Write a number of days"),
    ({"consent_days": math.nan}, "consent_days: .* Write a number of days"),
    ({"query_keys": "utm_*"}, "query_keys: .* Write a list of names"),  # split into letters, its * would keep every key
    ({"query_keys": [b"utm_*"]}, "query_keys: .* Write a list of names"),
    ({"history": "old.toml"}, "history: .* Write a list of files or policies"),
    ({"history": 5}, "history: .* Write a list of files or policies"),
    ({"ledger": Path("consent.db")}, "ledger: .* is no Ledger"),
    ({"ledger": object()}, "ledger: .* is no Ledger"),
    ({"access_log": 5}, "access_log: 5 is no Sink"),
]
OPTIONS = list(inspect.signature(ConsentMiddleware.__init__).parameters)[1:]


@pytest.mark.parametrize(("options", "advice"), WRONG)
def test_invalid_argument_stops_startup_and_leaves_nothing_open(
    options: dict[str, Any], advice: str, tmp_path: Path
) -> None:
    right = {"app": reply_app(), "policy": policy(), "secret_keys": [KEY], "ledger": f"sqlite:///{tmp_path}/kept.db"}
    threads = set(threading.enumerate())  # Those of other tests may end meanwhile, and repeat an erasure.
    with pytest.raises(ValueError, match=advice):
        ConsentMiddleware(**{**right, "access_log": tmp_path / "access.jsonl", **options})
    more = {thread for thread in threading.enumerate() if not thread.name.startswith("consent-erasing")} - threads
    assert (list(tmp_path.iterdir()), more) == ([], set())


def test_every_argument_is_validated() -> None:
    assert {name for options, _ in WRONG for name in options} == set(OPTIONS)


def test_arguments_are_documented_in_signature_order() -> None:
    documented = inspect.getdoc(ConsentMiddleware) or ""
    arguments = documented.partition("\nArgs:\n")[2].partition("\nRaises:\n")[0]
    assert re.findall(r"^    (\w+):", arguments, re.MULTILINE) == OPTIONS


def test_key_rotation_keeps_answers() -> None:
    first, second, third = (f"{n}-key-of-a-site-with-many-visitors" for n in ("first", "second", "third"))

    def site(*keys: str) -> ConsentMiddleware:
        return ConsentMiddleware(reply_app(), policy(), keys)

    visitor = Visitor(site(first))
    visitor.accept()
    visitor.app = site(first, second)
    assert visitor.state()["status"] == "granted"
    visitor.refuse()
    visitor.app = site(second, third)
    assert visitor.state()["status"] == "refused"
    visitor.app = site(first)
    assert visitor.state()["status"] == "unknown"


# Changes of the policy.


WIDER = SITE.replace('name = "player"', 'name = "player2"')
REWORDED = SITE.replace("We show maps.", "We show maps and videos.")
NARROWER = SITE.replace('retention = "30 days"', 'retention = "20 days"')


@pytest.mark.parametrize(
    ("text", "history", "asks", "media", "analytics"),
    [
        (REWORDED, [], False, True, True),
        (WIDER, [], True, False, True),
        (NARROWER, [], True, True, False),
        (NARROWER, [SITE], False, True, True),
        (WIDER, [SITE], True, False, True),
    ],
)
def test_policy_change_asks_only_for_changed_purposes(
    text: str, history: list[str], asks: bool, media: bool, analytics: bool
) -> None:
    visitor = Visitor(install())
    visitor.accept()
    visitor.app = install(text=text, history=[policy(old) for old in history])
    state = visitor.state()
    assert state["status"] == "granted"
    assert state["should_ask"] is asks
    assert (state["purposes"]["media"], state["purposes"]["analytics"]) == (media, analytics)


def test_refused_purpose_is_not_asked_again_after_policy_change() -> None:
    visitor = Visitor(install())
    visitor.refuse()
    visitor.app = install(text=WIDER)
    assert visitor.state()["should_ask"] is False
    assert visitor.state()["purposes"] == {"necessary": True, "analytics": False, "media": False}


# Scopes that are neither http nor websocket.


@pytest.mark.parametrize("options", [{}, {"access_log": MemorySink()}, {"ledger": MemoryLedger()}])
def test_lifespan_messages_pass_unchanged(options: dict[str, Any]) -> None:
    seen: list[object] = []
    events: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        for _ in range(2):
            message = await receive()
            seen.append(message)
            await send({"type": f"{message['type']}.complete"})

    given = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    sent = asyncio.run(drive(install(app, **options), given, events))
    assert seen == [given, *events]
    assert seen[0] is given
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


def test_startup_removes_due_ledger_records() -> None:
    clock, ledger = Clock(), MemoryLedger()
    visitor = Visitor(install(ledger=ledger, clock=clock))
    visitor.accept()
    clock.forward(days=184 + 1095)
    app = install(started, ledger=ledger, clock=clock)
    asyncio.run(drive(app, {"type": "lifespan"}, []))
    proof = app._site.proof
    assert proof is not None
    proof.retention.wait()
    assert [record["event"] for record in ledger.kept] == ["removed"]


async def started(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


class Unclosable(MemorySink):
    """A sink that cannot be closed."""

    def close(self) -> None:
        raise OSError("this sink is broken")


@pytest.mark.logs_an_exception
def test_sink_that_fails_to_close_does_not_stop_shutdown(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[Message] = []

    async def ending(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.shutdown.complete"})

    async def receive() -> Message:
        return {"type": "lifespan.shutdown"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(install(ending, access_log=Unclosable())({"type": "lifespan"}, receive, send))
    assert sent == [{"type": "lifespan.shutdown.complete"}]
    assert "could not be brought" in caplog.text


@pytest.mark.parametrize("options", [{}, {"access_log": MemorySink()}, {"ledger": MemoryLedger()}])
def test_lifespan_events_are_answered_for_an_app_that_refuses_them(options: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError(f"only http here, not {scope['type']}")

    events: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = asyncio.run(drive(install(app, **options), {"type": "lifespan"}, events))
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


def test_unknown_scope_type_passes_unchanged() -> None:
    given, sent_by_app = {"type": "webtransport", "headers": object()}, {"type": "webtransport.accept", "headers": 1}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope is given
        assert await receive() == {"type": "x"}
        await send(sent_by_app)

    assert asyncio.run(drive(install(app), given, [{"type": "x"}])) == [sent_by_app]


# Websockets.


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


def test_websocket_is_no_page() -> None:
    asked: list[object] = []
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "websocket.accept"})

    def leave_in(request: object) -> bool:
        asked.append(request)
        return True

    for site in (install(app, settings_link=True), install(app, settings_link=True, inject=leave_in)):
        fields = [("accept", "text/html"), ("accept-encoding", "gzip"), ("if-none-match", '"a"')]
        connection = scope(kind="websocket", headers=fields)
        asyncio.run(drive(site, connection, [{"type": "websocket.connect"}]))
        assert seen.pop()["headers"] == connection["headers"]
    assert asked == []


def test_websocket_under_the_prefix_reaches_the_app() -> None:
    sent = asyncio.run(
        drive(install(), scope(path=f"{PREFIX}/state", kind="websocket"), [{"type": "websocket.connect"}])
    )
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]


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


def test_scope_state_may_be_none() -> None:
    assert call(install(page_app(reads=["media"])), state=None).status == 200


def test_request_without_headers_is_served() -> None:
    for path in ("/", PREFIX, f"{PREFIX}/state"):
        request = scope(path=path)
        request["headers"] = []
        assert asyncio.run(response_to(install(page_app()), request)).status == 200


# Responses.


def starting(**message: Any) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, **message})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


@pytest.mark.parametrize("inject", [True, False])
def test_response_may_have_no_headers(inject: bool) -> None:
    reply = call(install(starting(), inject=inject), headers=HTML)
    assert (reply.status, reply.headers, reply.body) == (200, [], b"ok")


@pytest.mark.parametrize("inject", [True, False])
@pytest.mark.parametrize("kind", [tuple, iter, list])
@pytest.mark.parametrize("cookies", [[], [(b"set-cookie", b"session=1")]])
def test_response_headers_may_be_any_iterable(
    kind: Callable[[object], Any], cookies: list[tuple[bytes, bytes]], inject: bool
) -> None:
    fields = [(b"x-kept", b"1"), *cookies]
    reply = call(install(starting(headers=kind(fields)), inject=inject), headers=HTML)
    assert reply.headers == fields
    held = call(install(starting(headers=kind([*fields, (b"set-cookie", b"_ga=1")])), inject=inject), headers=HTML)
    assert held.headers == fields


def test_other_keys_of_a_response_message_pass() -> None:
    sent = asyncio.run(drive(install(starting(trailers=True, headers=[(b"set-cookie", b"_ga=1")])), scope()))
    assert sent[0]["trailers"] is True


def test_header_list_of_the_app_is_not_changed() -> None:
    fields = [(b"content-type", b"text/html"), (b"set-cookie", b"_ga=1")]
    call(install(starting(headers=fields)), headers=HTML)
    assert fields == [(b"content-type", b"text/html"), (b"set-cookie", b"_ga=1")]


@pytest.mark.parametrize("content_type", ["text/event-stream", "text/html", "application/octet-stream"])
@pytest.mark.parametrize("answered", [False, True])
def test_stream_is_not_delayed(content_type: str, answered: bool) -> None:
    """Each chunk reaches the server before the app continues, once the place of the banner is decided."""
    arrived: list[bytes] = []
    first = PAGE if content_type == "text/html" else b"data: 1\n\n"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type.encode())]}
        )
        for number in range(3):
            await send(
                {"type": "http.response.body", "body": first if number == 0 else b"%d" % number, "more_body": True}
            )
            assert b"".join(arrived).endswith(b"</html>" if number == 0 and first == PAGE else first[-7:]) or number
            assert number == 0 or arrived[-1] == b"%d" % number
        await send({"type": "http.response.body", "body": b""})

    visitor = Visitor(install(app, access_log=MemorySink()), HTML)
    if answered:
        visitor.accept()
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.jar.items())
    request = scope(headers=[*HTML, ("cookie", cookies)])
    sent = asyncio.run(
        drive(visitor.app, request, bodies(b""), lambda message: arrived.append(message.get("body", b"")))
    )
    assert b"".join(arrived).endswith(b"12")
    assert (b"refuse_all" in b"".join(arrived)) is (content_type == "text/html" and not answered)
    assert sent[-1].get("more_body", False) is False


def test_large_download_passes_chunk_by_chunk() -> None:
    chunk, held = b"x" * 65_536, 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal held
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"video/mp4")]})
        for number in range(200):
            await send({"type": "http.response.body", "body": chunk, "more_body": number < 199})
            held = max(held, (number + 1) * len(chunk) - seen)

    seen = 0

    def count(message: Message) -> None:
        nonlocal seen
        seen += len(message.get("body", b""))

    asyncio.run(drive(install(app), scope(headers=HTML), bodies(b""), count))
    assert (seen, held) == (200 * 65_536, 0)


def test_request_body_passes_unchanged() -> None:
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        got.extend([await receive(), await receive(), await receive()])
        await reply_app()(scope, receive, send)

    incoming = [*bodies(b"a", b"b"), {"type": "http.disconnect"}]
    asyncio.run(drive(install(app), scope("POST"), list(incoming)))
    assert got == incoming


def test_exception_of_the_app_reaches_the_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("a bug of the app")

    with pytest.raises(KeyError, match="a bug of the app"):
        call(install(app), headers=HTML)


def test_app_that_raises_before_its_page_sends_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"  ", "more_body": True})
        raise KeyError("a bug of the app")

    reached: list[Message] = []
    with pytest.raises(KeyError):
        asyncio.run(drive(install(app), scope(headers=HTML), bodies(b""), reached.append))
    assert reached == []


def test_unfinished_response_of_the_app_is_sent() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"  ", "more_body": True})

    sent = asyncio.run(drive(install(app), scope(headers=HTML)))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[1]["body"] == b"  "


def test_concurrent_requests_are_not_mixed_up() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0)
        consent = scope["state"]["consent"]
        await asyncio.sleep(0)
        await reply_app(f"{scope['path']} {consent.allows('media')} {consent.language}".encode())(scope, receive, send)

    site = install(app)
    visitors = [Visitor(site) for _ in range(4)]
    for visitor, media in zip(visitors, (True, False, True, False), strict=True):
        visitor.save(media=media)

    async def all_at_once() -> list[Reply]:
        requests = [
            scope(
                path=f"/{number}",
                headers=[
                    ("cookie", f"__Host-consent={visitors[number % 4].jar['__Host-consent']}"),
                    ("accept-language", "ja" if number % 3 else "en"),
                ],
            )
            for number in range(40)
        ]
        return list(await asyncio.gather(*(response_to(site, request) for request in requests)))

    for number, reply in enumerate(asyncio.run(all_at_once())):
        assert reply.text == f"/{number} {number % 2 == 0} {'ja' if number % 3 else 'en'}"


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


# Cached decisions.


def test_cached_consent_expires() -> None:
    clock = Clock()
    visitor = Visitor(install(reply_app(sets=["_ga=1"]), clock=clock))
    visitor.accept()
    for _ in range(4):
        assert "_ga" in visitor.get().set_cookies
    clock.forward(days=184)
    assert "Max-Age=0" in visitor.get().set_cookies["_ga"]
    for _ in range(4):
        assert "_ga" not in visitor.get().set_cookies


def test_cached_visitor_id_expires() -> None:
    clock, sink = Clock(), MemorySink()
    text = SITE.replace('retention = "30 days"', 'retention = "800 days"')
    visitor = Visitor(install(clock=clock, access_log=sink, consent_days=400, text=text), HTML)
    visitor.accept()
    for _ in range(4):
        visitor.get()
    clock.forward(days=395)
    assert list(visitor.get().set_cookies) == ["__Host-visitor"]
    assert len({record["visitor.id"] for record in sink.records}) == 2


def test_clock_set_back_suspends_later_answer() -> None:
    clock = Clock()
    visitor = Visitor(install(clock=clock), [])
    clock.forward(days=300)
    visitor.accept()
    for days, status in ((0, "granted"), (-300, "unknown"), (300, "granted")):
        clock.forward(days=days)
        assert [visitor.state()["status"] for _ in range(4)] == [status] * 4


def test_cached_answer_of_the_future_counts_from_its_time() -> None:
    clock = Clock()
    visitor = Visitor(install(reply_app(sets=["_ga=1"]), clock=clock))
    visitor.accept()
    clock.forward(seconds=-10)
    for _ in range(4):
        assert "_ga" not in visitor.get().set_cookies
    clock.forward(seconds=10)
    assert "_ga" in visitor.get().set_cookies


@pytest.mark.slow
def test_flood_of_forged_cookies_affects_no_visitor() -> None:
    app = install(reply_app(sets=["_ga=1"]))
    visitor = Visitor(app)
    visitor.accept()

    async def flood() -> None:
        for number in range(9000):
            request = scope(headers=[("cookie", f"__Host-consent=forged-{number}; session={number}")])
            for _ in range(1 + (number < 4500)):
                sent = await drive(app, request)
                assert all(name != b"set-cookie" for name, _ in sent[0]["headers"])

    asyncio.run(flood())
    assert "_ga" in visitor.get().set_cookies
    assert visitor.get(headers=[("cookie", "x" * 10_000)]).status == 200
    assert visitor.get(headers=[("cookie", "x" * 10_000)]).status == 200


# Deny by default.


@pytest.mark.parametrize("way", ["http", "websocket"])
@pytest.mark.logs_an_exception
def test_error_while_deciding_denies_and_serves_the_page(way: str, caplog: pytest.LogCaptureFixture) -> None:
    clock, seen = Clock(), list[list[str]]()
    visitor = Visitor(install(reply_app(sets=["_ga=1"], seen=seen), clock=clock))
    visitor.accept()
    token = visitor.jar["__Host-consent"]
    clock.now = "no time"  # type: ignore[assignment]
    request = scope(kind=way, headers=[("cookie", f"__Host-consent={token}; _ga=1")])
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


def test_policy_made_in_python_equals_policy_from_file() -> None:
    declared = policy()
    made = Policy(
        site=declared.site,
        purposes=declared.purposes,
        cookies=declared.cookies,
        recipients=declared.recipients,
        features=declared.features,
        services=declared.services,
    )
    assert made.version == declared.version
    assert call(ConsentMiddleware(reply_app(), made, [KEY])).status == 200
