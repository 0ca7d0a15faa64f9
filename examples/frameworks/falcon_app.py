"""Falcon: features that need consent, a template, a cookie and a websocket.

It needs a `consent.toml` as `cookie-consent init` writes it, with the cookie of docs/frameworks.md. Start it
with `uvicorn falcon_app:app`.
"""

from __future__ import annotations

import os
from pathlib import Path

from falcon import MEDIA_HTML
from falcon.asgi import App, Request, Response, WebSocket
from jinja2 import Environment, FileSystemLoader
from starlette.middleware.gzip import GZipMiddleware

from cookie_consent import ConsentMiddleware, consent_of, requires
from cookie_consent.integrations.jinja import consent_context

templates = Environment(
    autoescape=True, enable_async=True, loader=FileSystemLoader(Path(__file__).parent / "templates")
)


class Home:
    """The home page."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Greet, and count the visits in a cookie."""
        visits = int(req.cookies.get("visits", 0)) + 1
        resp.set_cookie("visits", str(visits), max_age=14 * 24 * 3600, secure=req.scheme == "https")
        resp.content_type = MEDIA_HTML
        resp.text = f"<!doctype html><html lang='en'><title>Home</title><body><h1>Welcome</h1><p>Visit {visits}.</p>"


class Suggestions:
    """Suggestions."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Suggest what this visitor may like, or what everybody does."""
        resp.media = ["for you"] if consent_of(req).allows("media") else ["for everybody"]


class Tour:
    """A film."""

    @requires("media")
    async def on_get(self, req: Request, resp: Response) -> None:
        """Show a film, or say what is off and offer to allow it."""
        resp.content_type = MEDIA_HTML
        resp.text = "<!doctype html><html lang='en'><title>Tour</title><body><h1>The film</h1>"


class Offices:
    """A page with a map."""

    async def on_get(self, req: Request, resp: Response) -> None:
        """Show a map, or its fallback."""
        resp.content_type = MEDIA_HTML
        resp.text = await templates.get_template("offices.html").render_async(consent_context(req))


class Live:
    """A websocket."""

    async def on_websocket(self, req: Request, ws: WebSocket) -> None:
        """Say what the visitor allows."""
        await ws.accept()
        await ws.send_media({"media": consent_of(req).allows("media")})
        await ws.close()


site = App()
site.add_route("/", Home())
site.add_route("/suggestions", Suggestions())
site.add_route("/tour", Tour())
site.add_route("/offices", Offices())
site.add_route("/live", Live())
app = GZipMiddleware(
    ConsentMiddleware(site, policy="consent.toml", secret_keys=[os.environ["CONSENT_KEY"]], csp="enforce"),
)
