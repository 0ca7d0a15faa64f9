"""A site for a real server: ACCESS_LOG=access.jsonl python -m uvicorn --factory tests.support.sites.live_site:site."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from tests.support.asgi import PAGE, policy
from tests.support.policies import KEY


async def _page(request: Request) -> Response:
    """Respond with the process id after a busy pause, so that another process takes the next request."""
    time.sleep(0.01)  # noqa: ASYNC251 (the worker should be busy)
    response = PlainTextResponse(f"{os.getpid()} {request.state.consent.status}")
    response.set_cookie("session", "1")
    response.set_cookie("_ga", "1")
    return response


async def _home(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def _events(request: Request) -> Response:
    async def events() -> AsyncIterator[bytes]:
        yield b"data: first\n\n"
        await request.app.state.go_on.wait()
        yield b"data: second\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


async def _slow(request: Request) -> Response:
    """Respond after a request of /go-on, with a cookie that needs consent."""
    request.app.state.waiting += 1
    await request.app.state.go_on.wait()
    response = PlainTextResponse("at last")
    response.set_cookie("_ga", "1")
    return response


async def _waiting(request: Request) -> Response:
    return PlainTextResponse(str(request.app.state.waiting))


async def _go_on(request: Request) -> Response:
    request.app.state.go_on.set()
    return PlainTextResponse("they go on")


def site() -> Starlette:
    """Return the site."""
    app = Starlette(
        routes=[
            Route("/", _home),
            Route("/events", _events),
            Route("/slow", _slow),
            Route("/waiting", _waiting),
            Route("/go-on", _go_on),
            Route("/pages/{name}", _page),
        ]
    )
    app.state.go_on, app.state.waiting = asyncio.Event(), 0
    log = os.environ["ACCESS_LOG"]
    app.add_middleware(
        ConsentMiddleware,
        policy=policy(),
        secret_keys=[KEY],
        access_log=log,
        ledger=f"sqlite:///{log}.consent.db",
    )
    return app
