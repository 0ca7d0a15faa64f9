"""Responses of endpoints: pages, JSON in chunks, scripts and style sheets, and 503 if a store fails."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from typing import TypeVar

from anyio import fail_after
from anyio.lowlevel import checkpoint
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from cookie_consent.base.bounds import LONGEST_WAIT
from cookie_consent.base.messages import log_failure
from cookie_consent.endpoints.inquiry import Inquiry
from cookie_consent.http.forms import Problem
from cookie_consent.pages.assets import Asset

LARGEST_CHUNK = 64 * 1024
"""Bytes."""
_STRICT = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

Result = TypeVar("Result")


class JSONInChunks(Response):
    """JSON that is sent in chunks, so that other tasks of the event loop run in between.

    Args:
        chunks: the body. A chunk is freed when it is sent.
        headers: further header fields.
    """

    media_type = "application/json"

    def __init__(self, chunks: Iterable[bytes], headers: Mapping[str, str]) -> None:
        self._chunks = deque(chunks)
        length = str(sum(map(len, self._chunks)))
        super().__init__(headers={**headers, "content-length": length})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; for a HEAD request, only the header fields."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while self._chunks and scope["method"] != "HEAD":
            await send({"type": "http.response.body", "body": self._chunks.popleft(), "more_body": True})
            await checkpoint()
        await send({"type": "http.response.body", "body": b""})


def page(html: str, language: str, status: int = 200, *, has_script: bool = False) -> Response:
    """Return a page of the endpoints. Its Content-Security-Policy forbids scripts, frames and other origins.

    Args:
        html: the page.
        language: the language of the page.
        status: the HTTP status code.
        has_script: whether it has a script of ours, which is then not forbidden.
    """
    policy = f"{_STRICT}; script-src 'self'" if has_script else _STRICT
    headers = {"content-security-policy": policy, "referrer-policy": "same-origin", "content-language": language}
    return HTMLResponse(html, status, headers=headers)


async def wait_for_store(store: Awaitable[Result], longest: float | None = LONGEST_WAIT) -> Result:
    """Wait for the result of a ledger or sink.

    Args:
        store: the awaitable result.
        longest: the time limit, in seconds; None for no limit.

    Raises:
        Problem: 503, it fails or takes longer.
    """
    try:
        with fail_after(longest):
            return await store
    except Exception as error:  # noqa: BLE001 (without the store, any response would be wrong)
        log_failure("What is kept could not be read or changed; the request was refused", error)
        raise Problem(503, "What is kept cannot be reached just now.", "error_unavailable") from None


_ACCEPTS_GZIP = re.compile(r"(?i)(?:^|,)\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?(?:,|$)")


async def serve_asset(asset: Asset, inquiry: Inquiry) -> Response:
    """Respond with a file. Its address has a hash of its content, so caches may keep it forever."""
    headers = {"cache-control": "public, max-age=31536000, immutable", "vary": "Accept-Encoding"}
    if not _ACCEPTS_GZIP.search(inquiry.request.headers.get("accept-encoding", "")):
        return Response(asset.content, headers=headers, media_type=asset.media_type)
    headers["content-encoding"] = "gzip"
    return Response(asset.compressed, headers=headers, media_type=asset.media_type)


async def serve_reexport(script: str, inquiry: Inquiry) -> Response:
    """Respond with a script at a fixed address, which re-exports the current one, for pages that import it by name."""
    return Response(f'export * from "./assets/{script}";\n', media_type="text/javascript; charset=utf-8")


def json_chunks(members: Mapping[str, object], largest: int = LARGEST_CHUNK) -> Iterator[bytes]:
    """Yield a JSON object in chunks, byte for byte as Starlette's `JSONResponse` encodes it.

    Args:
        members: the object's members, as plain data. An iterator becomes an array, encoded item by item.
        largest: the largest size of a chunk, in bytes.

    Raises:
        ValueError: a value is not valid in JSON.
    """
    chunk = bytearray()
    for piece in _pieces(members):
        chunk += piece
        while len(chunk) >= largest:
            yield bytes(chunk[:largest])
            del chunk[:largest]
    if chunk:
        yield bytes(chunk)


def _pieces(members: Mapping[str, object]) -> Iterator[bytes]:
    before = b"{"
    for name, value in members.items():
        yield before + _encoded(name) + b":"
        before = b","
        if isinstance(value, Iterator):
            yield from _array(value)
        else:
            yield _encoded(value)
    yield b"}" if members else b"{}"


def _array(items: Iterable[object]) -> Iterator[bytes]:
    before = b"["
    for item in items:
        yield before + _encoded(item)
        before = b","
    yield b"]" if before == b"," else b"[]"


def _encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
