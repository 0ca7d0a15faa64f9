"""Litestar: features that need consent, a template, a session, CSRF protection and a websocket.

It needs a `consent.toml` as `cookie-consent init` writes it, with the cookies of docs/frameworks.md. Start it
with `uvicorn litestar_app:app`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from litestar import Litestar, MediaType, Request, WebSocket, get, post, websocket
from litestar.config.csrf import CSRFConfig
from litestar.middleware.session.server_side import ServerSideSessionConfig
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.response import Response, Template
from litestar.template import TemplateConfig
from starlette.middleware.gzip import GZipMiddleware

from cookie_consent import ConsentMiddleware, consent_of, requires
from cookie_consent.integrations.jinja import consent_context

HERE = Path(__file__).parent

needs_media = requires("media")


@get("/", media_type=MediaType.HTML)
async def home(request: Request[Any, Any, Any]) -> str:
    """Greet, and count the visits of this session."""
    visits = request.session.get("visits", 0) + 1
    request.set_session({"visits": visits})
    return f"<!doctype html><html lang='en'><title>Home</title><body><h1>Welcome</h1><p>Visit {visits}.</p>"


@get("/suggestions")
async def suggestions(request: Request[Any, Any, Any]) -> list[str]:
    """Suggest what this visitor may like, or what everybody does."""
    return ["for you"] if consent_of(request).allows("media") else ["for everybody"]


@get("/tour", media_type=MediaType.HTML)
@requires("media")
async def tour(request: Request[Any, Any, Any]) -> str:
    """Show a film, or say what is off and offer to allow it."""
    return "<!doctype html><html lang='en'><title>Tour</title><body><h1>The film</h1>"


@get("/film")
async def film(request: Request[Any, Any, Any]) -> Response[str] | Template:
    """Show a page with a film, or say what is off and offer to allow it."""
    if needs_media.unmet(request):
        return Response("")
    return Template("film.html", context=consent_context(request))


@get("/offices")
async def offices(request: Request[Any, Any, Any]) -> Template:
    """Show a map, or its fallback."""
    return Template("offices.html", context=consent_context(request))


@post("/comment")
async def comment() -> dict[str, str]:
    """Take a comment. The request needs the CSRF token."""
    return {"comment": "kept"}


@websocket("/live")
async def live(socket: WebSocket[Any, Any, Any]) -> None:
    """Say what the visitor allows."""
    await socket.accept()
    await socket.send_json({"media": consent_of(socket).allows("media")})
    await socket.close()


site = Litestar(
    [home, suggestions, tour, film, offices, comment, live],
    middleware=[ServerSideSessionConfig().middleware],
    csrf_config=CSRFConfig(secret=os.environ["CONSENT_KEY"]),
    template_config=TemplateConfig(directory=HERE / "templates", engine=JinjaTemplateEngine),
)
app = GZipMiddleware(
    ConsentMiddleware(site, policy="consent.toml", secret_keys=[os.environ["CONSENT_KEY"]], csp="enforce"),
)
