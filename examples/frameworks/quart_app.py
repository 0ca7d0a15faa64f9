"""Quart: features that need consent, a template, a session and a websocket.

It needs a `consent.toml` as `cookie-consent init` writes it, with the cookies of docs/frameworks.md. Start it
with `uvicorn quart_app:app`.
"""

from __future__ import annotations

import os
from typing import Any

from quart import Quart, render_template, request, session, websocket
from starlette.middleware.gzip import GZipMiddleware

from cookie_consent import ConsentMiddleware, consent_of, requires
from cookie_consent.integrations.jinja import consent_context

needs_media = requires("media")

app = Quart(__name__)
app.secret_key = os.environ["CONSENT_KEY"]


@app.get("/")
async def home() -> str:
    """Greet, and count the visits of this session."""
    session["visits"] = session.get("visits", 0) + 1
    return f"<!doctype html><html lang='en'><title>Home</title><body><h1>Welcome</h1><p>Visit {session['visits']}.</p>"


@app.get("/suggestions")
async def suggestions() -> list[str]:
    """Suggest what this visitor may like, or what everybody does."""
    return ["for you"] if consent_of(request).allows("media") else ["for everybody"]


@app.get("/tour")
async def tour() -> str:
    """Show a film, or say what is off and offer to allow it."""
    if needs_media.unmet(request):
        return ""
    return "<!doctype html><html lang='en'><title>Tour</title><body><h1>The film</h1>"


@app.context_processor
def consent_variables() -> dict[str, Any]:
    """Give all templates the variables of this package."""
    return consent_context(request)


@app.get("/offices")
async def offices() -> str:
    """Show a map, or its fallback."""
    return await render_template("offices.html")


@app.websocket("/live")
async def live() -> None:
    """Say what the visitor allows."""
    await websocket.accept()
    await websocket.send_json({"media": consent_of(websocket).allows("media")})


app.asgi_app = ConsentMiddleware(  # type: ignore
    app.asgi_app, policy="consent.toml", secret_keys=[os.environ["CONSENT_KEY"]], csp="enforce"
)
app.asgi_app = GZipMiddleware(app.asgi_app)  # type: ignore
