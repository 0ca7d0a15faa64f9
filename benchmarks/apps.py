"""The apps that are compared, and raw ASGI requests to them."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware
from tests.support.asgi import Reply

KEY = "benchmark-key-" + "k" * 32
POLICY = Path(__file__).with_name("consent.toml")
PREFIX = "/privacy-choices"
ROUTE = "/offices/tokyo"
PAGE_ROUTE = "/articles/page"
CSP_ROUTE = "/articles/with-csp"
COOKIE_ROUTE = "/articles/with-cookie"
NONCE_ROUTE = "/articles/with-nonce"
CACHED_ROUTE = "/articles/cached"
PIECES_ROUTE = "/articles/in-pieces"

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
CSP = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"

_HEAD, _SECTION, _FOOT = re.split("<!-- .* -->\n", Path(__file__).with_name("article.html").read_text("utf-8"))
PAGE = _HEAD + "".join(_SECTION.format(n=number) for number in range(1, 43)) + _FOOT
"""A page of 10 kB."""
PIECES = 4


async def _plain(_: Request) -> Response:
    return PlainTextResponse("A short answer.")


async def _article(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def _article_with_csp(_: Request) -> Response:
    return HTMLResponse(PAGE, headers={"content-security-policy": CSP})


async def _article_with_cookie(_: Request) -> Response:
    reply = HTMLResponse(PAGE)
    reply.set_cookie("session", secrets.token_urlsafe(16), httponly=True)
    return reply


async def _article_with_nonce(_: Request) -> Response:
    source = f"'nonce-{secrets.token_urlsafe(16)}'"
    policy = f"default-src 'self'; script-src {source}; style-src {source}"
    return HTMLResponse(PAGE, headers={"content-security-policy": policy})


async def _cached_article(_: Request) -> Response:
    return HTMLResponse(PAGE, headers={"cache-control": "public, max-age=60"})


class PageInPieces(HTMLResponse):
    """A page that is sent in pieces of one length.

    Starlette's `StreamingResponse` also listens for a client that leaves, which costs more than all that is measured.
    """

    def __init__(self) -> None:
        super().__init__(PAGE)
        self.raw_headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the page."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        length = len(self.body) // PIECES + 1
        for begin in range(0, len(self.body), length):
            more = begin + length < len(self.body)
            await send({"type": "http.response.body", "body": self.body[begin : begin + length], "more_body": more})


async def _article_in_pieces(_: Request) -> Response:
    return PageInPieces()


async def _sign_in(request: Request) -> Response:
    request.session["user"] = {"id": 4711, "name": "Hanako", "language": "ja"}
    return PlainTextResponse("Welcome.")


def bare_app() -> Starlette:
    """Return a Starlette app with nothing around it."""
    routes = {
        "/offices/{name}": _plain,
        PAGE_ROUTE: _article,
        CSP_ROUTE: _article_with_csp,
        COOKIE_ROUTE: _article_with_cookie,
        NONCE_ROUTE: _article_with_nonce,
        CACHED_ROUTE: _cached_article,
        PIECES_ROUTE: _article_in_pieces,
        "/sign-in": _sign_in,
    }
    return Starlette(routes=[Route(path, endpoint) for path, endpoint in routes.items()])


def session_app(app: ASGIApp | None = None) -> ASGIApp:
    """Return an app, by default the bare one, under Starlette's sessions."""
    return SessionMiddleware(app or bare_app(), KEY)


def consent_app(app: ASGIApp | None = None, **options: Any) -> ConsentMiddleware:
    """Return an app, by default the bare one, under the consent middleware."""
    return ConsentMiddleware(app or bare_app(), POLICY, KEY, prefix=PREFIX, **options)


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


async def call(app: ASGIApp, scope: Scope, body: bytes = b"") -> Reply:
    """Make a request, and return the response."""
    reply = Reply()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        reply.messages.append(message)

    await app(scope, receive, send)
    return reply


def cookies_of(reply: Reply) -> bytes:
    """Return the cookies that a response sets, as a browser sends them back."""
    return "; ".join(line.partition(";")[0] for line in reply.all("set-cookie")).encode()


async def sign_in(app: ASGIApp) -> bytes:
    """Return the cookie of a valid session."""
    cookie = cookies_of(await call(app, make_scope("/sign-in")))
    assert cookie, "no session was made"
    return cookie


async def answer(app: ASGIApp, choice: str, scheme: str = "https", cookie: bytes | None = None, **fields: str) -> bytes:
    """Answer the question by the banner's form, with further fields, and return the cookies that are set."""
    body = urlencode({**fields, "choice": choice}).encode()
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    posted = [*BROWSER, kind, (b"content-length", b"%d" % len(body))]
    reply = await call(app, make_scope(PREFIX, cookie, method="POST", scheme=scheme, browser=posted), body)
    assert reply.status == 303, f"{choice}: {reply.status} {reply.body!r}"
    return cookies_of(reply)


async def visit(app: ASGIApp, choice: str, scheme: str = "https") -> bytes:
    """Answer, go on to a page, and return all cookies that are set by then."""
    answered = await answer(app, choice, scheme)
    reply = await call(app, make_scope(cookie=answered, scheme=scheme))
    return b"; ".join(filter(None, (answered, cookies_of(reply))))


def forgeries(cookie: bytes) -> Iterator[bytes]:
    """Return endless cookies like this one, each with another wrong signature."""
    forged = (cookie[:-10] + b"%010x" % number for number in itertools.count())
    return (each for each in forged if each != cookie)


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
