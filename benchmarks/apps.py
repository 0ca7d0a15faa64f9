"""What the benchmarks share: an app with pages as real sites send them, requests, and how figures are printed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cookie_consent import ConsentMiddleware
from tests.support.asgi import scope

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
SERVER = ("site.example", 443)
CLIENT = ("203.0.113.77", 50123)
PIECES = 4
_HEAD, _SECTION, _FOOT = re.split("<!-- .* -->\n", Path(__file__).with_name("article.html").read_text("utf-8"))
PAGE = _HEAD + "".join(_SECTION.format(n=number) for number in range(1, 43)) + _FOOT
"""A page of 10 kB."""


async def _show_text(_: Request) -> Response:
    return PlainTextResponse("A short answer.")


async def _show_page(_: Request) -> Response:
    return HTMLResponse(PAGE)


async def _set_cookie(_: Request) -> Response:
    reply = HTMLResponse(PAGE)
    reply.set_cookie("session", secrets.token_urlsafe(16), httponly=True)
    return reply


async def _use_nonce(_: Request) -> Response:
    source = f"'nonce-{secrets.token_urlsafe(16)}'"
    policy = f"default-src 'self'; script-src {source}; style-src {source}"
    return HTMLResponse(PAGE, headers={"content-security-policy": policy})


async def _allow_caches(_: Request) -> Response:
    return HTMLResponse(PAGE, headers={"cache-control": "public, max-age=60"})


class _PageInPieces(HTMLResponse):
    """A page that is sent in pieces of one length.

    Starlette's `StreamingResponse` also listens for a client that leaves, which costs more than all that is measured.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fields = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        length = len(self.body) // PIECES + 1
        for begin in range(0, len(self.body), length):
            more = begin + length < len(self.body)
            await send({"type": "http.response.body", "body": self.body[begin : begin + length], "more_body": more})


async def _send_pieces(_: Request) -> Response:
    return _PageInPieces(PAGE)


async def _sign_in(request: Request) -> Response:
    request.session["user"] = {"id": 4711, "name": "Hanako", "language": "ja"}
    return PlainTextResponse("Welcome.")


PAGES = {
    "/sign-in": _sign_in,
    "/offices/{name}": _show_text,
    PAGE_ROUTE: _show_page,
    "/articles/with-cookie": _set_cookie,
    "/articles/with-nonce": _use_nonce,
    "/articles/cached": _allow_caches,
    "/articles/in-pieces": _send_pieces,
}


def bare_app() -> Starlette:
    """Return a Starlette app with nothing around it."""
    return Starlette(routes=[Route(path, show) for path, show in PAGES.items()])


def consent_app(app: ASGIApp | None = None, **options: Any) -> ConsentMiddleware:
    """Return an app, by default the bare one, under the consent middleware."""
    return ConsentMiddleware(app or bare_app(), POLICY, KEY, prefix=PREFIX, **options)


def make_scope(path: str, cookie: bytes) -> Scope:
    """Return the scope of a request as a server makes it: strings that were used before have their hash cached."""
    fields = [*BROWSER[1:], (b"cookie", cookie)] if cookie else BROWSER[1:]
    fresh = [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in fields]
    return scope(path=path.encode().decode(), headers=fresh)


async def receive() -> Message:
    """Return an empty body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def drop(_: Message) -> None:
    """Do nothing with a part of a response."""


def print_table(title: str, rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows, which have the same keys, under a title."""
    columns = []
    for name in rows[0]:
        cells = [name, *(str(row[name]) for row in rows)]
        width = max(map(len, cells))
        columns.append([cell.ljust(width) for cell in cells])
    lines = ("  ".join(line).rstrip() for line in zip(*columns, strict=True))
    print(f"\n{title}", *lines, sep="\n", flush=True)
