"""Requests to a site with the middleware, and its responses, written down as HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import count
from typing import Any

from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import MemorySink
from tests.support.asgi import NOW, Clock, Reply, Visitor, page_app
from tests.support.policies import KEY
from tests.support.reference.example import policy
from tests.support.reference.markdown import block

_SECRET = re.compile(r'(?<=: ")[\w!.~+-]*[\w-]{20,}(?=")')
"""A value of JSON that differs from one installation to the next: a token, an id, a digest."""
_COOKIE = re.compile(r"^([^=]+=)[^;]{12,}")
"""A cookie with such a value."""
Headers = Mapping[str, str]


class Site:
    """A site for one visitor, whose clock stands still.

    Args:
        policy_: its policy; by default that of docs/policy.md.
        options: options of the middleware.
    """

    def __init__(self, policy_: Policy | None = None, **options: Any) -> None:
        ids, self.clock = count(1), Clock(int(NOW))
        given: dict[str, Any] = {
            "ledger": MemoryLedger(),
            "access_log": MemorySink(),
            "clock": self.clock,
            "make_id": lambda: f"example-id-{next(ids):012}",
        }
        app = page_app(sets=["_ga=1; Max-Age=34128000; Path=/"])
        self.app = ConsentMiddleware(app, policy_ or policy(), KEY, **(given | options))
        self.visitor = Visitor(self.app)

    def send(self, method: str, path: str, *, headers: Headers | None = None, body: object = None) -> Reply:
        """Send a request, as a page of the site would, and return the response.

        Args:
            method: its method.
            path: its path and query.
            headers: header fields.
            body: a text for a form, or data for JSON.
        """
        fields, content = self._fields(method, headers, body), _content(body)
        path, _, query = path.partition("?")
        return self.visitor.request(method, path, [*fields.items()], content.encode(), query=query.encode())

    def show(self, method: str, path: str, *, headers: Headers | None = None, body: object = None) -> str:
        """Return a request and its response as a block. Its values that are random are left out."""
        reply = self.send(method, path, headers=headers, body=body)
        request = [f"{method} {path} HTTP/1.1", *_lines(self._fields(method, headers, body).items())]
        response = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}", *_lines(_shown_fields(reply))]
        parts = ["\n".join(request), _SECRET.sub("…", _content(body)), "\n".join(response), _shown_body(reply)]
        return block("http", "\n\n".join(filter(None, parts)))

    def _fields(self, method: str, headers: Headers | None, body: object) -> dict[str, str]:
        kind = "application/x-www-form-urlencoded" if isinstance(body, str) else "application/json"
        own = {"content-type": kind, "sec-fetch-site": "same-origin"} if method == "POST" else {}
        return {**own, **(headers or {})}


def _content(body: object) -> str:
    return "" if body is None else body if isinstance(body, str) else json.dumps(body)


def _lines(fields: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in fields:
        yield f"{name.title()}: {_COOKIE.sub(_without_value, value) if name == 'set-cookie' else value}"


def _without_value(field: re.Match[str]) -> str:
    return f"{field[1]}…"


def _shown_fields(reply: Reply) -> list[tuple[str, str]]:
    left_out = {"content-length", "x-content-type-options", "vary", "content-security-policy", "referrer-policy"}
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in reply.headers]
    return [(name, value) for name, value in fields if name not in left_out]


def _shown_body(reply: Reply) -> str:
    if "json" not in reply.get("content-type"):
        return "…" if reply.body else ""
    return _SECRET.sub("…", json.dumps(reply.json, indent=2, ensure_ascii=False))
