"""FastAPI: features that need consent, a template, a session and a websocket.

It needs a `consent.toml` as `cookie-consent init` writes it, with the cookie of docs/frameworks.md. Start it
with `uvicorn fastapi_app:app`.
"""

import os
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.templating import Jinja2Templates
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware

from cookie_consent import ConsentMiddleware, RequestConsent, consent_of, requires
from cookie_consent.integrations.jinja import consent_context

HERE = Path(__file__).parent

app = FastAPI()


@app.get("/", response_class=HTMLResponse)
async def home(request: Request) -> str:
    """Greet, and count the visits of this session."""
    visits = request.session["visits"] = request.session.get("visits", 0) + 1
    return f"<!doctype html><html lang='en'><title>Home</title><body><h1>Welcome</h1><p>Visit {visits}.</p>"


Consent = Annotated[RequestConsent, Depends(consent_of)]


@app.get("/suggestions")
async def suggestions(consent: Consent) -> list[str]:
    """Suggest what this visitor may like, or what everybody does."""
    return ["for you"] if consent.allows("media") else ["for everybody"]


@app.get("/tour", dependencies=[Depends(requires("media"))])
async def tour() -> HTMLResponse:
    """Show a film, or say what is off and offer to allow it."""
    return HTMLResponse("<!doctype html><html lang='en'><title>Tour</title><body><h1>The film</h1>")


def branches_as_text(request: Request) -> PlainTextResponse:
    """List the branches."""
    return PlainTextResponse("Ginza, Shibuya")


@app.get("/branches")
@requires("media", fallback=branches_as_text)
async def branches(request: Request) -> HTMLResponse:
    """Show the branches on a map, or as a list."""
    return HTMLResponse("<!doctype html><html lang='en'><title>Branches</title><body><h1>The map</h1>")


templates = Jinja2Templates(HERE / "templates", context_processors=[consent_context])


@app.get("/offices")
async def offices(request: Request) -> HTMLResponse:
    """Show a map, or its fallback."""
    return templates.TemplateResponse(request, "offices.html")


@app.websocket("/live")
async def live(socket: WebSocket, consent: Consent) -> None:
    """Say what the visitor allows."""
    await socket.accept()
    await socket.send_json({"media": consent.allows("media")})
    await socket.close()


@app.websocket("/live-tour", dependencies=[Depends(requires("media"))])
async def live_tour(socket: WebSocket) -> None:
    """Show a film to those who allow it. The others are closed with code 1008."""
    await socket.accept()
    await socket.send_text("The film")
    await socket.close()


app.add_middleware(SessionMiddleware, secret_key=os.environ["CONSENT_KEY"])
app.add_middleware(
    ConsentMiddleware,
    policy="consent.toml",
    secret_keys=[os.environ["CONSENT_KEY"]],
    csp="enforce",
    inject=["/docs*", "/redoc*"],
)
app.add_middleware(GZipMiddleware)
