"""A site for a real server, with the ledger that LEDGER names. `tests.support.servers.child_site` starts it."""

from __future__ import annotations

import os
import resource

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from tests.support.asgi import PAGE, policy
from tests.support.policies import KEY


async def _page(request: Request) -> Response:
    return HTMLResponse(PAGE)


async def _limit(request: Request) -> Response:
    """Limit the size of the files that this process writes; without a size lift the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = int(request.query_params.get("bytes", most))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    return PlainTextResponse(str(limit))


app = Starlette(routes=[Route("/", _page), Route("/limit", _limit)])
app.add_middleware(ConsentMiddleware, policy=policy(), secret_keys=[KEY], ledger=os.environ["LEDGER"])
