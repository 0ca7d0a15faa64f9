"""One answer for two hosts.

uvicorn --app-dir examples/subdomains app:app

Then open http://www.museum.localhost:8000 and http://shop.museum.localhost:8000. Chromium and Firefox find names under
localhost on this machine. On http://localhost:8000, which is not listed, an answer counts for that host alone.
"""

import os
import secrets
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Host, Route

from cookie_consent import ConsentMiddleware

POLICY = Path(__file__).with_name("consent.toml")
KEY = os.environ.get("CONSENT_KEY") or secrets.token_urlsafe(32)  # without one, each start forgets all answers
PAGE = "<!doctype html><html lang=en><title>{0}</title><body><h1>{0}</h1><p>Status: {1}</p>"


async def museum(request: Request) -> HTMLResponse:
    """The page of the museum, on www. and on hosts that are not listed."""
    return HTMLResponse(PAGE.format("Museum", request.state.consent.status))


async def shop(request: Request) -> HTMLResponse:
    """The page of the shop."""
    return HTMLResponse(PAGE.format("Shop", request.state.consent.status))


app = Starlette(routes=[Host("shop.museum.localhost", Starlette(routes=[Route("/", shop)])), Route("/", museum)])
app.add_middleware(ConsentMiddleware, policy=POLICY, secret_keys=[KEY], csp="enforce")
