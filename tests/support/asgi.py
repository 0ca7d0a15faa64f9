"""Drives an ASGI app with raw messages, without a client library."""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.tracing.access_record import VisitorLag
from tests.support.policies import KEY, policy_of

PREFIX = "/privacy-choices"
NOW = 1_750_000_000.25
"""2025-06-15 15:06:40.250 UTC"""
PHONE = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
    "Mobile Safari/537.36"
)
ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
PAGE = b'<!doctype html><html lang="en"><head><title>t</title></head><body><h1>Hello</h1></body></html>'
SITE_TABLE = """
[site]
name = "Test Registry"
controller = "Test Registry Ltd."
contact = "privacy@site.example"
prevailing_language = "en"
languages = ["en", "ja"]
"""
"""The table "site" of a policy file."""
SITE = (
    SITE_TABLE
    + """
[purposes.analytics]
title = { en = "Access tracing", ja = "アクセス履歴" }
description = { en = "We count visits.", ja = "訪問を数えます。" }
retention = "30 days"
traces = true

[purposes.media]
title = { en = "Maps and videos", ja = "地図と動画" }
description = { en = "We show maps.", ja = "地図を表示します。" }

[[cookies]]
name = "session"
purpose = "necessary"

[[cookies]]
name = "_ga*"
purpose = "analytics"
duration = "395 days"
domain = "site.example"

[[cookies]]
name = "_ga_session"
purpose = "necessary"

[[cookies]]
name = "player"
purpose = "media"
duration = "30 days"
path = "/videos"

[[recipients]]
id = "maps"
name = "Maps Inc."
purpose = "media"
origins = ["https://maps.example.com"]
receives = { en = "IP address", ja = "IPアドレス" }

[features.map]
title = { en = "Map of offices", ja = "事務所の地図" }
purposes = ["media"]
fallback = { en = "No map without consent.", ja = "同意がないため地図はありません。" }

[services.whois]
path = "/whois"
policy_url = "/whois/terms"

[services.whois.purposes.analytics]
refused = true
"""
)

Field = tuple[bytes, bytes]
Fields = Iterable[tuple[str | bytes, str | bytes]]

_FORM_ID = re.compile(r'(name="(?:once|answered|first)" value=")[^"]*')
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FIELD_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


@cache
def policy(text: str = SITE) -> Policy:
    """Return the policy of a policy file with this text."""
    return policy_of(tomllib.loads(text))


def install(app: ASGIApp | None = None, text: str = SITE, **options: Any) -> ConsentMiddleware:
    """Return an app with the middleware in front of it. By default it injects no link to the settings."""
    return ConsentMiddleware(app or reply_app(), policy(text), KEY, **{"settings_link": False, **options})


class Clock:
    """A clock that stands still until `forward` is called."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def forward(self, *, days: float = 0, seconds: float = 0) -> None:
        self.now += days * 86_400 + seconds


def request_time(record: Mapping[str, Any]) -> float:
    """Return when the request of an access record came (seconds since 1970). The record's time is vague on purpose."""
    return datetime.fromisoformat(record["time"]).timestamp() + VisitorLag(KEY)(record["visitor.id"])


@dataclass
class Reply:
    """A response as the server got it."""

    messages: list[Message] = field(default_factory=list)

    @property
    def started(self) -> bool:
        return bool(self.messages)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> list[Field]:
        return list(self.messages[0].get("headers", ()))

    @property
    def chunks(self) -> list[bytes]:
        return [message.get("body", b"") for message in self.messages[1:]]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def set_cookies(self) -> dict[str, str]:
        """Name -> Set-Cookie field."""
        return {line.partition("=")[0]: line for line in self.all("set-cookie")}

    def all(self, name: str) -> list[str]:
        return [value.decode("latin-1") for own, value in self.headers if own.lower() == name.encode()]

    def get(self, name: str) -> str:
        return ", ".join(self.all(name))


def raw_headers(fields: Fields) -> list[Field]:
    """Return header fields in the form of an ASGI scope."""
    return [
        (
            name.lower().encode() if isinstance(name, str) else name,
            value.encode("latin-1") if isinstance(value, str) else value,
        )
        for name, value in fields
    ]


def scope(
    method: str = "GET",
    path: str = "/",
    headers: Fields = (),
    *,
    kind: str = "http",
    scheme: str = "https",
    host: str = "site.example",
    query: bytes = b"",
    root_path: str = "",
    client: tuple[str, int] | None = ("203.0.113.77", 50123),
    **more: Any,
) -> Scope:
    """Return the scope of a request."""
    made: Scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": scheme if kind == "http" else {"https": "wss", "http": "ws"}[scheme],
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": root_path,
        "headers": [(b"host", host.encode()), *raw_headers(headers)],
        "client": client,
        "server": (host, 443),
        "state": {},
        "extensions": {},
        **more,
    }
    if kind == "http":
        made["method"] = method
    else:
        made["subprotocols"] = []
    return made


def without_form_ids(html: str) -> str:
    """Return a page without the ids of its forms, which differ on each page and for each visitor."""
    return _FORM_ID.sub(r"\1", html)


def bodies(*chunks: bytes) -> list[Message]:
    """Return the ASGI messages of a request body in these chunks."""
    last = len(chunks) - 1
    return [{"type": "http.request", "body": chunk, "more_body": n < last} for n, chunk in enumerate(chunks or [b""])]


async def drive(
    app: ASGIApp,
    scope: Scope,
    incoming: Sequence[Message] = (),
    seen: Callable[[Message], None] = lambda _: None,
) -> list[Message]:
    """Run an app as a server does, and return the messages that it sent.

    After the incoming messages the client stays connected and sends nothing.
    """
    left, sent = list(incoming), list[Message]()

    async def receive() -> Message:
        if not left:
            await anyio.sleep_forever()
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)
        seen(message)

    with anyio.fail_after(30):
        await app(scope, receive, send)
    return sent


