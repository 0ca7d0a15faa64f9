"""BlackSheep: features that need consent, a template, a session, a protected form and a websocket.

It needs a `consent.toml` as `cookie-consent init` writes it, with the cookies of docs/frameworks.md. Start
it with `uvicorn blacksheep_app:app`.
"""

import os
from pathlib import Path

from blacksheep import Application, Request, Response, Router, WebSocket, html, json, text
from blacksheep.server.csrf import use_anti_forgery
from blacksheep.server.rendering.jinja2 import JinjaRenderer
from blacksheep.server.responses import view
from blacksheep.settings.html import html_settings
from jinja2 import FileSystemLoader
from starlette.middleware.gzip import GZipMiddleware

from cookie_consent import ConsentMiddleware, consent_of, requires
from cookie_consent.integrations.jinja import consent_context

html_settings.use(JinjaRenderer(FileSystemLoader(Path(__file__).parent / "templates")))
site = Application(router=Router())
site.use_sessions(os.environ["CONSENT_KEY"])
use_anti_forgery(site)


@site.router.get("/")
async def home(request: Request) -> Response:
    """Greet, and count the visits of this session."""
    request.session["visits"] = visits = request.session.get("visits", 0) + 1
    return html(f"<!doctype html><html lang='en'><title>Home</title><body><h1>Welcome</h1><p>Visit {visits}.</p>")


@site.router.get("/suggestions")
async def suggestions(request: Request) -> Response:
    """Suggest what this visitor may like, or what everybody does."""
    return json(["for you"] if consent_of(request).allows("media") else ["for everybody"])


@site.router.get("/tour")
@requires("media")
async def tour(request: Request) -> Response:
    """Show a film, or say what is off and offer to allow it."""
    return html("<!doctype html><html lang='en'><title>Tour</title><body><h1>The film</h1>")


@site.router.get("/offices")
async def offices(request: Request) -> Response:
    """Show a map, or its fallback."""
    return view("offices", consent_context(request))


@site.router.get("/comment")
async def form(request: Request) -> Response:
    """Show a form with an anti-forgery token."""
    return view("comment", {"request": request})


@site.router.post("/comment")
async def comment(request: Request) -> Response:
    """Take a comment."""
    return text("kept")


@site.router.ws("/live")
async def live(websocket: WebSocket) -> None:
    """Say what the visitor allows."""
    await websocket.accept()
    await websocket.send_json({"media": consent_of(websocket).allows("media")})
    await websocket.close()


app = GZipMiddleware(
    ConsentMiddleware(site, policy="consent.toml", secret_keys=[os.environ["CONSENT_KEY"]], csp="enforce"),
)
