"""Tests of the number of Python calls per request: exact, without noise. The budgets only go down."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.support.asgi import SITE, SITE_TABLE, Visitor, install, scope

SHARED = SITE.replace(
    SITE_TABLE, SITE_TABLE + 'domain = "site.example"\nhosts = ["site.example", "www.site.example"]\n'
)
BROWSER = [
    ("connection", "keep-alive"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
    ),
    ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("referer", "https://site.example/"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9"),
]
TEXT = (b"text/plain; charset=utf-8", b"Hello")
PAGE = (
    b"text/html; charset=utf-8",
    b"<!doctype html><html lang=en><head><title>t</title></head><body>" + b"<p>words</p>" * 800 + b"</body></html>",
)
BUDGETS = {
    "no cookie": (TEXT, "none", False, 10),
    "refused": (TEXT, "refuse", False, 7),
    "forged": (TEXT, "forge", False, 10),
    "granted and traced": (TEXT, "accept", True, 20),
    "page with the question": (PAGE, "none", False, 21),
    "page after a refusal": (PAGE, "refuse", False, 13),
    "page after a grant, traced": (PAGE, "accept", True, 30),
}
"""Case -> response of the app, answer of the visitor, whether there is an access log, calls beyond the bare app."""


def app_of(kind: bytes, body: bytes) -> ASGIApp:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers.copy()})
        await send({"type": "http.response.body", "body": body})

    return app


async def never() -> Message:
    raise AssertionError


async def nowhere(message: Message) -> None:
    """Ignore a message."""


def calls(app: ASGIApp, headers: Sequence[tuple[str, str]]) -> int:
    """Return how many Python calls a request makes, after others of its kind.

    It is the least of several: on a busy machine, the log's thread has taken all before one, which then wakes it.
    """
    count, counts = 0, list[int]()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    async def ask() -> None:
        for _ in range(5):
            await app(scope(headers=headers), never, nowhere)
        for _ in range(5):
            await ask_counted(scope(headers=headers))

    async def ask_counted(request: Scope) -> None:
        nonlocal count
        count = 0
        sys.setprofile(profile)
        try:
            await app(request, never, nowhere)
        finally:
            sys.setprofile(None)
        counts.append(count)

    anyio.run(ask)
    return min(counts)


@pytest.mark.parametrize("case", BUDGETS)
@pytest.mark.parametrize("text", [SITE, SHARED], ids=["one host", "shared"])
def test_request_stays_within_its_call_budget(case: str, text: str, tmp_path: Path) -> None:
    (kind, body), answer, is_logged, budget = BUDGETS[case]
    bare = app_of(kind, body)
    budget += text == SHARED  # the request's host is looked up
    site = install(bare, text, settings_link=True, access_log=tmp_path / "access.jsonl" if is_logged else None)
    visitor = Visitor(site, BROWSER)
    if answer in ("refuse", "accept"):
        getattr(visitor, answer)()
    elif answer == "forge":
        visitor.refuse()
        visitor.jar = {name: f"{value[:-3]}AAA" for name, value in visitor.jar.items()}
    visitor.get()
    cookies = "; ".join(f"{name}={value}" for name, value in {**visitor.jar, "session": "1"}.items())
    headers = [*BROWSER, *([] if answer == "none" else [("cookie", cookies)])]
    assert calls(site, headers) - calls(bare, headers) <= budget
