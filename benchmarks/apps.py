"""The apps that are compared, and raw ASGI requests to them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware

KEY = "benchmark-key-" + "k" * 32
POLICY = Path(__file__).with_name("consent.toml")
PREFIX = "/privacy-choices"
ROUTE = "/offices/tokyo"
PAGE_ROUTE = "/articles/page"

BROWSER = (
    (b"host", b"site.example"),
    (b"connection", b"keep-alive"),
    (b"upgrade-insecure-requests", b"1"),
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
    ),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    (b"sec-fetch-site", b"same-origin"),
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
    (b"referer", b"https://site.example/offices"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"en-GB,en;q=0.9,ja;q=0.8"),
)
ASGI = {"version": "3.0", "spec_version": "2.3"}
SERVER = ("site.example", 443)
CLIENT = ("203.0.113.77", 50123)
CSP = b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Our offices - Benchmark Site</title>
<meta name="description" content="Where our offices are, when they are open, and how to get there.">
<link rel="canonical" href="https://site.example/articles/page">
<link rel="icon" href="/static/icon.svg" type="image/svg+xml">
<link rel="preload" href="/static/text.woff2" as="font" type="font/woff2" crossorigin>
<link rel="stylesheet" href="/static/site.css">
<meta property="og:title" content="Our offices">
<meta property="og:image" content="https://site.example/static/offices.jpg">
<script src="/static/site.js" type="module"></script>
<style>body { margin: 0 auto; max-width: 40rem } header > nav { display: flex; gap: 1rem }</style>
</head>
<body>
<header><nav><a href="/">Home</a><a href="/offices">Offices</a><a href="/contact">Contact</a></nav></header>
<main>
<h1>Our offices</h1>
"""
_SECTION = """<section id="office-{n}">
<h2>Office {n}</h2>
<p>It is a short walk from the station and opens at nine. <a href="/offices/{n}">More about it</a>.</p>
<ul><li>Telephone: 03-0000-00{n:02}</li><li>Floor: {n}</li></ul>
</section>
"""
_FOOT = """</main>
<footer><p>Benchmark Site Ltd. <a href="/terms">Terms</a></p></footer>
</body>
</html>
"""


PAGE = _HEAD + "".join(_SECTION.format(n=number) for number in range(1, 43)) + _FOOT
"""A page of 10 kB."""


async def _plain(_: Request) -> Response:
    return PlainTextResponse("A short answer.")


async def _article(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def _sign_in(request: Request) -> Response:
    request.session["user"] = {"id": 4711, "name": "Hanako", "language": "ja"}
    return PlainTextResponse("Welcome.")


def bare_app() -> Starlette:
    """Return a Starlette app with nothing around it."""
    return Starlette(
        routes=[Route("/offices/{name}", _plain), Route(PAGE_ROUTE, _article), Route("/sign-in", _sign_in)]
    )


def session_app(app: ASGIApp | None = None) -> ASGIApp:
    """Return an app, by default the bare one, under Starlette's sessions."""
    return SessionMiddleware(app or bare_app(), KEY)


def consent_app(app: ASGIApp | None = None, **options: Any) -> ConsentMiddleware:
    """Return an app, by default the bare one, under the consent middleware."""
    return ConsentMiddleware(app or bare_app(), POLICY, KEY, prefix=PREFIX, **options)


def csp_app() -> ASGIApp:
    """Return the bare app with a Content-Security-Policy on each response."""
    app = bare_app()

    async def with_csp(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", CSP)]
            await send(message)

        await app(scope, receive, sending)

    return with_csp


def fresh(value: bytes) -> bytes:
    """Return a copy: bytes that were used before have their hash cached, bytes from a socket have not."""
    return bytes(bytearray(value))


def make_scope(
    path: str = ROUTE,
    cookie: bytes | None = None,
    *,
    method: str = "GET",
    scheme: str = "https",
    browser: Iterable[tuple[bytes, bytes]] = BROWSER,
) -> Scope:
    """Return the scope of a request as a server makes it: each string is new."""
    headers = [(fresh(name), fresh(value)) for name, value in browser]
    if cookie is not None:
        headers.append((fresh(b"cookie"), fresh(cookie)))
    raw_path = path.encode()
    return {
        "type": "http",
        "asgi": ASGI,
        "http_version": "1.1",
        "server": SERVER,
        "client": CLIENT,
        "scheme": scheme,
        "method": method.encode().decode(),
        "root_path": "",
        "path": raw_path.decode(),
        "raw_path": raw_path,
        "query_string": b"",
        "headers": headers,
        "state": {},
    }


async def receive() -> Message:
    """Return an empty body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def drop(_: Message) -> None:
    """Take a part of a response, and do nothing with it."""


@dataclass
class Reply:
    """A response."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def cookies(self) -> bytes:
        """Return the cookies that it sets, as a browser sends them back."""
        lines = (value for name, value in self.headers if name.lower() == b"set-cookie")
        return b"; ".join(line.partition(b";")[0] for line in lines)


async def call(app: ASGIApp, scope: Scope, body: bytes = b"") -> Reply:
    """Make a request, and return the response."""
    reply = Reply()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            reply.status = message["status"]
            reply.headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            reply.body += message.get("body", b"")

    await app(scope, receive, send)
    return reply


async def sign_in(app: ASGIApp) -> bytes:
    """Return the cookie of a valid session."""
    cookie = (await call(app, make_scope("/sign-in"))).cookies()
    assert cookie, "no session was made"
    return cookie


async def answer(app: ASGIApp, choice: str, scheme: str = "https") -> bytes:
    """Answer the question as the banner's script does, and return the cookies."""
    body = json.dumps({"choice": choice}).encode()
    posted = [
        *((name, value) for name, value in BROWSER if name != b"accept"),
        (b"accept", b"application/json"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    scope = make_scope(PREFIX, method="POST", scheme=scheme, browser=posted)
    reply = await call(app, scope, body)
    assert reply.status == 200, f"{choice}: {reply.status} {reply.body!r}"
    return reply.cookies()


async def visit(app: ASGIApp, choice: str, scheme: str = "https") -> bytes:
    """Answer, go on to a page, and return all cookies that are set by then."""
    answered = await answer(app, choice, scheme)
    reply = await call(app, make_scope(cookie=answered, scheme=scheme))
    return b"; ".join(filter(None, (answered, reply.cookies())))


def forgeries(cookie: bytes) -> Iterator[bytes]:
    """Yield endless cookies like this one, each with another wrong signature."""
    for number in itertools.count():
        forged = cookie[:-10] + b"%010x" % number
        if forged != cookie:
            yield forged


class Records:
    """Counts the lines of a growing file."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        path.touch()
        self._file = path.open("rb")

    def read(self) -> int:
        """Read on, and return how many lines there are by now."""
        self.count += self._file.read().count(b"\n")
        return self.count
