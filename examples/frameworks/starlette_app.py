"""Starlette: features that need consent, a template, a session and a websocket.

It needs a `consent.toml` as `cookie-consent init` writes it, with the cookie of docs/frameworks.md. Start it
with `uvicorn starlette_app:app`.
"""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.templating import Jinja2Templates
from starlette.websockets import WebSocket

from cookie_consent import ConsentMiddleware, consent_of, requires
from cookie_consent.integrations.jinja import consent_context

HERE = Path(__file__).parent


async def home(request: Request) -> HTMLResponse:
    """Greet, and count the visits of this session."""
    visits = request.session["visits"] = request.session.get("visits", 0) + 1
    return HTMLResponse(
        f"<!doctype html><html lang='en'><title>Home</title><body><h1>Welcome</h1><p>Visit {visits}.</p>"
    )


async def suggestions(request: Request) -> JSONResponse:
    """Suggest what this visitor may like, or what everybody does."""
    return JSONResponse(["for you"] if consent_of(request).allows("media") else ["for everybody"])


@requires("media")
async def tour(request: Request) -> HTMLResponse:
    """Show a film, or say what is off and offer to allow it."""
    return HTMLResponse("<!doctype html><html lang='en'><title>Tour</title><body><h1>The film</h1>")


def branches_as_text(request: Request) -> PlainTextResponse:
    """List the branches."""
    return PlainTextResponse("Ginza, Shibuya")


@requires("media", fallback=branches_as_text)
async def branches(request: Request) -> HTMLResponse:
    """Show the branches on a map, or as a list."""
    return HTMLResponse("<!doctype html><html lang='en'><title>Branches</title><body><h1>The map</h1>")


@requires("media")
class Film(HTTPEndpoint):
    """A film, with an endpoint for each method."""

    async def get(self, request: Request) -> HTMLResponse:
        """Show it."""
        return HTMLResponse("<!doctype html><html lang='en'><title>Film</title><body><h1>The film</h1>")


templates = Jinja2Templates(HERE / "templates", context_processors=[consent_context])


async def offices(request: Request) -> Response:
    """Show a map, or its fallback."""
    return templates.TemplateResponse(request, "offices.html")


async def live(socket: WebSocket) -> None:
    """Say what the visitor allows."""
    await socket.accept()
    await socket.send_json({"media": consent_of(socket).allows("media")})
    await socket.close()


app = Starlette(
    routes=[
        Route("/", home),
        Route("/suggestions", suggestions),
        Route("/tour", tour),
        Route("/branches", branches),
        Route("/film", Film),
        Route("/offices", offices),
        WebSocketRoute("/live", live),
    ]
)
app.add_middleware(SessionMiddleware, secret_key=os.environ["CONSENT_KEY"])
app.add_middleware(ConsentMiddleware, policy="consent.toml", secret_keys=[os.environ["CONSENT_KEY"]], csp="enforce")
app.add_middleware(GZipMiddleware)
