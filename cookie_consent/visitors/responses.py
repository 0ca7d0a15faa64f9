"""How the endpoints answer: pages and data, and what they do when what is kept cannot be reached."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Iterable, Mapping
from typing import TypeVar

from anyio import fail_after
from anyio.lowlevel import checkpoint
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from cookie_consent.base.limits import LONGEST_WAIT, log_failure
from cookie_consent.base.problem import Problem

_STRICT = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "same-origin",
}

Kept = TypeVar("Kept")


class JSONInChunks(Response):
    """JSON that is sent in chunks; whatever else runs on the event loop gets its turn after each.

    Args:
        chunks: the body; each is let go of as soon as it is sent.
        headers: more fields.
    """

    media_type = "application/json"

    def __init__(self, chunks: Iterable[bytes], headers: Mapping[str, str]) -> None:
        self._chunks = deque(chunks)
        length = str(sum(map(len, self._chunks)))
        super().__init__(headers={**headers, "content-length": length})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response, of a HEAD request only the fields."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while self._chunks and scope["method"] != "HEAD":
            await send({"type": "http.response.body", "body": self._chunks.popleft(), "more_body": True})
            await checkpoint()
        await send({"type": "http.response.body", "body": b""})


def page(html: str, language: str, status: int = 200) -> Response:
    """Return a page of ours: no script, no frame, nothing from elsewhere."""
    return HTMLResponse(html, status, headers={**_STRICT, "content-language": language})


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
