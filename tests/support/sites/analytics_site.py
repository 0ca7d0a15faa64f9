"""A site for a real server that sends its records where SINK says.

uvicorn --factory tests.support.sites.analytics_site:site.

CLOCK is a file with the seconds by which the clock of the site is wrong; it may change. NOTES is a folder in which each
process notes its writes.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.buffered import BufferedSink
from tests.support.asgi import policy
from tests.support.policies import KEY
from tests.support.servers.noted_store import NotedStore


async def _page(request: Request) -> Response:
    """Respond with the process id."""
    return PlainTextResponse(str(os.getpid()))


async def _limit(request: Request) -> Response:
    """Limit the size of the files that this process writes, as on a full disk; without a size lift the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(request.query_params.get("bytes", most)), most))
    return PlainTextResponse(str(os.getpid()))


async def _stats(request: Request) -> Response:
    return JSONResponse({"process": str(os.getpid()), **request.app.state.sink.stats()})


def _now() -> float:
    return time.time() + float(Path(os.environ["CLOCK"]).read_text("ascii"))


def site() -> Starlette:
    """Return the site."""
    app = Starlette(routes=[Route("/pages/{name}", _page), Route("/limit", _limit), Route("/stats", _stats)])
    app.state.sink = sink = open_sink(os.environ["SINK"])
    if "NOTES" in os.environ:
        assert isinstance(sink, BufferedSink), "its store can be replaced"
        sink.store = NotedStore(sink.store, Path(os.environ["NOTES"]))
    clock = _now if "CLOCK" in os.environ else time.time
    app.add_middleware(ConsentMiddleware, policy=policy(), secret_keys=[KEY], access_log=app.state.sink, clock=clock)
    return app