async def response_to(app: ASGIApp, scope: Scope, incoming: Sequence[Message] | None = None) -> Reply:
    """Return the response to a request, checked."""
    reply = Reply(await drive(app, scope, bodies(b"") if incoming is None else incoming))
    check_response(reply, scope["method"])
    return reply


def call(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/",
    headers: Fields = (),
    body: bytes = b"",
    *,
    backend: str = "asyncio",
    **more: Any,
) -> Reply:
    """Return the response to a request, checked. The backend is that of anyio."""
    return anyio.run(response_to, app, scope(method, path, headers, **more), bodies(body), backend=backend)


def check_response(reply: Reply, method: str = "GET") -> None:
    """Check that a response is complete and valid (RFC 9110, ASGI 3)."""
    assert [message["type"] for message in reply.messages] == [
        "http.response.start",
        *["http.response.body"] * len(reply.chunks),
    ]
    more = [message.get("more_body", False) for message in reply.messages[1:]]
    assert more == [True] * (len(more) - 1) + [False]
    assert 200 <= reply.status <= 599
    for name, value in reply.headers:
        assert type(name) is type(value) is bytes
        assert _TOKEN.fullmatch(name), name
        assert _FIELD_VALUE.fullmatch(value), value
    lengths = reply.all("content-length")
    if lengths and method != "HEAD" and reply.status != 304:
        assert lengths == [str(len(reply.body))]


def reply_app(
    body: bytes | Iterable[bytes] = b"ok",
    content_type: str = "text/plain",
    status: int = 200,
    *,
    sets: Iterable[str | bytes] = (),
    headers: Fields = (),
    seen: list[list[str]] | None = None,
    reads: Iterable[str] = (),
) -> ASGIApp:
    """Return an app with a fixed response, over http and websocket.

    Args:
        body: the body; several chunks are sent without a length.
        content_type: its type.
        status: the status code.
        sets: raw Set-Cookie fields.
        headers: further header fields.
        seen: a list that collects the Cookie fields of each request.
        reads: the purposes that the app asks about.
    """
    chunks = [body] if isinstance(body, bytes) else list(body)
    fields = raw_headers([("content-type", content_type), *headers, *(("set-cookie", line) for line in sets)])
    if isinstance(body, bytes):
        fields.append((b"content-length", b"%d" % len(body)))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if seen is not None:
            seen.append([value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"])
        for purpose in reads:
            scope["state"]["consent"].allows(purpose)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept", "headers": fields[1:]})
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "http.response.start", "status": status, "headers": fields})
        for number, chunk in enumerate(chunks, 1):
            await send({"type": "http.response.body", "body": chunk, "more_body": number < len(chunks)})

    return app


def page_app(*, sets: Iterable[str | bytes] = (), headers: Fields = (), reads: Iterable[str] = ()) -> ASGIApp:
    """Return an app whose response is an HTML page."""
    return reply_app(PAGE, "text/html; charset=utf-8", sets=sets, headers=headers, reads=reads)


class Visitor:
    """A visitor's browser: it keeps cookies and sends fixed header fields.

    Args:
        app: the site.
        headers: the header fields of every request.
        scheme: "https" or "http".
        backend: the event loop of the site, as anyio names it.
    """

    def __init__(self, app: ASGIApp, headers: Fields = (), *, scheme: str = "https", backend: str = "asyncio") -> None:
        self.app, self.headers, self.scheme, self.backend = app, [*headers], scheme, backend
        self.jar: dict[str, str] = {}

    @property
    def cookies(self) -> str:
        """The Cookie field that the browser sends."""
        return "; ".join(f"{name}={value}" for name, value in self.jar.items())

    def request(self, method: str, path: str, headers: Fields = (), body: bytes = b"", **more: Any) -> Reply:
        cookies = self.cookies
        fields = [*self.headers, *([("cookie", cookies)] if cookies else []), *headers]
        reply = call(self.app, method, path, fields, body, scheme=self.scheme, backend=self.backend, **more)
        for name, line in reply.set_cookies.items():
            value = line.partition(";")[0].partition("=")[2]
            if "max-age=0" in line.lower() or "1970" in line:
                self.jar.pop(name, None)
            else:
                self.jar[name] = value
        return reply

    def get(self, path: str = "/", headers: Fields = (), **more: Any) -> Reply:
        return self.request("GET", path, headers, **more)

    def post(self, data: object, headers: Fields = (), path: str = PREFIX, **more: Any) -> Reply:
        """Post JSON from a page of the site; bytes are sent as they are."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        fields = [("content-type", "application/json"), ("sec-fetch-site", "same-origin"), *headers]
        return self.request("POST", path, fields, body, **more)

    def send_form(self, form: str | bytes, headers: Fields = (), path: str = PREFIX, **more: Any) -> Reply:
        """Send a form from a page of the site, as a browser does."""
        body = form if isinstance(form, bytes) else form.encode()
        fields = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
            ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
            *headers,
        ]
        return self.request("POST", path, fields, body, **more)

    def accept(self) -> Reply:
        return self.post({"choice": "accept_all"})

    def refuse(self) -> Reply:
        return self.post({"choice": "refuse_all"})

    def save(self, **purposes: bool) -> Reply:
        return self.post({"choice": "save", "purposes": purposes})

    def state(self, headers: Fields = ()) -> Mapping[str, Any]:
        state: Mapping[str, Any] = self.get(f"{PREFIX}/state", headers).json
        return state


def run(work: Awaitable[Any]) -> Any:
    """Run a coroutine to its end."""

    async def whole() -> Any:
        return await work

    return asyncio.run(whole())
