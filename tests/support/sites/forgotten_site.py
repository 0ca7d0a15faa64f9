"""A site with a script of a third party that nobody marked, and which no recipient has."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from cookie_consent import ConsentMiddleware
from tests.support.asgi import policy
from tests.support.policies import KEY

asked: list[str] = []


async def home(request: Request) -> Response:
    """Show the page. The third party is the same server under another name."""
    tag = f'<script src="http://localhost:{request.url.port}/third.js"></script>'
    return HTMLResponse(f"<!doctype html><html lang='en'><head><title>t</title>{tag}</head><body><h1>t</h1>")


async def third(_: Request) -> Response:
    """Return the script, and note that it was asked for."""
    asked.append("third.js")
    return Response("", media_type="text/javascript")


async def list_asked(_: Request) -> Response:
    """List what the third party was asked for."""
    return JSONResponse(asked)


app = Starlette(routes=[Route("/", home), Route("/third.js", third), Route("/asked", list_asked)])
app.add_middleware(ConsentMiddleware, policy=policy(), secret_keys=KEY, csp=os.environ.get("CSP"))  # type: ignore[arg-type]
