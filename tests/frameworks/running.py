"""Runs an app from its startup to its shutdown, as a server does, and gives a client for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

BROWSER = {
    "accept": "text/html,application/xhtml+xml,*/*;q=0.8",
    "accept-language": "en",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
}
SAME_ORIGIN = {"sec-fetch-site": "same-origin"}


@asynccontextmanager
async def running(app: Any, base_url: str = "http://localhost:8000") -> AsyncIterator[httpx.AsyncClient]:
    """Start an app, give a client with the header fields of a browser, and shut the app down.

    Args:
        app: the ASGI app.
        base_url: the address that it is visited at.
    """
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    lifespan = asyncio.create_task(
        app({"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}, events.get, said.put)
    )
    await events.put({"type": "lifespan.startup"})
    started = await _next(said, lifespan)
    assert started["type"] == "lifespan.startup.complete", started.get("message")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url, headers=BROWSER) as client:
        yield client
    await events.put({"type": "lifespan.shutdown"})
    assert (await _next(said, lifespan))["type"] == "lifespan.shutdown.complete"
    await lifespan


async def _next(said: asyncio.Queue[dict[str, Any]], lifespan: asyncio.Task[None]) -> dict[str, Any]:
    """Return what the app says next, or raise what it raised."""
    message = asyncio.create_task(said.get())
    await asyncio.wait([message, lifespan], return_when=asyncio.FIRST_COMPLETED, timeout=30)
    if not message.done():
        message.cancel()
        raise AssertionError("The app has no lifespan.") from lifespan.exception()
    return message.result()
