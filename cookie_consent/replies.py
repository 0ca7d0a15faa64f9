"""How the endpoints answer: pages and data, and what they do when what is kept cannot be reached."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from anyio import fail_after
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cookie_consent.bounded import LONGEST_WAIT
from cookie_consent.failures import log_failure
from cookie_consent.problem import Problem

_STRICT = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "same-origin",
}

Kept = TypeVar("Kept")


def page(html: str, language: str, status: int = 200) -> Response:
    """Return a page of ours: no script, no frame, nothing from elsewhere."""
    return HTMLResponse(html, status, headers={**_STRICT, "content-language": language})


def wants_json(request: Request) -> bool:
    """Return whether a client asks for data instead of a page."""
    return "json" in request.headers.get("accept", "")


async def answer_of(store: Awaitable[Kept], longest: float | None = LONGEST_WAIT) -> Kept:
    """Return what a ledger or sink answers, if it does within so many seconds.

    Raises:
        Problem: 503, it does not.
    """
    try:
        with fail_after(longest):
            return await store
    except Exception as error:  # noqa: BLE001 (whatever it raises, the answer would not be true without it)
        log_failure("What is kept could not be read or changed; the request was refused", error)
        raise Problem(503, "What is kept cannot be reached just now.", "error_unavailable") from None
