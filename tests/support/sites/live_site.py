"""A site for real servers: ACCESS_LOG=access.jsonl python -m uvicorn --factory tests.support.sites.live_site:site.

LEDGER is the URL of its ledger. Either may be missing. CLOCK is a file with the seconds by which the clock of the site
is wrong; it may change.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import open_sink
from tests.support.asgi import PAGE, policy
from tests.support.policies import KEY


async def _page(request: Request) -> Response:
    """Respond with the process id after a busy pause, so that another process takes the next request."""
    if "busy" in request.query_params:
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


async def _limit(request: Request) -> Response:
    """Limit the size of the files that this process writes, as on a full disk; without a size lift the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(request.query_params.get("bytes", most)), most))
    return PlainTextResponse(str(os.getpid()))


async def _stats(request: Request) -> Response:
    return JSONResponse({"process": str(os.getpid()), **request.app.state.sink.stats()})


def _now() -> float:
    wrong = float(Path(os.environ["CLOCK"]).read_text("ascii")) if "CLOCK" in os.environ else 0
    return time.time() + wrong


def site() -> Starlette:
    """Return the site."""
    paths = {
        "/": _home,
        "/events": _events,
        "/slow": _slow,
        "/waiting": _waiting,
        "/go-on": _go_on,
        "/limit": _limit,
        "/stats": _stats,
        "/pages/{name}": _page,
    }
    app = Starlette(routes=[Route(path, endpoint) for path, endpoint in paths.items()])
    app.state.go_on = asyncio.Event()
    app.state.waiting = 0
    app.state.sink = sink = open_sink(os.environ["ACCESS_LOG"]) if "ACCESS_LOG" in os.environ else None
    app.add_middleware(
        ConsentMiddleware,
        policy=policy(),
        secret_keys=[KEY],
        access_log=sink,
        ledger=os.environ.get("LEDGER") or None,
        clock=_now,
    )
    return app
